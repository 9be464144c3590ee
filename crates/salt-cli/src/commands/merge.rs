//! `salt merge`: adapters folded into plain weights.

use super::CommandResult;
use crate::error::CliError;
use crate::model_argument::ModelArgument;
use crate::shell::quoted;
use medseg_train::bundle::{BundleContent, WEIGHTS_FILE, write_weights};
use std::path::PathBuf;

/// Fold the adapters of a trained model into the base weights, and write a bundle that needs no base.
///
/// Its model.safetensors is a plain SAM checkpoint under the original's key names, which any SAM tool opens; prompt.safetensors holds
/// the trained tokens, bundle.json how images are prepared. A classic network is whole already: its model.safetensors is a
/// state dict of its reference package, and there is no prompt.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    model: ModelArgument,
    /// Where the bundle goes: a folder that does not exist or is empty
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

/// Runs the command.
pub(super) fn run(args: Args) -> CommandResult {
    let session = args.model.open()?;
    if !session.is_automatic() {
        return Err(CliError::usage(
            "no trained prompt is here, and a bundle holds one: plain weights are written by salt export --format meta",
        ));
    }
    let content = BundleContent {
        labels: session.labels().to_vec(),
        preprocessing: session.preprocessing().clone(),
        provenance: session.manifest().and_then(|manifest| manifest.provenance.clone()),
    };
    write_weights(&args.out, session.segmenter(), content)?;
    out!("{}", args.out.join(WEIGHTS_FILE).display())?;
    out!("next: salt predict --model {} --image IMAGES --out MASKS", quoted(&args.out))?;
    Ok(())
}
