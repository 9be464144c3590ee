//! Decoded pixels: [`Image`] (8-bit, grey or colour) and [`Mask`] (foreground or background, a bit a pixel).

use medseg_metrics::Mask;

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

/// A mask as a grey image of zeros and ones, which every transform of images takes as well.
pub(crate) fn plane_of(mask: &Mask) -> Image {
    Image::from_parts(mask.width(), mask.height(), 1, mask.to_bytes())
}

/// The mask that a grey image of zeros and ones stands for.
pub(crate) fn mask_of(plane: &Image) -> Mask {
    Mask::from_bytes(plane.height(), plane.width(), plane.data()).expect("a plane that was a mask has a mask's size")
}

/// Width and height of a mask in pixels, in the order of [`Image::size`].
pub(crate) fn size_of(mask: &Mask) -> (usize, usize) {
    (mask.width(), mask.height())
}
