//! Decoded pixels: [`Image`] (8-bit, grey or colour) and [`Mask`] (0 background, 1 foreground).

/// An 8-bit image in row-major order, one byte (grey) or three (red, green, blue) a pixel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    width: usize,
    height: usize,
    channels: usize,
    data: Vec<u8>,
}

impl Image {
    /// An image from its pixels; `None` unless `channels` is 1 or 3, both sides are positive and `data` has
    /// `width * height * channels` bytes.
    pub fn new(width: usize, height: usize, channels: usize, data: Vec<u8>) -> Option<Self> {
        let right = matches!(channels, 1 | 3) && width > 0 && height > 0;
        (right && data.len() == width.checked_mul(height)?.checked_mul(channels)?).then_some(Self {
            width,
            height,
            channels,
            data,
        })
    }

    pub(crate) fn from_parts(width: usize, height: usize, channels: usize, data: Vec<u8>) -> Self {
        debug_assert_eq!(data.len(), width * height * channels);
        Self { width, height, channels, data }
    }

    /// Width in pixels.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Height in pixels.
    pub fn height(&self) -> usize {
        self.height
    }

    /// Width and height in pixels.
    pub fn size(&self) -> (usize, usize) {
        (self.width, self.height)
    }

    /// 1 for grey, 3 for colour.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// The pixels, `[height, width, channels]`.
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    /// The pixels as a vector.
    pub fn into_data(self) -> Vec<u8> {
        self.data
    }

    /// The same image with three channels; a grey value is repeated.
    pub fn to_rgb(&self) -> Image {
        if self.channels == 3 {
            return self.clone();
        }
        Self::from_parts(self.width, self.height, 3, self.data.iter().flat_map(|&v| [v, v, v]).collect())
    }

    /// The same image in grey (luma of ITU-R BT.601, rounded).
    pub fn to_grey(&self) -> Image {
        if self.channels == 1 {
            return self.clone();
        }
        let luma =
            |p: &[u8]| ((299 * u32::from(p[0]) + 587 * u32::from(p[1]) + 114 * u32::from(p[2]) + 500) / 1000) as u8;
        Self::from_parts(self.width, self.height, 1, self.data.chunks_exact(3).map(luma).collect())
    }

    pub(crate) fn map_values(mut self, table: &[u8; 256]) -> Self {
        for value in &mut self.data {
            *value = table[*value as usize];
        }
        self
    }
}

/// A binary mask in row-major order: 0 is background, 1 foreground, nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mask {
    width: usize,
    height: usize,
    data: Vec<u8>,
}

impl Mask {
    /// A mask from its pixels; `None` unless both sides are positive, `data` has `width * height` bytes and all are 0 or 1.
    pub fn new(width: usize, height: usize, data: Vec<u8>) -> Option<Self> {
        let right = width > 0 && height > 0 && Some(data.len()) == width.checked_mul(height);
        (right && data.iter().all(|&v| v <= 1)).then_some(Self { width, height, data })
    }

    /// An empty mask.
    pub fn empty(width: usize, height: usize) -> Self {
        Self { width, height, data: vec![0; width * height] }
    }

    pub(crate) fn from_parts(width: usize, height: usize, data: Vec<u8>) -> Self {
        debug_assert_eq!(data.len(), width * height);
        debug_assert!(data.iter().all(|&v| v <= 1));
        Self { width, height, data }
    }

    /// Width in pixels.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Height in pixels.
    pub fn height(&self) -> usize {
        self.height
    }

    /// Width and height in pixels.
    pub fn size(&self) -> (usize, usize) {
        (self.width, self.height)
    }

    /// The pixels, `[height, width]`, each 0 or 1.
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    /// The pixels as a vector.
    pub fn into_data(self) -> Vec<u8> {
        self.data
    }

    /// The number of foreground pixels.
    pub fn area(&self) -> usize {
        self.data.iter().map(|&v| usize::from(v)).sum()
    }

    /// The share of foreground pixels, 0 to 1.
    pub fn share(&self) -> f64 {
        self.area() as f64 / self.data.len() as f64
    }

    /// Adds the foreground of `other`, which must have the same size.
    pub(crate) fn unite(&mut self, other: &Mask) {
        debug_assert_eq!(self.size(), other.size());
        for (a, b) in self.data.iter_mut().zip(&other.data) {
            *a |= b;
        }
    }

    /// Intersection over union with a mask of the same size; 1 when both are empty, `None` when the sizes differ.
    pub fn iou(&self, other: &Mask) -> Option<f64> {
        if self.size() != other.size() {
            return None;
        }
        let (mut both, mut any) = (0usize, 0usize);
        for (a, b) in self.data.iter().zip(&other.data) {
            both += usize::from(a & b);
            any += usize::from(a | b);
        }
        Some(if any == 0 { 1.0 } else { both as f64 / any as f64 })
    }
}
