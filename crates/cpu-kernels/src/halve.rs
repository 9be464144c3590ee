//! Maps of half the height and width.

use crate::check;
use crate::isa::Level;
use crate::memory::written_in_chunks;
use crate::vectorise::{Arithmetic, vectorised};
use std::mem::MaybeUninit;

/// The largest of every 2 x 2 cells, by channel: `map [batch, height, width, channels]` to `[batch, height / 2, width / 2, channels]`. Where one
/// of the four is not a number, the result is not one.
///
/// # Panics
///
/// If a side is odd, or if `map` has another size.
pub fn halve_by_maximum(map: &[f32], size: [usize; 4]) -> Vec<f32> {
    let [_, _, width, channels] = check_size("map", map, size);
    if map.is_empty() {
        return Vec::new();
    }
    let level = Level::current();
    let row = width * channels / 2;
    // SAFETY: `largest` writes a row, and chunks are rows.
    unsafe {
        written_in_chunks(map.len() / 4, row, |index, out| {
            largest(level, &map[index * 4 * row..][..4 * row], channels, out);
        })
    }
}

/// The gradient of the map: each `dy` goes to the cell that was the largest, the first of equal ones, row by row.
///
/// # Panics
///
/// If sizes do not fit.
pub fn halve_by_maximum_backward(map: &[f32], size: [usize; 4], dy: &[f32]) -> Vec<f32> {
    let [batch, height, width, channels] = check_size("map", map, size);
    check::length("dy", dy.len(), &[batch, height / 2, width / 2, channels]);
    if map.is_empty() {
        return Vec::new();
    }
    let level = Level::current();
    let row = width * channels / 2;
    // SAFETY: `back` writes two rows, and chunks are two rows.
    unsafe {
        written_in_chunks(map.len(), 4 * row, |index, out| {
            back(level, &map[index * 4 * row..][..4 * row], &dy[index * row..][..row], channels, out);
        })
    }
}

#[track_caller]
fn check_size(name: &str, map: &[f32], size: [usize; 4]) -> [usize; 4] {
    check::length(name, map.len(), &size);
    assert!(
        size[1].is_multiple_of(2) && size[2].is_multiple_of(2),
        "{name}: expected even sides, found {:?}",
        &size[1..3]
    );
    size
}

/// Whether `x` is to replace `largest`.
#[inline(always)]
fn exceeds(x: f32, largest: f32) -> bool {
    x > largest || x.is_nan() && !largest.is_nan()
}

vectorised! {
    /// From two rows of cells.
    fn largest(rows: &[f32], channels: usize, out: &mut [MaybeUninit<f32>]) = largest_body;
}

#[inline(always)]
fn largest_body<A: Arithmetic>(rows: &[f32], channels: usize, out: &mut [MaybeUninit<f32>]) {
    let (upper, lower) = rows.split_at(rows.len() / 2);
    let cells = upper.chunks_exact(2 * channels).zip(lower.chunks_exact(2 * channels));
    for (out, (upper, lower)) in out.chunks_exact_mut(channels).zip(cells) {
        let ([a, b], [c, d]) = ([&upper[..channels], &upper[channels..]], [&lower[..channels], &lower[channels..]]);
        for ((((out, a), b), c), d) in out.iter_mut().zip(a).zip(b).zip(c).zip(d) {
            let mut largest = *a;
            for x in [*b, *c, *d] {
                largest = if exceeds(x, largest) { x } else { largest };
            }
            out.write(largest);
        }
    }
}

vectorised! {
    /// To two rows of cells.
    fn back(rows: &[f32], dy: &[f32], channels: usize, out: &mut [MaybeUninit<f32>]) = back_body;
}

#[inline(always)]
fn back_body<A: Arithmetic>(rows: &[f32], dy: &[f32], channels: usize, out: &mut [MaybeUninit<f32>]) {
    let (upper, lower) = rows.split_at(rows.len() / 2);
    let (out_upper, out_lower) = out.split_at_mut(rows.len() / 2);
    let cells = upper.chunks_exact(2 * channels).zip(lower.chunks_exact(2 * channels));
    let outs = out_upper.chunks_exact_mut(2 * channels).zip(out_lower.chunks_exact_mut(2 * channels));
    for (((upper, lower), (out_upper, out_lower)), dy) in cells.zip(outs).zip(dy.chunks_exact(channels)) {
        let ([a, b], [c, d]) = ([&upper[..channels], &upper[channels..]], [&lower[..channels], &lower[channels..]]);
        let ((to_a, to_b), (to_c, to_d)) = (out_upper.split_at_mut(channels), out_lower.split_at_mut(channels));
        for i in 0..channels {
            let (mut largest, mut place) = (a[i], 0u32);
            for (x, at) in [(b[i], 1), (c[i], 2), (d[i], 3)] {
                let exceeds = exceeds(x, largest);
                largest = if exceeds { x } else { largest };
                place = if exceeds { at } else { place };
            }
            for (out, at) in [(&mut to_a[i], 0), (&mut to_b[i], 1), (&mut to_c[i], 2), (&mut to_d[i], 3)] {
                out.write(if place == at { dy[i] } else { 0.0 });
            }
        }
    }
}
