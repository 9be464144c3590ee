//! Rows that train nothing and are prompted.

use super::{Family, MethodRow, row};
use medseg_train::prompted::ReferencePrompt;
use sam_model::Protocol;

/// How a row that trains nothing is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowPrompt {
    /// By the reference mask of each test image.
    Reference(ReferencePrompt),
    /// By the text of the base model.
    Text,
}

impl RowPrompt {
    /// Whether the seed changes it.
    pub fn is_drawn(self) -> bool {
        matches!(self, Self::Reference(prompt) if prompt.is_drawn())
    }
}

/// SAM, or another checkpoint of its kind, with the prompts that its users would give, and with the text of the base model. Where the
/// paper's recipe is asked for, the ones with the reference belong to the table; elsewhere, and the text always, by name. MedSAM with its
/// own preparation of images is a row for its own checkpoint, which is a SAM's by its tensors: by name too.
pub(super) fn prompted_rows(released: bool) -> Vec<MethodRow> {
    let reference = |id: &str, what: &str, prompt: ReferencePrompt| MethodRow {
        prompt: Some(RowPrompt::Reference(prompt)),
        by_name: !released,
        ..row(
            id,
            format!("Base, {what} of the reference"),
            "nothing; uses the reference mask to prompt",
            Family::Prompted,
            None,
        )
    };
    vec![
        reference("sam-box", "box", ReferencePrompt::Box),
        reference("sam-points-1", "1 point", ReferencePrompt::Points(1)),
        reference("sam-points-3", "3 points", ReferencePrompt::Points(3)),
        MethodRow {
            by_name: true,
            protocol: Some(Protocol::MedSam),
            ..reference("medsam-box", "MedSAM's preparation, box", ReferencePrompt::Box)
        },
        MethodRow {
            prompt: Some(RowPrompt::Text),
            by_name: true,
            ..row("sam-text", "Base, text".into(), "nothing; an untrained text layer", Family::Untuned, None)
        },
    ]
}
