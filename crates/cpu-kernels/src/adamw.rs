//! The optimiser's step.

use crate::check;
use crate::elementwise::CHUNK;
use crate::isa::Level;
use crate::vectorise::{Arithmetic, vectorised};
use rayon::prelude::*;

/// The numbers of one step of AdamW.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamWStep {
    /// The learning rate.
    pub learning_rate: f32,
    /// How much of the first moment is kept.
    pub beta_1: f32,
    /// How much of the second moment is kept.
    pub beta_2: f32,
    /// What is added to the root of the corrected second moment.
    pub epsilon: f32,
    /// The decay of parameters, decoupled from the gradient: they are multiplied by `1 - learning_rate * weight_decay`.
    pub weight_decay: f32,
    /// `1 - beta_1^t` for the t-th step, the first being 1.
    pub bias_correction_1: f32,
    /// `1 - beta_2^t`.
    pub bias_correction_2: f32,
}

/// One step of AdamW, in one pass over the four arrays.
///
/// # Panics
///
/// If the lengths differ.
pub fn adamw(
    step: AdamWStep,
    parameter: &mut [f32],
    gradient: &[f32],
    first_moment: &mut [f32],
    second_moment: &mut [f32],
) {
    check::length("gradient", gradient.len(), &[parameter.len()]);
    check::length("first_moment", first_moment.len(), &[parameter.len()]);
    check::length("second_moment", second_moment.len(), &[parameter.len()]);
    let level = Level::current();
    if parameter.len() <= CHUNK {
        return update(level, step, parameter, gradient, first_moment, second_moment);
    }
    let moments = first_moment.par_chunks_mut(CHUNK).zip(second_moment.par_chunks_mut(CHUNK));
    parameter
        .par_chunks_mut(CHUNK)
        .zip(gradient.par_chunks(CHUNK))
        .zip(moments)
        .for_each(|((parameter, gradient), (first, second))| update(level, step, parameter, gradient, first, second));
}

vectorised! {
    fn update(step: AdamWStep, parameter: &mut [f32], gradient: &[f32], first: &mut [f32], second: &mut [f32]) = update_body;
}

#[inline(always)]
fn update_body<A: Arithmetic>(
    step: AdamWStep,
    parameter: &mut [f32],
    gradient: &[f32],
    first: &mut [f32],
    second: &mut [f32],
) {
    let kept = 1.0 - step.learning_rate * step.weight_decay;
    let rate = step.learning_rate / step.bias_correction_1;
    let root = step.bias_correction_2.sqrt().recip();
    for (((p, &g), m), v) in parameter.iter_mut().zip(gradient).zip(first).zip(second) {
        *m = A::mul_add(step.beta_1, *m, (1.0 - step.beta_1) * g);
        *v = A::mul_add(step.beta_2, *v, (1.0 - step.beta_2) * g * g);
        *p = kept * *p - rate * *m / A::mul_add(v.sqrt(), root, step.epsilon);
    }
}
