//! The check that a base model must pass: training all of it on real images from the base against training it from random
//! weights, at an equal budget, each with its own best learning rate of the same grid.

use super::learner::{Learner, dice_scores, normalise, sam_error};
use super::workers::Workers;
use crate::error::{Result, TrainError};
use crate::gradients::clip_global_norm;
use crate::losses::{DicePooling, binary_cross_entropy, dice};
use crate::optimizer::OptimizerConfig;
use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use medseg_data::random::Stream;
use sam_model::upsample_logits;

/// An image with its mask, both square.
#[derive(Debug, Clone)]
pub struct TransferSample {
    /// Red, green and blue planes, row by row, 0 to 255.
    pub planes: [Vec<f32>; 3],
    /// Row by row, 0 or 1.
    pub mask: Vec<u8>,
}

/// The budget, the same for every start.
#[derive(Debug, Clone)]
pub struct TransferSettings {
    /// Side of the images in px.
    pub size: usize,
    /// Passes over the training images.
    pub epochs: usize,
    /// Images of one step.
    pub batch: usize,
    /// Order and flips of the training images, and the random weights.
    pub seed: u64,
    /// Threads.
    pub threads: usize,
}

/// Where training starts.
#[derive(Debug, Clone, Copy)]
pub enum Start<'a> {
    /// Random weights of this configuration.
    Random(&'a sam_model::SamConfig),
    /// A pre-trained base.
    Base(&'a Learner),
}

/// Mean Dice per image.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TransferResult {
    /// On the validation images.
    pub validation: f64,
    /// On the test images.
    pub test: f64,
}

/// Trains everything at `learning_rate` (cosine to zero after a rise over a tenth of the steps) and scores the end state. A rate of 0 scores the
/// start as it is.
///
/// # Errors
/// No images, images of another size, a loss that is not finite.
pub fn transfer(
    start: Start<'_>,
    learning_rate: f64,
    settings: &TransferSettings,
    train: &[TransferSample],
    validation: &[TransferSample],
    test: &[TransferSample],
) -> Result<TransferResult> {
    let area = settings.size * settings.size;
    for sample in train.iter().chain(validation).chain(test) {
        if sample.mask.len() != area || sample.planes.iter().any(|plane| plane.len() != area) {
            let expected = format!("expected {0} x {0} pixels", settings.size);
            return Err(TrainError::Model(format!("{expected}, found {} in a mask", sample.mask.len())));
        }
    }
    if train.is_empty() || validation.is_empty() || test.is_empty() {
        return Err(TrainError::Model("training, validation and test need at least one image each".into()));
    }
    let device = Device::flex().autodiff();
    let mut learner = match start {
        Start::Random(config) => Learner::new(config, settings.seed, &device)?,
        Start::Base(base) => base.clone().fork(&device).train(),
    };
    let workers = Workers::new(settings.threads)?;
    let mut optimizer = OptimizerConfig::default().init();
    let per_epoch = train.len().div_ceil(settings.batch.max(1));
    let total = if learning_rate > 0.0 { settings.epochs * per_epoch } else { 0 };
    for step in 0..total {
        let epoch = step / per_epoch;
        let order = Stream::new(settings.seed, epoch as u64, "", "transfer order").permutation(train.len());
        let chosen = &order[step % per_epoch * settings.batch..];
        let chosen = &chosen[..chosen.len().min(settings.batch)];
        let (grads, [loss]) = workers.gradients(&learner, chosen.len(), &device, |copy, shard| {
            let index = chosen[shard];
            let flips = Stream::new(settings.seed, epoch as u64, &index.to_string(), "transfer flips").next_u32();
            let sample = flip(&train[index], settings.size, flips & 1 == 1, flips & 2 == 2);
            let (images, masks) = tensors(std::slice::from_ref(&sample), settings.size, &device);
            let logits = predict(copy, images)?;
            let loss =
                binary_cross_entropy(logits.clone(), masks.clone()) + dice(logits, masks, DicePooling::Image, 1.0);
            let loss = loss / chosen.len() as f64;
            Ok((loss.clone(), [f64::from(loss.into_scalar::<f32>())]))
        })?;
        if !loss.is_finite() {
            return Err(TrainError::Diverged { value: loss as f32, step: step as u64, epoch });
        }
        let rise = (step + 1) as f64 / (total as f64 / 10.0).max(1.0);
        let fall = 0.5 * (1.0 + (std::f64::consts::PI * step as f64 / total as f64).cos());
        let (grads, _) = clip_global_norm(&learner, grads, 1.0);
        learner = optimizer.step(learning_rate * rise.min(1.0) * fall, learner, grads);
    }
    let learner = learner.valid();
    let score = |samples: &[TransferSample]| -> Result<f64> {
        let device = Device::flex();
        let scores = workers.map(samples.len(), |index| {
            let (images, masks) = tensors(&samples[index..=index], settings.size, &device);
            Ok(dice_scores(&predict(&learner, images)?, &masks)[0])
        })?;
        Ok(scores.iter().sum::<f64>() / scores.len() as f64)
    };
    Ok(TransferResult { validation: score(validation)?, test: score(test)? })
}

fn predict(learner: &Learner, images: Tensor<4>) -> Result<Tensor<4>> {
    let [_, _, height, width] = images.dims();
    let logits = learner.sam.forward_automatic(images, &learner.automatic).map_err(sam_error)?;
    Ok(upsample_logits(logits, [height, width]))
}

fn tensors(samples: &[TransferSample], size: usize, device: &Device) -> (Tensor<4>, Tensor<4>) {
    let images: Vec<f32> = samples.iter().flat_map(|sample| normalise(&sample.planes)).collect();
    let masks: Vec<f32> = samples.iter().flat_map(|sample| sample.mask.iter().map(|&v| f32::from(v))).collect();
    (
        Tensor::from_data(TensorData::new(images, [samples.len(), 3, size, size]), device),
        Tensor::from_data(TensorData::new(masks, [samples.len(), 1, size, size]), device),
    )
}

fn flip(sample: &TransferSample, size: usize, horizontal: bool, vertical: bool) -> TransferSample {
    let from = |index: usize| {
        let (x, y) = (index % size, index / size);
        let x = if horizontal { size - 1 - x } else { x };
        let y = if vertical { size - 1 - y } else { y };
        y * size + x
    };
    let count = size * size;
    TransferSample {
        planes: [0, 1, 2].map(|plane| (0..count).map(|index| sample.planes[plane][from(index)]).collect()),
        mask: (0..count).map(|index| sample.mask[from(index)]).collect(),
    }
}
