//! Trains a network on drawn discs for a few seconds, saves it, and opens it again.
//!
//! `cargo run --profile dev -p seg-baselines --example train [PRESET]`, where PRESET is one of `unet` (the default, with an eighth of
//! its channels), `segnet`, `segformer-mit-b3`, ...: full-size networks take minutes on a CPU.

use burn::module::Module;
use burn::optim::{AdamWConfig, GradientsParams};
use burn::tensor::activation::sigmoid;
use burn::tensor::{Device, Tensor, TensorData};
use seg_baselines::{Architecture, BaselineError, Draws, Network, NetworkConfig, UNetConfig};

const SIDE: usize = 64;
const BATCH: usize = 8;
const STEPS: u64 = 60;

/// Bright discs on a striped ground, and where they are: images `[N, 1, S, S]` and masks of the same shape.
fn discs(first: usize, device: &Device) -> (Tensor<4>, Tensor<4>) {
    let pixel = |index: usize| {
        let (image, y, x) = (first + index / (SIDE * SIDE), index / SIDE % SIDE, index % SIDE);
        // A different place and size for every image.
        let place = |step: usize| (SIDE / 4 + image * step % (SIDE / 2)) as f32;
        let (centre_y, centre_x, radius) = (place(17), place(29), (6 + image * 7 % 9) as f32);
        let is_inside = (y as f32 - centre_y).hypot(x as f32 - centre_x) < radius;
        let stripes = ((x + 2 * y + image) as f32 * 0.4).sin();
        (stripes + if is_inside { 1.5 } else { 0.0 }, f32::from(is_inside))
    };
    let (images, masks): (Vec<f32>, Vec<f32>) = (0..BATCH * SIDE * SIDE).map(pixel).unzip();
    let tensor = |values| Tensor::from_data(TensorData::new(values, [BATCH, 1, SIDE, SIDE]), device);
    (tensor(images), tensor(masks))
}

/// Overlap of the predicted masks with the true ones.
fn dice(network: &Network, first: usize) -> Result<f32, BaselineError> {
    let (images, masks) = discs(first, &Device::default());
    let found = network.valid().forward(images)?.greater_scalar(0.0).float();
    let both = (found.clone() * masks.clone()).sum().into_scalar::<f32>();
    Ok(2.0 * both / (found.sum() + masks.sum()).into_scalar::<f32>())
}

fn main() -> Result<(), BaselineError> {
    let preset = std::env::args().nth(1);
    let architecture = match preset.as_deref() {
        None | Some("unet") => {
            Architecture::UNet(UNetConfig { channels: vec![4, 8, 16, 32, 64], ..UNetConfig::default() })
        }
        Some(name) => Architecture::preset(name)?,
    };
    let config = NetworkConfig::new(architecture, 1, 1, [SIDE; 2])?;
    let device = Device::default().autodiff();
    let mut network = config.build(&device, 1)?;
    println!("{}: {} parameters", config.architecture.name(), network.num_parameters());

    let mut optimizer = AdamWConfig::new().init();
    for step in 0..STEPS {
        let (images, masks) = discs(step as usize * BATCH, &device);
        let logits = network.forward_training(images, &Draws::new(1, step))?;
        let probability = sigmoid(logits);
        let overlap = (probability.clone() * masks.clone()).sum() * 2.0 + 1.0;
        let loss = -(overlap / (probability.sum() + masks.sum() + 1.0)) + 1.0;
        if step % 10 == 0 {
            println!("step {step:>3}: loss {:.3}", loss.clone().into_scalar::<f32>());
        }
        let gradients = GradientsParams::from_grads(loss.backward(), &network);
        network = optimizer.step(3e-3, network, gradients);
    }
    let unseen = STEPS as usize * BATCH;
    println!("Dice on discs that it has not seen: {:.3}", dice(&network, unseen)?);

    let path = std::env::temp_dir().join(format!("seg-baselines-{}.safetensors", std::process::id()));
    network.save(&path)?;
    let (again, report) = Network::from_checkpoint(&path, &device)?;
    println!("{}: {} tensors, Dice {:.3}", path.display(), report.loaded, dice(&again, unseen)?);
    Ok(())
}
