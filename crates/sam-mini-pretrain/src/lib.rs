//! Pre-training of the small SAM and the small SAM 2 that ship with the project.
//!
//! The model learns from [generated scenes](Scene) that contain no vessels, by points, by boxes and by the automatic token. One
//! command repeats it; it can be interrupted at any point and continues to the same bits. The recipes are
//! [`Plan::sam_mini`] and [`Plan::sam2_mini`]; what they give and what they do not is in the card beside the weights.
//!
//! What it learns from:
//!
//! ```
//! // Two by two scenes of 64 px, drawn from seed 7.
//! let sheet = sam_mini_pretrain::contact_sheet(7, 64, 1.0, 2, 2);
//! assert!(sheet.width() >= 128 && sheet.height() >= 128);
//! ```

mod dense;
mod export;
mod learner;
mod log;
mod plan;
mod run;
mod scenes;
mod scores;
#[cfg(test)]
mod tests;
mod workers;

pub use export::{Card, ExportedFiles, export};
pub use learner::Learner;
pub use plan::{Phase, Plan, StepSettings};
pub use run::{PretrainOptions, Pretrained, StepReport, newest, pretrain};
pub use scenes::{Scene, SceneTarget, contact_sheet};
pub use scores::Scores;
