//! Exact Euclidean distances to a set of pixels, in linear time and only where they are asked for.
//!
//! Two phases (Meijster, Roerdink and Hesselink 2000; Felzenszwalb and Huttenlocher 2012). First, every pixel of the window
//! gets the number of rows to the nearest point of its own column: two sweeps of additions without branches. Then the
//! distance of a pixel is the minimum over its row of `(rows * s_r)² + (columns * s_c)²`. Where few pixels of a row are asked
//! for and points are near, that minimum is searched outwards from the pixel; the search stops as soon as the columns alone are
//! farther than the best so far, and skips blocks of columns that cannot win. Where it would take more than linear time, the
//! row's lower envelope of parabolas answers all of its pixels at once. Both are exact.

use crate::words::bits;
use crate::{Mask, Spacing};
use std::ops::Range;

/// No point in this column.
const FAR: u16 = u16::MAX;
/// A row switches from searching to the envelope when the search may take more steps than this many per column.
const STEPS_PER_COLUMN: usize = 32;

/// Rows and words of a mask that the transform is restricted to; it must contain every point and every query.
#[derive(Clone, Debug)]
pub(crate) struct Window {
    pub(crate) rows: Range<usize>,
    pub(crate) words: Range<usize>,
}

impl Window {
    /// The whole mask.
    pub(crate) fn all(mask: &Mask) -> Self {
        Self { rows: 0..mask.height(), words: 0..mask.row_words() }
    }

    /// The bounding box of both masks, which have the same size; empty if both masks are.
    pub(crate) fn joint(a: &Mask, b: &Mask) -> Self {
        let mut columns = vec![0u64; a.row_words()];
        let (mut first, mut last) = (None, 0);
        for r in 0..a.height() {
            let mut any = 0;
            for ((seen, &x), &y) in columns.iter_mut().zip(a.row(r)).zip(b.row(r)) {
                *seen |= x | y;
                any |= x | y;
            }
            if any != 0 {
                first.get_or_insert(r);
                last = r + 1;
            }
        }
        let start = columns.iter().position(|&w| w != 0).unwrap_or(0);
        let end = columns.iter().rposition(|&w| w != 0).map_or(0, |w| w + 1);
        Self { rows: first.unwrap_or(0)..last, words: start..end }
    }

    fn columns(&self) -> usize {
        64 * self.words.len()
    }
}

/// A pixel whose distance is reported: row, word and bit of the mask.
#[derive(Clone, Copy)]
pub(crate) struct Query {
    pub(crate) row: usize,
    pub(crate) word: usize,
    pub(crate) bit: usize,
}

/// Calls `found(query, distance)` for every set pixel of `queries` with its distance to the nearest set pixel of `points`,
/// bottom row first. Without any point nothing is reported. `rows` is scratch memory that callers with several sets reuse.
pub(crate) fn for_each_distance(
    points: &Mask,
    queries: &Mask,
    spacing: Spacing,
    window: &Window,
    rows: &mut Vec<u16>,
    mut found: impl FnMut(Query, f64),
) {
    let columns = window.columns();
    downward(points, window, rows);
    let (mut envelope, mut blocks) = (Envelope::default(), Blocks::default());
    let scale = Scale::new(spacing, window.rows.len(), columns);
    for at in (0..window.rows.len()).rev() {
        let (upper, below) = rows.split_at_mut((at + 1) * columns);
        let here = &mut upper[at * columns..];
        if let Some(below) = below.get(..columns) {
            for (value, &next) in here.iter_mut().zip(below) {
                *value = (*value).min(next.saturating_add(1));
            }
        }
        let row = window.rows.start + at;
        let asked = &queries.row(row)[window.words.clone()];
        let number: usize = asked.iter().map(|word| word.count_ones() as usize).sum();
        if number == 0 {
            continue;
        }
        // Few queries cannot take too long; for many, the vertical distances bound the steps of the search.
        let by_envelope = !scale.far_is_far
            || number > STEPS_PER_COLUMN && {
                let columns_asked = asked.iter().enumerate().flat_map(|(w, &word)| bits(word).map(move |b| 64 * w + b));
                let steps: usize = columns_asked.map(|column| scale.reach(here[column], columns)).sum();
                steps > STEPS_PER_COLUMN * columns
            };
        if by_envelope && !envelope.build(here, scale) {
            continue;
        }
        blocks.forget();
        for (w, &word) in asked.iter().enumerate() {
            for bit in bits(word) {
                let column = 64 * w + bit;
                let squared =
                    if by_envelope { envelope.at(column, scale) } else { scale.search(here, &mut blocks, column) };
                if squared.is_finite() {
                    found(Query { row, word: window.words.start + w, bit }, squared.sqrt());
                }
            }
        }
    }
}

