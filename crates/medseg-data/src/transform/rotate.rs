//! Flips, and rotation to the nearest pixel. A mask goes the same way as a grey image of zeros and ones.

use crate::raster::Image;

fn flip_rows(data: &[u8], row: usize, pixel: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(data.len());
    for line in data.chunks_exact(row) {
        if pixel == 1 {
            out.extend(line.iter().rev());
        } else {
            out.extend(line.chunks_exact(pixel).rev().flatten());
        }
    }
    out
}

fn flip_columns(data: &[u8], row: usize) -> Vec<u8> {
    data.chunks_exact(row).rev().flatten().copied().collect()
}

/// Mirrors left and right.
pub fn flip_horizontal(image: &Image) -> Image {
    let (width, height) = image.size();
    let data = flip_rows(image.data(), width * image.channels(), image.channels());
    Image::from_parts(width, height, image.channels(), data)
}

/// Mirrors top and bottom.
pub fn flip_vertical(image: &Image) -> Image {
    let (width, height) = image.size();
    Image::from_parts(width, height, image.channels(), flip_columns(image.data(), width * image.channels()))
}

/// The source index of every pixel under a counter-clockwise rotation about the centre, `None` outside. Computed in single
/// precision in the order in which torchvision's `rotate` computes it, so that the same pixels are chosen.
fn sources(width: usize, height: usize, degrees: f64) -> Vec<Option<u32>> {
    let radians = (-degrees).to_radians();
    let (cos, sin) = (radians.cos() as f32, radians.sin() as f32);
    let (w, h) = (width as f32, height as f32);
    let matrix = [[cos / (0.5 * w), sin / (0.5 * w)], [-sin / (0.5 * h), cos / (0.5 * h)]];
    let mut out = Vec::with_capacity(width * height);
    for row in 0..height {
        let y = row as f32 + 0.5 - h * 0.5;
        for column in 0..width {
            let x = column as f32 + 0.5 - w * 0.5;
            let at = |[a, b]: [f32; 2], size: f32| (((x * a + y * b) + 1.0) * size - 1.0) / 2.0;
            let (u, v) = (nearest(at(matrix[0], w)), nearest(at(matrix[1], h)));
            let inside = u >= 0.0 && u < w && v >= 0.0 && v < h;
            out.push(inside.then(|| (v as usize * width + u as usize) as u32));
        }
    }
    out
}

/// Rounds to the nearest integer, halves to even, by pushing the fraction out of the mantissa: exact below 2^22, and many times
/// faster than the library function.
fn nearest(x: f32) -> f32 {
    const PUSH: f32 = 12_582_912.0;
    (x + PUSH) - PUSH
}

/// Rotates counter-clockwise about the centre to the nearest pixel; what comes from outside is 0. The size stays.
pub fn rotate_image(image: &Image, degrees: f64) -> Image {
    rotation(image.size(), degrees)(image)
}

/// [`rotate_image`] for several planes of one size (width and height in pixels).
pub(super) fn rotation((width, height): (usize, usize), degrees: f64) -> impl Fn(&Image) -> Image {
    let sources = sources(width, height, degrees);
    move |image| pick(image, &sources)
}

fn pick(image: &Image, sources: &[Option<u32>]) -> Image {
    let (width, height) = image.size();
    let channels = image.channels();
    let mut data = vec![0u8; image.data().len()];
    for (pixel, source) in data.chunks_exact_mut(channels).zip(sources) {
        if let Some(source) = source {
            let start = *source as usize * channels;
            pixel.copy_from_slice(&image.data()[start..start + channels]);
        }
    }
    Image::from_parts(width, height, channels, data)
}
