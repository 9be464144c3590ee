//! Images larger than a network's view: overlapping tiles, and their answers blended into one.

use crate::{Image, PreprocessError};
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// Side of square tiles and the overlap of neighbours, in pixels of the image.
///
/// Serialised as `{"side": 1024, "overlap": 128}`; unknown fields and values out of range are errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Fields")]
pub struct Tiling {
    side: usize,
    overlap: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Fields {
    side: usize,
    overlap: usize,
}

impl TryFrom<Fields> for Tiling {
    type Error = PreprocessError;

    fn try_from(fields: Fields) -> Result<Self, PreprocessError> {
        Self::new(fields.side, fields.overlap)
    }
}

impl Tiling {
    /// Tiles of `side` pixels, of which neighbours share at least `overlap`.
    ///
    /// # Errors
    /// [`PreprocessError::Tiling`] unless `side` is at least 1 and `overlap` at most half of it.
    pub fn new(side: usize, overlap: usize) -> Result<Self, PreprocessError> {
        if side == 0 || overlap > side / 2 {
            return Err(PreprocessError::Tiling { side, overlap });
        }
        Ok(Self { side, overlap })
    }

    /// Side of a tile in pixels.
    pub fn side(&self) -> usize {
        self.side
    }

    /// The least overlap of neighbours in pixels.
    pub fn overlap(&self) -> usize {
        self.overlap
    }

    /// The tiles of an image of some width and height, in pixels.
    pub fn grid(&self, (width, height): (usize, usize)) -> TileGrid {
        TileGrid { columns: Axis::new(width, *self), rows: Axis::new(height, *self), size: (width, height) }
    }
}

/// Where the tiles of an image lie. They cover it, are evenly spaced, and none reaches beyond it; along a side that is shorter
/// than a tile there is one, as long as that side.
#[derive(Debug, Clone, PartialEq)]
pub struct TileGrid {
    columns: Axis,
    rows: Axis,
    size: (usize, usize),
}

/// A rectangle of an image, in pixels.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tile {
    /// Its columns.
    pub columns: Range<usize>,
    /// Its rows.
    pub rows: Range<usize>,
}

impl TileGrid {
    /// The tiles, row by row.
    pub fn tiles(&self) -> impl Iterator<Item = Tile> {
        let tile = |rows: &Range<usize>, columns: &Range<usize>| Tile { columns: columns.clone(), rows: rows.clone() };
        self.rows.places.iter().flat_map(move |rows| self.columns.places.iter().map(move |columns| tile(rows, columns)))
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.rows.places.len() * self.columns.places.len()
    }

    /// Width and height of the image in pixels.
    pub fn size(&self) -> (usize, usize) {
        self.size
    }
}

/// The places of the tiles along one side of the image, and what each of their pixels counts.
#[derive(Debug, Clone, PartialEq)]
struct Axis {
    places: Vec<Range<usize>>,
    /// For each place the share of each of its pixels; the shares of one pixel of the image add up to 1.
    shares: Vec<Vec<f32>>,
}

impl Axis {
    fn new(length: usize, Tiling { side, overlap }: Tiling) -> Self {
        let places: Vec<Range<usize>> = if length <= side {
            std::iter::once(0..length).collect()
        } else {
            let gaps = (length - overlap).div_ceil(side - overlap) - 1;
            (0..=gaps).map(|k| k * (length - side) / gaps).map(|start| start..start + side).collect()
        };
        // A tile counts less towards an edge that lies within the image: a network sees little of what is around a pixel there.
        let ramp = |pixels: usize| if pixels < overlap { (pixels as f32 + 0.5) / overlap as f32 } else { 1.0 };
        let weight = |k: usize, at: usize| {
            let first = if k > 0 { ramp(at - places[k].start) } else { 1.0 };
            let last = if k + 1 < places.len() { ramp(places[k].end - 1 - at) } else { 1.0 };
            first.min(last)
        };
        let mut total = vec![0f32; length];
        for (k, place) in places.iter().enumerate() {
            place.clone().for_each(|at| total[at] += weight(k, at));
        }
        // Where a pixel lies in one tile only, its share is a number over itself: exactly 1.
        let shares =
            places.iter().enumerate().map(|(k, p)| p.clone().map(|at| weight(k, at) / total[at]).collect()).collect();
        Self { places, shares }
    }
}

