//! A perceptual hash that names candidates: which cells of a grid are brighter than usual.

use super::detail::SIDE;
use rayon::prelude::*;

/// Cells a side.
const CELLS: usize = 16;
/// Cells of a hash, one bit each.
pub(super) const BITS: usize = CELLS * CELLS;
/// Side of the usual window, a share of the picture. What is left around it is room for shifted windows.
const WINDOW: f32 = 0.88;
/// Shift of the shifted windows, a share of the picture. Half of it changes a quarter of the bits.
const SHIFT: f32 = 0.05;
/// The windows that are compared with the usual window of another picture: shift in x, shift in y, size. The opposite shifts
/// are those of the other picture's windows.
const WINDOWS: [(f32, f32, f32); 7] = [
    (0.0, 0.0, 1.0),
    (SHIFT, 0.0, 1.0),
    (0.0, SHIFT, 1.0),
    (SHIFT, SHIFT, 1.0),
    (SHIFT, -SHIFT, 1.0),
    (0.0, 0.0, 0.95),
    (0.0, 0.0, 0.9),
];
/// Candidates of one picture at most, the nearest first.
const NEAREST: usize = 16;
/// Bits in which a candidate may differ; half of 256 is chance.
const FARTHEST: u32 = 104;
/// Pictures from which "usual" is the set's median and not zero.
const MANY: usize = 16;

type Bits = [u64; BITS / 64];

/// The mean of every cell of every window, from a band `[SIDE, SIDE]`.
pub(super) fn windows(band: &[f32]) -> Vec<[f32; BITS]> {
    let mut sums = vec![0f64; (SIDE + 1) * (SIDE + 1)];
    for y in 0..SIDE {
        let mut row = 0.0;
        for x in 0..SIDE {
            row += f64::from(band[y * SIDE + x]);
            sums[(y + 1) * (SIDE + 1) + x + 1] = sums[y * (SIDE + 1) + x + 1] + row;
        }
    }
    let side = SIDE as f32;
    let edge = |shift: f32, size: f32, k: usize| {
        let place = 0.5 + shift + WINDOW * size * (k as f32 / CELLS as f32 - 0.5);
        ((place * side).round().max(0.0) as usize).min(SIDE)
    };
    let mean = |(dx, dy, size): (f32, f32, f32)| {
        let mut cells = [0.0; BITS];
        for (i, cell) in cells.iter_mut().enumerate() {
            let (x, y) = (i % CELLS, i / CELLS);
            let (left, right) = (edge(dx, size, x), edge(dx, size, x + 1));
            let (top, bottom) = (edge(dy, size, y), edge(dy, size, y + 1));
            let at = |x: usize, y: usize| sums[y * (SIDE + 1) + x];
            let sum = at(right, bottom) - at(left, bottom) - at(right, top) + at(left, top);
            *cell = (sum / ((right - left) * (bottom - top)).max(1) as f64) as f32;
        }
        cells
    };
    WINDOWS.into_iter().map(mean).collect()
}

/// The hashes of a set: the usual window of every picture, and all windows, plain and in a mirror.
pub(super) struct Hashes {
    usual: Vec<Bits>,
    windows: Vec<[[Bits; WINDOWS.len()]; 2]>,
}

impl Hashes {
    /// From the [`windows`] of every picture. A cell's bit says whether it is brighter than the median of this cell in the set,
    /// so that what most pictures share (a frame, an optic disc) decides nothing.
    pub(super) fn new(set: &[&[[f32; BITS]]]) -> Self {
        let median = medians(set);
        let hash = |cells: &[f32; BITS]| {
            let mut bits = Bits::default();
            for (i, (value, usual)) in cells.iter().zip(&median).enumerate() {
                bits[i / 64] |= u64::from(value > usual) << (i % 64);
            }
            bits
        };
        let mirror = |cells: &[f32; BITS]| {
            let mut out = *cells;
            out.chunks_exact_mut(CELLS).for_each(<[f32]>::reverse);
            out
        };
        let every = |windows: &&[[f32; BITS]]| {
            let mut out = [[Bits::default(); WINDOWS.len()]; 2];
            for (k, cells) in windows.iter().enumerate().take(WINDOWS.len()) {
                (out[0][k], out[1][k]) = (hash(cells), hash(&mirror(cells)));
            }
            out
        };
        let windows: Vec<_> = set.par_iter().map(every).collect();
        Self { usual: windows.iter().map(|w| w[0][0]).collect(), windows }
    }

    /// Pairs `(first, second, mirrored)` in order: each picture with the nearest others. Time grows with the square of the
    /// number of pictures, by a few nanoseconds a pair.
    pub(super) fn candidates(&self) -> Vec<(usize, usize, bool)> {
        let nearest = |i: usize| {
            let mut best: Vec<(u32, usize, bool)> = Vec::with_capacity(NEAREST + 1);
            let mut limit = FARTHEST;
            for (j, windows) in self.windows.iter().enumerate().filter(|&(j, _)| j != i) {
                for (windows, mirrored) in windows.iter().zip([false, true]) {
                    let nearest = windows.iter().fold(u32::MAX, |least, w| least.min(distance(&self.usual[i], w)));
                    if nearest <= limit {
                        let place = best.partition_point(|b| b.0 <= nearest);
                        best.insert(place, (nearest, j, mirrored));
                        if best.len() > NEAREST {
                            best.truncate(NEAREST);
                            limit = best[NEAREST - 1].0;
                        }
                    }
                }
            }
            best.into_iter().map(move |(_, j, mirrored)| (i.min(j), i.max(j), mirrored))
        };
        let mut out: Vec<_> = (0..self.usual.len()).into_par_iter().flat_map_iter(nearest).collect();
        out.par_sort_unstable();
        out.dedup();
        out
    }
}

fn medians(set: &[&[[f32; BITS]]]) -> [f32; BITS] {
    let mut out = [0.0; BITS];
    if set.len() >= MANY {
        out.par_iter_mut().enumerate().for_each(|(i, median)| {
            let mut values: Vec<f32> = set.iter().filter_map(|windows| windows.first()).map(|cells| cells[i]).collect();
            let middle = values.len() / 2;
            *median = *values.select_nth_unstable_by(middle, f32::total_cmp).1;
        });
    }
    out
}

/// Bits that differ.
fn distance(a: &Bits, b: &Bits) -> u32 {
    a.iter().zip(b).fold(0, |sum, (a, b)| (a ^ b).count_ones().wrapping_add(sum))
}
