//! Image files of every kind, and files that mean harm.

use crate::support::{bar, grey};
use image::{DynamicImage, ExtendedColorType};
use medseg_data::DataError;
use medseg_data::decode::{Limits, MaskPolicy, decode_image, decode_mask};
use std::path::PathBuf;

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

#[test]
fn every_format_and_depth_decodes() {
    let dir = folder();
    let (width, height) = (13u32, 9u32);
    let grey8 = image::GrayImage::from_fn(width, height, |x, y| image::Luma([(x * 11 + y * 7) as u8]));
    let expected = grey8.as_raw().clone();
    for extension in ["png", "tif", "bmp", "pgm", "gif"] {
        let path = dir.path().join(format!("a.{extension}"));
        grey(&path, width as usize, height as usize, |x, y| (x * 11 + y * 7) as u8);
        let decoded = decode_image(&path, &Limits::default()).unwrap();
        assert_eq!(decoded.to_grey().data(), expected, "{extension}");
    }
    let path = dir.path().join("a.jpg");
    grey(&path, 64, 64, |x, _| (x * 3) as u8);
    let decoded = decode_image(&path, &Limits::default()).unwrap();
    assert!(decoded.data().iter().enumerate().all(|(i, &v)| v.abs_diff((i % 64 * 3) as u8) < 12));
    let wide = DynamicImage::ImageLuma8(grey8.clone()).into_luma16();
    let path = dir.path().join("sixteen.png");
    wide.save(&path).unwrap();
    assert_eq!(decode_image(&path, &Limits::default()).unwrap().data(), expected);
    let path = dir.path().join("alpha.png");
    image::save_buffer(&path, &[200, 100, 50, 255, 200, 100, 50, 0], 2, 1, ExtendedColorType::Rgba8).unwrap();
    assert_eq!(decode_image(&path, &Limits::default()).unwrap().data(), [200, 100, 50, 0, 0, 0]);
}

#[test]
fn one_bit_and_palette_png_decode() {
    let dir = folder();
    // Written by hand: the image crate writes neither. 8x1, alternating bits; 2x1 with a palette of two colours.
    let one_bit = png(&[0, 0, 0, 8, 0, 0, 0, 1, 1, 0, 0, 0, 0], &[], &[0, 0b1010_0101]);
    let path = dir.path().join("bits.png");
    std::fs::write(&path, one_bit).unwrap();
    let decoded = decode_image(&path, &Limits::default()).unwrap();
    assert_eq!(decoded.to_grey().data(), [255, 0, 255, 0, 0, 255, 0, 255]);
    let palette = png(&[0, 0, 0, 2, 0, 0, 0, 1, 8, 3, 0, 0, 0], &[10, 20, 30, 255, 255, 255], &[0, 0, 1]);
    let path = dir.path().join("palette.png");
    std::fs::write(&path, palette).unwrap();
    assert_eq!(decode_image(&path, &Limits::default()).unwrap().data(), [10, 20, 30, 255, 255, 255]);
}

/// A png from its header, palette and one stored (not compressed) row.
fn png(header: &[u8], palette: &[u8], row: &[u8]) -> Vec<u8> {
    let mut out = b"\x89PNG\r\n\x1a\n".to_vec();
    let mut zlib = vec![0x78, 0x01, 0x01, row.len() as u8, 0, !(row.len() as u8), 0xff];
    zlib.extend_from_slice(row);
    let (mut a, mut b) = (1u32, 0u32);
    for &byte in row {
        a = (a + u32::from(byte)) % 65_521;
        b = (b + a) % 65_521;
    }
    zlib.extend((b << 16 | a).to_be_bytes());
    let mut chunk = |kind: &[u8], data: &[u8]| {
        out.extend((data.len() as u32).to_be_bytes());
        let body = [kind, data].concat();
        let mut crc = u32::MAX;
        for &byte in &body {
            crc ^= u32::from(byte);
            for _ in 0..8 {
                crc = if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 };
            }
        }
        out.extend(body);
        out.extend((!crc).to_be_bytes());
    };
    chunk(b"IHDR", header);
    if !palette.is_empty() {
        chunk(b"PLTE", palette);
    }
    chunk(b"IDAT", &zlib);
    chunk(b"IEND", &[]);
    out
}

#[test]
fn threat_huge_header() {
    let dir = folder();
    let path = dir.path().join("huge.png");
    // 2^31 - 1 pixels a side, then nothing.
    std::fs::write(&path, png(&[0x7f, 0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff, 8, 0, 0, 0, 0], &[], &[0])).unwrap();
    let error = decode_image(&path, &Limits::default()).unwrap_err();
    assert!(matches!(error, DataError::Limit { found: 0x7fff_ffff, limit: 16_384, .. }), "{error}");
    assert!(error.to_string().contains("huge.png"));
    // Allowed sides, but more bytes than allowed.
    let path = dir.path().join("big.png");
    std::fs::write(&path, png(&[0, 0, 0x3f, 0xff, 0, 0, 0x3f, 0xff, 16, 6, 0, 0, 0], &[], &[0])).unwrap();
    let error = decode_image(&path, &Limits::default()).unwrap_err();
    assert!(error.to_string().contains("limit of 536870912 bytes"), "{error}");
}

#[test]
fn threat_large_file() {
    let dir = folder();
    let path = dir.path().join("a.png");
    grey(&path, 40, 40, |x, y| (x * y) as u8);
    let limits = Limits { max_file_bytes: 50, ..Limits::default() };
    let error = decode_image(&path, &limits).unwrap_err();
    assert!(matches!(error, DataError::Limit { limit: 50, what: "file size in bytes", .. }), "{error}");
}