impl Image {
    /// The pixels of a tile.
    ///
    /// # Panics
    /// If the tile reaches beyond the image.
    pub fn tile(&self, tile: &Tile) -> Image {
        let channels = self.channels();
        let (width, height) = (tile.columns.len(), tile.rows.len());
        let mut data = Vec::with_capacity(width * height * channels);
        for row in tile.rows.clone() {
            let start = (row * self.width() + tile.columns.start) * channels;
            data.extend_from_slice(&self.data()[start..start + width * channels]);
        }
        Image::from_parts(width, height, channels, data)
    }
}

/// Complete rows of a map that is as wide as the image.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct FinishedRows {
    /// The first row.
    pub first: usize,
    /// Logits, `[rows, width]`.
    pub logits: Vec<f32>,
}

/// The logits of tiles, blended in the order of [`TileGrid::tiles`]. It holds one row of tiles and gives out the rows of pixels that
/// no later tile reaches.
///
/// Where two tiles overlap, the share of one falls linearly towards its edge and that of the other rises. A pixel that lies in one
/// tile only keeps the logit of that tile exactly.
///
/// ```
/// use sam_preprocess::{Mosaic, Tiling};
///
/// let grid = Tiling::new(4, 2)?.grid((6, 2));
/// let mut mosaic = Mosaic::new(&grid);
/// assert_eq!(mosaic.add(&[1.0; 8])?, None);
/// let rows = mosaic.add(&[3.0; 8])?.ok_or("two tiles are all")?;
/// assert_eq!(rows.logits[..6], [1.0, 1.0, 1.5, 2.5, 3.0, 3.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Mosaic<'a> {
    grid: &'a TileGrid,
    next: usize,
    /// The rows of the current row of tiles, `[height of a tile, width of the image]`.
    sums: Vec<f32>,
}

impl<'a> Mosaic<'a> {
    /// Without any tile yet.
    pub fn new(grid: &'a TileGrid) -> Self {
        let height = grid.rows.places.first().map_or(0, ExactSizeIterator::len);
        Self { grid, next: 0, sums: vec![0.0; height * grid.size.0] }
    }

    /// Adds the logits of the next tile, `[height, width]` of the tile; the rows that are complete with it, after the last tile of a
    /// row of tiles.
    ///
    /// # Errors
    /// [`PreprocessError::TileCount`] unless `logits` fill that tile, and for more tiles than there are.
    pub fn add(&mut self, logits: &[f32]) -> Result<Option<FinishedRows>, PreprocessError> {
        let TileGrid { columns, rows, size: (width, _) } = self.grid;
        let (row, column) = (self.next / columns.places.len(), self.next % columns.places.len());
        let expected = rows.places.get(row).map_or(0, |rows| rows.len() * columns.places[column].len());
        if logits.len() != expected || expected == 0 {
            return Err(PreprocessError::TileCount { tile: self.next, expected, found: logits.len() });
        }
        if self.grid.count() == 1 {
            self.next += 1;
            return Ok(Some(FinishedRows { first: 0, logits: logits.to_vec() }));
        }
        let place = columns.places[column].clone();
        let lines = self.sums.chunks_exact_mut(*width).zip(logits.chunks_exact(place.len()));
        for ((sums, logits), vertical) in lines.zip(&rows.shares[row]) {
            for ((sum, logit), horizontal) in sums[place.clone()].iter_mut().zip(logits).zip(&columns.shares[column]) {
                *sum += logit * (horizontal * vertical);
            }
        }
        self.next += 1;
        if column + 1 < columns.places.len() {
            return Ok(None);
        }
        let (first, height) = (rows.places[row].start, rows.places[row].len());
        let complete = rows.places.get(row + 1).map_or(height, |next| next.start - first);
        let logits: Vec<f32> = self.sums.drain(..complete * width).collect();
        self.sums.resize(height * width, 0.0);
        Ok(Some(FinishedRows { first, logits }))
    }
}
