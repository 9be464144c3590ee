//! Scores of a strip of 64 queries, `[key][64]`: what belongs to one query stands in one lane of the registers.
//!
//! In this layout a softmax needs no sums across a register, and the scores of some keys are a right factor as they are.

use super::factors::Factor;
use super::heads::CHANNELS;
use crate::Matrix;
use crate::isa::Level;
use crate::math::exp;
use crate::pack::pack;
use crate::tile::{COLUMNS, Panel, ROWS, Tile, ZEROS};
use crate::vectorise::{Arithmetic, vectorised};

/// Queries of a strip.
pub(super) const STRIP: usize = 64;

/// One number for each query of a strip.
pub(super) type Lanes = [f32; STRIP];

/// Lanes that are computed for so many queries: half a strip where that is enough.
pub(super) fn lanes(queries: usize) -> usize {
    queries.min(STRIP).next_multiple_of(COLUMNS)
}

/// The most keys whose scores are computed together.
pub(super) const BLOCK: usize = 264;

/// Keys whose scores are computed together, of so many: equal blocks that begin with a panel.
pub(super) fn block(keys: usize) -> usize {
    keys.div_ceil(keys.div_ceil(BLOCK).max(1)).next_multiple_of(ROWS).max(ROWS)
}

/// What a product with a strip as right factor starts from.
#[derive(Clone, Copy)]
pub(super) enum From<'a> {
    Zero,
    /// One row for all.
    Row(&'a Lanes),
    /// What is in the result already.
    Result,
}

/// `scores [keys][64] = from + left strip`, with packed tokens as left and `[head_dim][64]` as right factor. Rows are written up to the
/// next multiple of 12.
pub(super) fn scores<T: Factor>(
    level: Level,
    left: &[T],
    strip: &[T],
    lanes: usize,
    keys: usize,
    from: From,
    scores: &mut [f32],
) {
    let depth = strip.len() / STRIP;
    let panels = keys.div_ceil(ROWS);
    assert!(left.len() >= panels * ROWS * depth && scores.len() >= panels * ROWS * STRIP && lanes <= STRIP);
    for panel in 0..panels {
        for first in (0..lanes).step_by(COLUMNS) {
            let out = scores[panel * ROWS * STRIP + first..].as_mut_ptr();
            let (start, start_step) = start(from, first, out);
            let a = left[panel * ROWS * depth..].as_ptr();
            let b = strip[first.min(strip.len())..].as_ptr();
            let product = Tile { a, b, b_step: STRIP, depth, start, start_step, out, out_step: STRIP };
            // SAFETY: the lengths were checked above.
            unsafe { T::tile::<Panel<ROWS>>(level, COLUMNS, product) }
        }
    }
}

fn start(from: From, first: usize, out: *mut f32) -> (*const f32, usize) {
    match from {
        From::Zero => (ZEROS.as_ptr(), 0),
        From::Row(row) => (row[first..].as_ptr(), 0),
        From::Result => (out, STRIP),
    }
}

/// `out [channels][64] += left scores`, with packed channels as left factor, of which the tokens from `first` on belong to the rows of
/// `scores [keys][64]`; `tokens` is how many were packed.
pub(super) fn add_channels<T: Factor>(
    level: Level,
    left: &[T],
    [first, tokens]: [usize; 2],
    scores: &[T],
    lanes: usize,
    out: &mut [f32],
) {
    debug_assert!(first.is_multiple_of(T::NUMBERS));
    let (first, tokens) = (first / T::NUMBERS, T::elements(tokens));
    let depth = scores.len() / STRIP;
    let panels = out.len() / (CHANNELS * STRIP);
    assert!(left.len() >= panels * CHANNELS * tokens && first + depth <= tokens && lanes <= STRIP);
    for half in (0..lanes).step_by(COLUMNS) {
        for panel in 0..panels {
            let out = out[panel * CHANNELS * STRIP + half..].as_mut_ptr();
            let a = left[(panel * tokens + first) * CHANNELS..].as_ptr();
            let b = scores[half.min(scores.len())..].as_ptr();
            let product = Tile { a, b, b_step: STRIP, depth, start: out, start_step: STRIP, out, out_step: STRIP };
            // SAFETY: the lengths were checked above.
            unsafe { T::tile::<Panel<CHANNELS>>(level, COLUMNS, product) }
        }
    }
}

