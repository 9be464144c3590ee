//! Brightness and contrast on 8-bit images.

use crate::raster::Image;

fn table(f: impl Fn(f32) -> f32) -> [u8; 256] {
    // Towards zero, as torchvision converts a blend back to bytes.
    std::array::from_fn(|v| f(v as f32).clamp(0.0, 255.0) as u8)
}

/// Multiplies every value by `factor`, cut at 255 and rounded down (torchvision's `adjust_brightness`).
pub fn adjust_brightness(image: Image, factor: f64) -> Image {
    let factor = factor as f32;
    image.map_values(&table(|v| factor * v))
}

/// Moves every value away from the image's mean grey by `factor` (torchvision's `adjust_contrast`); 1 changes nothing.
pub fn adjust_contrast(image: Image, factor: f64) -> Image {
    let mean = if image.channels() == 1 { mean(image.data()) } else { mean(image.to_grey().data()) };
    let factor = factor as f32;
    image.map_values(&table(|v| factor * v + (1.0 - factor) * mean))
}

fn mean(data: &[u8]) -> f32 {
    (data.iter().map(|&v| u64::from(v)).sum::<u64>() as f64 / data.len() as f64) as f32
}
