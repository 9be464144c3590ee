//! What SAM draws when it is shown where the reference is: the prompts that its users would give, derived from the mask.
//!
//! These figures use what they are measured against, so they are no segmentation that one could have without the reference. They say how
//! far a checkpoint's own decoder comes with a perfect prompt.
//!
//! * One prompt asks for the whole mask, as MedSAM's evaluation gives one box per image and label, and not one per connected component: the
//!   branches of a vessel tree are one object. Its box spans nearly the image, which is part of the finding.
//! * A box is that of the outermost foreground pixels (their indices, as in MedSAM's code), without margin or jitter.
//! * Points are `k` different foreground pixels, all equally likely, drawn from (seed, sample id); the first of three is the one that a row
//!   with one point gets.
//! * A single point is ambiguous: of SAM's three masks the one with the best estimate of its own answers, as its authors recommend. A
//!   box and several points are answered by the first mask.
//! * Ignored pixels prompt nothing. Where nothing is left to point at, the answer is the empty mask.

use crate::config::EvaluationConfig;
use crate::data::{Batch, Case, PreparedData};
use crate::error::Result;
use crate::evaluate::{Evaluation, pairs, score};
use crate::stop::StopFlag;
use burn::tensor::{Device, Tensor};
use medseg_data::random::Stream;
use medseg_metrics::Mask;
use sam_model::{MaskChoice, PointLabel, Prompts, Sam, SamVariant};
use serde::{Deserialize, Serialize};

/// How the reference prompts the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReferencePrompt {
    /// The box around the whole mask.
    Box,
    /// So many points inside the mask.
    Points(usize),
}

/// A prompt in pixels of the image, (x, y).
#[derive(Debug, Clone, PartialEq)]
pub enum Asked {
    /// Corners (x0, y0, x1, y1).
    Box([f32; 4]),
    /// Foreground points.
    Points(Vec<[f32; 2]>),
}

impl ReferencePrompt {
    /// Whether the seed changes it.
    pub fn is_drawn(self) -> bool {
        matches!(self, Self::Points(_))
    }

    /// The prompt for a mask; nothing where no pixel counts as foreground.
    pub fn of(self, mask: &Mask, ignored: Option<&Mask>, id: &str, seed: u64) -> Option<Asked> {
        let counts = |(row, column): &(usize, usize)| !ignored.is_some_and(|ignored| ignored.get(*row, *column));
        let pixels: Vec<(usize, usize)> = mask.pixels().filter(counts).collect();
        let point = |&(row, column): &(usize, usize)| [column as f32, row as f32];
        match self {
            Self::Box => {
                let (top, bottom) = (pixels.iter().map(|p| p.0).min()?, pixels.iter().map(|p| p.0).max()?);
                let (left, right) = (pixels.iter().map(|p| p.1).min()?, pixels.iter().map(|p| p.1).max()?);
                Some(Asked::Box([left as f32, top as f32, right as f32, bottom as f32]))
            }
            Self::Points(count) => {
                let order = Stream::new(seed, 0, id, "prompt points").permutation(pixels.len());
                let points: Vec<[f32; 2]> = order.iter().take(count).map(|&at| point(&pixels[at])).collect();
                (!points.is_empty()).then_some(Asked::Points(points))
            }
        }
    }

    fn choice(self, sam: &Sam) -> MaskChoice {
        match self {
            Self::Points(1) => MaskChoice::Several,
            // As the predictor of each model answers.
            _ if sam.config().is_sam2() && sam.config().variant == SamVariant::Sam => MaskChoice::Stable,
            _ => MaskChoice::First,
        }
    }
}

/// Far below the threshold of every protocol.
const BACKGROUND: f32 = -100.0;

/// Draws and scores every case with a prompt from its own reference mask.
///
/// # Errors
/// As [`evaluate`](crate::evaluate::evaluate).
pub fn evaluate_prompted(
    sam: &Sam,
    prompt: (ReferencePrompt, u64),
    data: &PreparedData,
    cases: &[Case],
    config: &EvaluationConfig,
    device: &Device,
    stop: &StopFlag,
) -> Result<Evaluation> {
    let answer = |batch: &Batch, cases: &[Case]| logits(sam, prompt, batch, cases, device);
    score(pairs(data, cases, config, device, stop, answer)?, config)
}

