//! Products of factors that are rounded to bf16, or split into two bf16 numbers, on tiles or by dot products.

use super::{Ending, Packed, Start, Target, share};
use crate::amx::{SIDE, STEP, Tiles};
use crate::bf16::{Pair, pair_along, pair_rows, rest, rounded};
use crate::isa::Level;
use crate::pack::{pack, turn_square};
use crate::scratch::Scratch;
use crate::vectorise::{Arithmetic, vectorised};
use crate::{Isa, Matrix};
use rayon::prelude::*;
use std::ops::Range;

/// Which roundings of its factors a product sums.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Terms {
    /// `a b`, both rounded.
    One,
    /// `high high + high low + low high`: all but what is below the rounding of `f32`.
    Three,
}

/// A factor rounded, or what its rounding left.
#[derive(Clone, Copy, PartialEq)]
enum Rounding {
    High,
    Low,
}

impl Terms {
    /// The roundings of the left and the right factor in each term.
    fn roundings(self) -> &'static [[Rounding; 2]] {
        use Rounding::{High, Low};
        match self {
            Self::One => &[[High, High]],
            Self::Three => &[[High, High], [High, Low], [Low, High]],
        }
    }

    /// Words of a panel of the right factor.
    fn panel(self, b: Matrix) -> usize {
        b.rows().div_ceil(SIDE) * self.roundings().len() * STEP
    }
}

/// Words of packed left panels that one task keeps in the second cache: 1 MB.
const LEFT: usize = 1 << 18;

/// Words of right panels that stay there beside them.
const RIGHT: usize = 50 << 10;

/// # Safety
///
/// As [`super::multiply`].
#[allow(clippy::too_many_arguments)]
pub(super) unsafe fn multiply<T: Tiles>(
    level: Level,
    a: Matrix,
    b: Matrix,
    packed: Option<&Packed>,
    start: Start,
    target: Target,
    ending: Ending,
    terms: Terms,
) {
    assert!(target.steps[1] == 1, "a product on tiles goes to rows without gaps");
    let [rows, columns] = [a.rows(), b.columns()].map(|size| size.div_ceil(SIDE));
    let panel = terms.panel(b);
    let mut scratch;
    let right = match packed {
        Some(packed) => packed.words(),
        None => {
            scratch = Scratch::new(columns * panel);
            let right = &mut scratch.as_mut_words()[..columns * panel];
            pack_right(level, b, terms, right);
            &*right
        }
    };

    let threads = rayon::current_num_threads();
    let by_rows = (rows * panel).div_ceil(LEFT).next_multiple_of(threads).min(rows);
    let by_columns = if by_rows < threads { threads.div_ceil(by_rows).min(columns) } else { 1 };
    (0..by_rows * by_columns).into_par_iter().with_max_len(1).for_each(|index| {
        let rows = share(rows, index / by_columns, by_rows);
        let columns = share(columns, index % by_columns, by_columns);
        // SAFETY: the shares do not overlap.
        unsafe { block::<T>(level, a, right, [rows, columns], b.columns(), start, target, ending, terms) }
    });
}

/// Words of a packed right factor.
pub(super) fn packed_len(b: Matrix, terms: Terms) -> usize {
    b.columns().div_ceil(SIDE) * terms.panel(b)
}

/// Panels of 32 columns one after the other.
pub(super) fn pack_right(level: Level, b: Matrix, terms: Terms, right: &mut [u32]) {
    debug_assert_eq!(right.len(), packed_len(b, terms));
    if right.is_empty() {
        return;
    }
    right.par_chunks_exact_mut(terms.panel(b)).enumerate().for_each(|(j, out)| {
        pack_panel(level, Side::Right, b.transposed(), j, terms, out);
    });
}

/// The product of some left panels with some right panels.
///
/// # Safety
///
/// These elements of the target have to be this task's alone.
#[allow(clippy::too_many_arguments)]
unsafe fn block<T: Tiles>(
    level: Level,
    a: Matrix,
    right: &[u32],
    [rows, columns]: [Range<usize>; 2],
    width: usize,
    start: Start,
    target: Target,
    ending: Ending,
    terms: Terms,
) {
    let panel = a.columns().div_ceil(SIDE) * terms.roundings().len() * STEP;
    let mut left = Scratch::new(rows.len() * panel);
    let left = &mut left.as_mut_words()[..rows.len() * panel];
    for (i, out) in rows.clone().zip(left.chunks_exact_mut(panel)) {
        pack_panel(level, Side::Left, a, i, terms, out);
    }
    let tiles = T::ready();
    let mut out = [[0.0; SIDE]; SIDE];
    let together = (RIGHT / panel).max(1);
    for first in columns.clone().step_by(together) {
        for (i, left) in rows.clone().zip(left.chunks_exact(panel)) {
            for j in first..(first + together).min(columns.end) {
                let needed = [(a.rows() - i * SIDE).min(SIDE), (width - j * SIDE).min(SIDE)];
                ending.ask_for(target, [i * SIDE, j * SIDE], needed);
                tiles.multiply(left, &right[j * panel..][..panel], needed, &mut out);
                // SAFETY: these elements of the target are there, and this task's alone.
                unsafe {
                    let at = [i * SIDE, j * SIDE];
                    if matches!(ending, Ending::Sum) {
                        write(&out, at, needed, start, target);
                    } else {
                        add_start(&mut out, at, needed, start, target);
                        ending.write(level, &out[..needed[0]], target, at, needed[1]);
                    }
                }
            }
        }
    }
}

