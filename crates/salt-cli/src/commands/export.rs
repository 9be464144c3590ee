//! `salt export`: a trained model in the forms that other programs read.

use super::CommandResult;
use crate::error::CliError;
use crate::model_argument::ModelArgument;
use clap::ValueEnum;
use medseg_train::TrainError;
use medseg_train::bundle::{PROMPT_FILE, WEIGHTS_FILE};
use medseg_train::files::new_folder;
use medseg_train::model::Segmenter;
use medseg_train::session::Session;
use salt_peft::{BasisStorage, Conversion, Method, SaveOptions, save_adapter, to_lora};
use std::path::{Path, PathBuf};

/// Write a trained model for other programs: plain weights, an adapter, or a LoRA that comes close.
///
/// Every form of a SAM comes with prompt.safetensors, the trained tokens. `[model] adapter = DIR` in a run file and `--model DIR --base FILE`
/// take adapters back.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    model: ModelArgument,
    /// The form
    #[arg(long, value_enum)]
    format: Format,
    /// Rank of the LoRA (format lora)
    #[arg(long, value_name = "N", required_if_eq("format", "lora"))]
    rank: Option<usize>,
    /// What is stored of the bases of SALT and SVD tuning (format adapter)
    #[arg(long, value_enum, default_value = "basis")]
    basis: BasisArgument,
    /// A folder that does not exist or is empty
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Plain weights under the original's key names: model.safetensors. Of a classic network, those of its reference package
    Meta,
    /// Plain weights as transformers' SamModel or Sam2Model reads them: model.safetensors and config.json
    Huggingface,
    /// A LoRA or DoRA in the two files of Hugging Face PEFT
    Peft,
    /// The adapter itself, whatever its method, in the two files of this program
    Adapter,
    /// The best LoRA of one rank for any adapter, in the two files of PEFT, with its error
    Lora,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum BasisArgument {
    /// The singular vectors: can be trained further anywhere
    Basis,
    /// The update of each weight: can be used and merged anywhere
    Delta,
    /// Only fingerprints: the smallest; opens on the same kind of machine
    Recompute,
}

impl From<BasisArgument> for BasisStorage {
    fn from(argument: BasisArgument) -> Self {
        match argument {
            BasisArgument::Basis => Self::Basis,
            BasisArgument::Delta => Self::Delta,
            BasisArgument::Recompute => Self::Recompute,
        }
    }
}

/// What only a SAM is stored as.
const ADAPTERS: &str = "an adapter";

/// Runs the command.
pub(super) fn run(args: Args) -> CommandResult {
    let session = args.model.open()?;
    let adapted = || {
        session.adapted().ok_or_else(|| {
            let formats = if session.segmenter().network().is_some() { "meta" } else { "meta or huggingface" };
            let problem = format!("stored whole, without an adapter; --format {formats} writes its weights");
            CliError::file(Path::new(&args.model.model), problem)
        })
    };
    let mut conversion = None;
    new_folder(&args.out, |folder| {
        match args.format {
            Format::Meta => match session.segmenter() {
                Segmenter::Sam(model) => model.sam.save(folder.join(WEIGHTS_FILE))?,
                Segmenter::Network(network) => network.save(folder.join(WEIGHTS_FILE)).map_err(TrainError::from)?,
            },
            Format::Huggingface => {
                let what = "--format huggingface (meta writes the state dict of a network's reference package)";
                session.segmenter().require_sam(what)?.sam.save_huggingface(folder)?;
            }
            Format::Peft => {
                let model = adapted()?.require_sam(ADAPTERS)?;
                require_low_rank(&args, &session)?;
                save_adapter(&model.sam, folder, &SaveOptions::default())?;
            }
            Format::Adapter => {
                let model = adapted()?.require_sam(ADAPTERS)?;
                save_adapter(&model.sam, folder, &SaveOptions::default().with_basis(args.basis.into()))?;
            }
            Format::Lora => conversion = Some(as_lora(adapted()?, args.rank.unwrap_or_default(), folder)?),
        }
        if let Some(model) = session.segmenter().sam().filter(|_| session.is_automatic()) {
            model.prompt.save(folder.join(PROMPT_FILE), session.labels())?;
        }
        Ok::<(), CliError>(())
    })?;
    if let Some(conversion) = conversion {
        out!("{conversion}")?;
    }
    out!("{}", args.out.display())?;
    Ok(())
}

/// PEFT knows LoRA and DoRA; for other methods there is a LoRA that comes close.
fn require_low_rank(args: &Args, session: &Session) -> Result<(), CliError> {
    let provenance = session.manifest().and_then(|manifest| manifest.provenance.as_ref());
    match provenance.and_then(|from| from.run.adapter.as_ref()).map(|adapter| adapter.method) {
        Some(Method::Lora | Method::Dora) => Ok(()),
        Some(other) => {
            let problem = format!(
                "trained by {other:?}, which PEFT does not know; --format lora --rank N writes the LoRA that comes closest"
            );
            Err(CliError::file(Path::new(&args.model.model), problem))
        }
        None => Err(CliError::file(Path::new(&args.model.model), "it is not told how this adapter was trained")),
    }
}

/// Writes the LoRA and says what its rank cost.
fn as_lora(model: &Segmenter, rank: usize, folder: &Path) -> Result<Conversion, CliError> {
    const NAME: &str = "lora";
    let (sam, conversion) = to_lora(model.require_sam(ADAPTERS)?.sam.clone(), rank, NAME)?;
    save_adapter(&sam, folder, &SaveOptions::default().with_adapter(NAME))?;
    Ok(conversion)
}
