//! From image pixels to the network's input and back.

use burn::tensor::{Device, Tensor, TensorData};
use image::imageops::{FilterType, resize};
use image::{DynamicImage, RgbImage};

use crate::SamError;
use crate::nn::bilinear_resize;

/// Mean of each channel (red, green, blue), in grey levels of 255, that SAM was trained with.
pub const PIXEL_MEAN: [f32; 3] = [123.675, 116.28, 103.53];
/// Standard deviation of each channel, as [`PIXEL_MEAN`].
pub const PIXEL_STD: [f32; 3] = [58.395, 57.12, 57.375];

/// Where an image lies in the network's square input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    /// Height and width of the original image in pixels.
    pub original: [usize; 2],
    /// Height and width of the resized image, at the top left of the input.
    pub resized: [usize; 2],
    /// Side of the input; what the resized image leaves free is zero.
    pub input: usize,
}

impl Frame {
    /// The frame of an image of `original` (height, width): its longest side becomes `input` pixels, the other follows,
    /// rounded half up, at least one pixel.
    ///
    /// # Errors
    /// [`SamError::Value`] if a side is zero.
    pub fn new(original: [usize; 2], input: usize) -> Result<Self, SamError> {
        let longest = original[0].max(original[1]);
        if original.contains(&0) || input == 0 {
            let found = format!("{original:?} into {input}");
            return Err(SamError::value("image size", "positive height and width", found));
        }
        let scale = input as f64 / longest as f64;
        let side = |length: usize| ((length as f64 * scale + 0.5) as usize).clamp(1, input);
        Ok(Self { original, resized: original.map(side), input })
    }

    /// A point (x, y) of the original image in pixels of the input.
    pub fn to_input(&self, [x, y]: [f32; 2]) -> [f32; 2] {
        let scale = |axis: usize| self.resized[axis] as f32 / self.original[axis] as f32;
        [x * scale(1), y * scale(0)]
    }

    /// Mask logits `[N, masks, h, w]` at any resolution of the input to `[N, masks, height, width]` of the original image:
    /// bilinear to the input's size, the padding cut off, bilinear to the original's size.
    pub fn to_original(&self, logits: Tensor<4>) -> Tensor<4> {
        let [n, masks, _, _] = logits.dims();
        let [height, width] = self.resized;
        let logits = bilinear_resize(logits, [self.input, self.input]);
        bilinear_resize(logits.slice([0..n, 0..masks, 0..height, 0..width]), self.original)
    }
}

/// Resizes, normalises and pads one image: `[1, 3, input, input]` and its frame.
///
/// Grey images become three equal channels, 16-bit images are reduced to 8, an alpha channel is left out.
///
/// # Errors
/// [`SamError::Value`] for an image without pixels.
pub fn prepare_image(image: &DynamicImage, input: usize, device: &Device) -> Result<(Tensor<4>, Frame), SamError> {
    let rgb = image.to_rgb8();
    let frame = Frame::new([rgb.height() as usize, rgb.width() as usize], input)?;
    let [height, width] = frame.resized;
    let rgb = if frame.resized == frame.original {
        rgb
    } else {
        resize(&rgb, width as u32, height as u32, FilterType::Triangle)
    };
    let tensor = Tensor::from_data(TensorData::new(normalise(&rgb, input), [1, 3, input, input]), device);
    Ok((tensor, frame))
}

/// `(value - mean) / std` per channel, channels first, zero beyond the image.
fn normalise(rgb: &RgbImage, input: usize) -> Vec<f32> {
    let mut data = vec![0f32; 3 * input * input];
    for (x, y, pixel) in rgb.enumerate_pixels() {
        for channel in 0..3 {
            let value = (f32::from(pixel[channel]) - PIXEL_MEAN[channel]) / PIXEL_STD[channel];
            data[(channel * input + y as usize) * input + x as usize] = value;
        }
    }
    data
}
