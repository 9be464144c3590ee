//! `--precision`: how exactly linear layers multiply.

use clap::builder::{PossibleValuesParser, TypedValueParser};
use medseg_train::config::Precision;

/// Flattened into the commands that train.
#[derive(Debug, clap::Args)]
pub(crate) struct PrecisionArgument {
    /// How exactly linear layers multiply: f32; bf16 on CPUs with AVX512-BF16 or AMX; f32-amx on CPUs with AMX; f16 on GPUs
    #[arg(long, value_name = "NAME", value_parser = parser())]
    pub(crate) precision: Option<Precision>,
}

fn parser() -> impl TypedValueParser<Value = Precision> {
    let named = |name: String| Precision::ALL.into_iter().find(|known| known.name() == name).ok_or("no precision");
    PossibleValuesParser::new(Precision::ALL.map(Precision::name)).try_map(named)
}
