//! The cost model: multiply-adds of the exact forms of one step, from which the cheaper form is chosen.
//!
//! Only matrix products count; element-wise work is smaller by the inner dimension. A product `[p, q] x [q, s]` costs `p q s`, and as much
//! again in the backward pass for each of its two inputs that needs a gradient. See `docs/peft.md`, "Cost model".

use crate::config::SaltForm;
use crate::layer::Kind;
use crate::tail_path::{tail_cost, tail_path};

/// How an adapted linear layer computes its output; all give the same output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LinearForm {
    /// Build the effective weight, then one product: `x W'`. What every layer does that does not know of adapters.
    Weight,
    /// The frozen weight and the update on the activations: `x W + ((x V) D) U^T`, low-rank parts as `(x A^T) B^T`.
    Activation,
    /// The singular coordinates alone: `((x V) S') U^T` without the weight. Needs the whole basis.
    Spectral,
    /// As spectral, with the core of the remaining block multiplied into the smaller side once per step: `(x (V S')) U^T` or
    /// `(x V) (S' U^T)`. No product with the core has as many rows as there are tokens.
    Folded,
}

impl LinearForm {
    /// Every form.
    pub const ALL: [Self; 4] = [Self::Weight, Self::Activation, Self::Spectral, Self::Folded];
}

/// The sizes of a linear layer and of the batch that it gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinearShape {
    /// Rows of the input: batch times tokens.
    pub tokens: usize,
    /// Inputs.
    pub inputs: usize,
    /// Outputs.
    pub outputs: usize,
    /// Whether a backward pass follows.
    pub training: bool,
}

/// Multiply-adds of one step of an adapted linear layer: the forward pass, and in training the backward pass to the input and the factors.
/// None where the form does not exist for the method.
pub fn linear_cost(kind: &Kind, shape: LinearShape, form: LinearForm) -> Option<u128> {
    let [n, i, o] = [shape.tokens, shape.inputs, shape.outputs].map(|size| size as u128);
    let k = i.min(o);
    // A product whose one input needs a gradient, and one whose two inputs do.
    let (one, two) = if shape.training { (2, 3) } else { (1, 1) };
    let diagonal = |r: u128| r * (i + o);
    let cost = match form {
        LinearForm::Weight => {
            let build = match *kind {
                Kind::Lora { rank, .. } | Kind::Dora { rank, .. } => two * rank as u128 * i * o,
                Kind::Svd { .. } => one * k * i * o,
                Kind::Salt { svd_rank, lora_rank, form: SaltForm::Projector } => {
                    let (r, d) = (svd_rank as u128, lora_rank as u128);
                    one * (r * i * o + 2 * r * d * (i + o)) + two * d * i * o
                }
                Kind::Salt { svd_rank, lora_rank, form } => {
                    let (r, d) = (svd_rank as u128, lora_rank as u128);
                    let t = k - r.min(k);
                    let tail = match form {
                        SaltForm::Paper => two * t * t * d + one * (k * t * t + i * o * t),
                        _ => {
                            one * tail_cost(
                                shape.inputs,
                                shape.outputs,
                                t as usize,
                                lora_rank,
                                tail_path(shape.inputs, shape.outputs, t as usize, lora_rank),
                            )
                        }
                    };
                    one * r * i * o + if d == 0 { 0 } else { tail }
                }
                Kind::Full => 0,
                Kind::Delta => 0,
            };
            let tracked = if matches!(kind, Kind::Delta) { one } else { two };
            build + tracked * n * i * o
        }
        LinearForm::Activation => {
            let update = match *kind {
                Kind::Lora { rank, .. } => two * n * rank as u128 * (i + o),
                Kind::Svd { .. } => one * n * diagonal(k),
                Kind::Salt { svd_rank, lora_rank, form: SaltForm::Projector } => {
                    let (r, d) = (svd_rank as u128, lora_rank as u128);
                    one * (n * diagonal(r) + 2 * r * d * (i + o)) + two * n * d * (i + o)
                }
                Kind::Salt { svd_rank, lora_rank, form } => {
                    let (r, d) = (svd_rank as u128, lora_rank as u128);
                    let t = k - r.min(k);
                    let tail = match form {
                        SaltForm::Paper => two * (t * t * d + n * t * t) + one * n * diagonal(t),
                        _ => one * t * d * (i + o) + two * n * d * (i + o),
                    };
                    one * n * diagonal(r) + if d == 0 { 0 } else { tail }
                }
                Kind::Dora { .. } | Kind::Full | Kind::Delta => return None,
            };
            one * n * i * o + update
        }
        LinearForm::Spectral => {
            let core = match *kind {
                Kind::Svd { .. } => 0,
                Kind::Salt { form: SaltForm::Projector, .. } => return None,
                Kind::Salt { svd_rank, lora_rank, form } => {
                    let (t, d) = (k - (svd_rank as u128).min(k), lora_rank as u128);
                    match form {
                        _ if d == 0 && t > 0 => return None,
                        SaltForm::Paper => two * (t * t * d + n * t * t),
                        _ => two * 2 * n * t * d,
                    }
                }
                _ => return None,
            };
            one * n * diagonal(k) + core
        }
        LinearForm::Folded => {
            let Kind::Salt { svd_rank, lora_rank, form } = *kind else { return None };
            let (r, d) = ((svd_rank as u128).min(k), lora_rank as u128);
            let t = k - r;
            if form == SaltForm::Projector || d == 0 || t == 0 {
                return None;
            }
            // The folded side has a gradient of its own, the other is constant.
            let (side, other) = (i.min(o), i.max(o));
            one * n * diagonal(r) + two * t * t * d + one * side * t * t + two * n * t * side + one * n * t * other
        }
    };
    Some(cost)
}

/// The cheapest form; of equals the one that comes first in [`LinearForm`].
pub fn linear_form(kind: &Kind, shape: LinearShape) -> LinearForm {
    LinearForm::ALL
        .into_iter()
        .filter_map(|form| Some((linear_cost(kind, shape, form)?, form)))
        .min()
        .map_or(LinearForm::Weight, |(_, form)| form)
}
