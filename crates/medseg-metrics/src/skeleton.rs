//! Thinning to a centre-line, 64 pixels at a time.

use crate::Mask;

/// Skeleton of a mask by the parallel thinning of Zhang and Suen (1984), in the variant of scikit-image's `skeletonize`:
/// equal to it pixel by pixel.
///
/// Each iteration has two passes; a pass deletes, all at once, the foreground pixels whose eight neighbours match one of its
/// patterns. The patterns differ from the ones published in 1984 in that corners of diagonal steps can be deleted and the
/// ends of diagonal lines cannot. A blob can vanish altogether; the caller sees that as an empty skeleton.
///
/// The image is cut into tiles of 8 x 8 pixels, one per word. A pass looks only at tiles that were changed, or have a
/// neighbour that was changed, since the same pass last saw them, so the cost follows the vessels and not the image.
///
/// ```
/// use medseg_metrics::{Mask, skeletonize};
/// let bar = Mask::from_fn(9, 20, |r, c| (3..6).contains(&r) && (2..18).contains(&c))?;
/// let skeleton = skeletonize(&bar);
/// assert!(skeleton.count() < 20 && skeleton.pixels().all(|(row, column)| bar.get(row, column)));
/// # Ok::<(), medseg_metrics::MetricsError>(())
/// ```
#[must_use]
pub fn skeletonize(mask: &Mask) -> Mask {
    let mut tiles = Tiles::new(mask);
    tiles.thin();
    tiles.to_mask(mask.height(), mask.width())
}

/// A mask as 8 x 8 tiles with a rim of empty tiles: bit `8 * r + c` of a tile is its pixel (r, c).
struct Tiles {
    /// Tiles per row, rim included.
    stride: usize,
    tiles: Vec<u64>,
}

const LEFT_COLUMN: u64 = 0x0101_0101_0101_0101;
const RIGHT_COLUMN: u64 = LEFT_COLUMN << 7;

impl Tiles {
    fn new(mask: &Mask) -> Self {
        let stride = mask.row_words() * 8 + 2;
        let rows = mask.height().div_ceil(8) + 2;
        let mut tiles = vec![0u64; stride * rows];
        for row in 0..mask.height() {
            let band = &mut tiles[(row / 8 + 1) * stride + 1..][..stride - 2];
            for (tiles, word) in band.chunks_exact_mut(8).zip(mask.row(row)).filter(|(_, word)| **word != 0) {
                for (tile, byte) in tiles.iter_mut().zip(word.to_le_bytes()) {
                    *tile |= u64::from(byte) << (8 * (row % 8));
                }
            }
        }
        Self { stride, tiles }
    }

    fn to_mask(&self, height: usize, width: usize) -> Mask {
        let mut mask = Mask::blank(height, width);
        for row in 0..height {
            let band = &self.tiles[(row / 8 + 1) * self.stride + 1..][..self.stride - 2];
            for (word, tiles) in mask.row_mut(row).iter_mut().zip(band.chunks_exact(8)) {
                for (at, tile) in tiles.iter().enumerate().filter(|(_, tile)| **tile != 0) {
                    *word |= (tile >> (8 * (row % 8)) & 0xff) << (8 * at);
                }
            }
        }
        mask
    }

    fn thin(&mut self) {
        let mut active: Vec<usize> = (0..self.tiles.len()).filter(|&t| self.tiles[t] != 0).collect();
        let mut next = Vec::with_capacity(active.len());
        // The number of the pass after which both kinds of pass have seen a tile unchanged, and it need not be looked at.
        let mut due = vec![2u32; self.tiles.len()];
        let mut deleted: Vec<(usize, u64)> = Vec::with_capacity(active.len());
        let mut pass = 0u32;
        while !active.is_empty() {
            deleted.clear();
            for &tile in &active {
                let gone = self.deletable(tile, pass.is_multiple_of(2));
                if gone != 0 {
                    deleted.push((tile, gone));
                }
            }
            pass += 1;
            next.clear();
            for &(tile, gone) in &deleted {
                self.tiles[tile] &= !gone;
                for row in [tile - self.stride, tile, tile + self.stride] {
                    for (neighbour, due) in (row - 1..).zip(&mut due[row - 1..=row + 1]) {
                        // A tile whose turn has run out is not in the active list: put it back.
                        if *due < pass && self.tiles[neighbour] != 0 {
                            next.push(neighbour);
                        }
                        *due = pass + 2;
                    }
                }
            }
            for &tile in &active {
                if due[tile] > pass && self.tiles[tile] != 0 {
                    next.push(tile);
                }
            }
            std::mem::swap(&mut active, &mut next);
        }
    }

