//! Brings any checkpoint of SAM into the form that other tools open.
//!
//! `cargo run -p sam-model --example convert -- CHECKPOINT OUT`: where OUT ends in `.safetensors`, a file under Meta's names, else a
//! folder that `transformers.SamModel.from_pretrained` opens. CHECKPOINT is whatever `Checkpoint::open` reads: Meta's, Hugging
//! Face's, or what a trainer wrote around either.

use burn::tensor::Device;
use sam_model::Sam;
use std::path::PathBuf;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [checkpoint, out] = arguments.as_slice() else { return Err("expected CHECKPOINT and OUT".into()) };
    let (sam, report) = Sam::from_checkpoint(checkpoint, &Device::default())?;
    println!("{} tensors read, {} set aside", report.loaded, report.ignored.len());
    if out.extension().is_some_and(|extension| extension == "safetensors") {
        sam.save(out)?;
    } else {
        sam.save_huggingface(out)?;
    }
    Ok(())
}
