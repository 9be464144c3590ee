//! Binary masks, 64 pixels per word.

use crate::words::bits;
use crate::{MetricsError, Result};

/// A 2-D binary mask of `height` x `width` pixels, bit-packed row by row.
///
/// Pixels outside the image count as background in every metric of this crate.
///
/// ```
/// use medseg_metrics::Mask;
/// let mask = Mask::from_bytes(2, 3, &[0, 1, 255, 0, 0, 1])?;
/// assert_eq!(mask.count(), 3);
/// assert!(mask.get(0, 2) && !mask.get(1, 0));
/// # Ok::<(), medseg_metrics::MetricsError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Mask {
    height: usize,
    width: usize,
    row_words: usize,
    /// Bit `c % 64` of word `r * row_words + c / 64` is pixel (r, c); bits beyond the width are always zero.
    words: Vec<u64>,
}

impl Mask {
    /// Longest side of a mask: vertical distances are counted in 16 bits.
    pub const MAX_SIDE: usize = u16::MAX as usize - 2;

    /// A mask without foreground.
    ///
    /// # Errors
    /// When a side is 0 or longer than [`Mask::MAX_SIDE`].
    pub fn new(height: usize, width: usize) -> Result<Self> {
        let limit = Self::MAX_SIDE;
        if height == 0 || width == 0 || height > limit || width > limit {
            return Err(MetricsError::UnsupportedSize { height, width, limit });
        }
        Ok(Self::blank(height, width))
    }

    /// Without the check, for sizes derived from an existing mask.
    pub(crate) fn blank(height: usize, width: usize) -> Self {
        let row_words = width.div_ceil(64);
        Self { height, width, row_words, words: vec![0; height * row_words] }
    }

    /// Row-major bytes; anything but 0 is foreground.
    ///
    /// # Errors
    /// When the size is unsupported or `bytes` does not hold `height * width` values.
    pub fn from_bytes(height: usize, width: usize, bytes: &[u8]) -> Result<Self> {
        Self::pack(height, width, bytes, |&b| b != 0)
    }

    /// Row-major booleans.
    ///
    /// # Errors
    /// When the size is unsupported or `values` does not hold `height * width` values.
    pub fn from_bools(height: usize, width: usize, values: &[bool]) -> Result<Self> {
        Self::pack(height, width, values, |&b| b)
    }

    /// Row-major probabilities; foreground is `probability >= threshold`.
    ///
    /// # Errors
    /// When the size is unsupported, the count does not match, or a probability is NaN.
    pub fn from_probabilities(height: usize, width: usize, probabilities: &[f32], threshold: f32) -> Result<Self> {
        if let Some(at) = probabilities.iter().position(|p| p.is_nan()) {
            let (row, column) = (at / width.max(1), at % width.max(1));
            return Err(MetricsError::NanProbability { row, column });
        }
        Self::pack(height, width, probabilities, |&p| p >= threshold)
    }

    fn pack<T>(height: usize, width: usize, values: &[T], foreground: impl Fn(&T) -> bool) -> Result<Self> {
        let mut mask = Self::new(height, width)?;
        if values.len() != height * width {
            return Err(MetricsError::ValueCount { height, width, found: values.len() });
        }
        for (row, values) in mask.words.chunks_exact_mut(mask.row_words).zip(values.chunks_exact(width)) {
            for (word, values) in row.iter_mut().zip(values.chunks(64)) {
                *word = values.iter().enumerate().fold(0, |bits, (i, v)| bits | (u64::from(foreground(v)) << i));
            }
        }
        Ok(mask)
    }

    /// A mask whose pixel (row, column) is `foreground(row, column)`.
    ///
    /// # Errors
    /// When a side is 0 or longer than [`Mask::MAX_SIDE`].
    pub fn from_fn(height: usize, width: usize, mut foreground: impl FnMut(usize, usize) -> bool) -> Result<Self> {
        let mut mask = Self::new(height, width)?;
        for row in 0..height {
            for column in 0..width {
                if foreground(row, column) {
                    mask.insert(row, column);
                }
            }
        }
        Ok(mask)
    }

    /// Rows.
    pub fn height(&self) -> usize {
        self.height
    }

    /// Columns.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Height and width: rows, then columns.
    pub fn size(&self) -> (usize, usize) {
        (self.height, self.width)
    }

    /// Whether (row, column) is foreground; outside the image nothing is.
    pub fn get(&self, row: usize, column: usize) -> bool {
        row < self.height && column < self.width && self.row(row)[column / 64] >> (column % 64) & 1 == 1
    }

    /// Makes (row, column) foreground; outside the image nothing happens.
    pub fn insert(&mut self, row: usize, column: usize) {
        if row < self.height && column < self.width {
            self.words[row * self.row_words + column / 64] |= 1 << (column % 64);
        }
    }

    /// Makes (row, column) background; outside the image nothing happens.
    pub fn remove(&mut self, row: usize, column: usize) {
        if row < self.height && column < self.width {
            self.words[row * self.row_words + column / 64] &= !(1 << (column % 64));
        }
    }

    /// Number of foreground pixels.
    pub fn count(&self) -> u64 {
        self.words.iter().map(|w| u64::from(w.count_ones())).sum()
    }

    /// Share of the image that is foreground, 0 to 1.
    pub fn share(&self) -> f64 {
        self.count() as f64 / self.area() as f64
    }

    /// Whether there is no foreground.
    pub fn is_empty(&self) -> bool {
        self.words.iter().all(|&w| w == 0)
    }

