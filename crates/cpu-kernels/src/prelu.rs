//! The rectifier with one slope.

use crate::channels::{for_channels, terms};
use crate::check;
use crate::elementwise::CHUNK;
use crate::isa::Level;
use crate::memory::written_in_chunks;
use crate::vectorise::{Arithmetic, vectorised};
use std::mem::MaybeUninit;

/// `x` where it is positive, `slope x` elsewhere.
pub fn prelu(x: &[f32], slope: f32) -> Vec<f32> {
    let level = Level::current();
    // SAFETY: `forward` writes as many elements as its operand has, and that is as long as the chunk.
    unsafe {
        written_in_chunks(x.len(), CHUNK, |index, out| {
            forward(level, &x[index * CHUNK..index * CHUNK + out.len()], slope, out);
        })
    }
}

/// Gradients of `x` and of the slope.
///
/// # Panics
///
/// If the lengths differ.
pub fn prelu_backward(x: &[f32], slope: f32, dy: &[f32]) -> (Vec<f32>, f32) {
    check::length("dy", dy.len(), &[x.len()]);
    let level = Level::current();
    // SAFETY: `backward` writes as many elements as its operands have, and these are as long as the chunk.
    let dx = unsafe {
        written_in_chunks(x.len(), CHUNK, |index, out| {
            let range = index * CHUNK..index * CHUNK + out.len();
            backward(level, &x[range.clone()], &dy[range], slope, out);
        })
    };
    let blocks = x.len() / CHUNK;
    let (whole, rest) = (blocks * CHUNK, [&x[blocks * CHUNK..], &dy[blocks * CHUNK..]]);
    let mut sums = for_channels([&x[..whole], &dy[..whole]], [1, blocks], |_, x, dy| below(level, x, dy));
    sums.extend(for_channels(rest, [1, 1], |_, x, dy| below(level, x, dy)));
    (dx, sums.iter().sum::<f64>() as f32)
}

vectorised! {
    fn forward(x: &[f32], slope: f32, out: &mut [MaybeUninit<f32>]) = forward_body;
}

#[inline(always)]
fn forward_body<A: Arithmetic>(x: &[f32], slope: f32, out: &mut [MaybeUninit<f32>]) {
    for (out, &x) in out.iter_mut().zip(x) {
        out.write(if x > 0.0 { x } else { slope * x });
    }
}

vectorised! {
    fn backward(x: &[f32], dy: &[f32], slope: f32, out: &mut [MaybeUninit<f32>]) = backward_body;
}

#[inline(always)]
fn backward_body<A: Arithmetic>(x: &[f32], dy: &[f32], slope: f32, out: &mut [MaybeUninit<f32>]) {
    for ((out, &x), &dy) in out.iter_mut().zip(x).zip(dy) {
        out.write(if x > 0.0 { dy } else { slope * dy });
    }
}

vectorised! {
    /// The sum of `x dy` where `x` is not positive.
    fn below(x: &[f32], dy: &[f32]) -> f64 = below_body;
}

#[inline(always)]
fn below_body<A: Arithmetic>(x: &[f32], dy: &[f32]) -> f64 {
    terms(x, dy, |x, dy, sum| A::mul_add(if x > 0.0 { 0.0 } else { x }, dy, sum))
}
