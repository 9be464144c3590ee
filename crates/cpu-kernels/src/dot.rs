//! The same products of panels as by the tile registers of AMX, by the dot products of AVX512-BF16: pairs of bf16 numbers, sums in `f32`.

use crate::amx::{SIDE, STEP, Tiles};
use std::arch::x86_64::*;

/// Rows of the left panel whose sums stay in registers: with 32 columns sixteen of them, enough to hide the latency of an instruction.
const GROUP: usize = 8;

/// Pairs in a row of a tile.
const PAIRS: usize = 16;

/// Words after which the next rows take their turn, so that this much of both panels stays in the nearest cache: 16 KB of each.
const STRETCH: usize = 8 * STEP;

/// Whether the machine has the instructions.
pub(crate) fn available() -> bool {
    is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bf16")
}

/// Proof that the machine has AVX512-BF16.
pub(crate) struct Dot(());

impl Tiles for Dot {
    fn ready() -> Self {
        assert!(available(), "dot products of bf16 are used on a machine without them");
        Self(())
    }

    fn multiply(&self, a: &[u32], b: &[u32], [rows, columns]: [usize; 2], out: &mut [[f32; SIDE]; SIDE]) {
        assert!(rows <= SIDE && a.len() == b.len() && a.len().is_multiple_of(STEP));
        // SAFETY: `self` is proof of the instructions.
        unsafe {
            match columns <= SIDE / 2 {
                true => multiply::<1>(a, b, rows, out),
                false => multiply::<2>(a, b, rows, out),
            }
        }
    }
}

/// The first `rows` rows, rounded up to a group, of the first `16 V` columns.
#[target_feature(enable = "avx512f,avx512bf16")]
fn multiply<const V: usize>(a: &[u32], b: &[u32], rows: usize, out: &mut [[f32; SIDE]; SIDE]) {
    for (index, (a, b)) in a.chunks(STRETCH).zip(b.chunks(STRETCH)).enumerate() {
        for (group, out) in out.as_chunks_mut::<GROUP>().0.iter_mut().enumerate().take(rows.div_ceil(GROUP)) {
            add_group::<V>(a, b, group, index > 0, out);
        }
    }
}

/// The rows of one group; `onto` what is there already.
#[target_feature(enable = "avx512f,avx512bf16")]
#[inline]
fn add_group<const V: usize>(a: &[u32], b: &[u32], group: usize, onto: bool, out: &mut [[f32; SIDE]; GROUP]) {
    const { assert!(V <= 2) };
    let mut sums = [[_mm512_setzero_ps(); V]; GROUP];
    if onto {
        for (sums, row) in sums.iter_mut().zip(&*out) {
            for (sum, part) in sums.iter_mut().zip(row.as_chunks::<16>().0) {
                // SAFETY: sixteen numbers.
                *sum = unsafe { _mm512_loadu_ps(part.as_ptr()) };
            }
        }
    }
    for (a, b) in a.as_chunks::<STEP>().0.iter().zip(b.as_chunks::<STEP>().0) {
        let a = &a[group * GROUP * PAIRS..][..GROUP * PAIRS];
        for pair in 0..PAIRS {
            let mut right = [_mm512_setzero_si512(); V];
            for (v, right) in right.iter_mut().enumerate() {
                // SAFETY: sixteen words of the v-th tile of 256 words, of which a step has two.
                *right = unsafe { _mm512_loadu_si512(b.as_ptr().add(v * STEP / 2 + pair * 16).cast()) };
            }
            for (r, sums) in sums.iter_mut().enumerate() {
                let left = _mm512_set1_epi32(a[r * PAIRS + pair].cast_signed());
                for (sum, &right) in sums.iter_mut().zip(&right) {
                    // SAFETY: 512 bits are 32 numbers of 16 bits, and every pattern of bits is a number.
                    let [left, right] = unsafe { [left, right].map(|x| std::mem::transmute::<__m512i, __m512bh>(x)) };
                    *sum = _mm512_dpbf16_ps(*sum, left, right);
                }
            }
        }
    }
    for (sums, row) in sums.iter().zip(out) {
        for (sum, part) in sums.iter().zip(row.as_chunks_mut::<16>().0) {
            // SAFETY: sixteen numbers.
            unsafe { _mm512_storeu_ps(part.as_mut_ptr(), *sum) };
        }
    }
}
