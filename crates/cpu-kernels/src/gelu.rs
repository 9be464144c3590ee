//! The exact Gaussian error linear unit, x Φ(x).

use crate::elementwise::CHUNK;
use crate::isa::Level;
use crate::math::normal;
use crate::memory::written_in_chunks;
use crate::vectorise::{Arithmetic, vectorised};
use std::mem::MaybeUninit;

/// `x Φ(x)`, with Φ the distribution of a standard normal number: the GELU without approximation by `tanh`.
///
/// The relative error stays below 1e-6 as far as the results are normal numbers, in the negative tail too.
pub fn gelu(x: &[f32]) -> Vec<f32> {
    let level = Level::current();
    // SAFETY: `forward` writes as many elements as its operand has, and that is as long as the chunk.
    unsafe {
        written_in_chunks(x.len(), CHUNK, |index, out| {
            forward(level, &x[index * CHUNK..index * CHUNK + out.len()], out);
        })
    }
}

/// The gradient with respect to `x`: `dy (Φ(x) + x φ(x))`.
///
/// # Panics
///
/// If the lengths differ.
pub fn gelu_backward(x: &[f32], dy: &[f32]) -> Vec<f32> {
    crate::check::length("dy", dy.len(), &[x.len()]);
    let level = Level::current();
    // SAFETY: `backward` writes as many elements as its operands have, and these are as long as the chunk.
    unsafe {
        written_in_chunks(x.len(), CHUNK, |index, out| {
            let range = index * CHUNK..index * CHUNK + out.len();
            backward(level, &x[range.clone()], &dy[range], out);
        })
    }
}

vectorised! {
    /// As many elements as `x` has, on this thread.
    pub(crate) fn forward(x: &[f32], out: &mut [MaybeUninit<f32>]) = forward_body;
}

#[inline(always)]
fn forward_body<A: Arithmetic>(x: &[f32], out: &mut [MaybeUninit<f32>]) {
    for (out, &x) in out.iter_mut().zip(x) {
        let tail = normal::<A>(x).tail;
        out.write(x * if x < 0.0 { tail } else { 1.0 - tail });
    }
}

vectorised! {
    fn backward(x: &[f32], dy: &[f32], out: &mut [MaybeUninit<f32>]) = backward_body;
}

#[inline(always)]
fn backward_body<A: Arithmetic>(x: &[f32], dy: &[f32], out: &mut [MaybeUninit<f32>]) {
    for ((out, &x), &dy) in out.iter_mut().zip(x).zip(dy) {
        let at = normal::<A>(x);
        let below = if x < 0.0 { at.tail } else { 1.0 - at.tail };
        out.write(dy * A::mul_add(x, at.density, below));
    }
}
