//! How well near duplicates are found: makes changed copies of every image of a set, and counts the copies that are found and the
//! pairs of different images that are named.
//!
//! ```text
//! cargo run -p medseg-data --example near_duplicates -- FOLDER          # a data set as its publisher ships it
//! cargo run -p medseg-data --example near_duplicates -- angiogram 200   # our own: angiogram, octa or fundus
//! cargo run -p medseg-data --example near_duplicates -- many 10000      # the time of a large set
//! ```

use image::ExtendedColorType::{L8, Rgb8};
use image::codecs::jpeg::JpegEncoder;
use medseg_data::check::{DuplicatePair, ImagePrint, NEAR_DUPLICATE, duplicates};
use medseg_data::decode::Limits;
use medseg_data::transform::resize_image;
use medseg_data::{Dataset, Image, synth};
use rayon::prelude::*;
use std::collections::BTreeSet;
use std::error::Error;
use std::path::Path;
use std::time::Instant;

type Change = Box<dyn Fn(&Image) -> Image + Sync>;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let count = arguments.get(1).map_or(Ok(100), |n| n.parse())?;
    match arguments.first().map(String::as_str) {
        Some("many") => many(count),
        Some(kind @ ("angiogram" | "octa" | "fundus")) => {
            rates(
                &(0..count).into_par_iter().map(|k| (format!("{kind} {k}"), drawn(kind, 512, k))).collect::<Vec<_>>(),
            );
        }
        Some(folder) => {
            let data = Dataset::open(Path::new(folder))?;
            let load = |s: &medseg_data::Sample| Ok((s.id.clone(), s.load_image(&Limits::default())?));
            let images: medseg_data::Result<Vec<_>> = data.samples.par_iter().map(load).collect();
            println!("{}", data.description);
            rates(&images?);
        }
        None => return Err("give a folder, or `angiogram`, `octa`, `fundus` or `many` and a number".into()),
    }
    Ok(())
}

/// An image of our own. A `fundus` shares frame, field of view, shading and optic disc with every other; only the vessels differ.
fn drawn(kind: &str, side: usize, number: u64) -> Image {
    match kind {
        "angiogram" => return synth::angiogram(side, 42, number).image,
        "octa" => return synth::octa(side, 42, number).image,
        _ => {}
    }
    let vessels = synth::octa(side, 42, number).mask;
    let mut pixels = Vec::with_capacity(3 * side * side);
    for (i, vessel) in vessels.data().iter().enumerate() {
        let place = |k: usize| 2.0 * k as f32 / side as f32 - 1.0;
        let (x, y) = (place(i % side), place(i / side));
        let shade = 1.0 - 0.4 * (x * x + y * y);
        let disc = 80.0 * (-((x - 0.55).powi(2) + y * y) / 0.02).exp();
        let dark = if *vessel == 1 { 0.75 } else { 1.0 };
        let inside = f32::from(u8::from(x * x + y * y < 0.92));
        let colour = |base: f32| (inside * dark * (base * shade + disc)).clamp(0.0, 255.0) as u8;
        pixels.extend([colour(190.0), colour(100.0), colour(50.0)]);
    }
    // A camera is not as sharp as a mask.
    let sharp = Image::new(side, side, 3, pixels).unwrap_or_else(|| unreachable!("three bytes a pixel"));
    resize_image(&resize_image(&sharp, side / 2, side / 2), side, side)
}

/// The table of a set.
fn rates(images: &[(String, Image)]) {
    let prints: Vec<ImagePrint> = images.par_iter().map(|(_, image)| ImagePrint::new(image)).collect();
    let near = Some(NEAR_DUPLICATE);
    let known = duplicates(&prints, near);
    println!("{} images, {} pairs; named as they are:", images.len(), images.len() * (images.len() - 1) / 2);
    for pair in &known {
        println!("  {} and {}: {}", images[pair.first].0, images[pair.second].0, describe(pair));
    }
    if let Some(next) = closest(&prints, &known) {
        println!("  the most alike of the others: {:.2}", next);
    }
    let known: BTreeSet<(usize, usize)> = known.iter().map(|p| (p.first, p.second)).collect();
    println!("\n| change | found | lowest correlation | different pairs named |\n|---|---|---|---|");
    for (name, change) in changes() {
        let copies = images.par_iter().map(|(_, image)| ImagePrint::new(&change(image)));
        let all: Vec<ImagePrint> = prints.par_iter().cloned().chain(copies).collect();
        let pairs = duplicates(&all, near);
        let n = images.len();
        let (own, other): (Vec<&DuplicatePair>, Vec<&DuplicatePair>) =
            pairs.iter().partition(|p| p.second == p.first + n);
        let stranger = |p: &&&DuplicatePair| {
            let (a, b) = (p.first % n, p.second % n);
            !known.contains(&(a.min(b), a.max(b)))
        };
        let lowest = own.iter().map(|p| p.correlation).fold(1.0, f32::min);
        println!("| {name} | {} of {n} | {lowest:.2} | {} |", own.len(), other.iter().filter(stranger).count());
    }
}

fn describe(pair: &DuplicatePair) -> String {
    let mirrored = if pair.mirrored { ", mirrored" } else { "" };
    if pair.same_pixels { "the same pixels".to_owned() } else { format!("{:.2}{mirrored}", pair.correlation) }
}

/// The highest correlation of the pairs that are not named.
fn closest(prints: &[ImagePrint], known: &[DuplicatePair]) -> Option<f32> {
    let known: BTreeSet<(usize, usize)> = known.iter().map(|p| (p.first, p.second)).collect();
    let others = duplicates(prints, Some(-1.0));
    let rest = others.iter().filter(|p| !known.contains(&(p.first, p.second)));
    rest.map(|p| p.correlation).max_by(f32::total_cmp)
}

/// `count` small angiograms and a hundred shifted copies among them.
fn many(count: u64) {
    let start = Instant::now();
    let mut images: Vec<Image> = (0..count).into_par_iter().map(|k| drawn("angiogram", 128, k)).collect();
    let copies = images.len().min(100);
    images.extend_from_within(..copies);
    let n = images.len();
    for image in &mut images[n - copies..] {
        *image = window(image, [3, 2, 0, 0]);
    }
    println!("drawn in {:.1} s", start.elapsed().as_secs_f64());
    let start = Instant::now();
    let prints: Vec<ImagePrint> = images.par_iter().map(ImagePrint::new).collect();
    println!("{n} prints in {:.1} s", start.elapsed().as_secs_f64());
    let start = Instant::now();
    let pairs = duplicates(&prints, Some(NEAR_DUPLICATE));
    println!("{} pairs compared in {:.1} s", n * (n - 1) / 2, start.elapsed().as_secs_f64());
    let right = pairs.iter().filter(|p| p.second == p.first + n - copies).count();
    println!("{right} of {copies} copies found, {} other pairs named", pairs.len() - right);
    pairs.iter().filter(|p| p.second != p.first + n - copies).take(10).for_each(|p| println!("  {p:?}"));
}

fn changes() -> Vec<(&'static str, Change)> {
    let change = |name, f: fn(&Image) -> Image| (name, Box::new(f) as Change);
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

fn shift(image: &Image, x: f64, y: f64) -> Image {
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