#[test]
fn threat_zero_bytes_and_wrong_content() {
    let dir = folder();
    let path = dir.path().join("a.png");
    std::fs::write(&path, []).unwrap();
    assert!(decode_image(&path, &Limits::default()).unwrap_err().to_string().contains("no bytes"));
    std::fs::write(&path, "this is text").unwrap();
    let error = decode_image(&path, &Limits::default()).unwrap_err().to_string();
    assert!(error.contains("a.png") && error.contains("74 68 69 73"), "{error}");
    let missing = decode_image(dir.path().join("b.png"), &Limits::default()).unwrap_err();
    assert!(matches!(missing, DataError::Io { .. }));
}

#[test]
fn threat_wrong_extension_is_told_by_content() {
    let dir = folder();
    let png = dir.path().join("a.png");
    grey(&png, 20, 20, |x, _| x as u8);
    let renamed = dir.path().join("a.jpg");
    std::fs::rename(&png, &renamed).unwrap();
    assert_eq!(decode_image(&renamed, &Limits::default()).unwrap().data()[3], 3);
}

#[test]
fn threat_truncated_files() {
    let dir = folder();
    for extension in ["png", "jpg", "tif", "gif", "bmp", "pgm"] {
        let path = dir.path().join(format!("a.{extension}"));
        grey(&path, 48, 40, |x, y| (x * 5 + y * y) as u8);
        let whole = std::fs::read(&path).unwrap();
        for part in 1..16 {
            std::fs::write(&path, &whole[..whole.len() * part / 16]).unwrap();
            // A decoder may be able to do without the last bytes (jpeg is); it must neither panic nor hang, and an error names
            // the file.
            if let Err(error) = decode_image(&path, &Limits::default()) {
                assert!(error.to_string().contains(&format!("a.{extension}")), "{error}");
            } else {
                assert!(part > 1, "{extension}: a sixteenth of a file is no image");
            }
        }
    }
}

#[test]
fn threat_flipped_bytes_do_not_panic() {
    let dir = folder();
    let mut stream = medseg_data::random::Stream::seeded(5, "flips");
    for extension in ["png", "jpg", "tif", "gif", "bmp", "pgm"] {
        let path = dir.path().join(format!("a.{extension}"));
        grey(&path, 32, 32, |x, y| (x * 5 + y * y) as u8);
        let whole = std::fs::read(&path).unwrap();
        for _ in 0..40 {
            let mut bytes = whole.clone();
            for _ in 0..3 {
                let at = stream.below(bytes.len() as u32) as usize;
                bytes[at] = stream.next_u32() as u8;
            }
            std::fs::write(&path, bytes).unwrap();
            let _ = decode_image(&path, &Limits::default());
        }
    }
}

fn mask(name: &str, values: impl Fn(usize, usize) -> u8, policy: MaskPolicy) -> Result<Vec<u8>, (String, DataError)> {
    let dir = folder();
    let path: PathBuf = dir.path().join(name);
    grey(&path, 24, 20, values);
    decode_mask(&path, &Limits::default(), policy).map(|m| m.data().to_vec()).map_err(|e| (e.to_string(), e))
}

#[test]
fn masks_are_thresholded_as_stated() {
    let soft = |x: usize, _: usize| [0, 0, 60, 127, 128, 255, 255, 230][x.min(7)];
    let ones = |policy| mask("m.png", soft, policy).unwrap()[..8].to_vec();
    assert_eq!(ones(MaskPolicy::default()), [0, 0, 0, 0, 1, 1, 1, 1]);
    assert_eq!(ones(MaskPolicy::any_positive()), [0, 0, 1, 1, 1, 1, 1, 1]);
    let labels = mask("m.png", |x, _| u8::from(x > 3), MaskPolicy::default()).unwrap();
    assert_eq!(labels.iter().map(|&v| usize::from(v)).sum::<usize>(), 20 * 20, "0/1 masks need no threshold");
    let (text, _) = mask("m.png", soft, MaskPolicy { threshold: 0, allow_empty: false }).unwrap_err();
    assert!(text.contains("threshold"));
}

#[test]
fn empty_masks_are_errors_unless_allowed() {
    let (text, error) = mask("m.png", |_, _| 0, MaskPolicy::default()).unwrap_err();
    assert!(matches!(error, DataError::EmptyMask { largest: 0, .. }) && text.contains("m.png"), "{text}");
    let (text, _) = mask("m.png", |x, _| (x % 2 * 100) as u8, MaskPolicy::default()).unwrap_err();
    assert!(text.contains("largest value 100"), "{text}");
    let allowed = MaskPolicy { allow_empty: true, ..MaskPolicy::default() };
    assert!(mask("m.png", |_, _| 0, allowed).unwrap().iter().all(|&v| v == 0));
}

#[test]
fn multi_class_masks_are_errors() {
    let (text, error) = mask("m.png", |x, _| (x / 8) as u8, MaskPolicy::default()).unwrap_err();
    assert!(matches!(error, DataError::MultiClassMask { .. }) && text.contains("0, 1, 2"), "{text}");
    let (text, _) = mask("m.png", |x, _| [0, 120, 255][x / 8], MaskPolicy::default()).unwrap_err();
    assert!(text.contains("0, 120, 255"), "{text}");
    let dir = folder();
    let path = dir.path().join("colour.png");
    image::save_buffer(&path, &[255, 0, 0, 0, 0, 255], 2, 1, ExtendedColorType::Rgb8).unwrap();
    let error = decode_mask(&path, &Limits::default(), MaskPolicy::default()).unwrap_err();
    assert!(error.to_string().contains("(255, 0, 0)"), "{error}");
    bar(dir.path().join("fine.jpg"), 64, 64);
    assert!(decode_mask(dir.path().join("fine.jpg"), &Limits::default(), MaskPolicy::default()).is_ok(), "jpeg noise");
}
