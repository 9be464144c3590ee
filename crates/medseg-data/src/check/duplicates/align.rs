//! The check of a candidate: are the blocks of one picture found again in the other, moved by one affine map?

use super::detail::{OUTSIDE, SIDE, UNIT};

/// Side of the coarse picture, on which blocks are looked for.
const COARSE: usize = SIDE / 2;
/// Side of a block that is looked for, on both levels.
const BLOCK: usize = 24;
/// Blocks a side on the coarse picture, where they overlap, and on the fine one.
const BLOCKS: [usize; 2] = [3, 5];
/// Largest displacement of a block on the coarse picture (9 % of its side), and what is left for the fine one.
const REACH: [usize; 2] = [6, 2];
/// Mean of the best correlations of three and of all blocks below which a candidate is dropped. Copies keep 0.45, chance reaches
/// 0.3.
const LEAST_PEAKS: [f32; 2] = [0.3, 0.35];
/// Mean distance of the blocks from one affine map, in coarse pixels, above which a candidate is dropped. Copies stay below
/// 0.55, chance above 0.85.
const MOST_RESIDUAL: f32 = 0.8;
/// Largest stretch, shear or rotation.
const MOST_STRETCH: f32 = 0.2;
/// Cells a side in which the aligned pictures are compared.
const CELLS: usize = 5;

/// Vessel-scale detail in two sizes.
#[derive(Debug, Clone)]
pub(super) struct Pattern {
    fine: Vec<i8>,
    coarse: Vec<i8>,
}

impl Pattern {
    /// From [`Detail::vessels`](super::detail::Detail).
    pub(super) fn new(fine: Vec<i8>) -> Self {
        let mut coarse = vec![0i8; COARSE * COARSE];
        for (i, value) in coarse.iter_mut().enumerate() {
            let at = i / COARSE * 2 * SIDE + i % COARSE * 2;
            let four = [fine[at], fine[at + 1], fine[at + SIDE], fine[at + SIDE + 1]];
            *value = (four.into_iter().map(inside).sum::<f32>() / 4.0) as i8;
        }
        Self { fine, coarse }
    }

    /// The correlation that three quarters of the cells reach once `other` (or its mirror image) is laid over this pattern, which
    /// shows about `size` of its sides; `None` where no affine map does so.
    pub(super) fn correlation(&self, other: &Self, mirrored: bool, size: f32) -> Option<f32> {
        let other = if mirrored { &other.mirrored() } else { other };
        let mut map = Affine { x: [0.0, size - 1.0, 0.0], y: [0.0, 0.0, size - 1.0] };
        let scaled = (size != 1.0).then(|| Self::new(map.apply(&other.fine)));
        let small: Vec<f32> = self.coarse.iter().map(|&v| f32::from(v)).collect();
        let coarse = padded(&scaled.as_ref().unwrap_or(other).coarse, COARSE, REACH[0]);
        let places = places(COARSE, BLOCKS[0]);
        let search = |k: usize| search(&small, &coarse, COARSE, REACH[0], places[k]);
        // The diagonal first: chance seldom gets further.
        let mut matches: Vec<Match> = [0, 4, 8].into_iter().map(search).collect();
        if mean_peak(&matches) < LEAST_PEAKS[0] {
            return None;
        }
        matches.extend([1, 2, 3, 5, 6, 7].into_iter().map(search));
        if mean_peak(&matches) < LEAST_PEAKS[1] {
            return None;
        }
        let (fit, residual) = Affine::fit(&matches)?;
        if residual > MOST_RESIDUAL {
            return None;
        }
        map.add(&fit, (SIDE / COARSE) as f32);
        let large: Vec<f32> = self.fine.iter().map(|&v| inside(v)).collect();
        for _ in 0..2 {
            let moved = padded(&map.apply(&other.fine), SIDE, REACH[1]);
            let found =
                self::places(SIDE, BLOCKS[1]).into_iter().map(|p| self::search(&large, &moved, SIDE, REACH[1], p));
            let (rest, _) = Affine::fit(&found.collect::<Vec<_>>())?;
            map.add(&rest, 1.0);
        }
        let stretch = [map.x[1], map.x[2], map.y[1], map.y[2]].into_iter().fold(0f32, |most, v| most.max(v.abs()));
        if stretch > MOST_STRETCH {
            return None;
        }
        lower_quartile(&self.fine, &map.apply(&other.fine))
    }

