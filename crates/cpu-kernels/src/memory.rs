//! Results that many threads fill, without zeroing them first.

use rayon::prelude::*;
use std::mem::MaybeUninit;

/// A vector of `len` elements that `fill` has written.
///
/// # Safety
///
/// `fill` has to write every element of its slice.
pub(crate) unsafe fn written(len: usize, fill: impl FnOnce(&mut [MaybeUninit<f32>])) -> Vec<f32> {
    let mut out = Vec::with_capacity(len);
    fill(&mut out.spare_capacity_mut()[..len]);
    // SAFETY: the capacity is at least `len`, and the caller promises that all of it was written.
    unsafe { out.set_len(len) };
    out
}

/// A vector of `len` elements, of which each `chunk` (the last one may be shorter) is written by one call of `fill` with its number.
///
/// # Safety
///
/// `fill` has to write every element of its slice.
pub(crate) unsafe fn written_in_chunks(
    len: usize,
    chunk: usize,
    fill: impl Fn(usize, &mut [MaybeUninit<f32>]) + Sync,
) -> Vec<f32> {
    let write = |out: &mut [MaybeUninit<f32>]| {
        if len <= chunk {
            fill(0, out);
        } else {
            out.par_chunks_mut(chunk).enumerate().for_each(|(index, out)| fill(index, out));
        }
    };
    // SAFETY: the chunks cover the slice, and each is written by promise of the caller.
    unsafe { written(len, write) }
}
