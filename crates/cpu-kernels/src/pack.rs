//! Factors copied into panels, the order in which tiles read them.

use crate::Matrix;
use crate::isa::Level;

/// Copies rows `depth` of columns `first .. first + W` of `source` to `panel`, as `[depth][W]`. Columns that are not there become zero.
///
/// A right factor is packed as it is, a left one transposed.
///
/// # Panics
///
/// If `panel` is too short.
pub(crate) fn pack<const W: usize>(
    level: Level,
    source: Matrix,
    depth: std::ops::Range<usize>,
    first: usize,
    panel: &mut [f32],
) {
    let panel = &mut panel[..depth.len() * W];
    let columns = source.columns().saturating_sub(first).min(W);
    let part = source.part([depth.start, first], [depth.len(), columns]);
    if part.column_stride() == 1 || columns == 1 {
        return copy::<W>(part, panel);
    }
    #[cfg(target_arch = "x86_64")]
    if part.row_stride() == 1 && level.isa() >= crate::Isa::Avx512 {
        // SAFETY: `Level` is proof of the instructions.
        return unsafe { avx512::transpose::<W>(part, panel) };
    }
    let _ = level;
    gather::<W>(part, panel);
}

/// From rows without gaps.
fn copy<const W: usize>(part: Matrix, panel: &mut [f32]) {
    let columns = part.columns();
    for (p, out) in panel.chunks_exact_mut(W).enumerate() {
        let row = part.row(p);
        match <&[f32; W]>::try_from(row) {
            Ok(row) => out.copy_from_slice(row),
            Err(_) => {
                out[..columns].copy_from_slice(row);
                out[columns..].fill(0.0);
            }
        }
    }
}

/// From anywhere, in squares that stay in the nearest cache.
fn gather<const W: usize>(part: Matrix, panel: &mut [f32]) {
    const SQUARE: usize = 16;
    if part.columns() < W {
        panel.fill(0.0);
    }
    for start in (0..part.rows()).step_by(SQUARE) {
        let end = (start + SQUARE).min(part.rows());
        for j in 0..part.columns() {
            for p in start..end {
                panel[p * W + j] = part.at(p, j);
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
pub(crate) use avx512::turn_square;

#[cfg(target_arch = "x86_64")]
mod avx512 {
    use crate::Matrix;
    use std::arch::x86_64::*;

    /// From columns without gaps, by squares of 16 x 16 in registers.
    #[target_feature(enable = "avx512f")]
    pub(super) fn transpose<const W: usize>(part: Matrix, panel: &mut [f32]) {
        assert!(part.row_stride() == 1 && part.columns() <= W && panel.len() == part.rows() * W);
        for first in (0..W).step_by(16) {
            let columns = part.columns().saturating_sub(first).min(16);
            let width = mask((W - first).min(16));
            for start in (0..part.rows()).step_by(16) {
                let depth = (part.rows() - start).min(16);
                let mut square = [_mm512_setzero_ps(); 16];
                for (j, row) in square.iter_mut().enumerate().take(columns) {
                    let column = part.column(first + j);
                    // SAFETY: the mask keeps the load inside of the column.
                    *row = unsafe { _mm512_maskz_loadu_ps(mask(depth), column[start..].as_ptr()) };
                }
                transpose_square(&mut square);
                let out = &mut panel[start * W + first..];
                for (p, row) in square.iter().enumerate().take(depth) {
                    // SAFETY: row start + p of the panel, of which the mask leaves the columns first .. W.
                    unsafe { _mm512_mask_storeu_ps(out[p * W..].as_mut_ptr(), width, *row) };
                }
            }
        }
    }

    /// Turns a square of 16 x 16 words over its diagonal.
    #[target_feature(enable = "avx512f")]
    pub(crate) fn turn_square(words: &mut [[u32; 16]; 16]) {
        let mut square = [_mm512_setzero_ps(); 16];
        for (row, words) in square.iter_mut().zip(&*words) {
            // SAFETY: sixteen words.
            *row = unsafe { _mm512_loadu_ps(words.as_ptr().cast()) };
        }
        transpose_square(&mut square);
        for (row, words) in square.iter().zip(words) {
            // SAFETY: as above.
            unsafe { _mm512_storeu_ps(words.as_mut_ptr().cast(), *row) };
        }
    }

    fn mask(n: usize) -> __mmask16 {
        (((1u32 << n) - 1) & 0xffff) as __mmask16
    }

    #[target_feature(enable = "avx512f")]
    #[inline]
    fn transpose_square(rows: &mut [__m512; 16]) {
        let zero = _mm512_setzero_pd();
        // Pairs of rows, then of pairs: each quarter of a register holds a transposed 4 x 4.
        let mut pairs = [zero; 16];
        for i in 0..8 {
            pairs[2 * i] = _mm512_castps_pd(_mm512_unpacklo_ps(rows[2 * i], rows[2 * i + 1]));
            pairs[2 * i + 1] = _mm512_castps_pd(_mm512_unpackhi_ps(rows[2 * i], rows[2 * i + 1]));
        }
        let mut fours = [_mm512_setzero_ps(); 16];
        for i in 0..4 {
            for half in 0..2 {
                let (upper, lower) = (pairs[4 * i + half], pairs[4 * i + 2 + half]);
                fours[4 * i + 2 * half] = _mm512_castpd_ps(_mm512_unpacklo_pd(upper, lower));
                fours[4 * i + 2 * half + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(upper, lower));
            }
        }
        // Then the quarters themselves, a transposed 4 x 4 of quarters.
        let mut halves = [_mm512_setzero_ps(); 16];
        for i in 0..2 {
            for j in 0..4 {
                let (upper, lower) = (fours[8 * i + j], fours[8 * i + 4 + j]);
                halves[8 * i + j] = _mm512_shuffle_f32x4::<0x88>(upper, lower);
                halves[8 * i + 4 + j] = _mm512_shuffle_f32x4::<0xdd>(upper, lower);
            }
        }
        for j in 0..8 {
            rows[j] = _mm512_shuffle_f32x4::<0x88>(halves[j], halves[8 + j]);
            rows[8 + j] = _mm512_shuffle_f32x4::<0xdd>(halves[j], halves[8 + j]);
        }
    }
}