    fn mirrored(&self) -> Self {
        let mirror = |v: &[i8], side: usize| v.chunks_exact(side).flat_map(|row| row.iter().rev().copied()).collect();
        Self { fine: mirror(&self.fine, SIDE), coarse: mirror(&self.coarse, COARSE) }
    }
}

/// A pixel outside the field of view counts as the mean.
fn inside(value: i8) -> f32 {
    if value == OUTSIDE { 0.0 } else { f32::from(value) }
}

/// With a margin of zeros.
fn padded(values: &[i8], side: usize, margin: usize) -> Vec<f32> {
    let stride = side + 2 * margin;
    let mut out = vec![0f32; stride * stride];
    for (row, target) in values.chunks_exact(side).zip(out.chunks_exact_mut(stride).skip(margin)) {
        target[margin..].iter_mut().zip(row).for_each(|(t, &v)| *t = inside(v));
    }
    out
}

/// Where one block was found.
#[derive(Debug, Clone, Copy)]
struct Match {
    /// Its middle, from the picture's middle.
    x: f32,
    y: f32,
    /// Its displacement.
    dx: f32,
    dy: f32,
    /// The normalised cross-correlation there.
    peak: f32,
    /// How much detail it has; a flat block counts nothing.
    weight: f32,
}

/// Mean of the peaks by weight; 0 without any detail.
fn mean_peak(matches: &[Match]) -> f32 {
    let total: f32 = matches.iter().map(|m| m.weight).sum();
    if total > 0.0 { matches.iter().map(|m| m.weight * m.peak).sum::<f32>() / total } else { 0.0 }
}

/// The corners of `count` x `count` blocks.
fn places(side: usize, count: usize) -> Vec<(usize, usize)> {
    let start = |k: usize| 2 + k * (side - BLOCK - 4) / (count - 1);
    (0..count * count).map(|k| (start(k % count), start(k / count))).collect()
}

/// Pixels from one corner on.
#[derive(Clone, Copy)]
struct Window<'a> {
    pixels: &'a [f32],
    stride: usize,
}

impl<'a> Window<'a> {
    fn at(self, x: usize, y: usize) -> Self {
        Self { pixels: &self.pixels[y * self.stride + x..], ..self }
    }

    /// Sum of products over one block. Whole numbers below 2^24: exact in any order.
    fn dot(self, other: Self) -> f32 {
        const LANES: usize = 8;
        let mut sums = [0f32; LANES];
        let rows = self.pixels.chunks(self.stride).zip(other.pixels.chunks(other.stride));
        for (a, b) in rows.take(BLOCK) {
            let (Some(a), Some(b)) = (a.first_chunk::<BLOCK>(), b.first_chunk::<BLOCK>()) else { continue };
            for (a, b) in a.chunks_exact(LANES).zip(b.chunks_exact(LANES)) {
                sums.iter_mut().zip(a.iter().zip(b)).for_each(|(s, (a, b))| *s += a * b);
            }
        }
        sums.into_iter().sum()
    }

    /// The energy of every block whose corner lies within `span` x `span` pixels, in one pass.
    fn energies(self, span: usize) -> Vec<f32> {
        let width = span + BLOCK - 1;
        let mut columns = vec![0f32; width];
        let mut out = Vec::with_capacity(span * span);
        let squares = |y: usize| self.pixels[y * self.stride..][..width].iter().map(|v| v * v);
        for y in 0..width {
            columns.iter_mut().zip(squares(y)).for_each(|(c, v)| *c += v);
            if y + 1 < BLOCK {
                continue;
            }
            let mut sum: f32 = columns[..BLOCK - 1].iter().sum();
            for x in 0..span {
                sum += columns[x + BLOCK - 1];
                out.push(sum);
                sum -= columns[x];
            }
            columns.iter_mut().zip(squares(y + 1 - BLOCK)).for_each(|(c, v)| *c -= v);
        }
        out
    }
}