/// Adds a square of sums to what the product starts from, from row `i` and column `j` of the target on.
///
/// # Safety
///
/// These elements of the target have to be there and the caller's alone, and initialised if the product starts from them; its rows have no
/// gaps.
unsafe fn write(
    sums: &[[f32; SIDE]; SIDE],
    [i, j]: [usize; 2],
    [rows, columns]: [usize; 2],
    start: Start,
    target: Target,
) {
    for (r, sums) in sums.iter().enumerate().take(rows) {
        let out = target.at(i + r, j);
        // Whole rows of a square are the rule, and their loops have a known length.
        // SAFETY: promised by the caller.
        unsafe {
            match columns {
                SIDE => write_row::<SIDE>(sums, SIDE, start, [i + r, j], out),
                _ => write_row::<1>(sums, columns, start, [i + r, j], out),
            }
        }
    }
}

/// The same, with the sums left where they are.
///
/// # Safety
///
/// As [`write`].
unsafe fn add_start(
    sums: &mut [[f32; SIDE]; SIDE],
    [i, j]: [usize; 2],
    [rows, columns]: [usize; 2],
    start: Start,
    target: Target,
) {
    for (r, sums) in sums.iter_mut().enumerate().take(rows) {
        let row = match start {
            Start::Zero => return,
            Start::Bias(bias) => &bias[j..][..columns],
            Start::RowBias(bias) => &[bias[i + r]; SIDE][..columns],
            // SAFETY: promised by the caller.
            Start::Out => unsafe { std::slice::from_raw_parts(target.at(i + r, j), columns) },
        };
        for (sum, start) in sums.iter_mut().zip(row) {
            *sum += start;
        }
    }
}

/// Some sums of a row in groups of `N`.
///
/// # Safety
///
/// As [`write`].
#[inline(always)]
unsafe fn write_row<const N: usize>(
    sums: &[f32; SIDE],
    columns: usize,
    start: Start,
    [i, j]: [usize; 2],
    out: *mut f32,
) {
    for (group, sums) in sums[..columns].as_chunks::<N>().0.iter().enumerate() {
        let out = out.wrapping_add(group * N).cast::<[f32; N]>();
        let start = match start {
            Start::Zero => [0.0; N],
            Start::Bias(bias) => std::array::from_fn(|c| bias[j + group * N..][..N][c]),
            Start::RowBias(bias) => [bias[i]; N],
            // SAFETY: promised by the caller.
            Start::Out => unsafe { out.read() },
        };
        // SAFETY: promised by the caller.
        unsafe { out.write(std::array::from_fn(|c| start[c] + sums[c])) };
    }
}

/// A square of 32 x 32 from row `i` and column `j` on; what is not there is zero.
fn square(level: Level, from: Matrix, i: usize, j: usize, out: &mut [f32; SIDE * SIDE]) {
    let rows = i..(i + SIDE).min(from.rows());
    out[rows.len() * SIDE..].fill(0.0);
    pack::<SIDE>(level, from, rows, j, out);
}

/// Which factor a panel is of.
#[derive(Clone, Copy, PartialEq)]
enum Side {
    /// Two tiles `[16 rows][16 pairs]` for each step and term.
    Left,
    /// Two tiles `[16 pairs][16 columns]`.
    Right,
}

