//! Batch normalisation: with the statistics of the batch itself, or with given ones.

use crate::channels::{for_channels, pixels, sum, terms};
use crate::check;
use crate::isa::Level;
use crate::memory::written_in_chunks;
use crate::vectorise::{Arithmetic, vectorised};
use std::mem::MaybeUninit;

/// What a batch normalisation gives.
#[derive(Clone, Debug)]
pub struct BatchNormed {
    /// `(x - mean) / sqrt(variance + epsilon) * weight + bias`, of the shape of `x`.
    pub y: Vec<f32>,
    /// The mean of each channel.
    pub mean: Vec<f32>,
    /// The variance of each channel, divided by the number of its values.
    pub variance: Vec<f32>,
}

/// Batch normalisation of `x [batch, channels, pixels]`, with a weight and a bias for each channel.
///
/// # Panics
///
/// If `x` is not `batch` times as many whole channels as there are weights, or there are not as many biases.
pub fn batch_norm(x: &[f32], batch: usize, weight: &[f32], bias: &[f32], epsilon: f32) -> BatchNormed {
    let shape = [batch, weight.len()];
    let count = (batch * pixels(x, shape)) as f64;
    let level = Level::current();
    let sums = for_channels([x, x], shape, |_, x, _| sum(level, x));
    let mean: Vec<f32> = sums.into_iter().map(|sum| (sum / count) as f32).collect();
    let squares = for_channels([x, x], shape, |channel, x, _| squares(level, x, mean[channel]));
    let variance: Vec<f32> = squares.into_iter().map(|sum| (sum / count) as f32).collect();
    let y = batch_norm_by([&mean, &variance], x, batch, weight, bias, epsilon);
    BatchNormed { y, mean, variance }
}

/// [`batch_norm`] with a given mean and variance for each channel: `(x - mean) / sqrt(variance + epsilon) * weight + bias`.
///
/// # Panics
///
/// As [`batch_norm`], and if there are not as many means and variances.
pub fn batch_norm_by(
    [mean, variance]: [&[f32]; 2],
    x: &[f32],
    batch: usize,
    weight: &[f32],
    bias: &[f32],
    epsilon: f32,
) -> Vec<f32> {
    let channels = weight.len();
    for (name, values) in [("mean", mean), ("variance", variance), ("bias", bias)] {
        check::length(name, values.len(), &[channels]);
    }
    let pixels = pixels(x, [batch, channels]);
    let level = Level::current();
    // SAFETY: `scaled` writes every element of its operands, which are as long as the chunk.
    unsafe {
        written_in_chunks(x.len(), pixels.max(1), |map, out| {
            let (channel, at) = (map % channels, map * out.len());
            let scale = weight[channel] * inverse(variance[channel], epsilon);
            scaled(level, &x[at..at + out.len()], mean[channel], scale, bias[channel], out);
        })
    }
}

/// Gradients of `x`, the weight and the bias of [`batch_norm`], from its mean and variance and the gradient of `y`.
///
/// # Panics
///
/// If shapes differ.
pub fn batch_norm_backward(
    x: &[f32],
    batch: usize,
    [mean, variance, weight]: [&[f32]; 3],
    dy: &[f32],
    epsilon: f32,
) -> [Vec<f32>; 3] {
    let shape = [batch, weight.len()];
    check::length("mean", mean.len(), &[weight.len()]);
    check::length("variance", variance.len(), &[weight.len()]);
    check::length("dy", dy.len(), &[x.len()]);
    let count = (batch * pixels(x, shape)) as f64;
    let level = Level::current();
    let inverse: Vec<f32> = variance.iter().map(|variance| inverse(*variance, epsilon)).collect();
    let d_bias = for_channels([dy, dy], shape, |_, dy, _| sum(level, dy));
    let d_weight = for_channels([x, dy], shape, |channel, x, dy| products(level, x, dy, mean[channel]));
    let d_weight: Vec<f64> = d_weight.iter().zip(&inverse).map(|(sum, inverse)| sum * f64::from(*inverse)).collect();
    // SAFETY: `gradient` writes every element of its operands, which are as long as the chunk.
    let dx = unsafe {
        written_in_chunks(x.len(), pixels(x, shape).max(1), |map, out| {
            let (channel, at) = (map % shape[1], map * out.len());
            let range = at..at + out.len();
            // dx = weight inverse (dy - mean(dy) - h mean(dy h)), with h the normalised map.
            let slope = (d_weight[channel] / count) as f32 * inverse[channel];
            let numbers = [mean[channel], (d_bias[channel] / count) as f32, slope, weight[channel] * inverse[channel]];
            gradient(level, &x[range.clone()], &dy[range], numbers, out);
        })
    };
    let single = |sums: Vec<f64>| sums.into_iter().map(|sum| sum as f32).collect();
    [dx, single(d_weight), single(d_bias)]
}

fn inverse(variance: f32, epsilon: f32) -> f32 {
    1.0 / (variance + epsilon).sqrt()
}

vectorised! {
    fn squares(x: &[f32], mean: f32) -> f64 = squares_body;
}

#[inline(always)]
fn squares_body<A: Arithmetic>(x: &[f32], mean: f32) -> f64 {
    terms(x, x, |x, _, sum| A::mul_add(x - mean, x - mean, sum))
}

vectorised! {
    fn products(x: &[f32], dy: &[f32], mean: f32) -> f64 = products_body;
}

#[inline(always)]
fn products_body<A: Arithmetic>(x: &[f32], dy: &[f32], mean: f32) -> f64 {
    terms(x, dy, |x, dy, sum| A::mul_add(x - mean, dy, sum))
}

vectorised! {
    fn scaled(x: &[f32], mean: f32, scale: f32, bias: f32, out: &mut [MaybeUninit<f32>]) = scaled_body;
}

#[inline(always)]
fn scaled_body<A: Arithmetic>(x: &[f32], mean: f32, scale: f32, bias: f32, out: &mut [MaybeUninit<f32>]) {
    for (out, x) in out.iter_mut().zip(x) {
        out.write(A::mul_add(x - mean, scale, bias));
    }
}

vectorised! {
    fn gradient(x: &[f32], dy: &[f32], numbers: [f32; 4], out: &mut [MaybeUninit<f32>]) = gradient_body;
}

#[inline(always)]
fn gradient_body<A: Arithmetic>(
    x: &[f32],
    dy: &[f32],
    [mean, mean_dy, slope, scale]: [f32; 4],
    out: &mut [MaybeUninit<f32>],
) {
    for ((out, x), dy) in out.iter_mut().zip(x).zip(dy) {
        out.write(scale * A::mul_add(-slope, x - mean, dy - mean_dy));
    }
}
