//! What happens to images that are stored a second time.

use image::ExtendedColorType::{L8, Rgb8};
use image::codecs::jpeg::JpegEncoder;
use medseg_data::Image;
use medseg_data::transform::resize_image;

pub(crate) type Change = fn(&Image) -> Image;

/// All of them, with their names.
pub(crate) fn changes() -> Vec<(&'static str, Change)> {
    let change = |name: &'static str, f: Change| (name, f);
    vec![
        change("none (stored twice)", Image::clone),
        change("shift by 1 %", |i| shift(i, 0.01, -0.01)),
        change("shift by 2.5 %", |i| shift(i, 0.025, 0.025)),
        change("shift by 5 %", |i| shift(i, -0.05, 0.05)),
        change("JPEG, quality 90", |i| jpeg(i, 90)),
        change("JPEG, quality 70", |i| jpeg(i, 70)),
        change("JPEG, quality 50", |i| jpeg(i, 50)),
        change("scale 0.5", |i| scale(i, 0.5)),
        change("scale 0.75", |i| scale(i, 0.75)),
        change("scale 1.5", |i| scale(i, 1.5)),
        change("scale 2", |i| scale(i, 2.0)),
        change("crop 2 % on each side", |i| crop(i, [0.02; 4])),
        change("crop 5 % on each side", |i| crop(i, [0.05; 4])),
        change("crop 5 % on two sides", |i| crop(i, [0.05, 0.05, 0.0, 0.0])),
        change("crop 10 % on one side", |i| crop(i, [0.1, 0.0, 0.0, 0.0])),
        change("brightness +30", |i| values(i, |v| v + 30.0)),
        change("brightness -30", |i| values(i, |v| v - 30.0)),
        change("contrast 0.7", |i| values(i, |v| 128.0 + 0.7 * (v - 128.0))),
        change("contrast 1.3", |i| values(i, |v| 128.0 + 1.3 * (v - 128.0))),
        change("gamma 0.6", |i| gamma(i, 0.6)),
        change("gamma 1.6", |i| gamma(i, 1.6)),
        change("mirrored", mirror),
        change("cropped, scaled, gamma, JPEG", together),
        change("the same, mirrored", |i| mirror(&together(i))),
    ]
}

fn together(image: &Image) -> Image {
    jpeg(&gamma(&scale(&crop(image, [0.03, 0.01, 0.02, 0.03]), 0.75), 1.3), 70)
}

fn rebuilt(width: usize, height: usize, channels: usize, data: Vec<u8>) -> Image {
    Image::new(width, height, channels, data).unwrap_or_else(|| unreachable!("the loops fill every pixel"))
}

/// Moves the edges (left, top, right, bottom) inwards by so many pixels; what comes from beyond the image is black.
fn window(image: &Image, [left, top, right, bottom]: [i64; 4]) -> Image {
    let (width, height, channels) = (image.width() as i64, image.height() as i64, image.channels());
    let mut data = Vec::new();
    for y in top..height - bottom {
        for x in left..width - right {
            let inside = (0..width).contains(&x) && (0..height).contains(&y);
            let at = (y * width + x).max(0) as usize * channels;
            data.extend((0..channels).map(|c| if inside { image.data()[at + c] } else { 0 }));
        }
    }
    rebuilt((width - left - right) as usize, (height - top - bottom) as usize, channels, data)
}

fn crop(image: &Image, share: [f64; 4]) -> Image {
    let sides = [image.width(), image.height(), image.width(), image.height()];
    window(image, std::array::from_fn(|k| (share[k] * sides[k] as f64).round() as i64))
}

/// Moves the picture by shares of its sides; what comes from beyond the image is black.
pub(crate) fn shift(image: &Image, x: f64, y: f64) -> Image {
    crop(image, [x, y, -x, -y])
}

fn scale(image: &Image, factor: f64) -> Image {
    let side = |n: usize| (n as f64 * factor).round() as usize;
    resize_image(image, side(image.width()), side(image.height()))
}

fn values(image: &Image, f: impl Fn(f64) -> f64) -> Image {
    let data = image.data().iter().map(|&v| f(f64::from(v)).round().clamp(0.0, 255.0) as u8).collect();
    rebuilt(image.width(), image.height(), image.channels(), data)
}

fn gamma(image: &Image, exponent: f64) -> Image {
    values(image, |v| 255.0 * (v / 255.0).powf(exponent))
}

fn mirror(image: &Image) -> Image {
    let (width, channels) = (image.width(), image.channels());
    let rows = image.data().chunks_exact(width * channels);
    let data = rows.flat_map(|row| row.chunks_exact(channels).rev().flatten().copied()).collect();
    rebuilt(width, image.height(), channels, data)
}

fn jpeg(image: &Image, quality: u8) -> Image {
    let (width, height) = (image.width() as u32, image.height() as u32);
    let colour = if image.channels() == 1 { L8 } else { Rgb8 };
    let mut bytes = Vec::new();
    let coded = JpegEncoder::new_with_quality(&mut bytes, quality).encode(image.data(), width, height, colour);
    let decoded = coded.and_then(|()| image::load_from_memory(&bytes));
    let decoded = decoded.unwrap_or_else(|error| unreachable!("an image that was just coded: {error}"));
    let data = if image.channels() == 1 { decoded.to_luma8().into_raw() } else { decoded.to_rgb8().into_raw() };
    rebuilt(image.width(), image.height(), image.channels(), data)
}
