//! What is trained: SAM or SAM 2, its automatic token, and a dense head that is thrown away afterwards.

use crate::dense::DenseHead;
use crate::scenes::{Draws, Scene};
use burn::module::{Module, Param};
use burn::tensor::activation::sigmoid;
use burn::tensor::{Device, Tensor, TensorData};
use medseg_train::checkpoint::stable_ids;
use medseg_train::losses::{DicePooling, dice, focal};
use medseg_train::{Result, TrainError};
use sam_model::{AutomaticPrompt, MaskChoice, PointLabel, Prompts, Sam, SamConfig, upsample_logits};
use std::path::Path;

/// SAM with the extras of pre-training.
///
/// Promptable segmentation learnt from nothing rests for hundreds of steps at "everything is background". The dense head gives the
/// encoder a direct task from the first step on.
#[derive(Module, Debug)]
pub struct Learner {
    /// The model.
    pub sam: Sam,
    /// The token of automatic segmentation, one label.
    pub automatic: AutomaticPrompt,
    dense: DenseHead,
}

/// Which prompt a shard's decoder pass gets beside the automatic token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PromptKind {
    Point,
    Box,
}

/// The predictions for a batch of scenes: logits `[N, 1, S, S]`.
#[derive(Debug, Clone)]
pub(crate) struct Predictions {
    pub(crate) automatic: Tensor<4>,
    /// `[N, masks, S, S]`: SAM's first mask, all four of SAM 2.
    pub(crate) prompted: Tensor<4>,
    pub(crate) dense: Tensor<4>,
    /// Estimated IoU of each mask of `prompted`, `[N, masks]`.
    pub(crate) quality: Tensor<2>,
}

impl Predictions {
    /// The mask of the first token, `[N, 1, S, S]`.
    pub(crate) fn first(&self) -> Tensor<4> {
        self.prompted.clone().narrow(1, 0, 1)
    }
}

/// Scenes as tensors.
#[derive(Debug, Clone)]
pub(crate) struct Batch {
    /// Normalised images `[N, 3, S, S]`.
    pub(crate) images: Tensor<4>,
    /// `[N, 1, S, S]`.
    pub(crate) lines: Tensor<4>,
    /// `[N, 1, S, S]`.
    pub(crate) targets: Tensor<4>,
    points: Vec<[f32; 2]>,
    boxes: Vec<[f32; 4]>,
}

/// Mean and standard deviation of the pixels that SAM was made for, per channel, on a scale of 0 to 255.
const PIXEL_STATISTICS: [(f32, f32); 3] = [(123.675, 58.395), (116.28, 57.12), (103.53, 57.375)];

/// Plane after plane, as the model wants its input.
pub(crate) fn normalise(planes: &[Vec<f32>; 3]) -> impl Iterator<Item = f32> + '_ {
    planes
        .iter()
        .zip(PIXEL_STATISTICS)
        .flat_map(|(plane, (mean, deviation))| plane.iter().map(move |value| (value - mean) / deviation))
}

impl Batch {
    /// All scenes have the same size.
    pub(crate) fn new(scenes: &[Scene], device: &Device) -> Self {
        let (count, size) = (scenes.len(), scenes.first().map_or(0, |scene| scene.size));
        let normalised: Vec<f32> = scenes.iter().flat_map(|scene| normalise(&scene.planes)).collect();
        let images = TensorData::new(normalised, [count, 3, size, size]);
        let mask = |of: fn(&Scene) -> &[u8]| {
            let values: Vec<f32> = scenes.iter().flat_map(|scene| of(scene).iter().map(|&v| f32::from(v))).collect();
            Tensor::from_data(TensorData::new(values, [count, 1, size, size]), device)
        };
        Self {
            images: Tensor::from_data(images, device),
            lines: mask(|scene| &scene.lines),
            targets: mask(|scene| &scene.target.mask),
            points: scenes.iter().map(|scene| scene.target.point).collect(),
            boxes: scenes.iter().map(|scene| scene.target.bounds).collect(),
        }
    }

    fn prompts(&self, kind: PromptKind, device: &Device) -> Result<Prompts> {
        let none = Prompts::none(self.points.len());
        let prompts = match kind {
            PromptKind::Point => {
                let points: Vec<_> = self.points.iter().map(|&point| vec![(point, PointLabel::Foreground)]).collect();
                none.with_points(&points, device)
            }
            PromptKind::Box => none.with_boxes(&self.boxes, device),
        };
        prompts.map_err(sam_error)
    }
}

pub(crate) fn sam_error(error: sam_model::SamError) -> TrainError {
    error.into()
}

impl Learner {
    /// Random weights that follow from `seed` alone.
    ///
    /// # Errors
    /// The configuration is not valid.
    pub fn new(config: &SamConfig, seed: u64, device: &Device) -> Result<Self> {
        let channels = config.output_channels;
        let sam = config.init_seeded(seed, device).map_err(sam_error)?;
        let mut draws = Draws::new(seed, 0, "", "learner");
        let token: Vec<f32> = (0..channels).map(|_| draws.normal()).collect();
        let token = Tensor::from_data(TensorData::new(token, [1, channels]), device);
        let dense = DenseHead::new(config, &mut draws, device);
        let automatic = AutomaticPrompt { token: Param::from_tensor(token), text_affine: None };
        let learner = Self { sam, automatic, dense };
        Ok(stable_ids(learner))
    }

    /// The exported files with the dense head of `other`, as anyone will load them.
    pub(crate) fn from_files(weights: &Path, prompt: &Path, other: Self, device: &Device) -> Result<Self> {
        let (sam, _) = Sam::from_checkpoint(weights, device).map_err(sam_error)?;
        let (automatic, _) = AutomaticPrompt::load(prompt, device).map_err(sam_error)?;
        Ok(Self { sam, automatic, dense: other.dense })
    }