/// A panel of a factor `[rows or columns, depth]`, of which it has the rows from `32 index` on; a pair is two neighbours in depth.
fn pack_panel(level: Level, side: Side, from: Matrix, index: usize, terms: Terms, out: &mut [u32]) {
    // A factor that is only rounded is rounded as it lies.
    let in_place = terms == Terms::One && level.isa() >= Isa::Avx512Bf16 && (index + 1) * SIDE <= from.rows();
    let mut values = [0.0; SIDE * SIDE];
    for (step, out) in out.chunks_exact_mut(terms.roundings().len() * STEP).enumerate() {
        let [i, p] = [index * SIDE, step * SIDE];
        if in_place && p + SIDE <= from.columns() && (from.column_stride() == 1 || from.row_stride() == 1) {
            // SAFETY: `level` is proof of the instructions.
            unsafe { round_square(from, [i, p], side, out) };
            continue;
        }
        match side {
            Side::Left => square(level, from, i, p, &mut values),
            Side::Right => square(level, from.transposed(), p, i, &mut values),
        }
        for (out, [left, right]) in out.chunks_exact_mut(STEP).zip(terms.roundings()) {
            match side {
                Side::Left => pairs_of_rows(level, &values, *left, out),
                Side::Right => pairs_of_columns(level, &values, *right, out),
            }
        }
    }
}

/// Both tiles of a square of 32 x 32 whose rows or columns have no gaps.
///
/// # Safety
///
/// The machine has to have AVX512-BF16.
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
unsafe fn round_square(from: Matrix, [i, p]: [usize; 2], side: Side, out: &mut [u32]) {
    let along = from.column_stride() == 1;
    // SAFETY: promised by the caller.
    unsafe {
        match along {
            true => round_square_along(from, [i, p], Pair::of_words(out)),
            false => round_square_down(from.transposed(), [p, i], Pair::of_words(out)),
        }
    }
    if along != (side == Side::Left) {
        let (tiles, _) = out.as_chunks_mut::<16>().0.as_chunks_mut::<16>();
        tiles.iter_mut().for_each(|tile| turn_square(tile));
    }
}

/// The pairs of neighbours in the rows of a square of 32 x 32, as they lie in `a`.
///
/// # Safety
///
/// The machine has to have AVX512-BF16.
#[target_feature(enable = "avx512f,avx512bf16")]
unsafe fn round_square_along(a: Matrix, [i, j]: [usize; 2], out: &mut [Pair]) {
    for (row, out) in out.chunks_exact_mut(SIDE / 2).enumerate() {
        // SAFETY: promised by the caller.
        unsafe { pair_along(&a.row(i + row)[j..][..SIDE], out) };
    }
}

/// The pairs of neighbours in the columns of a square of 32 x 32, as two tiles.
///
/// # Safety
///
/// The machine has to have AVX512-BF16.
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
unsafe fn round_square_down(b: Matrix, [i, j]: [usize; 2], out: &mut [Pair]) {
    let (left, right) = out.split_at_mut(STEP / 2);
    for (pair, (left, right)) in left.chunks_exact_mut(SIDE / 2).zip(right.chunks_exact_mut(SIDE / 2)).enumerate() {
        let (upper, lower) = (&b.row(i + 2 * pair)[j..][..SIDE], &b.row(i + 2 * pair + 1)[j..][..SIDE]);
        // SAFETY: promised by the caller.
        unsafe {
            pair_rows(&upper[..SIDE / 2], &lower[..SIDE / 2], left);
            pair_rows(&upper[SIDE / 2..], &lower[SIDE / 2..], right);
        }
    }
}

vectorised! {
    /// The pairs of neighbours in a row, rows one after the other.
    fn pairs_of_rows(values: &[f32; SIDE * SIDE], rounding: Rounding, out: &mut [u32]) = round_rows;
}

vectorised! {
    /// The pairs of neighbours in a column, as two tiles `[16 pairs][16 columns]`.
    fn pairs_of_columns(values: &[f32; SIDE * SIDE], rounding: Rounding, out: &mut [u32]) = round_columns;
}

#[inline(always)]
fn round_rows<A: Arithmetic>(values: &[f32; SIDE * SIDE], rounding: Rounding, out: &mut [u32]) {
    for (word, [x, y]) in out.iter_mut().zip(values.as_chunks().0) {
        *word = pair_of(*x, *y, rounding);
    }
}

#[inline(always)]
fn round_columns<A: Arithmetic>(values: &[f32; SIDE * SIDE], rounding: Rounding, out: &mut [u32]) {
    for (tile, first) in out.chunks_exact_mut(STEP / 2).zip([0, SIDE / 2]) {
        for (words, rows) in tile.chunks_exact_mut(SIDE / 2).zip(values.chunks_exact(2 * SIDE)) {
            let (upper, lower) = (&rows[first..][..SIDE / 2], &rows[SIDE + first..][..SIDE / 2]);
            for ((word, x), y) in words.iter_mut().zip(upper).zip(lower) {
                *word = pair_of(*x, *y, rounding);
            }
        }
    }
}

