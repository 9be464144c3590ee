//! Image files of every format and depth.

use super::{Result, Seed, seed};
use image::{DynamicImage, GrayImage, ImageBuffer, ImageFormat, Luma, Rgb, RgbImage, Rgba, RgbaImage};
use std::io::Cursor;
use tiff::encoder::{Compression, TiffEncoder, colortype};

const WIDTH: u32 = 11;
const HEIGHT: u32 = 7;

fn grey() -> GrayImage {
    GrayImage::from_fn(WIDTH, HEIGHT, |x, y| Luma([(x * 20 + y * 5) as u8]))
}

fn mask() -> GrayImage {
    GrayImage::from_fn(WIDTH, HEIGHT, |x, y| Luma([if (2..5).contains(&y) && x > 1 { 255 } else { 0 }]))
}

fn encoded(image: &DynamicImage, format: ImageFormat) -> Result<Vec<u8>> {
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, format)?;
    Ok(bytes.into_inner())
}

/// A PNG of chunks that the encoder does not write: few bits, a palette with transparency, rows in seven passes.
fn png(header: &[u8], chunks: &[(&[u8; 4], &[u8])], rows: &[u8]) -> Vec<u8> {
    let mut out = b"\x89PNG\r\n\x1a\n".to_vec();
    let mut zlib = vec![0x78, 0x01, 0x01, rows.len() as u8, 0, !(rows.len() as u8), 0xff];
    zlib.extend_from_slice(rows);
    let (mut a, mut b) = (1u32, 0u32);
    for &byte in rows {
        a = (a + u32::from(byte)) % 65_521;
        b = (b + a) % 65_521;
    }
    zlib.extend((b << 16 | a).to_be_bytes());
    let mut chunk = |kind: &[u8], data: &[u8]| {
        out.extend((data.len() as u32).to_be_bytes());
        let body = [kind, data].concat();
        let crc = body.iter().fold(u32::MAX, |crc, &byte| {
            (0..8).fold(crc ^ u32::from(byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 })
        });
        out.extend(body);
        out.extend((!crc).to_be_bytes());
    };
    chunk(b"IHDR", header);
    for (kind, data) in chunks {
        chunk(*kind, data);
    }
    chunk(b"IDAT", &zlib);
    chunk(b"IEND", &[]);
    out
}

fn tiffs() -> Result<Vec<(&'static str, Vec<u8>)>> {
    let (width, height) = (WIDTH, HEIGHT);
    let count = (width * height) as usize;
    let whole: Vec<u16> = (0..count).map(|at| (at * 800) as u16).collect();
    let floats: Vec<f32> = (0..count).map(|at| at as f32 / count as f32).collect();
    let bytes = grey().into_raw();
    let mut deep = Cursor::new(Vec::new());
    TiffEncoder::new(&mut deep)?.write_image::<colortype::Gray16>(width, height, &whole)?;
    let mut float = Cursor::new(Vec::new());
    TiffEncoder::new(&mut float)?.write_image::<colortype::Gray32Float>(width, height, &floats)?;
    let mut pages = Cursor::new(Vec::new());
    {
        let mut encoder = TiffEncoder::new(&mut pages)?.with_compression(Compression::Lzw);
        encoder.write_image::<colortype::Gray8>(width, height, &bytes)?;
        encoder.write_image::<colortype::Gray8>(width, height, &mask().into_raw())?;
    }
    let mut big = Cursor::new(Vec::new());
    TiffEncoder::new_big(&mut big)?
        .with_compression(Compression::Packbits)
        .write_image::<colortype::Gray8>(width, height, &bytes)?;
    Ok(vec![
        ("sixteen-bits.tif", deep.into_inner()),
        ("floats.tif", float.into_inner()),
        ("pages.tif", pages.into_inner()),
        ("big.tif", big.into_inner()),
    ])
}

pub(super) fn all() -> Result<Vec<Seed>> {
    let colour = RgbImage::from_fn(WIDTH, HEIGHT, |x, y| Rgb([(x * 20) as u8, (y * 30) as u8, 90]));
    let clear = RgbaImage::from_fn(WIDTH, HEIGHT, |x, y| Rgba([(x * 20) as u8, (y * 30) as u8, 90, (x * 23) as u8]));
    let wide: ImageBuffer<Luma<u16>, Vec<u16>> =
        ImageBuffer::from_fn(WIDTH, HEIGHT, |x, y| Luma([(x * 5000 + y) as u16]));
    let smooth = GrayImage::from_fn(24, 17, |x, y| Luma([(x * 9 + y * 2) as u8]));
    let mut seeds = vec![
        seed("image", "grey.png", encoded(&grey().into(), ImageFormat::Png)?),
        seed("image", "mask.png", encoded(&mask().into(), ImageFormat::Png)?),
        seed("image", "alpha.png", encoded(&clear.into(), ImageFormat::Png)?),
        seed("image", "sixteen-bits.png", encoded(&wide.into(), ImageFormat::Png)?),
        seed("image", "one-bit.png", png(&[0, 0, 0, 8, 0, 0, 0, 1, 1, 0, 0, 0, 0], &[], &[0, 0b1010_0101])),
        seed(
            "image",
            "palette.png",
            png(
                &[0, 0, 0, 2, 0, 0, 0, 1, 8, 3, 0, 0, 0],
                &[(b"PLTE", &[10, 20, 30, 255, 255, 255]), (b"tRNS", &[0, 128])],
                &[0, 0, 1],
            ),
        ),
        seed("image", "passes.png", png(&[0, 0, 0, 2, 0, 0, 0, 2, 8, 0, 0, 0, 1], &[], &[0, 9, 0, 50, 0, 200, 255])),
        seed("image", "grey.jpg", encoded(&smooth.into(), ImageFormat::Jpeg)?),
        seed("image", "colour.jpg", encoded(&colour.clone().into(), ImageFormat::Jpeg)?),
        seed("image", "grey.bmp", encoded(&grey().into(), ImageFormat::Bmp)?),
        seed("image", "colour.bmp", encoded(&colour.clone().into(), ImageFormat::Bmp)?),
        seed("image", "colour.ppm", encoded(&colour.clone().into(), ImageFormat::Pnm)?),
        seed("image", "text.pgm", "P2\n# a comment\n3 2\n255\n0 10 20\n30 40 255\n"),
        seed("image", "bits.pbm", "P1\n4 2\n0 1 0 1\n1 0 1 0\n"),
        seed("image", "colour.gif", encoded(&DynamicImage::from(colour).into_rgba8().into(), ImageFormat::Gif)?),
        seed("image", "colour.tif", encoded(&DynamicImage::from(grey()).into_rgb8().into(), ImageFormat::Tiff)?),
    ];
    seeds.extend(tiffs()?.into_iter().map(|(name, bytes)| seed("image", name, bytes)));
    Ok(seeds)
}