/// Looks for the block of `a` (`side` pixels a side) at a place in `b`, which has a margin of `reach` pixels.
fn search(a: &[f32], b: &[f32], side: usize, reach: usize, (x, y): (usize, usize)) -> Match {
    let block = Window { pixels: &a[y * side + x..], stride: side };
    let stride = side + 2 * reach;
    let around = Window { pixels: &b[y * stride + x..], stride };
    let span = 2 * reach + 1;
    let energy = block.dot(block);
    let scores: Vec<f32> = (0..span * span)
        .zip(around.energies(span))
        .map(|(k, other)| {
            // A flat place does not become a match by its noise.
            let other = other.max(0.25 * energy);
            around.at(k % span, k / span).dot(block) / (energy * other).sqrt().max(1.0)
        })
        .collect();
    let best = (1..scores.len()).fold(0, |best, k| if scores[k] > scores[best] { k } else { best });
    let (column, row) = (best % span, best / span);
    // The top of the parabola through three scores.
    let part = |place: usize, step: usize| {
        if place == 0 || place + 1 == span {
            return 0.0;
        }
        let (low, high) = (scores[best - step], scores[best + step]);
        let bend = low + high - 2.0 * scores[best];
        if bend < 0.0 { (0.5 * (low - high) / bend).clamp(-0.5, 0.5) } else { 0.0 }
    };
    let contrast = (energy / (BLOCK * BLOCK) as f32).sqrt() / UNIT;
    let from_middle = |start: usize| start as f32 + (BLOCK as f32 - side as f32) / 2.0;
    Match {
        x: from_middle(x),
        y: from_middle(y),
        dx: column as f32 - reach as f32 + part(column, 1),
        dy: row as f32 - reach as f32 + part(row, span),
        peak: scores[best],
        weight: (contrast - 0.1).clamp(0.0, 0.5),
    }
}

/// A displacement that is an affine function of the place: `d = c[0] + c[1] x + c[2] y`, places from the picture's middle.
#[derive(Debug, Clone, Copy)]
struct Affine {
    x: [f32; 3],
    y: [f32; 3],
}

impl Affine {
    /// Least squares with Cauchy's weights (1 px), and the mean distance of the matches from it; `None` without matches.
    fn fit(matches: &[Match]) -> Option<(Self, f32)> {
        let trust: Vec<f32> = matches.iter().map(|m| m.weight * m.peak.max(0.0).powi(2)).collect();
        let total: f32 = trust.iter().sum();
        let mut weights = trust.clone();
        let (mut map, mut residual) = (Self { x: [0.0; 3], y: [0.0; 3] }, 0.0);
        for _ in 0..4 {
            let mut normal = [[0f32; 3]; 3];
            let (mut right_x, mut right_y) = ([0f32; 3], [0f32; 3]);
            for (m, &w) in matches.iter().zip(&weights) {
                let row = [1.0, m.x, m.y];
                for i in 0..3 {
                    for j in 0..3 {
                        normal[i][j] += w * row[i] * row[j];
                    }
                    right_x[i] += w * row[i] * m.dx;
                    right_y[i] += w * row[i] * m.dy;
                }
            }
            // Where the blocks leave it open: no stretch.
            let pull = 0.02 * normal[0][0] * (COARSE * COARSE / 16) as f32;
            normal[1][1] += pull;
            normal[2][2] += pull;
            map = Self { x: solve(&normal, right_x)?, y: solve(&normal, right_y)? };
            residual = 0.0;
            for ((m, trust), weight) in matches.iter().zip(&trust).zip(&mut weights) {
                let (dx, dy) = map.at(m.x, m.y);
                let squared = (dx - m.dx).powi(2) + (dy - m.dy).powi(2);
                residual += trust * squared.sqrt().min(4.0) / total;
                *weight = trust / (1.0 + squared);
            }
        }
        Some((map, residual))
    }

    /// One more displacement, seen on a picture of which a pixel is `pixel` of ours.
    fn add(&mut self, other: &Self, pixel: f32) {
        for (own, more) in [(&mut self.x, other.x), (&mut self.y, other.y)] {
            own.iter_mut().zip([pixel * more[0], more[1], more[2]]).for_each(|(o, m)| *o += m);
        }
    }

