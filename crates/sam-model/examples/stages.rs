//! Wall time, processor time and peak memory of every stage, for one model and input size.
//!
//! `cargo run -p sam-model --example stages -- vit_b 512 [train]` (models: vit_b, vit_l, vit_h, mini, vit_b_paper, sam2_tiny,
//! sam2_small, sam2_base_plus, sam2_large; `train` adds a
//! forward and backward pass through everything). Processor time is what to compare on a machine that others use too.
//! Memory is read from /proc and therefore only shown on Linux.

use std::time::Instant;

use burn::tensor::{Device, Tensor};
use sam_model::{AutomaticPrompt, ImageFeatures, PointLabel, Prompts, SamConfig};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let name = arguments.first().map_or("mini", String::as_str);
    let side: usize = arguments.get(1).map_or(Ok(256), |side| side.parse())?;
    let config = match name {
        "vit_b" => SamConfig::vit_b(),
        "vit_l" => SamConfig::vit_l(),
        "vit_h" => SamConfig::vit_h(),
        "mini" => SamConfig::mini(),
        "vit_b_paper" => SamConfig::vit_b().paper(side),
        "sam2_tiny" => SamConfig::sam2_tiny(),
        "sam2_small" => SamConfig::sam2_small(),
        "sam2_base_plus" => SamConfig::sam2_base_plus(),
        "sam2_large" => SamConfig::sam2_large(),
        other => return Err(format!("expected a model that the example's first lines name, found {other}").into()),
    };
    println!("{name} at {side} x {side}: wall time, processor time, peak memory");
    let device = Device::default();
    let image = Tensor::<4>::ones([1, 3, side, side], &device);
    let sam = stage("weights", || config.init_seeded(1, &device))?;
    stage("encoder, first call", || Ok::<_, sam_model::SamError>(encoded(sam.encode(image.clone())?)))?;
    let embedding = stage("encoder", || Ok::<_, sam_model::SamError>(encoded(sam.encode(image.clone())?)))?;
    let point = vec![([10.0, 10.0], PointLabel::Foreground)];
    let prompts = Prompts::none(1).with_points(&[point], &device)?;
    for label in ["decoder, first call", "decoder"] {
        stage(label, || {
            Ok::<_, sam_model::SamError>(done(sam.decode(embedding.clone(), &prompts, true)?.low_resolution))
        })?;
    }
    if arguments.get(2).is_some_and(|mode| mode == "train") {
        drop(sam);
        let device = device.autodiff();
        let sam = config.init_seeded(1, &device)?;
        let prompt = AutomaticPrompt::learned(1, config.output_channels, &device);
        let batch = arguments.get(3).map_or(Ok(1), |batch| batch.parse())?;
        for _ in 0..3 {
            let images = Tensor::<4>::ones([batch, 3, side, side], &device);
            let features = stage("training: encoder", || Ok::<_, sam_model::SamError>(encoded(sam.encode(images)?)))?;
            let loss = stage("training: decoder", || {
                let logits = sam.decode_automatic(features, &prompt)?;
                Ok::<_, sam_model::SamError>(logits.powf_scalar(2.0).mean())
            })?;
            stage("training: backward", || Ok::<_, std::convert::Infallible>(loss.backward()))?;
        }
    }
    Ok(())
}

/// Waits for the image's features.
fn encoded(features: ImageFeatures) -> ImageFeatures {
    for map in features.high_resolution.iter().flatten() {
        done(map.clone());
    }
    ImageFeatures { embedding: done(features.embedding), high_resolution: features.high_resolution }
}

/// Waits for the result; on a GPU the work would otherwise only have been queued.
fn done<const D: usize>(tensor: Tensor<D>) -> Tensor<D> {
    let _ = tensor.clone().sum().into_scalar::<f32>();
    tensor
}

fn stage<T, E>(name: &str, run: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
    // Resets the peak; without the right to do so the peak is that of the whole run.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
    let (wall, processor) = (Instant::now(), processor_seconds());
    let result = run()?;
    let (wall, processor) = (wall.elapsed().as_secs_f64(), processor_seconds() - processor);
    println!("{name:<22} {:>9.1} ms {:>9.1} ms {:>8} MiB", wall * 1e3, processor * 1e3, peak_mebibytes());
    Ok(result)
}

/// User and system time of all threads (fields 14 and 15 of /proc/self/stat, in hundredths of a second).
fn processor_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    after_name.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<f64>().ok()).sum::<f64>() / 100.0
}

fn peak_mebibytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) / 1024
}
