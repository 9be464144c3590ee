//! Sums over the pixels of each channel of maps `[batch, channels, pixels]`.

use crate::check;
use crate::isa::Level;
use crate::vectorise::{Arithmetic, vectorised};
use rayon::prelude::*;

/// Numbers that are added in single precision, in as many sums as [`LANES`].
const BLOCK: usize = 4096;

/// Sums that do not wait for each other.
const LANES: usize = 64;

/// The sum of each channel of `x [batch, channels, pixels]`: the gradient of a bias.
///
/// # Panics
///
/// If `x` is not `batch` times as many whole channels.
pub fn channel_sums(x: &[f32], [batch, channels]: [usize; 2]) -> Vec<f32> {
    let level = Level::current();
    for_channels([x, x], [batch, channels], |_, x, _| sum(level, x)).into_iter().map(|sum| sum as f32).collect()
}

/// For each channel the sum of what `sum` makes of its number, each block of its values, and those of another tensor of the same shape.
pub(crate) fn for_channels(
    [x, y]: [&[f32]; 2],
    [batch, channels]: [usize; 2],
    sum: impl Fn(usize, &[f32], &[f32]) -> f64 + Sync,
) -> Vec<f64> {
    let pixels = pixels(x, [batch, channels]);
    let channel = |channel: usize| {
        let map = |image: usize| {
            let range = (image * channels + channel) * pixels..(image * channels + channel + 1) * pixels;
            x[range.clone()].chunks(BLOCK).zip(y[range].chunks(BLOCK))
        };
        (0..batch).flat_map(map).map(|(x, y)| sum(channel, x, y)).sum()
    };
    (0..channels).into_par_iter().map(channel).collect()
}

/// Pixels of each map.
#[track_caller]
pub(crate) fn pixels(x: &[f32], [batch, channels]: [usize; 2]) -> usize {
    let maps = batch * channels;
    let pixels = x.len().checked_div(maps).unwrap_or(0);
    check::length("x", x.len(), &[batch, channels, pixels]);
    pixels
}

vectorised! {
    /// The sum of a block.
    pub(crate) fn sum(x: &[f32]) -> f64 = sum_body;
}

#[inline(always)]
fn sum_body<A: Arithmetic>(x: &[f32]) -> f64 {
    terms(x, x, |x, _, sum| sum + x)
}

/// The sum over a block, to which `add` adds a term: in single precision in many sums, which are added in double precision.
#[inline(always)]
pub(crate) fn terms(x: &[f32], y: &[f32], add: impl Fn(f32, f32, f32) -> f32) -> f64 {
    let mut sums = [0.0f32; LANES];
    let ((rows, rest), (other_rows, other_rest)) = (x.as_chunks::<LANES>(), y.as_chunks::<LANES>());
    for (x, y) in rows.iter().zip(other_rows) {
        for ((sum, x), y) in sums.iter_mut().zip(x).zip(y) {
            *sum = add(*x, *y, *sum);
        }
    }
    let mut total: f64 = sums.iter().map(|&sum| f64::from(sum)).sum();
    for (x, y) in rest.iter().zip(other_rest) {
        total += f64::from(add(*x, *y, 0.0));
    }
    total
}