    /// Row-major bytes, 1 for foreground and 0 for background.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0; self.height * self.width];
        for (row, column) in self.pixels() {
            bytes[row * self.width + column] = 1;
        }
        bytes
    }

    /// Foreground pixels as (row, column), row by row.
    pub fn pixels(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        (0..self.height).flat_map(move |row| {
            self.row(row).iter().enumerate().flat_map(move |(at, &word)| bits(word).map(move |b| (row, at * 64 + b)))
        })
    }

    /// The pixels of either mask.
    ///
    /// # Errors
    /// When the sizes differ.
    pub fn union(&self, other: &Self) -> Result<Self> {
        self.zip(other, |a, b| a | b)
    }

    /// The pixels of both masks.
    ///
    /// # Errors
    /// When the sizes differ.
    pub fn intersection(&self, other: &Self) -> Result<Self> {
        self.zip(other, |a, b| a & b)
    }

    /// The pixels of this mask that are not in `other`.
    ///
    /// # Errors
    /// When the sizes differ.
    pub fn difference(&self, other: &Self) -> Result<Self> {
        self.zip(other, |a, b| a & !b)
    }

    /// Adds the pixels of `other` to this mask: [`Mask::union`] in place.
    ///
    /// # Errors
    /// When the sizes differ; this mask is then unchanged.
    pub fn unite(&mut self, other: &Self) -> Result<()> {
        self.same_shape(other)?;
        self.words.iter_mut().zip(&other.words).for_each(|(a, &b)| *a |= b);
        Ok(())
    }

    /// Intersection over union with `other`, for comparing any two masks: 1 when both are empty. As a metric of a
    /// prediction, with a policy for empty masks, it is [`Overlap::iou`](crate::Overlap::iou).
    ///
    /// ```
    /// use medseg_metrics::Mask;
    /// let (a, b) = (Mask::from_bytes(1, 4, &[1, 1, 1, 0])?, Mask::from_bytes(1, 4, &[0, 1, 1, 1])?);
    /// assert_eq!(a.iou(&b)?, 0.5);
    /// assert_eq!(Mask::new(1, 4)?.iou(&Mask::new(1, 4)?)?, 1.0);
    /// # Ok::<(), medseg_metrics::MetricsError>(())
    /// ```
    ///
    /// # Errors
    /// When the sizes differ.
    pub fn iou(&self, other: &Self) -> Result<f64> {
        let (both, either) = (self.intersection(other)?.count(), self.union(other)?.count());
        Ok(if either == 0 { 1.0 } else { both as f64 / either as f64 })
    }

    fn zip(&self, other: &Self, combine: impl Fn(u64, u64) -> u64) -> Result<Self> {
        self.same_shape(other)?;
        let words = self.words.iter().zip(&other.words).map(|(&a, &b)| combine(a, b)).collect();
        Ok(Self { words, ..*self })
    }

    /// The background: every pixel of the image that is not foreground.
    #[must_use]
    pub fn complement(&self) -> Self {
        let mut words: Vec<u64> = self.words.iter().map(|w| !w).collect();
        let tail = self.width % 64;
        if tail != 0 {
            words.chunks_exact_mut(self.row_words).for_each(|row| row[self.row_words - 1] &= (1 << tail) - 1);
        }
        Self { words, ..*self }
    }

    /// The part in the given rows and columns; what lies beyond the image is left out.
    ///
    /// # Errors
    /// When nothing is left.
    pub fn crop(&self, rows: std::ops::Range<usize>, columns: std::ops::Range<usize>) -> Result<Self> {
        let height = rows.end.min(self.height).saturating_sub(rows.start);
        let width = columns.end.min(self.width).saturating_sub(columns.start);
        Self::from_fn(height, width, |r, c| self.get(rows.start + r, columns.start + c))
    }

    /// Turned by 90 degrees counter-clockwise: `width` x `height`.
    #[must_use]
    pub fn rotate90(&self) -> Self {
        let mut turned = Self::blank(self.width, self.height);
        self.pixels().for_each(|(row, column)| turned.insert(self.width - 1 - column, row));
        turned
    }

    /// Number of pixels, foreground or not.
    pub(crate) fn area(&self) -> u64 {
        self.height as u64 * self.width as u64
    }

    pub(crate) fn same_shape(&self, reference: &Self) -> Result<()> {
        if self.size() == reference.size() {
            return Ok(());
        }
        Err(MetricsError::ShapeMismatch { prediction: self.size(), reference: reference.size() })
    }

    /// As a mask of ignored pixels.
    pub(crate) fn must_cover(&self, reference: &Self) -> Result<()> {
        if self.size() == reference.size() {
            return Ok(());
        }
        Err(MetricsError::IgnoredShape { ignored: self.size(), reference: reference.size() })
    }

    pub(crate) fn row_words(&self) -> usize {
        self.row_words
    }

    pub(crate) fn row(&self, row: usize) -> &[u64] {
        &self.words[row * self.row_words..][..self.row_words]
    }

    pub(crate) fn row_mut(&mut self, row: usize) -> &mut [u64] {
        &mut self.words[row * self.row_words..][..self.row_words]
    }

    pub(crate) fn words(&self) -> &[u64] {
        &self.words
    }
}

impl std::fmt::Debug for Mask {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "Mask {} x {}, {} foreground", self.height, self.width, self.count())?;
        if self.height <= 64 && self.width <= 64 {
            for row in 0..self.height {
                let line: String = (0..self.width).map(|c| if self.get(row, c) { '#' } else { '.' }).collect();
                writeln!(f, "{line}")?;
            }
        }
        Ok(())
    }
}