    fn at(&self, x: f32, y: f32) -> (f32, f32) {
        (self.x[0] + self.x[1] * x + self.x[2] * y, self.y[0] + self.y[1] * x + self.y[2] * y)
    }

    /// Fetches every pixel from its displaced place, bilinear; outside where a neighbour there is outside.
    fn apply(&self, fine: &[i8]) -> Vec<i8> {
        const LAST: f32 = (SIDE - 1) as f32;
        let pixel = |i: usize| {
            let (x, y) = ((i % SIDE) as f32, (i / SIDE) as f32);
            let (dx, dy) = self.at(x - LAST / 2.0, y - LAST / 2.0);
            let (x, y) = (x + dx, y + dy);
            if !((0.0..=LAST).contains(&x) && (0.0..=LAST).contains(&y)) {
                return OUTSIDE;
            }
            let (left, top) = ((x as usize).min(SIDE - 2), (y as usize).min(SIDE - 2));
            let at = top * SIDE + left;
            let four = [fine[at], fine[at + 1], fine[at + SIDE], fine[at + SIDE + 1]];
            if four.contains(&OUTSIDE) {
                return OUTSIDE;
            }
            let (x, y, [a, b, c, d]) = (x - left as f32, y - top as f32, four.map(f32::from));
            ((a * (1.0 - x) + b * x) * (1.0 - y) + (c * (1.0 - x) + d * x) * y).round() as i8
        };
        (0..SIDE * SIDE).map(pixel).collect()
    }
}

/// Cramer's rule.
fn solve(matrix: &[[f32; 3]; 3], right: [f32; 3]) -> Option<[f32; 3]> {
    let determinant = |m: &[[f32; 3]; 3]| {
        m[0][0] * (m[1][1] * m[2][2] - m[1][2] * m[2][1]) - m[0][1] * (m[1][0] * m[2][2] - m[1][2] * m[2][0])
            + m[0][2] * (m[1][0] * m[2][1] - m[1][1] * m[2][0])
    };
    let whole = determinant(matrix);
    if whole.abs() < 1e-6 {
        return None;
    }
    Some([0, 1, 2].map(|k| {
        let mut replaced = *matrix;
        replaced.iter_mut().zip(right).for_each(|(row, value)| row[k] = value);
        determinant(&replaced) / whole
    }))
}

/// The correlation that three quarters of the cells reach. Cells without detail in either, or mostly outside, do not count;
/// `None` where less than half of the field of view is common.
fn lower_quartile(a: &[i8], b: &[i8]) -> Option<f32> {
    #[derive(Default, Clone, Copy)]
    struct Sums {
        product: i64,
        a: i64,
        b: i64,
        pixels: i64,
    }
    let mut cells = [Sums::default(); CELLS * CELLS];
    let mut view = 0;
    for (i, (&p, &q)) in a.iter().zip(b).enumerate().filter(|(_, (p, _))| **p != OUTSIDE) {
        view += 1;
        if q != OUTSIDE {
            let cell = &mut cells[i / SIDE * CELLS / SIDE * CELLS + i % SIDE * CELLS / SIDE];
            let (p, q) = (i64::from(p), i64::from(q));
            (cell.product, cell.a, cell.b) = (cell.product + p * q, cell.a + p * p, cell.b + q * q);
            cell.pixels += 1;
        }
    }
    let common: i64 = cells.iter().map(|c| c.pixels).sum();
    if 2 * common < view {
        return None;
    }
    let least_pixels = (SIDE * SIDE / (CELLS * CELLS) / 3) as i64;
    let least_energy = (0.05 * UNIT * UNIT) as i64;
    let counts = |c: &&Sums| c.pixels >= least_pixels && c.a.max(c.b) >= least_energy * c.pixels;
    let correlation = |c: &Sums| (c.product as f64 / ((c.a * c.b) as f64).sqrt().max(1.0)) as f32;
    let mut values: Vec<f32> = cells.iter().filter(counts).map(correlation).collect();
    values.sort_by(f32::total_cmp);
    values.get(values.len() / 4).copied()
}
