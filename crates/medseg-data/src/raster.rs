//! Decoded pixels: [`Image`] (8-bit, grey or colour) and [`Mask`] (0 background, 1 foreground).

pub use sam_preprocess::Image;

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