/// `out [keys][width] += scores rows`, with the first lanes of `scores [keys][64]` as left and as many rows of `width` as right factor.
/// Rows of `scores` and `out` are used up to the next multiple of 12; `width` is a multiple of 16.
pub(super) fn add_tokens<T: Factor>(
    level: Level,
    scores: &[T],
    keys: usize,
    rows: &[T],
    width: usize,
    out: &mut [f32],
) {
    let panels = keys.div_ceil(ROWS);
    let (depth, step) = (rows.len() / width, T::elements(STRIP));
    assert!(width.is_multiple_of(16) && depth <= step);
    assert!(scores.len() >= panels * ROWS * step && out.len() >= panels * ROWS * width);
    for panel in 0..panels {
        for first in (0..width).step_by(COLUMNS) {
            let out = out[panel * ROWS * width + first..].as_mut_ptr();
            let a = scores[panel * ROWS * step..].as_ptr();
            let product = Tile {
                a,
                b: rows[first..].as_ptr(),
                b_step: width,
                depth,
                start: out,
                start_step: width,
                out,
                out_step: width,
            };
            // SAFETY: the lengths were checked above.
            unsafe { T::tile::<T::OfStrip>(level, (width - first).min(COLUMNS), product) }
        }
    }
}

/// Lanes of a strip `[channels][64]` as rows `[64][width]`, with the first `width` channels.
pub(super) fn to_rows(level: Level, strip: &[f32], width: usize, rows: &mut [f32]) {
    const SIDE: usize = 16;
    let lanes = Matrix::strided(strip, [STRIP, strip.len() / STRIP], [1, STRIP]);
    let mut some = [0.0; STRIP * SIDE];
    for first in (0..width).step_by(SIDE) {
        pack::<SIDE>(level, lanes, 0..STRIP, first, &mut some);
        for (row, some) in rows.chunks_exact_mut(width).zip(some.chunks_exact(SIDE)) {
            for (x, some) in row[first..].iter_mut().zip(some) {
                *x = *some;
            }
        }
    }
}

vectorised! {
    /// Raises `maxima` to the largest score of each lane. NaN is passed over here, and comes out of its exponential.
    pub(super) fn raise(scores: &[f32], lanes: usize, maxima: &mut Lanes) = raise_body;
}

#[inline(always)]
fn raise_body<A: Arithmetic>(scores: &[f32], lanes: usize, maxima: &mut Lanes) {
    #[inline(always)]
    fn of<const L: usize>(scores: &[f32], maxima: &mut Lanes) {
        let mut largest = [f32::NEG_INFINITY; L];
        for row in scores.chunks_exact(STRIP) {
            for (largest, &score) in largest.iter_mut().zip(&row[..L]) {
                *largest = if score > *largest { score } else { *largest };
            }
        }
        for (maximum, largest) in maxima.iter_mut().zip(largest) {
            *maximum = if largest > *maximum { largest } else { *maximum };
        }
    }
    if lanes <= COLUMNS { of::<COLUMNS>(scores, maxima) } else { of::<STRIP>(scores, maxima) }
}

vectorised! {
    /// `scores = exp(scores - maxima)`, and adds them to `sums`.
    pub(super) fn exponentiate(scores: &mut [f32], lanes: usize, maxima: &Lanes, sums: &mut Lanes) = exponentiate_body;
}

#[inline(always)]
fn exponentiate_body<A: Arithmetic>(scores: &mut [f32], lanes: usize, maxima: &Lanes, sums: &mut Lanes) {
    #[inline(always)]
    fn of<A: Arithmetic, const L: usize>(scores: &mut [f32], maxima: &Lanes, sums: &mut Lanes) {
        let mut sum = [0.0f32; L];
        for row in scores.chunks_exact_mut(STRIP) {
            for ((score, maximum), sum) in row[..L].iter_mut().zip(&maxima[..L]).zip(&mut sum) {
                *score = exp::<A>(*score - maximum);
                *sum += *score;
            }
        }
        for (sums, sum) in sums.iter_mut().zip(sum) {
            *sums += sum;
        }
    }
    if lanes <= COLUMNS { of::<A, COLUMNS>(scores, maxima, sums) } else { of::<A, STRIP>(scores, maxima, sums) }
}

vectorised! {
    /// `rows[.., lane] *= factors[lane]`.
    pub(super) fn rescale(rows: &mut [f32], factors: &Lanes) = rescale_body;
}

#[inline(always)]
fn rescale_body<A: Arithmetic>(rows: &mut [f32], factors: &Lanes) {
    for row in rows.chunks_exact_mut(STRIP) {
        for (x, factor) in row.iter_mut().zip(factors) {
            *x *= factor;
        }
    }
}

vectorised! {
    /// `gradients = probabilities * gradients`: from the gradients of probabilities, less their mean, to those of scores.
    pub(super) fn weigh(probabilities: &[f32], gradients: &mut [f32]) = weigh_body;
}

#[inline(always)]
fn weigh_body<A: Arithmetic>(probabilities: &[f32], gradients: &mut [f32]) {
    for (gradient, probability) in gradients.iter_mut().zip(probabilities) {
        *gradient *= probability;
    }
}
