//! Where the pixels of a resized and padded square come from, and the way back.

use crate::PreprocessError;

/// The geometry of one resize: the original size, the size after resizing, and the side of the padded square. Padding lies
/// right and below.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ResizeGeometry {
    /// Original width and height in pixels.
    pub original: (usize, usize),
    /// Width and height after resizing, in pixels.
    pub resized: (usize, usize),
    /// Side of the padded square in pixels.
    pub side: usize,
}

impl ResizeGeometry {
    /// Segment Anything's rule: the longest side becomes `side`, the other keeps the ratio, halves round up.
    pub(crate) fn longest_side(original: (usize, usize), side: usize) -> Self {
        let scale = side as f64 / original.0.max(original.1) as f64;
        let scaled = |length: usize| ((length as f64 * scale + 0.5) as usize).clamp(1, side);
        Self { original, resized: (scaled(original.0), scaled(original.1)), side }
    }

    /// The released code's rule: the shortest side becomes `side - 1` unless the longest would exceed `side`. A square image
    /// ends one pixel short of the square.
    pub(crate) fn paper(original: (usize, usize), side: usize) -> Self {
        let (short, long) = (original.0.min(original.1), original.0.max(original.1));
        let target = side.saturating_sub(1).max(1);
        let (mut new_short, mut new_long) = (target, (target as f64 * long as f64 / short as f64) as usize);
        if new_long > side {
            new_short = ((side as f64 * new_short as f64 / new_long as f64) as usize).max(1);
            new_long = side;
        }
        let resized = if original.0 <= original.1 { (new_short, new_long) } else { (new_long, new_short) };
        Self { original, resized, side }
    }

    /// Segment Anything 2's rule: both sides become `side`.
    pub(crate) fn stretched(original: (usize, usize), side: usize) -> Self {
        Self { original, resized: (side, side), side }
    }

    /// A point (x, y) of the original image in pixels of the resized square, as Segment Anything's predictor brings prompts
    /// there: each coordinate times the ratio of the sides.
    pub fn to_resized(&self, [x, y]: [f32; 2]) -> [f32; 2] {
        let map = |v: f32, from: usize, to: usize| (f64::from(v) * (to as f64 / from as f64)) as f32;
        [map(x, self.original.0, self.resized.0), map(y, self.original.1, self.resized.1)]
    }

    /// Brings a map (logits, probabilities) of the padded square, `[side, side]`, back to the original pixels,
    /// `[height, width]`: the padding is cut off, the rest interpolated bilinearly between pixel centres (as Segment
    /// Anything's postprocessing does).
    ///
    /// # Errors
    /// [`PreprocessError::LogitCount`] unless `map` has `side * side` values.
    pub fn restore(&self, map: &[f32]) -> Result<Vec<f32>, PreprocessError> {
        if map.len() != self.side * self.side {
            return Err(PreprocessError::LogitCount { side: self.side, found: map.len() });
        }
        let columns = Self::line(self.original.0, self.resized.0);
        let rows = Self::line(self.original.1, self.resized.1);
        let mut out = Vec::with_capacity(self.original.0 * self.original.1);
        for (top, bottom, v) in rows {
            let (upper, lower) = (&map[top * self.side..], &map[bottom * self.side..]);
            out.extend(columns.iter().map(|&(left, right, u)| {
                let above = upper[left] + (upper[right] - upper[left]) * u;
                let below = lower[left] + (lower[right] - lower[left]) * u;
                above + (below - above) * v
            }));
        }
        Ok(out)
    }

    /// For every original position the two resized positions around it and the weight of the second.
    fn line(original: usize, resized: usize) -> Vec<(usize, usize, f32)> {
        let scale = resized as f64 / original as f64;
        (0..original)
            .map(|i| {
                let at = ((i as f64 + 0.5) * scale - 0.5).clamp(0.0, (resized - 1) as f64);
                let low = at as usize;
                (low, (low + 1).min(resized - 1), (at - low as f64) as f32)
            })
            .collect()
    }
}
