//! Normalisation of rows.

use crate::check;
use crate::columns::{rows_per_task, total};
use crate::isa::Level;
use crate::math::{centred_dot, squares, sum};
use crate::memory::{written, written_in_chunks};
use crate::vectorise::{Arithmetic, vectorised};
use rayon::prelude::*;
use std::mem::MaybeUninit;

/// Each row of `x [rows, weight.len()]` with its mean taken away and divided by its standard deviation (`epsilon` added to the
/// variance), times `weight`, plus `bias`.
///
/// # Panics
///
/// If `x` is not a whole number of rows as long as `weight`, or `bias` is not as long.
pub fn layer_norm(x: &[f32], weight: &[f32], bias: &[f32], epsilon: f32) -> Vec<f32> {
    let columns = weight.len();
    check::rows("x", x.len(), columns);
    check::length("bias", bias.len(), &[columns]);
    let level = Level::current();
    let chunk = rows_per_task(columns) * columns;
    // SAFETY: `forward` writes every row of its operand, which is as long as the chunk.
    unsafe {
        written_in_chunks(x.len(), chunk, |index, out| {
            forward(level, &x[index * chunk..index * chunk + out.len()], weight, bias, epsilon, out);
        })
    }
}

/// The gradients of weight and bias.
type ParameterGradients = (Vec<f32>, Vec<f32>);

/// The gradients of [`layer_norm`] with respect to `x` and, if `want_parameters`, to weight and bias. Nothing of the forward pass
/// is needed but its operands.
///
/// # Panics
///
/// If `x` is not a whole number of rows as long as `weight`, or `dy` is not as long as `x`.
pub fn layer_norm_backward(
    x: &[f32],
    weight: &[f32],
    dy: &[f32],
    epsilon: f32,
    want_parameters: bool,
) -> (Vec<f32>, Option<ParameterGradients>) {
    let columns = weight.len();
    let rows = check::rows("x", x.len(), columns);
    check::length("dy", dy.len(), &[x.len()]);
    let level = Level::current();
    // At most 64 blocks, so that their partial sums are few. The blocks depend on the shape alone.
    let chunk = rows_per_task(columns).max(rows.div_ceil(64)) * columns;
    let mut partials = (Vec::new(), Vec::new());
    let fill = |out: &mut [MaybeUninit<f32>]| {
        let blocks = out.par_chunks_mut(chunk).zip(x.par_chunks(chunk)).zip(dy.par_chunks(chunk));
        partials = blocks
            .map(|((out, x), dy)| {
                let mut parameters = if want_parameters { vec![0.0; 2 * columns] } else { Vec::new() };
                backward(level, x, weight, dy, epsilon, out, &mut parameters);
                let bias = parameters.split_off(parameters.len() / 2);
                (parameters, bias)
            })
            .unzip();
    };
    // SAFETY: the blocks cover the rows, and `backward` writes every row of its operands.
    let dx = unsafe { written(x.len(), fill) };
    let parameters = want_parameters.then(|| match rows {
        0 => (vec![0.0; columns], vec![0.0; columns]),
        _ => (total(partials.0), total(partials.1)),
    });
    (dx, parameters)
}

/// Mean and inverse standard deviation of a row.
#[inline(always)]
fn moments<A: Arithmetic>(x: &[f32], epsilon: f32) -> (f32, f32) {
    let mean = sum(x) / x.len() as f32;
    let variance = squares::<A>(x, mean) / x.len() as f32;
    (mean, 1.0 / (variance + epsilon).sqrt())
}

vectorised! {
    fn forward(x: &[f32], weight: &[f32], bias: &[f32], epsilon: f32, out: &mut [MaybeUninit<f32>]) = forward_body;
}

#[inline(always)]
fn forward_body<A: Arithmetic>(x: &[f32], weight: &[f32], bias: &[f32], epsilon: f32, out: &mut [MaybeUninit<f32>]) {
    let columns = weight.len();
    for (x, out) in x.chunks_exact(columns).zip(out.chunks_exact_mut(columns)) {
        let (mean, inverse) = moments::<A>(x, epsilon);
        for (((out, x), weight), bias) in out.iter_mut().zip(x).zip(weight).zip(bias) {
            out.write(A::mul_add((x - mean) * inverse, *weight, *bias));
        }
    }
}

vectorised! {
    /// `parameters` is empty, or the gradients of weight and bias one after the other.
    fn backward(x: &[f32], weight: &[f32], dy: &[f32], epsilon: f32, out: &mut [MaybeUninit<f32>], parameters: &mut [f32]) = backward_body;
}

#[inline(always)]
fn backward_body<A: Arithmetic>(
    x: &[f32],
    weight: &[f32],
    dy: &[f32],
    epsilon: f32,
    out: &mut [MaybeUninit<f32>],
    parameters: &mut [f32],
) {
    let columns = weight.len();
    let (d_weight, d_bias) = parameters.split_at_mut(parameters.len() / 2);
    let mut weighted = vec![0.0; columns];
    let rows = x.chunks_exact(columns).zip(dy.chunks_exact(columns)).zip(out.chunks_exact_mut(columns));
    for ((x, dy), out) in rows {
        let (mean, inverse) = moments::<A>(x, epsilon);
        for ((weighted, dy), weight) in weighted.iter_mut().zip(dy).zip(weight) {
            *weighted = dy * weight;
        }
        // dx = inverse (g - mean(g) - h mean(g h)), with g = dy * weight and h the normalised row.
        let mean_g = sum(&weighted) / columns as f32;
        let mean_gh = centred_dot::<A>(&weighted, x, mean) * inverse / columns as f32;
        for ((out, g), x) in out.iter_mut().zip(&weighted).zip(x) {
            let h = (x - mean) * inverse;
            out.write(inverse * A::mul_add(-mean_gh, h, g - mean_g));
        }
        for ((d_weight, dy), x) in d_weight.iter_mut().zip(dy).zip(x) {
            *d_weight = A::mul_add(*dy, (x - mean) * inverse, *d_weight);
        }
        for (d_bias, dy) in d_bias.iter_mut().zip(dy) {
            *d_bias += dy;
        }
    }
}
