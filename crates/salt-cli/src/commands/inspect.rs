//! `salt inspect`: what a model is, and what its adapter did.

use super::CommandResult;
use crate::error::CliError;
use crate::model_argument::ModelArgument;
use medseg_train::bundle::Content;
use medseg_train::session::Session;
use salt_peft::{Inspection, Rank, inspect};
use serde::Serialize;

/// Say what a model is and what its adapter did to each weight, in the weight's own spectrum.
///
/// For every adapted weight W with its update dW: the size of the update, how much of it stays in the top singular directions, its
/// effective rank, and how far the top subspaces turned.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    model: ModelArgument,
    /// Singular directions that count as top for methods without a cut of their own: the share of the energy that they hold
    #[arg(long, value_name = "0-1", default_value_t = 0.9)]
    energy: f64,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report<'a> {
    parameters: usize,
    architecture: &'a sam_model::SamConfig,
    labels: &'a [String],
    preprocessing: &'a medseg_train::bundle::Preprocessing,
    bundle: Option<&'a medseg_train::bundle::Manifest>,
    adapter: Option<Inspection>,
}

/// Runs the command.
pub(super) fn run(args: Args) -> CommandResult {
    let session = args.model.open()?;
    let adapter = session.adapted().map(|model| inspect(&model.sam, Rank::energy(args.energy))).transpose()?;
    if args.json {
        let report = Report {
            parameters: parameters(&session),
            architecture: session.segmenter().sam.config(),
            labels: session.labels(),
            preprocessing: session.preprocessing(),
            bundle: session.manifest(),
            adapter,
        };
        let text = serde_json::to_string_pretty(&report);
        out!("{}", text.map_err(|error| CliError::Format { format: "JSON", problem: error.to_string() })?)?;
        return Ok(());
    }
    let preprocess = session.preprocessing().preprocess;
    out!("parameters      {}", medseg_study::report::thousands(parameters(&session)))?;
    out!("input           {0} x {0} px, protocol {1:?}", preprocess.size(), preprocess.protocol())?;
    let labels = session.labels().join(", ");
    out!("labels          {}", if labels.is_empty() { "none: wants points or boxes" } else { &labels })?;
    if let Some(manifest) = session.manifest() {
        match &manifest.content {
            Content::Adapter { base } => out!("base            {}, SHA-256 {}", base.model.base, base.sha256)?,
            _ => out!("base            none: stored whole")?,
        }
        if let Some(from) = &manifest.provenance {
            let dice = from.validation_dice.map_or_else(|| "-".into(), |dice| format!("{dice:.4}"));
            out!("trained on      {} ({} images), {} steps", from.data.layout, from.data.train, from.steps)?;
            out!("trained         {} of {} parameters", from.trainable, from.total)?;
            out!("selected epoch  {}, validation Dice {dice}", from.epoch.map_or(0, |epoch| epoch + 1))?;
        }
    }
    if let Some(adapter) = adapter {
        out!("\n{adapter}")?;
    }
    Ok(())
}

fn parameters(session: &Session) -> usize {
    use burn::module::Module;
    session.segmenter().sam.num_params()
}
