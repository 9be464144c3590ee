//! Scores of a model on images: every metric in the pixels of the original image, from one checkpoint.

use crate::config::{EvaluationConfig, EvaluationGrid};
use crate::data::{Batch, Case, PreparedData};
use crate::embeddings::{Encoding, Part};
use crate::error::{Result, TrainError};
use crate::losses::WeightedLoss;
use crate::model::Segmenter;
use crate::stop::StopFlag;
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use medseg_data::{Item, Protocol as PreparationProtocol};
use medseg_metrics::{
    Boundary, Definition, EmptyPolicy, EmptyValue, Evaluator, Mask, MaskPair, Metric, Protocol, Report, Spacing,
    Tolerance,
};
use rayon::prelude::*;
use sam_model::{logits_at, restore_masks, upsample_logits};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What is done where a mask is empty: a missed image costs a distance of the image's diagonal and a score of 0, an image
/// without vessels in both masks is perfect. Stated with every result.
pub fn empty_policy() -> EmptyPolicy {
    EmptyPolicy::new(EmptyValue::ImageDiagonal, EmptyValue::Perfect)
}

/// The metrics of a run.
///
/// # Errors
/// A tolerance that is no length.
pub fn evaluator(config: &EvaluationConfig) -> Result<Evaluator> {
    let protocol = Protocol::new(Spacing::pixels(), Tolerance::Pixels(config.tolerance), empty_policy())
        .and_then(|protocol| protocol.with_definitions([config.definition]))?;
    Ok(Evaluator::new(protocol))
}

/// The masks that a model draws, in the order of the cases.
///
/// `model` must be merged ([`merged`]): an adapted one would rebuild its weights in every pass.
///
/// # Errors
/// An image size that the model does not take, or the stop flag.
pub fn predict(
    model: &Segmenter,
    data: &PreparedData,
    cases: &[Case],
    config: &EvaluationConfig,
    device: &Device,
    stop: &StopFlag,
) -> Result<Vec<MaskPair>> {
    // At the decoder's resolution: from there SAM 2's protocol goes straight to the images' own pixels.
    pairs(data, cases, config, device, stop, |batch, _| model.forward_small(batch.images.clone()))
}

/// As [`predict`], by whatever makes logits `[n, 1, h, w]`, at any resolution of the input, of a batch and its cases.
pub(crate) fn pairs(
    data: &PreparedData,
    cases: &[Case],
    config: &EvaluationConfig,
    device: &Device,
    stop: &StopFlag,
    mut answer: impl FnMut(&Batch, &[Case]) -> Result<Tensor<4>>,
) -> Result<Vec<MaskPair>> {
    let mut pairs = Vec::with_capacity(cases.len());
    for chunk in cases.chunks(config.batch_size.max(1)) {
        if stop.is_raised() {
            return Err(TrainError::Stopped { step: 0 });
        }
        let batch = data.evaluation_batch(chunk, device);
        let logits = answer(&batch, chunk)?;
        let drawn: Vec<(Mask, Mask, Option<Mask>)> = match config.grid {
            EvaluationGrid::Original => {
                let geometries: Vec<_> = batch.items.iter().map(|item| item.geometry).collect();
                let restored = restore_masks(logits, &data.preprocess(), &geometries)?;
                // One label, so one mask an image.
                let masks = restored.into_iter().filter_map(|labels| labels.into_iter().next()).map(|first| first.mask);
                masks.zip(chunk).map(|(mask, case)| (mask, case.reference.clone(), case.ignored.clone())).collect()
            }
            EvaluationGrid::Network => {
                let items = data.grid_items(chunk).unwrap_or(batch.items);
                on_the_grid(logits, data.preprocess().protocol(), data.grid_size(), &items)?
            }
        };
        for ((prediction, reference, ignored), case) in drawn.into_iter().zip(chunk) {
            pairs
                .push(MaskPair::new(&case.id, prediction, reference).with_patient(&case.patient).with_ignored(ignored));
        }
    }
    Ok(pairs)
}

/// Predictions, references and ignored pixels in the pixels of a square of `side` px, as the released code compares them in the network's
/// input.
fn on_the_grid(
    logits: Tensor<4>,
    protocol: PreparationProtocol,
    side: usize,
    items: &[Item],
) -> Result<Vec<(Mask, Mask, Option<Mask>)>> {
    let logits = logits_at(logits, protocol, [side, side])?;
    let decide = |(logits, item): (&[f32], &Item)| {
        let found = protocol.decide(side, side, logits)?;
        let cut = |plane: &Vec<f32>| {
            let bits: Vec<bool> = plane.iter().map(|&y| y > 0.5).collect();
            Mask::from_bools(side, side, &bits)
        };
        Ok((found, cut(&item.mask)?, item.ignored.as_ref().map(cut).transpose()?))
    };
    logits.par_chunks_exact(side * side).zip(items).map(decide).collect()
}

/// A model for inference with its adapters folded into the weights, once.
pub fn merged(model: &Segmenter) -> Segmenter {
    model.valid().materialize()
}

/// The scores of one image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CaseScore {
    /// Sample id.
    pub id: String,
    /// Patient, where the data set tells; the cluster for confidence intervals.
    pub patient: String,
    /// Metrics by name; a value that is not finite is left out.
    pub values: BTreeMap<String, f64>,
}