/// Fills `rows` with the number of rows down to each pixel from the nearest point at or above it in its column; [`FAR`] where
/// there is none.
fn downward(points: &Mask, window: &Window, rows: &mut Vec<u16>) {
    let columns = window.columns();
    rows.clear();
    rows.resize(window.rows.len() * columns, FAR);
    for at in 0..window.rows.len() {
        let (done, rest) = rows.split_at_mut(at * columns);
        let here = &mut rest[..columns];
        if at > 0 {
            let above = &done[(at - 1) * columns..];
            here.iter_mut().zip(above).for_each(|(here, &above)| *here = above.saturating_add(1));
        }
        for (w, &word) in points.row(window.rows.start + at)[window.words.clone()].iter().enumerate() {
            if word == u64::MAX {
                here[64 * w..][..64].fill(0);
            } else {
                bits(word).for_each(|bit| here[64 * w + bit] = 0);
            }
        }
    }
}

/// Spacing in the form that the second phase needs.
#[derive(Clone, Copy)]
struct Scale {
    row: f64,
    column: f64,
    ratio: f64,
    /// Whether [`FAR`] rows are farther than any two pixels of the window, so that the search need not treat them apart.
    far_is_far: bool,
}

impl Scale {
    fn new(spacing: Spacing, rows: usize, columns: usize) -> Self {
        let (row, column) = (spacing.row(), spacing.column());
        let far_is_far = f64::from(FAR) * row > spacing.diagonal(rows, columns);
        Self { row, column, ratio: row / column, far_is_far }
    }

    fn vertical(self, rows: u16) -> f64 {
        let distance = f64::from(rows) * self.row;
        distance * distance
    }

    fn horizontal(self, columns: usize) -> f64 {
        // Through 32 bits: from there the conversion is one instruction.
        let distance = f64::from(columns as u32) * self.column;
        distance * distance
    }

    /// At most this many columns to each side need to be looked at.
    fn reach(self, rows: u16, columns: usize) -> usize {
        if rows == FAR { columns } else { ((f64::from(rows) * self.ratio) as usize).min(columns) }
    }

    fn squared(self, rows: u16) -> f64 {
        if rows == FAR { f64::INFINITY } else { self.vertical(rows) }
    }

    /// Squared distance of `column`, searched outwards: pixel by pixel where a point is near, else block by block, entering
    /// only blocks whose smallest vertical distance could still win. Infinite when the row sees no point.
    fn search(self, row: &[u16], blocks: &mut Blocks, column: usize) -> f64 {
        let best = self.squared(row[column]);
        if self.horizontal(NEAR) >= best {
            self.search_near(row, column, best)
        } else {
            self.search_far(row, blocks, column, best)
        }
    }

    fn search_near(self, row: &[u16], column: usize, mut best: f64) -> f64 {
        let (left, right) = row.split_at(column);
        let (mut left, mut right) = (left.iter().rev(), right[1..].iter());
        for step in 1..NEAR {
            let sideways = self.horizontal(step);
            if sideways >= best {
                break;
            }
            let nearest = left.next().copied().unwrap_or(FAR).min(right.next().copied().unwrap_or(FAR));
            best = best.min(self.squared(nearest) + sideways);
        }
        best
    }

    fn search_far(self, row: &[u16], blocks: &mut Blocks, column: usize, mut best: f64) -> f64 {
        blocks.prepare(row);
        let (lowest, mut winner) = (&blocks.lowest[..], blocks.winner);
        let (pixels, _) = row.as_chunks::<BLOCK>();
        // Looks into a block that starts `gap` columns away; false when it and all beyond it are too far.
        let mut enter = |block: usize, gap: usize, best: &mut f64| {
            let sideways = self.horizontal(gap);
            if sideways < *best && self.squared(lowest[block]) + sideways < *best {
                let offset = (block * BLOCK) as i32 - column as i32;
                let candidates: [f64; BLOCK] = std::array::from_fn(|at| {
                    let down = f64::from(pixels[block][at]) * self.row;
                    let across = f64::from(offset + at as i32) * self.column;
                    down * down + across * across
                });
                let nearest = smallest(candidates, |a, b| if a < b { a } else { b });
                if nearest < *best {
                    (*best, winner) = (nearest, block);
                }
            }
            sideways < *best
        };
        // The block that was nearest to the row's previous query, which gives a good bound to start with.
        let start = blocks.winner * BLOCK;
        let gap = if start > column { start - column } else { column.saturating_sub(start + BLOCK - 1) };
        enter(blocks.winner, gap, &mut best);
        let home = column / BLOCK;
        enter(home, 0, &mut best);
        let (mut go_left, mut go_right) = (true, true);
        let mut step = 1;
        while go_left || go_right {
            go_left =
                go_left && home >= step && enter(home - step, column - ((home - step) * BLOCK + BLOCK - 1), &mut best);
            go_right =
                go_right && home + step < lowest.len() && enter(home + step, (home + step) * BLOCK - column, &mut best);
            step += 1;
        }
        blocks.winner = winner;
        best
    }
}

/// A point whose column distance is below this is searched pixel by pixel.
const NEAR: usize = 8;
/// Columns per block of the search.
const BLOCK: usize = 16;

/// The smallest of a block: halves folded onto each other lane by lane, which compilers turn into vector instructions.
fn smallest<T: Copy>(block: [T; BLOCK], smaller: impl Fn(T, T) -> T) -> T {
    let eight: [T; 8] = std::array::from_fn(|at| smaller(block[at], block[at + 8]));
    let four: [T; 4] = std::array::from_fn(|at| smaller(eight[at], eight[at + 4]));
    smaller(smaller(four[0], four[1]), smaller(four[2], four[3]))
}

