//! `cargo xtask merge`: a run's adapters folded into plain weights.

use super::CommandResult;
use medseg_train::evaluate::merged;
use medseg_train::train::open_run;
use std::path::PathBuf;

/// Fold the adapters of a training run into the base weights and write a plain SAM checkpoint.
///
/// Writes model.safetensors (the original's key names: any SAM tool opens it) and prompt.safetensors (the trained token).
/// `cargo xtask predict --checkpoint model.safetensors --prompt prompt.safetensors` then segments new images.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The directory of a finished `train` run
    #[arg(long, value_name = "DIR")]
    run: PathBuf,
    /// Where the two files go
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// The label's name in the prompt file
    #[arg(long, default_value = "vessel")]
    label: String,
}

/// Runs the command.
pub(crate) fn run(args: Args) -> CommandResult {
    let opened = open_run(&args.run)?;
    let model = merged(&opened.model);
    std::fs::create_dir_all(&args.out).map_err(|error| format!("cannot create {}: {error}", args.out.display()))?;
    let (weights, prompt) = (args.out.join("model.safetensors"), args.out.join("prompt.safetensors"));
    model.sam.save(&weights)?;
    model.prompt.save(&prompt, &[args.label])?;
    println!("{}\n{}", weights.display(), prompt.display());
    let size = opened.config.data.image_size;
    println!(
        "cargo xtask predict --checkpoint {} --prompt {} --input-size {size} --image FILE --out DIR",
        weights.display(),
        prompt.display()
    );
    Ok(())
}
