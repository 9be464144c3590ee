//! Image files of every kind, and files that mean harm.

use crate::support::{fixture, grey};
use image::{DynamicImage, ExtendedColorType};
use medseg_data::decode::{
    ExifOrientation, ImageOptions, IntensityRange, Limits, Loss, Pages, decode_image as decode_with, inspect_image,
};
use medseg_data::{DataError, Image};
use std::path::Path;

fn decode_image(path: impl AsRef<Path>, limits: &Limits) -> Result<Image, DataError> {
    decode_with(path, limits, &ImageOptions::default())
}

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
pub(crate) fn png(header: &[u8], palette: &[u8], row: &[u8]) -> Vec<u8> {
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
    let found = 0x3fff * 0x3fff * 8;
    assert!(matches!(error, DataError::Limit { found: f, limit: 536_870_912, .. } if f == found), "{error}");
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

/// An animated PNG is read as its first frame, and that is said; a compressed BMP ends where its header says.
#[test]
fn frames_of_png_are_told_and_cut_runs_are_no_image() {
    let dir = folder();
    let path = dir.path().join("a.png");
    grey(&path, 20, 20, |x, _| x as u8);
    let mut bytes = std::fs::read(&path).unwrap();
    // The chunk of three frames behind the header, which ends at 33.
    let chunk = [&[0, 0, 0, 8][..], b"acTL", &[0, 0, 0, 3, 0, 0, 0, 0], &[0xce, 0xed, 0xba, 0xc0]].concat();
    bytes.splice(33..33, chunk);
    std::fs::write(&path, bytes).unwrap();
    assert_eq!(losses(&path, &ImageOptions::default()), [Loss::Pages { count: 3 }]);
    // Two rows of run lengths: eight pixels of the palette's white each, ends of lines, end of the bitmap.
    let runs = [8u8, 1, 0, 0, 8, 1, 0, 0, 0, 1];
    let numbers = |list: &[u32]| list.iter().flat_map(|n| n.to_le_bytes()).collect::<Vec<u8>>();
    let mut bmp = b"BM".to_vec();
    bmp.extend(numbers(&[
        62 + runs.len() as u32,
        0,
        62,
        40,
        8,
        2,
        1 | 8 << 16,
        1,
        runs.len() as u32,
        2835,
        2835,
        2,
        2,
    ]));
    bmp.extend([0, 0, 0, 0, 255, 255, 255, 0]);
    bmp.extend(runs);
    let path = dir.path().join("runs.bmp");
    std::fs::write(&path, &bmp).unwrap();
    assert!(decode_image(&path, &Limits::default()).unwrap().data().iter().all(|&v| v == 255));
    for length in 62..bmp.len() {
        std::fs::write(&path, &bmp[..length]).unwrap();
        assert!(decode_image(&path, &Limits::default()).is_err(), "{length} of {} bytes", bmp.len());
    }
}

/// Every limit is told with what the file asks for and the option that sets another.
#[test]
fn limits_say_what_is_asked_for_and_how_to_allow_it() {
    let dir = folder();
    for extension in ["png", "jpg", "tif", "gif", "bmp", "pgm"] {
        let path = dir.path().join(format!("a.{extension}"));
        grey(&path, 60, 20, |x, y| (x * 4 + y) as u8);
        let narrow = Limits { max_side: 59, ..Limits::default() };
        let error = decode_image(&path, &narrow).unwrap_err();
        assert!(matches!(error, DataError::Limit { found: 60, limit: 59, option: Some("--max-side"), .. }), "{error}");
        let small = Limits { max_decoded_bytes: 1199, ..Limits::default() };
        let error = decode_image(&path, &small).unwrap_err();
        assert!(matches!(error, DataError::Limit { option: Some("--max-decoded"), .. }), "{extension}: {error}");
        let message = error.to_string();
        assert!(message.contains("the limit is 1199") && message.contains(&format!("a.{extension}")), "{message}");
        // What is asked for, and not a byte more, is enough.
        let DataError::Limit { found, .. } = error else { unreachable!("matched above") };
        assert!((1200..=4800).contains(&found), "{extension}: {found}");
        let enough = Limits { max_decoded_bytes: found, ..Limits::default() };
        assert_eq!(decode_image(&path, &enough).unwrap().size(), (60, 20), "{extension}");
    }
}

/// The bytes of a file, cut anywhere, are no image.
#[test]
fn threat_truncated_files() {
    let dir = folder();
    for extension in ["png", "jpg", "tif", "gif", "bmp", "pgm"] {
        let path = dir.path().join(format!("a.{extension}"));
        grey(&path, 40, 24, |x, y| (x * 5 + y * y) as u8);
        let whole = std::fs::read(&path).unwrap();
        assert!(decode_image(&path, &Limits::default()).is_ok());
        for length in (0..whole.len()).step_by(7).chain(whole.len() - 8..whole.len()) {
            std::fs::write(&path, &whole[..length]).unwrap();
            match decode_image(&path, &Limits::default()) {
                Err(error) => assert!(error.to_string().contains(&format!("a.{extension}")), "{error}"),
                Ok(_) => panic!("{extension}: {length} of {} bytes are read as an image", whole.len()),
            }
        }
    }
}

/// Fixtures that the image crate cannot write: progressive, with restarts, with a thumbnail that has an end marker of its own.
#[test]
fn threat_truncated_jpeg_of_every_kind() {
    let dir = folder();
    for name in ["baseline_420.jpg", "progressive.jpg", "restarts.jpg", "thumbnail.jpg"] {
        let whole = std::fs::read(fixture(name)).unwrap();
        let path = dir.path().join(name);
        std::fs::write(&path, &whole).unwrap();
        let image = decode_image(&path, &Limits::default()).unwrap();
        assert_eq!((image.size(), image.channels()), ((48, 40), 3), "{name}");
        for length in 0..whole.len() {
            std::fs::write(&path, &whole[..length]).unwrap();
            assert!(decode_image(&path, &Limits::default()).is_err(), "{name}: {length} of {} bytes", whole.len());
        }
        // What follows the end belongs to nobody.
        std::fs::write(&path, [&whole[..], b"trailing"].concat()).unwrap();
        assert_eq!(decode_image(&path, &Limits::default()).unwrap(), image);
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

fn losses(path: &Path, options: &ImageOptions) -> Vec<Loss> {
    inspect_image(path, &Limits::default(), options).unwrap().1
}

fn wide(path: &Path, value: impl Fn(usize) -> u16) {
    let bytes: Vec<u8> = (0..64 * 64).flat_map(|i| value(i).to_ne_bytes()).collect();
    image::save_buffer(path, &bytes, 64, 64, ExtendedColorType::L16).unwrap();
}

#[test]
fn narrow_ranges_are_told_and_can_be_spread() {
    let dir = folder();
    let path = dir.path().join("twelve.png");
    for (bits, left) in [(10u32, 5usize), (12, 17), (14, 65), (15, 128)] {
        wide(&path, |i| (i % (1 << bits)) as u16 * if bits == 15 { 8 } else { 1 });
        let found = losses(&path, &ImageOptions::default());
        let told = found
            .iter()
            .any(|loss| matches!(loss, Loss::GreyLevels { left: l, .. } if *l <= left && l + 2 > left.min(17)));
        assert!(told, "{bits} bits: {found:?}");
        assert!(found[0].to_string().contains("grey levels are left"), "{}", found[0]);
        let own = ImageOptions { range: IntensityRange::Own, ..ImageOptions::default() };
        let (image, found) = inspect_image(&path, &Limits::default(), &own).unwrap();
        assert_eq!((image.data().iter().min(), image.data().iter().max()), (Some(&0), Some(&255)));
        assert_eq!(found, [], "{bits} bits");
    }
    // A dead and a hot pixel: percentiles pass over them.
    wide(&path, |i| [0, 65_535].get(i).copied().unwrap_or(1000 + (i % 1024) as u16));
    let percentiles = ImageOptions { range: IntensityRange::Percentiles([1.0, 99.0]), ..ImageOptions::default() };
    let image = decode_with(&path, &Limits::default(), &percentiles).unwrap();
    assert_eq!(image.data()[..2], [0, 255]);
    assert_eq!(image.data()[2..].iter().collect::<std::collections::BTreeSet<_>>().len(), 256);
    // The whole range of 16 bits leaves 256 levels of 4096, which is all that 8 bits have.
    wide(&path, |i| (i * 16) as u16);
    assert_eq!(losses(&path, &ImageOptions::default()), []);
    // Few values lose nothing.
    wide(&path, |i| (i % 3) as u16 * 257);
    assert_eq!(losses(&path, &ImageOptions::default()), []);
    grey(&path, 30, 30, |_, _| 77);
    assert_eq!(losses(&path, &ImageOptions::default()), [Loss::Blank { value: 77 }]);
}

#[test]
fn bits_of_portable_grey_maps_are_scaled_by_their_own_white() {
    let dir = folder();
    let path = dir.path().join("a.pgm");
    for (white, expected) in [(1u16, [0u8, 255]), (15, [0, 17]), (4095, [0, 0]), (255, [0, 1])] {
        let mut bytes = format!("P5 2 1 {white}\n").into_bytes();
        for value in [0u16, 1] {
            bytes.extend(if white > 255 { value.to_be_bytes().to_vec() } else { vec![value as u8] });
        }
        std::fs::write(&path, bytes).unwrap();
        assert_eq!(decode_image(&path, &Limits::default()).unwrap().data(), expected, "white is {white}");
    }
    // A bitmap: 1 is black, packed or in letters.
    for bytes in [&b"P4 8 1\n\xa5"[..], b"P1 8 1\n1 0 1 0 0 1 0 1"] {
        std::fs::write(&path, bytes).unwrap();
        assert_eq!(decode_image(&path, &Limits::default()).unwrap().data(), [0, 255, 0, 255, 255, 0, 255, 0]);
    }
}

#[test]
fn pages_are_told_chosen_and_projected() {
    let dir = folder();
    let path = dir.path().join("pages.tif");
    let mut encoder = tiff::encoder::TiffEncoder::new(std::fs::File::create(&path).unwrap()).unwrap();
    for page in 0..3u8 {
        let pixels: Vec<u8> = (0..6).map(|i| if i == page { 10 } else { 100 + page }).collect();
        encoder.write_image::<tiff::encoder::colortype::Gray8>(6, 1, &pixels).unwrap();
    }
    drop(encoder);
    let read = |pages| {
        let options = ImageOptions { pages, ..ImageOptions::default() };
        inspect_image(&path, &Limits::default(), &options)
    };
    let number = |n: usize| Pages::Number(n.try_into().unwrap());
    assert_eq!(read(Pages::First).unwrap().1, [Loss::Pages { count: 3 }]);
    assert_eq!(read(Pages::First).unwrap().0.data(), [10, 100, 100, 100, 100, 100]);
    assert_eq!(read(number(3)).unwrap().0.data(), [102, 102, 10, 102, 102, 102]);
    let (lowest, found) = read(Pages::Minimum).unwrap();
    assert_eq!((lowest.data(), found), (&[10, 10, 10, 100, 100, 100][..], vec![]));
    let error = read(number(4)).unwrap_err().to_string();
    assert!(error.contains("page 4, found 3"), "{error}");
    grey(dir.path().join("one.png"), 9, 9, |x, y| (x * y) as u8);
    let options = ImageOptions { pages: number(2), ..ImageOptions::default() };
    assert!(decode_with(dir.path().join("one.png"), &Limits::default(), &options).is_err());
}

#[test]
fn orientations_are_told_or_applied() {
    let dir = folder();
    // A JPEG whose left upper quarter is bright, with an EXIF segment in front.
    let plain = dir.path().join("plain.jpg");
    grey(&plain, 48, 32, |x, y| if x < 24 && y < 16 { 250 } else { 5 });
    let bytes = std::fs::read(&plain).unwrap();
    // (value, size after turning, where the bright quarter is then: column, row)
    let cases = [
        (2u8, (48, 32), (40, 5)),
        (3, (48, 32), (40, 28)),
        (4, (48, 32), (5, 28)),
        (5, (32, 48), (5, 5)),
        (6, (32, 48), (28, 5)),
        (7, (32, 48), (28, 40)),
        (8, (32, 48), (5, 40)),
    ];
    for (value, size, (column, row)) in cases {
        let mut exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0".to_vec();
        exif.extend([value, 0, 0, 0, 0, 0, 0, 0]);
        let mut turned = bytes[..2].to_vec();
        turned.extend([0xff, 0xe1]);
        turned.extend((exif.len() as u16 + 2).to_be_bytes());
        turned.extend(exif);
        turned.extend(&bytes[2..]);
        let path = dir.path().join("turned.jpg");
        std::fs::write(&path, turned).unwrap();
        let (stored, found) = inspect_image(&path, &Limits::default(), &ImageOptions::default()).unwrap();
        assert_eq!((stored.size(), found), ((48, 32), vec![Loss::Orientation { value }]));
        let options = ImageOptions { orientation: ExifOrientation::Apply, ..ImageOptions::default() };
        let (image, found) = inspect_image(&path, &Limits::default(), &options).unwrap();
        assert_eq!((image.size(), found), (size, vec![]), "orientation {value}");
        assert!(image.data()[row * size.0 + column] > 200, "orientation {value}");
        assert_eq!(image.data().iter().filter(|&&v| v > 128).count(), 24 * 16, "orientation {value}");
    }
}

#[test]
fn transparency_and_foreign_colours_are_told() {
    let dir = folder();
    let path = dir.path().join("alpha.png");
    let pixels: Vec<u8> = (0..100u8).flat_map(|i| [i, i, 9, if i < 25 { 0 } else { 255 }]).collect();
    image::save_buffer(&path, &pixels, 10, 10, ExtendedColorType::Rgba8).unwrap();
    assert_eq!(losses(&path, &ImageOptions::default()), [Loss::Transparency { share: 0.25 }]);
    let opaque: Vec<u8> = (0..100u8).flat_map(|i| [i, i, 9, 255]).collect();
    image::save_buffer(&path, &opaque, 10, 10, ExtendedColorType::Rgba8).unwrap();
    assert_eq!(losses(&path, &ImageOptions::default()), []);
    for (name, told) in [("sRGB IEC61966-2.1", false), ("Display P3", true), ("Adobe RGB (1998)", true)] {
        use image::ImageEncoder;
        // A profile of version 2 with nothing but its description.
        let mut profile = vec![0u8; 128];
        profile.extend([0, 0, 0, 1, b'd', b'e', b's', b'c', 0, 0, 0, 144]);
        profile.extend((12 + name.len() as u32 + 1).to_be_bytes());
        profile.extend(b"desc\0\0\0\0");
        profile.extend((name.len() as u32 + 1).to_be_bytes());
        profile.extend(name.as_bytes());
        profile.push(0);
        let mut bytes = Vec::new();
        let mut encoder = image::codecs::png::PngEncoder::new(&mut bytes);
        encoder.set_icc_profile(profile).unwrap();
        encoder.write_image(&opaque, 10, 10, ExtendedColorType::Rgba8).unwrap();
        std::fs::write(&path, bytes).unwrap();
        let found = losses(&path, &ImageOptions::default());
        assert_eq!(found.iter().any(|l| matches!(l, Loss::ColourProfile { name: n } if n == name)), told, "{found:?}");
    }
}