/// A model's scores on one part of a data set.
#[derive(Debug)]
pub struct Evaluation {
    /// Every metric of every image, with its lock.
    pub report: Report,
    /// The masks, in the order of the cases.
    pub pairs: Vec<MaskPair>,
}

/// Draws and scores every case with a merged model.
///
/// # Errors
/// As [`predict`].
pub fn evaluate(
    model: &Segmenter,
    data: &PreparedData,
    cases: &[Case],
    config: &EvaluationConfig,
    device: &Device,
    stop: &StopFlag,
) -> Result<Evaluation> {
    score(predict(model, data, cases, config, device, stop)?, config)
}

/// Scores masks against their references.
pub(crate) fn score(pairs: Vec<MaskPair>, config: &EvaluationConfig) -> Result<Evaluation> {
    let ignores = pairs.iter().any(|pair| pair.ignored.is_some());
    let protocol = evaluator(config)?.protocol().clone().with_ignored_pixels(ignores);
    let report = Evaluator::new(protocol).evaluate_all(&pairs)?;
    Ok(Evaluation { report, pairs })
}

/// Short metric names in `results.json`: the definition stands in the lock beside them.
pub fn short_name(metric: Metric) -> String {
    match metric {
        Metric::HausdorffPercentile(_) => "hd95".into(),
        Metric::Hausdorff(_) => "hd".into(),
        Metric::AverageSurfaceDistance(_) => "assd".into(),
        Metric::SurfaceDice(_) => "nsd".into(),
        other => format!("{other:?}")
            .chars()
            .enumerate()
            .flat_map(|(index, letter)| {
                let gap = (letter.is_ascii_uppercase() && index > 0).then_some('_');
                gap.into_iter().chain(letter.to_lowercase())
            })
            .collect(),
    }
}

impl Evaluation {
    /// The scores in the form of `results.json`.
    pub fn cases(&self) -> Vec<CaseScore> {
        let row = |case: &medseg_metrics::Case| CaseScore {
            id: case.id.clone(),
            patient: case.patient.clone(),
            values: case
                .scores
                .iter()
                .filter_map(|(metric, score)| Some((short_name(*metric), score.value().filter(|v| v.is_finite())?)))
                .collect(),
        };
        self.report.cases().iter().map(row).collect()
    }
}

/// What selects a checkpoint: mean Dice per image, and where asked for, the figures of the paper's way of reporting.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Validation {
    pub(crate) dice: f64,
    pub(crate) loss: Option<f64>,
    pub(crate) hd95: Option<f64>,
}

pub(crate) fn validate(
    model: &Segmenter,
    data: &PreparedData,
    config: &EvaluationConfig,
    loss: &WeightedLoss,
    device: &Device,
    stop: &StopFlag,
    encoding: &Encoding,
) -> Result<Validation> {
    let cases = data.selection();
    let mut losses = 0.0;
    let pairs = pairs(data, cases, config, device, stop, |batch, chunk| {
        let ids: Vec<&str> = chunk.iter().map(|case| case.id.as_str()).collect();
        let logits = encoding.small_logits(model, batch.images.clone(), Part::Selection, &ids)?;
        if config.best_of_each {
            losses += f64::from(loss_of(batch, logits.clone(), loss)?) * chunk.len() as f64;
        }
        Ok(logits)
    })?;
    let policy = empty_policy();
    let dice = pairs
        .iter()
        .map(|pair| Ok(pair.overlap()?.dice(policy)?.value().unwrap_or(0.0)))
        .collect::<medseg_metrics::Result<Vec<f64>>>()?;
    let mut validation = Validation { dice: mean(&dice), loss: None, hd95: None };
    if config.best_of_each {
        let definition = config.definition;
        validation.loss = Some(losses / cases.len().max(1) as f64);
        let distances = pairs.par_iter().map(|pair| hd95(pair, definition)).collect::<Result<Vec<f64>>>()?;
        validation.hd95 = Some(mean(&distances));
    }
    Ok(validation)
}

fn hd95(pair: &MaskPair, definition: Definition) -> Result<f64> {
    let (prediction, reference) = pair.counted()?;
    let boundary = Boundary::new(&prediction, &reference, Spacing::pixels())?;
    let score = boundary.hausdorff_percentile(definition, 95.0, empty_policy())?;
    Ok(score.value().unwrap_or(f64::NAN))
}

/// The mean loss of a batch by its logits at the resolution at which the model decides.
fn loss_of(batch: &Batch, logits: Tensor<4>, loss: &WeightedLoss) -> Result<f32> {
    let [_, _, height, width] = batch.images.dims();
    let logits = upsample_logits(logits, [height, width]);
    Ok(loss.forward(logits, batch.masks.clone(), batch.ignored.as_ref())?.into_scalar())
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metric_names_are_short_and_stable() {
        assert_eq!(short_name(Metric::Dice), "dice");
        assert_eq!(short_name(Metric::HausdorffPercentile(Definition::Pooled)), "hd95");
        assert_eq!(short_name(Metric::ClDice), "cl_dice");
        assert_eq!(short_name(Metric::Betti0Error), "betti0_error");
    }
}
