//! Metrics of this crate during training with Burn: feature `burn`.
//!
//! burn-train's own Dice pools all pixels of an epoch, adds a small number where masks are empty, and there is no Hausdorff
//! distance. Here any [`Metric`](crate::Metric) of a [`Protocol`](crate::Protocol) is a metric of burn-train: measured image
//! by image, averaged over images, with the protocol's definition and its policy for empty masks. The name that Burn shows and
//! writes is the column of a report, so a figure seen while training and one from [`Evaluator`](crate::Evaluator) are the same
//! figure under the same name.
//!
//! A model's output gives the masks by implementing `Adaptor<MaskBatch>`; [`SegmentationOutput`] does, and has the loss too.
//! `examples/burn_metrics.rs` trains a small network that way:
//!
//! ```text
//! cargo run -p medseg-metrics --features burn --example burn_metrics
//! ```
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use burn::train::metric::{Metric as _, Numeric};
//! use medseg_metrics::training::{ImageMetric, MaskBatch};
//! use medseg_metrics::{EmptyPolicy, EmptyValue, Metric, Protocol, Spacing, Tolerance};
//! let empty = EmptyPolicy::new(EmptyValue::ImageDiagonal, EmptyValue::Perfect);
//! let protocol = Protocol::new(Spacing::pixels(), Tolerance::Pixels(2.0), empty)?;
//! let dice = ImageMetric::new(Metric::Dice, protocol)?;
//!
//! // Two images of 1 x 2 pixels: the first is drawn right, of the second one pixel of two is missed.
//! let device = Device::default();
//! let logits = Tensor::<4>::from_data([[[[3.0, -3.0]]], [[[3.0, -3.0]]]], &device);
//! let targets = Tensor::<4>::from_data([[[[1.0, 0.0]]], [[[1.0, 1.0]]]], &device);
//! let scores = dice.scores(&MaskBatch::from_logits(logits, targets))?;
//! assert_eq!(scores.iter().map(|score| score.value()).collect::<Vec<_>>(), [Some(1.0), Some(2.0 / 3.0)]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod batch;
mod metric;
mod output;

pub use batch::MaskBatch;
pub use metric::ImageMetric;
pub use output::SegmentationOutput;