    /// One pass of the encoder and two of the decoder.
    pub(crate) fn forward(&self, batch: &Batch, kind: PromptKind) -> Result<Predictions> {
        let [_, _, height, width] = batch.images.dims();
        let features = self.sam.encode(batch.images.clone()).map_err(sam_error)?;
        let automatic = self.sam.decode_automatic(features.clone(), &self.automatic).map_err(sam_error)?;
        let prompts = batch.prompts(kind, &batch.images.device())?;
        // SAM 2's predictor falls back on the other masks where the first is not stable: they have to be worth it.
        let choice = if self.sam.config().is_sam2() { MaskChoice::All } else { MaskChoice::First };
        let prompted = self.sam.decode(features.clone(), &prompts, choice).map_err(sam_error)?;
        Ok(Predictions {
            automatic: upsample_logits(automatic, [height, width]),
            prompted: upsample_logits(prompted.low_resolution, [height, width]),
            dense: self.dense.forward(features),
            quality: prompted.iou,
        })
    }
}

/// The parts of a loss, each of shape `[1]`.
#[derive(Debug, Clone)]
pub(crate) struct Losses {
    pub(crate) automatic: Tensor<1>,
    pub(crate) prompted: Tensor<1>,
    pub(crate) dense: Tensor<1>,
    pub(crate) quality: Tensor<1>,
}

/// Weighted cross-entropy plus Dice, and a small price on large logits: a model whose answers are already extreme learns a new
/// task slowly, since the gradient of a saturated answer is nothing.
fn segmentation(logits: Tensor<4>, target: Tensor<4>) -> Tensor<1> {
    let moderation = logits.clone().square().mean() * 1e-3;
    // Foreground pixels are few; weighted 3 to 1 they are not drowned. (A focal loss with exponent 0 is weighted cross-entropy.)
    focal(logits.clone(), target.clone(), None, 0.75, 0.0) * 3.0
        + dice(logits, target, DicePooling::Image, 1.0)
        + moderation
}

impl Losses {
    pub(crate) fn new(predictions: Predictions, batch: &Batch) -> Self {
        let overlap = intersection_over_union(predictions.prompted.clone().detach(), batch.targets.clone());
        let mut prompted = segmentation(predictions.first(), batch.targets.clone());
        if let Some(best) = best_of_the_others(&predictions.prompted, &batch.targets) {
            prompted = prompted + segmentation(best, batch.targets.clone()) * 0.5;
        }
        Self {
            quality: (predictions.quality - overlap).square().mean(),
            automatic: segmentation(predictions.automatic, batch.lines.clone()),
            prompted,
            dense: segmentation(predictions.dense, batch.lines.clone()),
        }
    }

    /// What is minimised.
    pub(crate) fn total(&self) -> Tensor<1> {
        self.automatic.clone() + self.prompted.clone() * 0.5 + self.dense.clone() * 0.5 + self.quality.clone() * 0.1
    }

    /// Automatic, prompted, dense, quality.
    pub(crate) fn values(&self) -> [f64; 4] {
        [&self.automatic, &self.prompted, &self.dense, &self.quality]
            .map(|part| f64::from(part.clone().into_scalar::<f32>()))
    }
}

/// Of each image the mask after the first that is nearest to the target, `[N, 1, S, S]`: the answers to an ambiguous prompt are trained
/// by the one that was meant. None where there is no mask after the first.
fn best_of_the_others(logits: &Tensor<4>, target: &Tensor<4>) -> Option<Tensor<4>> {
    let [count, masks, height, width] = logits.dims();
    if masks < 2 {
        return None;
    }
    let others = logits.clone().narrow(1, 1, masks - 1);
    let likely = sigmoid(others.clone().detach()).reshape([count, masks - 1, height * width]);
    let target = target.clone().reshape([count, 1, height * width]);
    // Dice of probabilities: at the beginning no mask has a pixel above the threshold.
    let both = (likely.clone() * target.clone()).sum_dim(2);
    let dice = both * 2.0 / (likely.sum_dim(2) + target.sum_dim(2) + 1.0);
    let best = dice.argmax(1).reshape([count, 1, 1, 1]).expand([count, 1, height, width]);
    Some(others.gather(1, best))
}

/// `[N, masks, S, S]` logits and masks `[N, 1, S, S]` to `[N, masks]`.
fn intersection_over_union(logits: Tensor<4>, target: Tensor<4>) -> Tensor<2> {
    let [count, masks, height, width] = logits.dims();
    let found = logits.greater_elem(0.0).float().reshape([count, masks, height * width]);
    let target = target.reshape([count, 1, height * width]);
    let both = (found.clone() * target.clone()).sum_dim(2);
    let either = (found + target).sum_dim(2) - both.clone();
    (both / (either + 1e-6)).reshape([count, masks])
}

/// Dice of thresholded logits against masks, one per image; 1 where both are empty.
pub(crate) fn dice_scores(logits: &Tensor<4>, target: &Tensor<4>) -> Vec<f64> {
    let [count, ..] = logits.dims();
    let found = logits.clone().greater_elem(0.0).float().reshape([count as i32, -1]);
    let target = target.clone().reshape([count as i32, -1]);
    let both: Tensor<2> = (found.clone() * target.clone()).sum_dim(1) * 2.0;
    let all: Tensor<2> = (found + target).sum_dim(1);
    let score = (both + 1e-6) / (all + 1e-6);
    score.into_data().iter::<f64>().collect()
}
