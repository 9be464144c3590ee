//! Tiles of up to 12 x 32 in 24 registers.

use super::{Left, ROWS, Tile};
use std::arch::x86_64::*;

/// # Safety
///
/// As [`super::tile`], on a machine with AVX-512.
#[target_feature(enable = "avx512f")]
pub(super) unsafe fn tile<L: Left>(columns: usize, tile: Tile) {
    const { assert!(L::ROWS == 12 || L::ROWS == 8 || L::ROWS == 4) };
    // SAFETY: promised by the caller.
    unsafe {
        match (L::ROWS, columns <= 16) {
            (4, true) => kernel::<L, 4, 1>(tile),
            (4, false) => kernel::<L, 4, 2>(tile),
            (8, true) => kernel::<L, 8, 1>(tile),
            (8, false) => kernel::<L, 8, 2>(tile),
            (_, true) => kernel::<L, ROWS, 1>(tile),
            (_, false) => kernel::<L, ROWS, 2>(tile),
        }
    }
}

/// `R` rows of `V` vectors.
#[target_feature(enable = "avx512f")]
#[inline]
unsafe fn kernel<L: Left, const R: usize, const V: usize>(tile: Tile) {
    let Tile { mut a, mut b, b_step, depth, start, start_step, out, out_step } = tile;
    // SAFETY: the caller promises R rows and 16 V columns of every operand. Prefetching faults nowhere.
    unsafe {
        let mut sums = [[_mm512_setzero_ps(); V]; R];
        ask_for::<R, V>(out, out_step);
        for _ in 0..depth {
            let mut right = [_mm512_setzero_ps(); V];
            for (v, right) in right.iter_mut().enumerate() {
                *right = _mm512_loadu_ps(b.add(16 * v));
                _mm_prefetch::<_MM_HINT_T0>(b.wrapping_add(16 * b_step + 16 * v).cast());
            }
            for (i, row) in sums.iter_mut().enumerate() {
                let left = _mm512_set1_ps(*a.add(i * L::ROW_STEP));
                for (sum, &right) in row.iter_mut().zip(&right) {
                    *sum = _mm512_fmadd_ps(left, right, *sum);
                }
            }
            a = a.add(L::DEPTH_STEP);
            b = b.wrapping_add(b_step);
        }
        add_to(&sums, (start, start_step), (out, out_step));
    }
}

/// Asks for the rows that will be written.
///
/// # Safety
///
/// Rows and columns of a tile are there.
#[target_feature(enable = "avx512f")]
#[inline]
pub(super) unsafe fn ask_for<const R: usize, const V: usize>(out: *const f32, out_step: usize) {
    for i in 0..R {
        for v in 0..V {
            // SAFETY: promised by the caller; prefetching faults nowhere.
            unsafe { _mm_prefetch::<_MM_HINT_ET0>(out.add(i * out_step + 16 * v).cast()) };
        }
    }
}

/// `out = start + sums`. Added last: the products are rounded at their own size, not at that of the start.
///
/// # Safety
///
/// R rows and 16 V columns of both are there, and `out` is the caller's.
#[target_feature(enable = "avx512f")]
#[inline]
pub(super) unsafe fn add_to<const R: usize, const V: usize>(
    sums: &[[__m512; V]; R],
    (start, start_step): (*const f32, usize),
    (out, out_step): (*mut f32, usize),
) {
    for (i, row) in sums.iter().enumerate() {
        for (v, &sum) in row.iter().enumerate() {
            // SAFETY: promised by the caller.
            unsafe {
                let start = _mm512_loadu_ps(start.add(i * start_step + 16 * v));
                _mm512_storeu_ps(out.add(i * out_step + 16 * v), _mm512_add_ps(start, sum));
            }
        }
    }
}