    /// The pixels of a tile that the first or the second pass deletes.
    fn deletable(&self, tile: usize, first_pass: bool) -> u64 {
        let here = self.tiles[tile];
        let (above, below) = (tile - self.stride, tile + self.stride);
        // The tile moved by one row, then each of the three moved by one column.
        let vertical = |column: usize| {
            let (up, mid, down) =
                (self.tiles[above + column - 1], self.tiles[tile + column - 1], self.tiles[below + column - 1]);
            (mid << 8 | up >> 56, mid, mid >> 8 | down << 56)
        };
        let (west_n, west, west_s) = vertical(0);
        let (n, _, s) = vertical(1);
        let (east_n, east, east_s) = vertical(2);
        let from_west = |here: u64, west: u64| (here & !RIGHT_COLUMN) << 1 | (west & RIGHT_COLUMN) >> 7;
        let from_east = |here: u64, east: u64| (here & !LEFT_COLUMN) >> 1 | (east & LEFT_COLUMN) << 7;
        let around = Neighbours {
            nw: from_west(n, west_n),
            n,
            ne: from_east(n, east_n),
            e: from_east(here, east),
            se: from_east(s, east_s),
            s,
            sw: from_west(s, west_s),
            w: from_west(here, west),
        };
        here & if first_pass { around.first_pass() } else { around.second_pass() }
    }
}

/// The eight neighbours of 64 pixels.
struct Neighbours {
    nw: u64,
    n: u64,
    ne: u64,
    e: u64,
    se: u64,
    s: u64,
    sw: u64,
    w: u64,
}

impl Neighbours {
    /// Patterns of the first pass: which neighbours must be foreground, and which background.
    fn first_pass(&self) -> u64 {
        let Self { nw, n, ne, e, se, s, sw, w } = *self;
        let (north_clear, south_clear) = (!(n | ne | nw), !(s | se | sw));
        (n & w & !(e | s | se))
            | (e & n & ne & nw & !(s | sw))
            | (n & ne & nw & w & !(s | se))
            | (n & nw & sw & w & !(e | se))
            | (nw & s & sw & w & !(e | ne))
            | (nw & sw & w & !(e | ne | se))
            | (n & (e | ne | nw) & south_clear & !w)
            | (e & ne & !(nw | s | sw | w))
            | (e & ne & s & se & !(n | nw | w))
            | (s & se & sw & north_clear & !(e & w))
            | (s & w & !(e | n | ne | se | sw))
            | (e & s & north_clear & !(se | sw | w))
    }

    /// Patterns of the second pass.
    fn second_pass(&self) -> u64 {
        let Self { nw, n, ne, e, se, s, sw, w } = *self;
        let (north_clear, south_clear) = (!(n | ne | nw), !(s | se | sw));
        (e & n & ne & se & !(sw | w))
            | (e & ne & s & se & !(nw | w))
            | (e & s & se & sw & !(n | nw))
            | (s & se & sw & w & !(n | ne))
            | (e & s & sw & !(n | nw | w))
            | (s & (e | sw) & north_clear & !w)
            | (e & se & !(nw | s | sw | w))
            | (s & w & north_clear & !e)
            | (sw & w & !(e | n | ne | se))
            | (n & nw & sw & w & !(e | s | se))
            | (n & ne & nw & south_clear & !(e & w))
            | (e & n & !(ne | nw | s | sw | w))
            | (n & w & south_clear & !(e | ne | nw))
    }
}