/// What the queries of one row share.
#[derive(Default)]
struct Blocks {
    /// Smallest vertical distance of each block, found when the first far query of the row needs it.
    lowest: Vec<u16>,
    /// Block that held the nearest point of the last far query.
    winner: usize,
}

impl Blocks {
    fn forget(&mut self) {
        self.lowest.clear();
        self.winner = 0;
    }

    fn prepare(&mut self, row: &[u16]) {
        if self.lowest.is_empty() {
            let (blocks, _) = row.as_chunks::<BLOCK>();
            self.lowest.extend(blocks.iter().map(|block| smallest(*block, u16::min)));
        }
    }
}

/// Lower envelope of the parabolas of one row.
#[derive(Default)]
struct Envelope {
    /// Column and squared vertical distance of each parabola that is lowest somewhere, left to right.
    sites: Vec<(usize, f64)>,
    /// Where each of them starts to be the lowest.
    starts: Vec<f64>,
    cursor: usize,
}

impl Envelope {
    /// False when the row sees no point.
    fn build(&mut self, row: &[u16], scale: Scale) -> bool {
        self.sites.clear();
        self.starts.clear();
        self.cursor = 0;
        for (column, &rows) in row.iter().enumerate().filter(|(_, rows)| **rows != FAR) {
            let height = scale.vertical(rows);
            let mut start = f64::NEG_INFINITY;
            while let (Some(&(other, below)), Some(&from)) = (self.sites.last(), self.starts.last()) {
                start = crossing((other, below), (column, height), scale);
                if start > from {
                    break;
                }
                self.sites.pop();
                self.starts.pop();
                start = f64::NEG_INFINITY;
            }
            self.sites.push((column, height));
            self.starts.push(start);
        }
        !self.sites.is_empty()
    }

    /// Squared distance of `column`; columns must be asked for in increasing order.
    fn at(&mut self, column: usize, scale: Scale) -> f64 {
        while self.starts.get(self.cursor + 1).is_some_and(|&start| start <= column as f64) {
            self.cursor += 1;
        }
        let (site, height) = self.sites[self.cursor];
        height + scale.horizontal(site.abs_diff(column))
    }
}

/// Column at which the parabola of `b` (further right) falls below that of `a`.
fn crossing(a: (usize, f64), b: (usize, f64), scale: Scale) -> f64 {
    let apart = (b.0 - a.0) as f64 * scale.column;
    let middle = (a.0 + b.0) as f64 / 2.0;
    middle + (b.1 - a.1) / (2.0 * apart * scale.column)
}

/// Distance of every pixel of an image.
#[derive(Debug, Clone, PartialEq)]
pub struct DistanceMap {
    height: usize,
    width: usize,
    values: Vec<f64>,
}

impl DistanceMap {
    /// Distance at (row, column), in the unit of the spacing; `None` outside the image.
    pub fn get(&self, row: usize, column: usize) -> Option<f64> {
        (row < self.height && column < self.width).then(|| self.values[row * self.width + column])
    }

    /// Row-major distances, `height * width` of them.
    pub fn values(&self) -> &[f64] {
        &self.values
    }
}

/// Distance from every pixel to the nearest foreground pixel of `points` (0 on it), infinite everywhere if there is none.
///
/// Exact, in the unit of `spacing`, measured between pixel centres. Linear in the number of pixels.
///
/// ```
/// use medseg_metrics::{Mask, Spacing, distance_to};
/// let points = Mask::from_bytes(1, 4, &[1, 0, 0, 0])?;
/// assert_eq!(distance_to(&points, Spacing::millimetres(1.0, 0.5)?).values(), [0.0, 0.5, 1.0, 1.5]);
/// # Ok::<(), medseg_metrics::MetricsError>(())
/// ```
pub fn distance_to(points: &Mask, spacing: Spacing) -> DistanceMap {
    distances_within(points, &Mask::blank(points.height(), points.width()).complement(), spacing, f64::INFINITY)
}

/// Distance from every foreground pixel to the nearest background pixel *of the image*, 0 in the background; infinite where
/// the image has no background. (`scipy.ndimage.distance_transform_edt`, except for that last case.)
pub fn distance_transform(mask: &Mask, spacing: Spacing) -> DistanceMap {
    let mut map = distances_within(&mask.complement(), mask, spacing, f64::INFINITY);
    for row in 0..map.height {
        for column in 0..map.width {
            if !mask.get(row, column) {
                map.values[row * map.width + column] = 0.0;
            }
        }
    }
    map
}

fn distances_within(points: &Mask, queries: &Mask, spacing: Spacing, otherwise: f64) -> DistanceMap {
    let (height, width) = (points.height(), points.width());
    let mut values = vec![otherwise; height * width];
    for_each_distance(points, queries, spacing, &Window::all(points), &mut Vec::new(), |q, distance| {
        values[q.row * width + 64 * q.word + q.bit] = distance;
    });
    DistanceMap { height, width, values }
}
