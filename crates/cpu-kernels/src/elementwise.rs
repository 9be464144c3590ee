//! Sums of equal shapes.

use crate::isa::Level;
use crate::memory::written_in_chunks;
use crate::vectorise::{Arithmetic, vectorised};
use rayon::prelude::*;
use std::mem::MaybeUninit;

/// Elements of one task of an elementwise kernel: 64 KB of each operand.
pub(crate) const CHUNK: usize = 1 << 14;

/// `x + y`.
///
/// # Panics
///
/// If the lengths differ.
pub fn add(x: &[f32], y: &[f32]) -> Vec<f32> {
    crate::check::length("y", y.len(), &[x.len()]);
    let level = Level::current();
    // SAFETY: `sum` writes as many elements as its operands have, and these are as long as the chunk.
    unsafe {
        written_in_chunks(x.len(), CHUNK, |index, out| {
            let range = index * CHUNK..index * CHUNK + out.len();
            sum(level, &x[range.clone()], &y[range], out);
        })
    }
}

/// `out += y`.
///
/// # Panics
///
/// If the lengths differ.
pub fn add_assign(out: &mut [f32], y: &[f32]) {
    crate::check::length("y", y.len(), &[out.len()]);
    let level = Level::current();
    if out.len() <= CHUNK {
        return accumulate(level, out, y);
    }
    out.par_chunks_mut(CHUNK).zip(y.par_chunks(CHUNK)).for_each(|(out, y)| accumulate(level, out, y));
}

vectorised! {
    fn sum(x: &[f32], y: &[f32], out: &mut [MaybeUninit<f32>]) = sum_body;
}

#[inline(always)]
fn sum_body<A: Arithmetic>(x: &[f32], y: &[f32], out: &mut [MaybeUninit<f32>]) {
    for ((out, x), y) in out.iter_mut().zip(x).zip(y) {
        out.write(x + y);
    }
}

vectorised! {
    /// `out += y` on this thread.
    pub(crate) fn accumulate(out: &mut [f32], y: &[f32]) = accumulate_body;
}

#[inline(always)]
fn accumulate_body<A: Arithmetic>(out: &mut [f32], y: &[f32]) {
    for (out, y) in out.iter_mut().zip(y) {
        *out += y;
    }
}
