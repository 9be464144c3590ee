//! A few training steps with Burn's data loader over a set of this crate.
//!
//! `cargo run -p medseg-data --features burn --example burn_training`

use burn::data::dataloader::DataLoaderBuilder;
use burn::module::Module;
use burn::nn::PaddingConfig2d;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::{Device, Tensor, activation::relu};
use medseg_data::burn::{SegmentationBatch, SegmentationBatcher, SegmentationDataset};
use medseg_data::{Dataset, Pipeline, Protocol, Split, synth};

/// Two convolutions: enough to learn that vessels of an OCT angiogram are bright.
#[derive(Module, Debug)]
struct SmallNetwork {
    first: Conv2d,
    second: Conv2d,
}

impl SmallNetwork {
    fn new(device: &Device) -> Self {
        let layer = |channels| Conv2dConfig::new(channels, [5, 5]).with_padding(PaddingConfig2d::Same);
        Self { first: layer([3, 8]).init(device), second: layer([8, 1]).init(device) }
    }

    fn forward(&self, images: Tensor<4>) -> Tensor<4> {
        self.second.forward(relu(self.first.forward(images)))
    }
}

/// Binary cross entropy of logits over the pixels that count.
fn loss(logits: Tensor<4>, batch: &SegmentationBatch) -> Tensor<1> {
    let every = relu(logits.clone()) - logits.clone() * batch.masks.clone() + (logits.abs().neg().exp() + 1.0).log();
    match batch.ignored.clone() {
        None => every.mean(),
        Some(ignored) => {
            let counted = ignored.neg() + 1.0;
            (every * counted.clone()).sum() / counted.sum().clamp_min(1.0)
        }
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    synth::write_rose(folder.path(), 96, synth::Counts { train: 8, val: 0, test: 1 }, 7)?;
    let data = Dataset::open(folder.path())?;

    let pipeline = Pipeline::training(Protocol::Default, 96)?;
    let training = SegmentationDataset::new(data.split(Split::Train).cloned(), pipeline, 42);
    let device = Device::default().autodiff();
    let loader = DataLoaderBuilder::new(SegmentationBatcher)
        .batch_size(4)
        .shuffle(42)
        .num_workers(2)
        .set_device(device.clone())
        .build(training.clone());

    let mut network = SmallNetwork::new(&device);
    let mut optimizer = AdamConfig::new().init();
    let mut means = Vec::new();
    for epoch in 0..6 {
        training.set_epoch(epoch);
        let mut losses = Vec::new();
        for batch in loader.iter() {
            let batch = batch?;
            let loss = loss(network.forward(batch.images.clone()), &batch);
            losses.push(f64::from(loss.clone().into_scalar::<f32>()));
            let gradients = GradientsParams::from_grads(loss.backward(), &network);
            network = optimizer.step(1e-2, network, gradients);
        }
        let mean = losses.iter().sum::<f64>() / losses.len() as f64;
        println!("epoch {epoch}: loss {mean:.4} over {} batches", losses.len());
        means.push(mean);
    }
    if means.last() >= means.first() {
        return Err(format!("the loss did not fall: {means:?}").into());
    }
    Ok(())
}
