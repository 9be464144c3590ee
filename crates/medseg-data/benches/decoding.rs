//! Speed of decoding: one angiogram of 1024 x 1024 pixels in every common format, and what the strict reading of JPEG costs beside
//! the lenient one that fills what is missing with grey.
//!
//! ```text
//! cargo bench --profile dev -p medseg-data --bench decoding
//! ```
//!
//! The line before the first benchmark compares the two readings of JPEG in turn, so that a busy machine is as slow for both.

#![allow(missing_docs, reason = "criterion's macros")]
#![allow(clippy::unwrap_used, reason = "a benchmark without its data cannot go on")]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use image::codecs::jpeg::JpegEncoder;
use image::{DynamicImage, GrayImage, ImageFormat};
use medseg_data::decode::{ImageOptions, Limits, decode_image_bytes};
use medseg_data::synth;
use std::hint::black_box;
use std::io::Cursor;
use std::path::Path;
use std::time::{Duration, Instant};
use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;

const SIDE: usize = 1024;

/// The same picture in each format.
fn files() -> Vec<(&'static str, Vec<u8>)> {
    let pixels = synth::angiogram(SIDE, 1, 0).image.to_grey().into_data();
    let grey = DynamicImage::ImageLuma8(GrayImage::from_raw(SIDE as u32, SIDE as u32, pixels).unwrap());
    let colour = DynamicImage::ImageRgb8(grey.to_rgb8());
    let sixteen = DynamicImage::ImageLuma16(grey.to_luma16());
    let in_format = |image: &DynamicImage, format| {
        let mut bytes = Cursor::new(Vec::new());
        image.write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    };
    let jpeg = |image: &DynamicImage| {
        let mut bytes = Vec::new();
        image.write_with_encoder(JpegEncoder::new_with_quality(&mut bytes, 90)).unwrap();
        bytes
    };
    vec![
        ("png, grey", in_format(&grey, ImageFormat::Png)),
        ("png, colour", in_format(&colour, ImageFormat::Png)),
        ("png, 16 bits", in_format(&sixteen, ImageFormat::Png)),
        ("jpeg, grey", jpeg(&grey)),
        ("jpeg, colour", jpeg(&colour)),
        ("tiff, grey", in_format(&grey, ImageFormat::Tiff)),
        ("tiff, 16 bits", in_format(&sixteen, ImageFormat::Tiff)),
        ("bmp, colour", in_format(&colour, ImageFormat::Bmp)),
        ("pgm", in_format(&grey, ImageFormat::Pnm)),
    ]
}

fn ours(bytes: &[u8]) -> usize {
    let image = decode_image_bytes(Path::new("bench"), bytes, &Limits::default(), &ImageOptions::default());
    image.unwrap().data().len()
}

/// The decoder below ours as it comes: what is missing becomes grey.
fn lenient(bytes: &[u8]) -> usize {
    let options = DecoderOptions::default().set_strict_mode(false);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers().unwrap();
    let grey = decoder.input_colorspace() == Some(ColorSpace::Luma);
    let wanted = if grey { ColorSpace::Luma } else { ColorSpace::RGB };
    decoder.set_options(decoder.options().jpeg_set_out_colorspace(wanted));
    decoder.decode().unwrap().len()
}

/// The median time of the strict reading over that of the lenient one, each pair of runs in turn.
fn strictness(bytes: &[u8]) -> f64 {
    let timed = |decode: fn(&[u8]) -> usize| -> Duration {
        let start = Instant::now();
        black_box(decode(black_box(bytes)));
        start.elapsed()
    };
    let mut ratios: Vec<f64> = (0..100).map(|_| timed(ours).as_secs_f64() / timed(lenient).as_secs_f64()).collect();
    ratios.sort_by(f64::total_cmp);
    ratios[ratios.len() / 2]
}

fn decoding(criterion: &mut Criterion) {
    let files = files();
    for (name, bytes) in files.iter().filter(|(name, _)| name.starts_with("jpeg")) {
        println!("{name}: strict over lenient {:.3}", strictness(bytes));
    }
    let mut group = criterion.benchmark_group("decode 1024 x 1024");
    group.throughput(Throughput::Elements((SIDE * SIDE) as u64));
    for (name, bytes) in &files {
        group.bench_function(*name, |bencher| bencher.iter(|| ours(black_box(bytes))));
        if name.starts_with("jpeg") {
            group.bench_function(format!("{name}, lenient"), |bencher| bencher.iter(|| lenient(black_box(bytes))));
        }
    }
    group.finish();
}

criterion_group!(benches, decoding);
criterion_main!(benches);
