//! Trains a small network with burn-train's learner and shows per-image Dice, HD95 and clDice beside the loss.
//!
//! `cargo run -p medseg-metrics --features burn --example burn_metrics`
//!
//! The images are drawn here: one bright vessel each, under noise. At the end [`Evaluator`] measures the trained network on
//! the validation images: the figures of the last epoch once more.

use burn::data::dataloader::{DataLoaderBuilder, batcher::Batcher};
use burn::data::dataset::InMemDataset;
use burn::lr_scheduler::constant::ConstantLr;
use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::loss::BinaryCrossEntropyLossConfig;
use burn::nn::{PaddingConfig2d, Relu};
use burn::optim::AdamWConfig;
use burn::tensor::{Device, Int, Tensor, TensorData};
use burn::train::metric::LossMetric;
use burn::train::{InferenceStep, Learner, SupervisedTraining, TrainOutput, TrainStep};
use medseg_metrics::training::{ImageMetric, MaskBatch, SegmentationOutput};
use medseg_metrics::{Definition, EmptyPolicy, EmptyValue, Evaluator, Metric, Protocol, Spacing, Tolerance};
use std::error::Error;

const SIDE: usize = 48;
const EPOCHS: usize = 10;

/// An image `[SIDE, SIDE]` and its mask, 0 or 1.
#[derive(Debug, Clone)]
struct Sample {
    image: Vec<f32>,
    mask: Vec<f32>,
}

impl Sample {
    /// A vessel that runs across the image, drawn from `seed` alone.
    fn draw(seed: u64) -> Self {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut uniform = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1u64 << 24) as f32
        };
        let side = SIDE as f32;
        let (start, slope, bend, radius) =
            (side * (0.2 + 0.6 * uniform()), uniform() - 0.5, 6.0 * uniform(), 1.5 + 2.0 * uniform());
        let inside = |row: usize, column: usize| {
            let centre = start + slope * (column as f32 - side / 2.0) + bend * (column as f32 / 8.0).sin();
            (row as f32 - centre).abs() <= radius
        };
        let mask: Vec<f32> = (0..SIDE * SIDE).map(|at| if inside(at / SIDE, at % SIDE) { 1.0 } else { 0.0 }).collect();
        let image = mask.iter().map(|&m| 0.6 * m + 0.8 * (uniform() - 0.5)).collect();
        Self { image, mask }
    }
}

/// Images and masks `[batch, 1, SIDE, SIDE]`.
#[derive(Debug, Clone)]
struct Batch {
    images: Tensor<4>,
    masks: Tensor<4>,
}

struct Stack;

impl Batcher<Sample, Batch> for Stack {
    fn batch(&self, items: Vec<Sample>, device: &Device) -> Batch {
        let shape = [items.len(), 1, SIDE, SIDE];
        let tensor = |values: Vec<f32>| Tensor::<4>::from_data(TensorData::new(values, shape), device);
        let images = tensor(items.iter().flat_map(|item| item.image.iter().copied()).collect());
        let masks = tensor(items.iter().flat_map(|item| item.mask.iter().copied()).collect());
        Batch { images, masks }
    }
}

/// Two convolutions: enough to see through the noise.
#[derive(Module, Debug)]
struct Network {
    first: Conv2d,
    second: Conv2d,
    relu: Relu,
}

impl Network {
    fn new(device: &Device) -> Self {
        let layer = |from, to| Conv2dConfig::new([from, to], [5, 5]).with_padding(PaddingConfig2d::Same).init(device);
        Self { first: layer(1, 8), second: layer(8, 1), relu: Relu::new() }
    }

    fn run(&self, batch: Batch) -> SegmentationOutput {
        let logits = self.second.forward(self.relu.forward(self.first.forward(batch.images)));
        let targets: Tensor<4, Int> = batch.masks.clone().int();
        let loss = BinaryCrossEntropyLossConfig::new()
            .with_logits(true)
            .init(&logits.device())
            .forward(logits.clone(), targets);
        SegmentationOutput::new(loss, logits, batch.masks)
    }
}

impl TrainStep for Network {
    type Input = Batch;
    type Output = SegmentationOutput;

    fn step(&self, batch: Batch) -> TrainOutput<SegmentationOutput> {
        let output = self.run(batch);
        TrainOutput::new(self, output.loss.backward(), output)
    }
}

impl InferenceStep for Network {
    type Input = Batch;
    type Output = SegmentationOutput;

    fn step(&self, batch: Batch) -> SegmentationOutput {
        self.run(batch)
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    // A missed vessel costs the image's diagonal; images without vessel in both masks are perfect.
    let empty = EmptyPolicy::new(EmptyValue::ImageDiagonal, EmptyValue::Perfect);
    let protocol = Protocol::new(Spacing::pixels(), Tolerance::Pixels(2.0), empty)?;
    let metrics = [Metric::Dice, Metric::HausdorffPercentile(Definition::MaxDirected), Metric::ClDice];

    let device = Device::default().autodiff();
    device.seed(1);
    let samples = |seeds: std::ops::Range<u64>| seeds.map(Sample::draw).collect::<Vec<_>>();
    let validation = samples(1000..1020);
    let loader = |samples: Vec<Sample>| DataLoaderBuilder::new(Stack).batch_size(16).build(InMemDataset::new(samples));
    let folder = tempfile::tempdir()?;
    let mut training = SupervisedTraining::new(folder.path(), loader(samples(0..128)), loader(validation.clone()))
        .metrics((LossMetric::new(),))
        .with_application_logger(None)
        .num_epochs(EPOCHS)
        .summary();
    for metric in metrics {
        let metric = ImageMetric::new(metric, protocol.clone())?;
        training = training.metric_train_numeric(metric.clone()).metric_valid_numeric(metric);
    }
    let learner = Learner::new(Network::new(&device), AdamWConfig::new().init(), ConstantLr::new(0.02));
    let result = training.launch(learner);
    if let Some(error) = result.error {
        return Err(error.to_string().into());
    }

    // The same figures from the masks of the trained network.
    let output = result.model.run(Stack.batch(validation, &Device::default()));
    let pairs = MaskBatch::from_logits(output.logits, output.targets).pairs()?;
    let report = Evaluator::new(protocol.clone()).evaluate_all(&pairs)?;
    for metric in metrics {
        let values: Vec<f64> = report.cases().iter().filter_map(|case| case.value(metric)).collect();
        let mean = medseg_metrics::statistics::mean(&values);
        println!("{}: {mean:.4} over {} images", metric.column(&protocol), values.len());
    }
    Ok(())
}
