//! A perceptual hash that names candidates: which cells of a grid are brighter than usual.

use super::detail::SIDE;
use rayon::prelude::*;

/// Cells a side.
const CELLS: usize = 16;
/// Cells of a hash, one bit each.
const BITS: usize = CELLS * CELLS;
/// Side of the usual window, a share of the picture. What is left around it is room for shifted windows.
const WINDOW: f32 = 0.88;
/// Step of the shifted windows, a share of the picture: half of it changes few bits, twice of it stays inside.
const STEP: f32 = 0.03;
/// The windows that are compared with the usual window of another picture, which comes first: shift in x and y in steps, size.
/// Shifts upwards are those downwards of the other picture's windows.
const WINDOWS: [(f32, f32, f32); 17] = [
    (0.0, 0.0, 1.0),
    (-2.0, 0.0, 1.0),
    (-1.0, 0.0, 1.0),
    (1.0, 0.0, 1.0),
    (2.0, 0.0, 1.0),
    (-2.0, 1.0, 1.0),
    (-1.0, 1.0, 1.0),
    (0.0, 1.0, 1.0),
    (1.0, 1.0, 1.0),
    (2.0, 1.0, 1.0),
    (-2.0, 2.0, 1.0),
    (-1.0, 2.0, 1.0),
    (0.0, 2.0, 1.0),
    (1.0, 2.0, 1.0),
    (2.0, 2.0, 1.0),
    (0.0, 0.0, 0.95),
    (0.0, 0.0, 0.9),
];
/// Candidates of one picture at most, the nearest first.
const NEAREST: usize = 16;
/// Bits in which a candidate may differ; half of 256 is chance.
const FARTHEST: u32 = 104;
/// Pictures from which "usual" is the set's median and not zero.
const MANY: usize = 16;

type Cells = [f32; BITS];
type Bits = [u64; BITS / 64];

/// Two pictures that may be one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Candidate {
    pub(super) first: usize,
    pub(super) second: usize,
    /// The second is seen in a mirror.
    pub(super) mirrored: bool,
    /// The part of the second's sides that the first shows.
    pub(super) size: f32,
}

/// The mean of every cell of one window, from a band `[SIDE, SIDE]`.
fn cells(band: &[i8], (dx, dy, size): (f32, f32, f32)) -> Cells {
    let edge = |shift: f32, k: usize| {
        let place = 0.5 + STEP * shift + WINDOW * size * (k as f32 / CELLS as f32 - 0.5);
        ((place * SIDE as f32).round().max(0.0) as usize).min(SIDE)
    };
    std::array::from_fn(|i| {
        let (x, y) = (i % CELLS, i / CELLS);
        let (left, right) = (edge(dx, x), edge(dx, x + 1));
        let rows = band.chunks_exact(SIDE).take(edge(dy, y + 1)).skip(edge(dy, y));
        let sum: i32 = rows.clone().flat_map(|row| &row[left..right]).map(|&v| i32::from(v)).sum();
        sum as f32 / (rows.count() * (right - left)).max(1) as f32
    })
}

/// The hashes of a set: of every picture all windows, plain and in a mirror.
pub(super) struct Hashes {
    pictures: Vec<[[Bits; WINDOWS.len()]; 2]>,
}

impl Hashes {
    /// From a band `[SIDE, SIDE]` of every picture. A cell's bit says whether it is brighter than the median of this cell in
    /// the set, so that what most pictures share (a frame, an optic disc) decides nothing.
    pub(super) fn new(bands: &[&[i8]]) -> Self {
        let mut pictures = vec![[[Bits::default(); WINDOWS.len()]; 2]; bands.len()];
        for (k, window) in WINDOWS.into_iter().enumerate() {
            let set: Vec<Cells> = bands.par_iter().map(|band| cells(band, window)).collect();
            let median = medians(&set);
            pictures.par_iter_mut().zip(set).for_each(|(picture, cells)| {
                let differences: Cells = std::array::from_fn(|i| cells[i] - median[i]);
                picture[0][k] = hash(differences);
                // In a mirror, against the medians of the windows of the mirrored set.
                let mut mirrored = differences;
                mirrored.chunks_exact_mut(CELLS).for_each(<[f32]>::reverse);
                picture[1][k] = hash(mirrored);
            });
        }
        Self { pictures }
    }

    /// Each picture with the nearest others, every pair once for a way to lay one over the other, in order. Time grows with the
    /// square of the number of pictures, by a fraction of a microsecond a pair.
    pub(super) fn candidates(&self) -> Vec<Candidate> {
        let mut out: Vec<Candidate> =
            (0..self.pictures.len()).into_par_iter().flat_map_iter(|i| self.nearest(i)).collect();
        let key = |c: &Candidate| (c.first, c.second, c.mirrored, c.size.to_bits());
        out.par_sort_unstable_by_key(key);
        out.dedup();
        out
    }

    fn nearest(&self, first: usize) -> impl Iterator<Item = Candidate> + use<> {
        let usual = &self.pictures[first][0][0];
        let mut best: Vec<(u32, Candidate)> = Vec::with_capacity(NEAREST + 1);
        let mut limit = FARTHEST;
        for (second, picture) in self.pictures.iter().enumerate().filter(|&(j, _)| j != first) {
            for (windows, mirrored) in picture.iter().zip([false, true]) {
                let nearest = windows.iter().fold(u32::MAX, |least, w| least.min(distance(usual, w)));
                if nearest > limit {
                    continue;
                }
                let window = windows.iter().position(|w| distance(usual, w) == nearest).unwrap_or(0);
                let candidate = match WINDOWS[window].2 {
                    // The search for blocks works both ways.
                    1.0 => Candidate { first: first.min(second), second: first.max(second), mirrored, size: 1.0 },
                    size => Candidate { first, second, mirrored, size },
                };
                best.insert(best.partition_point(|b| b.0 <= nearest), (nearest, candidate));
                if best.len() > NEAREST {
                    best.truncate(NEAREST);
                    limit = best[NEAREST - 1].0;
                }
            }
        }
        best.into_iter().map(|(_, candidate)| candidate)
    }
}

/// Which cells are above zero.
fn hash(cells: Cells) -> Bits {
    let mut bits = Bits::default();
    for (i, value) in cells.into_iter().enumerate() {
        bits[i / 64] |= u64::from(value > 0.0) << (i % 64);
    }
    bits
}

fn medians(set: &[Cells]) -> Cells {
    let mut out = [0.0; BITS];
    if set.len() >= MANY {
        out.par_iter_mut().enumerate().for_each(|(i, median)| {
            let mut values: Vec<f32> = set.iter().map(|cells| cells[i]).collect();
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
