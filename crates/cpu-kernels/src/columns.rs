//! What is done to, or summed over, the columns of a matrix.

use crate::check;
use crate::elementwise::{CHUNK, accumulate};
use crate::isa::Level;
use crate::memory::written_in_chunks;
use crate::vectorise::{Arithmetic, vectorised};
use rayon::prelude::*;
use std::mem::MaybeUninit;

/// The sum of each column of `x [rows, columns]`.
///
/// # Panics
///
/// If `x` is not a whole number of rows.
pub fn column_sums(x: &[f32], columns: usize) -> Vec<f32> {
    check::rows("x", x.len(), columns);
    let level = Level::current();
    in_blocks(columns, x.len(), |range, out| sums(level, &x[range], out))
}

/// The sum over rows of `x * y`, for each column: the gradient of a factor per column.
///
/// # Panics
///
/// If `x` is not a whole number of rows, or `y` is not as long.
pub fn column_dots(x: &[f32], y: &[f32], columns: usize) -> Vec<f32> {
    check::rows("x", x.len(), columns);
    check::length("y", y.len(), &[x.len()]);
    let level = Level::current();
    in_blocks(columns, x.len(), |range, out| dots(level, &x[range.clone()], &y[range], out))
}

/// `x[n, k] * scale[k]`.
///
/// # Panics
///
/// If `x` is not a whole number of rows as long as `scale`.
pub fn scale_columns(x: &[f32], scale: &[f32]) -> Vec<f32> {
    check::rows("x", x.len(), scale.len());
    let level = Level::current();
    let chunk = rows_per_task(scale.len()) * scale.len();
    // SAFETY: `scaled` writes every row of its operand, which is as long as the chunk.
    unsafe {
        written_in_chunks(x.len(), chunk, |index, out| {
            scaled(level, &x[index * chunk..index * chunk + out.len()], scale, out);
        })
    }
}

/// Rows of one task. It depends on the shape alone, and so do the bits of sums over rows.
pub(crate) fn rows_per_task(columns: usize) -> usize {
    (CHUNK / columns.max(1)).max(1)
}

/// Sums over rows: one partial sum for each block of rows, then their sum in the order of the blocks.
fn in_blocks(columns: usize, len: usize, sum: impl Fn(std::ops::Range<usize>, &mut [f32]) + Sync) -> Vec<f32> {
    let block = (rows_per_task(columns) * columns).max(len.div_ceil(64).next_multiple_of(columns.max(1)));
    let partial = |start: usize| {
        let mut out = vec![0.0; columns];
        sum(start..(start + block).min(len), &mut out);
        out
    };
    let starts: Vec<usize> = (0..len).step_by(block.max(1)).collect();
    let partials: Vec<Vec<f32>> = match starts[..] {
        [] => return vec![0.0; columns],
        [start] => return partial(start),
        _ => starts.into_par_iter().map(partial).collect(),
    };
    total(partials)
}

/// The sum of vectors, in their order.
pub(crate) fn total(partials: Vec<Vec<f32>>) -> Vec<f32> {
    let level = Level::current();
    let mut partials = partials.into_iter();
    let mut out = partials.next().unwrap_or_default();
    for partial in partials {
        accumulate(level, &mut out, &partial);
    }
    out
}

vectorised! {
    fn sums(x: &[f32], out: &mut [f32]) = sums_body;
}

#[inline(always)]
fn sums_body<A: Arithmetic>(x: &[f32], out: &mut [f32]) {
    for row in x.chunks_exact(out.len()) {
        for (out, x) in out.iter_mut().zip(row) {
            *out += x;
        }
    }
}

vectorised! {
    fn dots(x: &[f32], y: &[f32], out: &mut [f32]) = dots_body;
}

#[inline(always)]
fn dots_body<A: Arithmetic>(x: &[f32], y: &[f32], out: &mut [f32]) {
    let columns = out.len();
    for (x, y) in x.chunks_exact(columns).zip(y.chunks_exact(columns)) {
        for ((out, x), y) in out.iter_mut().zip(x).zip(y) {
            *out = A::mul_add(*x, *y, *out);
        }
    }
}

vectorised! {
    fn scaled(x: &[f32], scale: &[f32], out: &mut [MaybeUninit<f32>]) = scaled_body;
}

#[inline(always)]
fn scaled_body<A: Arithmetic>(x: &[f32], scale: &[f32], out: &mut [MaybeUninit<f32>]) {
    for (x, out) in x.chunks_exact(scale.len()).zip(out.chunks_exact_mut(scale.len())) {
        for ((out, x), scale) in out.iter_mut().zip(x).zip(scale) {
            out.write(x * scale);
        }
    }
}
