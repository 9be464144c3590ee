//! `cargo xtask parity`: how far the model is from a reference, stage by stage.

use super::CommandResult;
use medseg_train::device::DeviceName;
use salt_cli::{CliError, out};
use sam_model::parity::{StageDifference, compare_with_reference};
use sam_model::{Checkpoint, SamConfig};
use std::path::PathBuf;

/// Compare the model with a reference run of the original, stage by stage.
///
/// Prints the largest absolute difference of every stage, and the same relative to the reference's largest value. Ends with
/// exit code 1 if any stage is beyond the tolerance. Reference files are made by sam_tiny.py (SAM) and sam2_tiny.py (SAM 2) in
/// crates/sam-model/tests/fixtures (any seed, any configuration, up to full size).
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Weights: .pth, .safetensors (the original's or Hugging Face's names)
    #[arg(long, value_name = "FILE")]
    weights: PathBuf,
    /// Configuration (JSON, in this project's fields or the argument names of Meta's code); without it, what the weights carry or show
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Reference inputs and outputs (safetensors)
    #[arg(long, value_name = "FILE")]
    io: PathBuf,
    /// Largest absolute and relative difference that passes
    #[arg(long, default_value_t = 1e-4, value_name = "X")]
    tolerance: f64,
    /// Print JSON instead of a table
    #[arg(long)]
    json: bool,
    /// Record gradients while computing (another path through the attention)
    #[arg(long)]
    autodiff: bool,
    /// cpu, wgpu, cuda or cuda:N
    #[arg(long, default_value = "cpu")]
    device: DeviceName,
}

/// Runs the command.
pub(crate) fn run(args: Args) -> CommandResult {
    let device = args.device.open()?;
    let device = if args.autodiff { device.autodiff() } else { device };
    let checkpoint = Checkpoint::open(&args.weights)?;
    let config = match &args.config {
        Some(path) => SamConfig::read(path)?,
        None => checkpoint.config()?,
    };
    let (sam, _) = checkpoint.load(&config, &device)?;
    let stages = compare_with_reference(&sam, &args.io, &device)?;
    if args.json {
        out!("{}", super::json(&stages)?)?;
    } else {
        print_table(&stages)?;
    }
    let beyond: Vec<&str> =
        stages.iter().filter(|stage| !stage.within(args.tolerance)).map(|stage| stage.stage.as_str()).collect();
    if beyond.is_empty() {
        return Ok(());
    }
    Err(CliError::Found(format!(
        "{} of {} stages differ by more than {}: {}",
        beyond.len(),
        stages.len(),
        args.tolerance,
        beyond.join(", ")
    )))
}

fn print_table(stages: &[StageDifference]) -> CommandResult {
    out!("{:<26} {:<20} {:>10} {:>10}", "stage", "shape", "absolute", "relative")?;
    for stage in stages {
        let shape = stage.shape.iter().map(usize::to_string).collect::<Vec<_>>().join("x");
        out!("{:<26} {shape:<20} {:>10.2e} {:>10.2e}", stage.stage, stage.absolute, stage.relative)?;
    }
    let worst = |value: fn(&StageDifference) -> f64| stages.iter().map(value).fold(0.0, f64::max);
    out!("{:<26} {:<20} {:>10.2e} {:>10.2e}", "largest", "", worst(|s| s.absolute), worst(|s| s.relative))
}
