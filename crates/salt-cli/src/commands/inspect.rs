//! `salt inspect`: what a model is, and what its adapter did.

use super::CommandResult;
use crate::error::CliError;
use crate::model_argument::ModelArgument;
use medseg_train::bundle::Content;
use medseg_train::model::Segmenter;
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
    #[serde(skip_serializing_if = "Option::is_none")]
    architecture: Option<&'a sam_model::SamConfig>,
    /// In its place, of a classic network.
    #[serde(skip_serializing_if = "Option::is_none")]
    network: Option<&'a seg_baselines::NetworkConfig>,
    labels: &'a [String],
    preprocessing: &'a medseg_train::bundle::Preprocessing,
    bundle: Option<&'a medseg_train::bundle::Manifest>,
    adapter: Option<Inspection>,
}

/// Runs the command.
pub(super) fn run(args: Args) -> CommandResult {
    let session = args.model.open()?;
    let of_sam = |model: &Segmenter| -> Result<Inspection, CliError> {
        Ok(inspect(&model.require_sam("an adapter")?.sam, Rank::energy(args.energy))?)
    };
    let adapter = session.adapted().map(of_sam).transpose()?;
    let network = session.segmenter().network().map(|network| network.config());
    let parameters = session.segmenter().num_parameters();
    if args.json {
        let report = Report {
            parameters,
            architecture: session.segmenter().sam().map(|model| model.sam.config()),
            network,
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
    if let Some(network) = network {
        out!("network         {}", network.architecture.name())?;
    }
    out!("parameters      {}", medseg_study::report::thousands(parameters))?;
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
