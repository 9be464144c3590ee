//! `cargo xtask memory`: which training of SAM ViT-B or SAM 2 base+ fits into how much memory.

use super::CommandResult;
use burn::tensor::Device;
use medseg_study::{TableChoice, rows};
use medseg_train::config::{Architecture, ModelConfig, RunConfig};
use medseg_train::model::BaseModel;
use salt_cli::{CliError, out};
use sam_model::SamVariant;

/// Print the peak memory that `salt train --check` expects of SAM ViT-B or SAM 2 base+ at 512 and 1024 px, and the largest batch that fits
/// into 8, 12 and 24 GB, as Markdown.
///
/// Nothing is trained. Weights are random: only sizes count.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The paper's variant (global attention in every block) instead of SAM as published
    #[arg(long)]
    #[arg(long, conflicts_with = "sam2")]
    paper: bool,
    /// SAM 2 base+ instead of SAM ViT-B
    #[arg(long)]
    sam2: bool,
}

/// The rows of the comparisons that are shown, SAM's and then SAM 2's.
const ROWS: [&str; 8] =
    ["salt-high", "s-sam", "lora-high", "sam2-salt-high", "sam2-svd", "sam2-lora-high", "full", "decoder-only"];

/// Memory in GB, as it is sold; a tenth stays free for everything else.
const SOLD: [usize; 3] = [8, 12, 24];

/// Runs the command.
pub(crate) fn run(args: Args) -> CommandResult {
    out!("| px | method | device | blocks | batch 1, MiB | batch 2, MiB | largest batch in 8 / 12 / 24 GB |")?;
    out!("|---|---|---|---|---|---|---|")?;
    for size in [512, 1024] {
        let model = ModelConfig {
            base: "random".into(),
            architecture: if args.sam2 { Architecture::Sam2BasePlus } else { Architecture::VitB },
            variant: if args.paper { SamVariant::Paper } else { SamVariant::Sam },
            ..ModelConfig::default()
        };
        let base = BaseModel::load(&model, size, &Device::default())?;
        let table = if args.sam2 { TableChoice::Sam2 } else { TableChoice::Main };
        let rows = rows(table, base.config()?, true)?;
        for row in ROWS.iter().filter_map(|id| rows.iter().find(|row| row.id == *id)) {
            for device in ["cpu", "cuda"] {
                for checkpointing in [false, true] {
                    if checkpointing && row.id == "decoder-only" {
                        continue;
                    }
                    let mut config = RunConfig::new("data");
                    config.devices = vec![device.into()];
                    config.data.image_size = size;
                    config.model = model.clone();
                    config.adapter = row.adapter.clone();
                    config.training.activation_checkpointing = checkpointing;
                    config.evaluation.batch_size = 1;
                    out!("{}", line(&base, config, (size, &row.title, device))?)?;
                }
            }
        }
    }
    Ok(())
}

fn line(
    base: &BaseModel,
    mut config: RunConfig,
    (size, title, device): (usize, &str, &str),
) -> Result<String, CliError> {
    let mut peak = |batch: usize| {
        config.training.batch_size = batch;
        let memory = base.expected_memory(&config, config.evaluation.batch_size)?;
        Ok::<usize, CliError>(memory.map_or(usize::MAX, |memory| memory.peak()))
    };
    let mut fits = Vec::new();
    for gigabytes in SOLD {
        let room = gigabytes * 900_000_000;
        let (mut largest, mut step) = (0, 1 << 10);
        while step > 0 {
            if peak(largest + step)? <= room {
                largest += step;
            }
            step /= 2;
        }
        fits.push(if largest == 0 { "-".to_owned() } else { largest.to_string() });
    }
    let mebibytes = |bytes: usize| bytes.div_ceil(1 << 20);
    let (one, two) = (mebibytes(peak(1)?), mebibytes(peak(2)?));
    let blocks = if config.training.activation_checkpointing { "twice" } else { "kept" };
    let device = if device == "cpu" { "CPU" } else { "GPU" };
    Ok(format!("| {size} | {title} | {device} | {blocks} | {one} | {two} | {} |", fits.join(" / ")))
}