#[inline(always)]
fn pair_of(x: f32, y: f32, rounding: Rounding) -> u32 {
    match rounding {
        Rounding::High => rounded(x) >> 16 | rounded(y),
        Rounding::Low => rounded(rest(x)) >> 16 | rounded(rest(y)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dot::Dot;

    /// Tiles in plain arithmetic.
    struct Model;

    impl Tiles for Model {
        fn ready() -> Self {
            Self
        }

        fn multiply(&self, a: &[u32], b: &[u32], _needed: [usize; 2], out: &mut [[f32; SIDE]; SIDE]) {
            let halves = |word: u32| [f32::from_bits(word << 16), f32::from_bits(word & 0xffff_0000)];
            for (i, row) in out.iter_mut().enumerate() {
                for (j, sum) in row.iter_mut().enumerate() {
                    *sum = 0.0;
                    for (a, b) in a.chunks_exact(STEP).zip(b.chunks_exact(STEP)) {
                        for pair in 0..16 {
                            let a = halves(a[i / 16 * 256 + i % 16 * 16 + pair]);
                            let b = halves(b[j / 16 * 256 + pair * 16 + j % 16]);
                            *sum += a[0] * b[0] + a[1] * b[1];
                        }
                    }
                }
            }
        }
    }

    fn product_of<T: Tiles>(a: Matrix, b: Matrix, bias: &[f32], terms: Terms) -> Vec<f32> {
        let mut out = vec![f32::NAN; a.rows() * b.columns()];
        let target = Target { out: out.as_mut_ptr(), steps: [b.columns(), 1] };
        // SAFETY: `out` has as many elements as the product.
        unsafe { multiply::<T>(Level::current(), a, b, None, Start::Bias(bias), target, Ending::Sum, terms) };
        out
    }

    /// Numbers between -1 and 1.
    fn numbers(len: usize, step: f32) -> Vec<f32> {
        (0..len).map(|i| (i as f32 * step).sin()).collect()
    }

    #[test]
    fn panels_hold_the_factors_in_every_layout() {
        panels_hold_the_factors::<Model>();
    }

    /// Rounding and packing are the model's, so that dot products give its sums: exactly where all of them are whole numbers.
    #[test]
    fn dot_products_are_those_of_the_model() {
        if !crate::dot::available() {
            eprintln!("skipped: this machine has no AVX512-BF16");
            return;
        }
        panels_hold_the_factors::<Dot>();
        for [m, k, n] in [[1, 40, 3], [33, 300, 16], [50, 513, 17], [64, 257, 70]] {
            let whole = |len, step| numbers(len, step).into_iter().map(|x| (x * 20.0).round()).collect::<Vec<_>>();
            let (a, b, bias) = (whole(m * k, 1.7), whole(k * n, 2.3), whole(n, 0.9));
            let (a, b) = (Matrix::new(&a, m, k), Matrix::new(&b, k, n));
            assert_eq!(product_of::<Dot>(a, b, &bias, Terms::One), product_of::<Model>(a, b, &bias, Terms::One));
        }
    }

    fn panels_hold_the_factors<T: Tiles>() {
        for [m, k, n] in [[1, 1, 1], [33, 31, 34], [70, 65, 40], [32, 64, 96], [9, 300, 15]] {
            let (a, b, bias) = (numbers(m * k, 1.7), numbers(k * n, 2.3), numbers(n, 0.9));
            let exact = |i: usize, j: usize, round: fn(f32) -> f32| {
                let sum = (0..k).map(|p| f64::from(round(a[i * k + p])) * f64::from(round(b[p * n + j]))).sum::<f64>();
                sum + f64::from(bias[j])
            };
            let (a_t, b_t): (Vec<f32>, Vec<f32>) = (
                (0..m * k).map(|i| a[i % m * k + i / m]).collect(),
                (0..k * n).map(|i| b[i % k * n + i / k]).collect(),
            );
            let lefts = [Matrix::new(&a, m, k), Matrix::new(&a_t, k, m).transposed()];
            let rights = [Matrix::new(&b, k, n), Matrix::new(&b_t, n, k).transposed()];
            for (left, right) in lefts.into_iter().flat_map(|left| rights.map(|right| (left, right))) {
                let one = product_of::<T>(left, right, &bias, Terms::One);
                let three = product_of::<T>(left, right, &bias, Terms::Three);
                for i in 0..m {
                    for j in 0..n {
                        let of_rounded = exact(i, j, |x| f32::from_bits(rounded(x)));
                        assert!((f64::from(one[i * n + j]) - of_rounded).abs() < 1e-6 * (k + 1) as f64);
                        assert!((f64::from(three[i * n + j]) - exact(i, j, |x| x)).abs() < 4e-6 * (k + 1) as f64);
                    }
                }
            }
        }
    }
}
