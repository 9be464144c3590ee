//! Tiles whose factors are pairs of bf16 numbers, by the dot products of AVX512-BF16.

use super::avx512::{add_to, ask_for};
use super::{Left, ROWS, Tile};
use crate::bf16::Pair;
use std::arch::x86_64::*;

/// As [`super::tile`], where an element of a factor is two of its numbers that are neighbours in depth.
///
/// # Safety
///
/// As [`super::tile`], on a machine with AVX512-BF16.
#[target_feature(enable = "avx512f,avx512bf16")]
pub(crate) unsafe fn tile<L: Left>(columns: usize, tile: Tile<Pair>) {
    const { assert!(L::ROWS == ROWS || L::ROWS == 8) };
    // SAFETY: promised by the caller.
    unsafe {
        match (L::ROWS, columns <= 16) {
            (8, true) => kernel::<L, 8, 1>(tile),
            (8, false) => kernel::<L, 8, 2>(tile),
            (_, true) => kernel::<L, ROWS, 1>(tile),
            (_, false) => kernel::<L, ROWS, 2>(tile),
        }
    }
}

/// `R` rows of `V` vectors.
#[target_feature(enable = "avx512f,avx512bf16")]
#[inline]
unsafe fn kernel<L: Left, const R: usize, const V: usize>(tile: Tile<Pair>) {
    let Tile { mut a, mut b, b_step, depth, start, start_step, out, out_step } = tile;
    // SAFETY: the caller promises R rows and 16 V columns of every operand. 512 bits are 32 numbers of 16 bits, and every pattern of
    // bits is a number.
    unsafe {
        let mut sums = [[_mm512_setzero_ps(); V]; R];
        ask_for::<R, V>(out, out_step);
        for _ in 0..depth {
            let mut right = [_mm512_setzero_si512(); V];
            for (v, right) in right.iter_mut().enumerate() {
                *right = _mm512_loadu_si512(b.add(16 * v).cast());
            }
            for (i, row) in sums.iter_mut().enumerate() {
                let left = _mm512_set1_epi32(a.add(i * L::ROW_STEP).cast::<i32>().read());
                for (sum, &right) in row.iter_mut().zip(&right) {
                    let [left, right] = [left, right].map(|x| std::mem::transmute::<__m512i, __m512bh>(x));
                    *sum = _mm512_dpbf16_ps(*sum, left, right);
                }
            }
            a = a.add(L::DEPTH_STEP);
            b = b.wrapping_add(b_step);
        }
        add_to(&sums, (start, start_step), (out, out_step));
    }
}
