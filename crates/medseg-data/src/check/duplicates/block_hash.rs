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
/// Candidates of one picture that go to the local check, the nearest first: at least so many, and in sets of less than 4,000
/// pictures as many as make up so many checks for the whole set. Where all pictures share one frame, a copy is among the nearest
/// dozens and not always among the nearest sixteen.
const LEAST_NEAREST: usize = 16;
const CHECKS: usize = 64_000;
/// Bits in which a candidate may differ; half of 256 is chance.
const FARTHEST: u64 = 104;
/// Pictures from which "usual" is the set's median and not zero.
const MANY: usize = 16;

type Cells = [f32; BITS];
type Bits = [u64; BITS / 64];
/// The hashes of all windows of one picture, word by word: one word of all windows is compared at once.
type Words = [[u64; WINDOWS.len()]; BITS / 64];

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
    pictures: Vec<[Words; 2]>,
}

impl Hashes {
    /// From a band `[SIDE, SIDE]` of every picture. A cell's bit says whether it is brighter than the median of this cell in
    /// the set, so that what most pictures share (a frame, an optic disc) decides nothing.
    pub(super) fn new(bands: &[&[i8]]) -> Self {
        let mut pictures = vec![[Words::default(); 2]; bands.len()];
        for (k, window) in WINDOWS.into_iter().enumerate() {
            let set: Vec<Cells> = bands.par_iter().map(|band| cells(band, window)).collect();
            let median = medians(&set);
            pictures.par_iter_mut().zip(set).for_each(|(picture, cells)| {
                let differences: Cells = std::array::from_fn(|i| cells[i] - median[i]);
                set_window(&mut picture[0], k, hash(differences));
                // In a mirror, against the medians of the windows of the mirrored set.
                let mut mirrored = differences;
                mirrored.chunks_exact_mut(CELLS).for_each(<[f32]>::reverse);
                set_window(&mut picture[1], k, hash(mirrored));
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
        let usual: Bits = std::array::from_fn(|word| self.pictures[first][0][word][0]);
        let most = (CHECKS / self.pictures.len()).max(LEAST_NEAREST);
        let mut best: Vec<(u64, Candidate)> = Vec::new();
        let mut limit = FARTHEST;
        for (second, picture) in self.pictures.iter().enumerate().filter(|&(j, _)| j != first) {
            for (words, mirrored) in picture.iter().zip([false, true]) {
                let distances = distances(&usual, words);
                let nearest = distances.into_iter().fold(u64::MAX, u64::min);
                if nearest > limit {
                    continue;
                }
                let window = distances.into_iter().position(|distance| distance == nearest).unwrap_or(0);
                let candidate = match WINDOWS[window].2 {
                    // The search for blocks works both ways.
                    1.0 => Candidate { first: first.min(second), second: first.max(second), mirrored, size: 1.0 },
                    size => Candidate { first, second, mirrored, size },
                };
                best.insert(best.partition_point(|b| b.0 <= nearest), (nearest, candidate));
                if best.len() > most {
                    best.truncate(most);
                    limit = best[most - 1].0;
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

fn set_window(words: &mut Words, window: usize, bits: Bits) {
    words.iter_mut().zip(bits).for_each(|(word, bits)| word[window] = bits);
}

/// Bits in which a hash differs from that of every window. Sums of whole words: compilers make vector instructions of them.
fn distances(hash: &Bits, words: &Words) -> [u64; WINDOWS.len()] {
    let mut out = [0u64; WINDOWS.len()];
    for (bits, word) in hash.iter().zip(words) {
        for (sum, window) in out.iter_mut().zip(word) {
            *sum = sum.wrapping_add(u64::from((bits ^ window).count_ones()));
        }
    }
    out
}
