//! Decoded pixels, 8 bits each.

use crate::PreprocessError;
use image::DynamicImage;

/// An 8-bit image in row-major order, one byte (grey) or three (red, green, blue) a pixel.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
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

    /// An image from pixels that are known to fill it, for code that computed both.
    ///
    /// # Panics
    /// Where [`new`](Self::new) gives `None`.
    pub fn from_parts(width: usize, height: usize, channels: usize, data: Vec<u8>) -> Self {
        assert!(
            matches!(channels, 1 | 3) && !data.is_empty() && data.len() == width * height * channels,
            "{width} x {height} pixels of {channels} channels cannot be {} bytes",
            data.len()
        );
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
        Self { channels: 3, data: self.data.iter().flat_map(|&v| [v, v, v]).collect(), ..*self }
    }

    /// [`to_rgb`](Self::to_rgb) of an image that is not needed any more: colour is not copied.
    #[must_use]
    pub fn into_rgb(self) -> Image {
        if self.channels == 3 { self } else { self.to_rgb() }
    }

    /// The same image in grey (luma of ITU-R BT.601, rounded).
    pub fn to_grey(&self) -> Image {
        if self.channels == 1 {
            return self.clone();
        }
        let luma =
            |p: &[u8]| ((299 * u32::from(p[0]) + 587 * u32::from(p[1]) + 114 * u32::from(p[2]) + 500) / 1000) as u8;
        Self { channels: 1, data: self.data.chunks_exact(3).map(luma).collect(), ..*self }
    }

    /// The same image with every value `v` replaced by `table[v]`.
    #[must_use]
    pub fn map_values(mut self, table: &[u8; 256]) -> Self {
        for value in &mut self.data {
            *value = table[usize::from(*value)];
        }
        self
    }
}

/// Grey stays grey, everything else becomes colour; alpha is laid over black, deeper pixels are reduced to 8 bits.
impl TryFrom<DynamicImage> for Image {
    type Error = PreprocessError;

    /// # Errors
    /// [`PreprocessError::NoPixels`].
    fn try_from(decoded: DynamicImage) -> Result<Self, PreprocessError> {
        let (width, height) = (decoded.width() as usize, decoded.height() as usize);
        let over_black = |v: u8, alpha: u8| ((u32::from(v) * u32::from(alpha) + 127) / 255) as u8;
        let (channels, data) = match decoded {
            DynamicImage::ImageLuma8(grey) => (1, grey.into_raw()),
            DynamicImage::ImageRgb8(rgb) => (3, rgb.into_raw()),
            grey @ DynamicImage::ImageLuma16(_) => (1, grey.into_luma8().into_raw()),
            grey @ (DynamicImage::ImageLumaA8(_) | DynamicImage::ImageLumaA16(_)) => {
                let raw = grey.into_luma_alpha8().into_raw();
                (1, raw.chunks_exact(2).map(|p| over_black(p[0], p[1])).collect())
            }
            other if other.color().has_alpha() => {
                let raw = other.into_rgba8().into_raw();
                (3, raw.chunks_exact(4).flat_map(|p| [0, 1, 2].map(|c| over_black(p[c], p[3]))).collect())
            }
            other => (3, other.into_rgb8().into_raw()),
        };
        Self::new(width, height, channels, data).ok_or(PreprocessError::NoPixels { width, height })
    }
}

/// As the conversion of an owned image, of a copy.
impl TryFrom<&DynamicImage> for Image {
    type Error = PreprocessError;

    /// # Errors
    /// [`PreprocessError::NoPixels`].
    fn try_from(decoded: &DynamicImage) -> Result<Self, PreprocessError> {
        decoded.clone().try_into()
    }
}
