//! How many numbers an adapter keeps in memory: its own, and those of a training step.

use crate::config::SaltForm;
use crate::cost::{LinearForm, LinearShape, linear_form};
use crate::layer::Kind;
use crate::plan::{Plan, PlannedPart};

impl Plan {
    /// Numbers of the frozen singular triplets that come with the adapters; none where a rank depends on values.
    pub fn basis_numbers(&self) -> Option<usize> {
        self.layers.iter().flat_map(|layer| &layer.parts).map(basis_numbers).sum()
    }
}

fn basis_numbers(part: &PlannedPart) -> Option<usize> {
    if !part.recipe.needs_basis() {
        return Some(0);
    }
    let triplet = part.outputs + part.inputs + 1;
    Some(match part.kind? {
        Kind::Salt { svd_rank, .. } if !part.recipe.needs_full_basis() => svd_rank * triplet,
        _ => part.full_rank() * triplet,
    })
}

/// Numbers that an adapted linear layer keeps from the forward to the backward pass of a step, in the form that the
/// [cost model](crate::linear_cost) chooses, on a device with fused layers.
pub fn kept_numbers(kind: &Kind, shape: LinearShape) -> usize {
    let LinearShape { tokens: n, inputs: i, outputs: o, .. } = shape;
    let k = i.min(o);
    // A core folded into the smaller side: the folded factor, and either the input or its product with the constant side.
    let folded = |r: usize, relu: bool| {
        let t = k - r.min(k);
        let core = if relu { t * t } else { 0 };
        n * r + k * t + core + if i <= o { n * i } else { n * t }
    };
    match (linear_form(kind, shape), *kind) {
        (LinearForm::Weight, _) => n * i + i * o,
        (LinearForm::Activation, Kind::Lora { rank, .. }) => n * i + n * rank,
        (LinearForm::Activation, Kind::Svd { .. }) => n * k,
        (LinearForm::Activation, Kind::Salt { svd_rank, lora_rank, form }) => match form {
            SaltForm::Projector => n * svd_rank + n * i + n * lora_rank,
            SaltForm::Paper => folded(svd_rank, true),
            _ => n * svd_rank + n * i + n * lora_rank,
        },
        (LinearForm::Spectral, Kind::Salt { svd_rank, lora_rank, form }) => {
            let t = k - svd_rank.min(k);
            n * svd_rank + n * t + if form == SaltForm::Paper { t * t } else { n * lora_rank }
        }
        (LinearForm::Spectral, _) => n * k,
        (LinearForm::Folded, Kind::Salt { svd_rank, form, .. }) => folded(svd_rank, form == SaltForm::Paper),
        _ => n * i,
    }
}