/// Prepared images to logits `[n, 1, h, w]` at the decoder's resolution.
fn logits(
    sam: &Sam,
    (prompt, seed): (ReferencePrompt, u64),
    batch: &Batch,
    cases: &[Case],
    device: &Device,
) -> Result<Tensor<4>> {
    let features = sam.encode(batch.images.clone())?;
    let mut answers: Vec<Option<Tensor<4>>> = Vec::with_capacity(cases.len());
    for (index, (item, case)) in batch.items.iter().zip(cases).enumerate() {
        let to_input = |point: [f32; 2]| item.geometry.to_resized(point);
        let prompts = match prompt.of(&case.reference, case.ignored.as_ref(), &case.id, seed) {
            None => {
                answers.push(None);
                continue;
            }
            Some(Asked::Box([x0, y0, x1, y1])) => {
                let ([x0, y0], [x1, y1]) = (to_input([x0, y0]), to_input([x1, y1]));
                Prompts::none(1).with_boxes(&[[x0, y0, x1, y1]], device)?
            }
            Some(Asked::Points(points)) => {
                let points = points.into_iter().map(|point| (to_input(point), PointLabel::Foreground)).collect();
                Prompts::none(1).with_points(&[points], device)?
            }
        };
        let answer = sam.decode(features.image(index), &prompts, prompt.choice(sam))?;
        let estimates: Vec<f32> = answer.iou.into_data().convert::<f32>().iter::<f32>().collect();
        // Of equals the first.
        let best = (1..estimates.len()).fold(0, |best, at| if estimates[at] > estimates[best] { at } else { best });
        answers.push(Some(answer.low_resolution.narrow(1, best, 1)));
    }
    // Nothing to point at: background everywhere, at any resolution.
    let shape = answers.iter().flatten().next().map_or([1; 4], Tensor::dims);
    let maps = answers.into_iter().map(|map| map.unwrap_or_else(|| Tensor::full(shape, BACKGROUND, device)));
    Ok(Tensor::cat(maps.collect(), 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask() -> Mask {
        Mask::from_fn(20, 30, |row, column| (4..8).contains(&row) && column > 2 && column % 3 == 0).unwrap()
    }

    #[test]
    fn a_box_is_that_of_the_outermost_pixels_that_count() {
        let of = |ignored: Option<&Mask>| ReferencePrompt::Box.of(&mask(), ignored, "a", 0);
        assert_eq!(of(None), Some(Asked::Box([3.0, 4.0, 27.0, 7.0])));
        let right = Mask::from_fn(20, 30, |_, column| column > 20).unwrap();
        assert_eq!(of(Some(&right)), Some(Asked::Box([3.0, 4.0, 18.0, 7.0])));
        let all = Mask::from_fn(20, 30, |_, _| true).unwrap();
        assert_eq!(of(Some(&all)), None);
        assert_eq!(ReferencePrompt::Points(3).of(&mask(), Some(&all), "a", 0), None);
    }

    #[test]
    fn points_lie_inside_differ_and_follow_from_seed_and_id() {
        let of = |count: usize, id: &str, seed: u64| match ReferencePrompt::Points(count).of(&mask(), None, id, seed) {
            Some(Asked::Points(points)) => points,
            other => unreachable!("{other:?}"),
        };
        let (one, three) = (of(1, "a", 0), of(3, "a", 0));
        assert_eq!((one.len(), three.len(), one[0]), (1, 3, three[0]));
        assert!(three.iter().all(|[x, y]| mask().get(*y as usize, *x as usize)));
        assert!(three[0] != three[1] && three[1] != three[2] && three[0] != three[2]);
        assert_eq!(of(3, "a", 0), three);
        assert!((of(3, "a", 1) != three) && (of(3, "b", 0) != three));
        // A mask smaller than the number of points gives what it has.
        assert_eq!(of(1000, "a", 0).len() as u64, mask().count());
    }
}
