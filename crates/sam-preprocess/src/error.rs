//! The crate's error.

/// What can go wrong between an image and the network's input, or between logits and a mask.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PreprocessError {
    /// The side of the network's input is out of range.
    #[error("input size: expected 1 to {limit} pixels, found {found}")]
    Size {
        /// The side asked for, in pixels.
        found: usize,
        /// The largest side.
        limit: usize,
    },
    /// An image without pixels.
    #[error("image: expected at least one pixel, found {width} x {height}")]
    NoPixels {
        /// Width in pixels.
        width: usize,
        /// Height in pixels.
        height: usize,
    },
    /// Logits do not fill the square.
    #[error("logits: expected {side} x {side} values, found {found}")]
    LogitCount {
        /// The square's side in pixels.
        side: usize,
        /// The number of values found.
        found: usize,
    },
    /// A logit is not a number, or lies between infinite ones: the model or its input is broken, and no mask would be right.
    #[error("logits: the one of row {row}, column {column} is not a number")]
    NanLogit {
        /// Row in the original image.
        row: usize,
        /// Column in the original image.
        column: usize,
    },
    /// Tiles that cannot cover an image.
    #[error("tiles: expected a side of at least 1 px and an overlap of at most half of it, found {side} and {overlap}")]
    Tiling {
        /// Side of a tile in pixels.
        side: usize,
        /// Overlap of neighbours in pixels.
        overlap: usize,
    },
    /// Logits do not fill the tile that is next.
    #[error("logits of tile {tile}: expected {expected} values, found {found}")]
    TileCount {
        /// Number of the tile, counted from 0 in the order of the grid.
        tile: usize,
        /// Pixels of the tile; 0 where there is none left.
        expected: usize,
        /// The number of values found.
        found: usize,
    },
    /// The mask cannot be held.
    #[error(transparent)]
    Mask(#[from] medseg_metrics::MetricsError),
}
