//! Masks by the values of their files: every depth and layout, label maps, what is refused.

use crate::decoding::png;
use crate::support::grey;
use image::{ExtendedColorType, ImageEncoder};
use medseg_data::decode::{
    DecodedMask, ExifOrientation, ImageOptions, Label, Labels, Limits, MaskPolicy, MaskRule, decode_mask,
};
use medseg_data::{DataError, Dataset, Mask, OpenOptions};
use std::path::{Path, PathBuf};

const WIDTH: usize = 24;
const HEIGHT: usize = 16;

/// A vessel: a thick slanted line.
fn vessel(x: usize, y: usize) -> bool {
    (y * 3).abs_diff(x * 2) < 6
}

fn truth() -> Mask {
    Mask::from_fn(HEIGHT, WIDTH, |row, column| vessel(column, row)).unwrap()
}

fn pixels<T>(value: impl Fn(usize, usize) -> T) -> Vec<T> {
    (0..WIDTH * HEIGHT).map(|i| value(i % WIDTH, i / WIDTH)).collect()
}

fn save(path: &Path, bytes: &[u8], colour: ExtendedColorType) {
    image::save_buffer(path, bytes, WIDTH as u32, HEIGHT as u32, colour).unwrap();
}

fn wide(values: Vec<u16>) -> Vec<u8> {
    values.into_iter().flat_map(u16::to_ne_bytes).collect()
}

fn read(path: &Path, rule: MaskRule, allow_empty: bool) -> Result<DecodedMask, DataError> {
    let policy = MaskPolicy { rule, allow_empty };
    decode_mask(path, &Limits::default(), &ImageOptions::default(), &policy).map(|(mask, _)| mask)
}

fn automatic(path: &Path) -> Result<DecodedMask, DataError> {
    read(path, MaskRule::Automatic, false)
}

fn labels(foreground: &[i64], background: &[i64], ignore: &[i64]) -> MaskRule {
    let list = |values: &[i64]| values.iter().map(|&value| Label::Value(value)).collect();
    let (foreground, background, ignore) = (list(foreground), list(background), list(ignore));
    MaskRule::Labels(Labels { foreground, background, ignore })
}

/// One file of every depth and layout that writes two values.
fn two_valued(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut add = |name: &str, bytes: Vec<u8>, colour| {
        let path = folder.join(name);
        save(&path, &bytes, colour);
        files.push(path);
    };
    for value in [1u8, 2, 100, 127, 128, 254, 255] {
        add(&format!("grey{value}.png"), pixels(|x, y| if vessel(x, y) { value } else { 0 }), ExtendedColorType::L8);
        let sixteen = wide(pixels(|x, y| if vessel(x, y) { u16::from(value) } else { 0 }));
        add(&format!("sixteen{value}.png"), sixteen.clone(), ExtendedColorType::L16);
        add(&format!("sixteen{value}.tif"), sixteen, ExtendedColorType::L16);
    }
    add("white16.png", wide(pixels(|x, y| if vessel(x, y) { 65_535 } else { 0 })), ExtendedColorType::L16);
    let rgb = |ink: [u8; 3]| pixels(|x, y| if vessel(x, y) { ink } else { [0; 3] }).concat();
    for ink in [[255, 255, 255], [255, 0, 0], [0, 0, 7], [128, 128, 128]] {
        let name = format!("rgb{}_{}_{}", ink[0], ink[1], ink[2]);
        for extension in ["png", "bmp", "tif", "ppm"] {
            add(&format!("{name}.{extension}"), rgb(ink), ExtendedColorType::Rgb8);
        }
    }
    let rgba = |drawn: [u8; 4], canvas: [u8; 4]| pixels(|x, y| if vessel(x, y) { drawn } else { canvas }).concat();
    // Ink on a transparent canvas, black ink too; a marker that shines through; the canvas's own colour as ink.
    for (at, (drawn, canvas)) in [
        ([255, 0, 0, 255], [0, 0, 0, 0]),
        ([0, 0, 0, 255], [0, 0, 0, 0]),
        ([0, 0, 0, 255], [255, 255, 255, 0]),
        ([255, 255, 255, 255], [255, 255, 255, 0]),
        ([0, 255, 0, 128], [0, 0, 0, 0]),
        ([255, 255, 255, 255], [0, 0, 0, 255]),
        ([255, 255, 0, 255], [0, 0, 0, 255]),
    ]
    .into_iter()
    .enumerate()
    {
        add(&format!("rgba{at}.png"), rgba(drawn, canvas), ExtendedColorType::Rgba8);
    }
    let grey_alpha =
        |drawn: [u8; 2], canvas: [u8; 2]| pixels(|x, y| if vessel(x, y) { drawn } else { canvas }).concat();
    add("la.png", grey_alpha([0, 255], [0, 0]), ExtendedColorType::La8);
    add("la_opaque.png", grey_alpha([9, 255], [0, 255]), ExtendedColorType::La8);
    files
}

#[test]
fn two_values_are_a_mask_in_every_depth_and_layout() {
    let dir = tempfile::tempdir().unwrap();
    let files = two_valued(dir.path());
    assert!(files.len() > 40);
    for path in files {
        let decoded = automatic(&path).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(decoded, DecodedMask { mask: truth(), ignored: None }, "{}", path.display());
    }
}

/// TIFF files that the image crate cannot write.
mod tiffs {
    use super::*;
    use tiff::encoder::{Compression, TiffEncoder, TiffKind, TiffKindBig, colortype};
    use tiff::tags::Tag;

    fn file(path: &Path) -> std::io::BufWriter<std::fs::File> {
        std::io::BufWriter::new(std::fs::File::create(path).unwrap())
    }

    fn write<C, K>(encoder: &mut TiffEncoder<std::io::BufWriter<std::fs::File>, K>, values: &[C::Inner])
    where
        C: colortype::ColorType,
        K: TiffKind,
        [C::Inner]: tiff::encoder::TiffValue,
    {
        encoder.write_image::<C>(WIDTH as u32, HEIGHT as u32, values).unwrap();
    }

    #[test]
    fn big_tiff_and_floats_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("big.tif");
        let bytes = pixels(|x, y| if vessel(x, y) { 255u8 } else { 0 });
        let mut encoder = TiffEncoder::<_, TiffKindBig>::new_generic(file(&path)).unwrap();
        write::<colortype::Gray8, _>(&mut encoder, &bytes);
        drop(encoder);
        assert_eq!(automatic(&path).unwrap().mask, truth(), "BigTIFF");
        for value in [1.0f32, 0.25, 300.0] {
            let path = dir.path().join(format!("float{value}.tif"));
            let floats = pixels(|x, y| if vessel(x, y) { value } else { 0.0 });
            write::<colortype::Gray32Float, _>(&mut TiffEncoder::new(file(&path)).unwrap(), &floats);
            assert_eq!(automatic(&path).unwrap().mask, truth(), "float {value}");
        }
        let path = dir.path().join("signed.tif");
        let signed = pixels(|x, y| if vessel(x, y) { 1i16 } else { 0 });
        write::<colortype::GrayI16, _>(&mut TiffEncoder::new(file(&path)).unwrap(), &signed);
        assert_eq!(automatic(&path).unwrap().mask, truth(), "signed");
        let path = dir.path().join("long.tif");
        let long = pixels(|x, y| if vessel(x, y) { 70_000u32 } else { 0 });
        write::<colortype::Gray32, _>(&mut TiffEncoder::new(file(&path)).unwrap(), &long);
        assert_eq!(automatic(&path).unwrap().mask, truth(), "32 bits");
        let path = dir.path().join("nan.tif");
        let broken = pixels(|x, y| if vessel(x, y) { f32::NAN } else { 0.0 });
        write::<colortype::Gray32Float, _>(&mut TiffEncoder::new(file(&path)).unwrap(), &broken);
        let error = automatic(&path).unwrap_err();
        assert!(error.to_string().contains("not finite"), "{error}");
    }

    /// Fax, ImageJ and tifffile store ink as 1 on white as 0; OpenCV and Pillow turn that round, others do not.
    #[test]
    fn where_white_is_zero_the_foreground_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("fax.tif");
        for ink in [1u8, 255] {
            let bytes = pixels(|x, y| if vessel(x, y) { ink } else { 0 });
            let mut encoder = TiffEncoder::new(file(&path)).unwrap();
            let mut image = encoder.new_image::<colortype::Gray8>(WIDTH as u32, HEIGHT as u32).unwrap();
            image.encoder().write_tag(Tag::PhotometricInterpretation, 0u16).unwrap();
            image.write_data(&bytes).unwrap();
            drop(encoder);
            for rule in [MaskRule::Automatic, MaskRule::AnyPositive, labels(&[], &[], &[9])] {
                let error = read(&path, rule, true).unwrap_err().to_string();
                assert!(error.contains("stores white as 0") && error.contains(&format!("{ink} (")), "{error}");
            }
            assert_eq!(read(&path, labels(&[i64::from(ink)], &[], &[]), false).unwrap().mask, truth());
            assert_eq!(read(&path, labels(&[0], &[i64::from(ink)], &[]), false).unwrap().mask, truth().complement());
            assert_eq!(read(&path, MaskRule::Threshold(1.0), false).unwrap().mask, truth());
        }
    }

    /// NumPy's integers have 64 bits unless it is told otherwise.
    #[test]
    fn integers_of_64_bits_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("long.tif");
        let write_long = |values: &[u64]| {
            write::<colortype::Gray64, _>(&mut TiffEncoder::new(file(&path)).unwrap(), values);
        };
        write_long(&pixels(|x, y| u64::from(vessel(x, y))));
        assert_eq!(automatic(&path).unwrap().mask, truth());
        write_long(&pixels(|x, y| if vessel(x, y) { u64::MAX } else { 0 }));
        let error = automatic(&path).unwrap_err().to_string();
        assert!(error.contains("2^53"), "{error}");
    }

    /// A compressed TIFF holds JPEG or deflated data to the last byte, of every page.
    #[test]
    fn cut_strips_are_no_mask() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("strips.tif");
        let bytes = pixels(|x, y| if vessel(x, y) { 255u8 } else { 0 });
        for compression in [Compression::Uncompressed, Compression::Lzw, Compression::Deflate(Default::default())] {
            let mut encoder = TiffEncoder::new(file(&path)).unwrap().with_compression(compression);
            for _ in 0..2 {
                encoder.write_image::<colortype::Gray8>(WIDTH as u32, HEIGHT as u32, &bytes).unwrap();
            }
            drop(encoder);
            let whole = std::fs::read(&path).unwrap();
            assert_eq!(automatic(&path).unwrap().mask, truth());
            // A strip that claims one byte more than the file has.
            let mut decoder = tiff::decoder::Decoder::new(std::io::Cursor::new(&whole)).unwrap();
            decoder.seek_to_image(1).unwrap();
            let start = decoder.get_tag_u64_vec(Tag::StripOffsets).unwrap()[0] as u32;
            let mut broken = whole.clone();
            let at = broken.windows(4).rposition(|field| *field == start.to_le_bytes()).unwrap();
            broken[at..at + 4].copy_from_slice(&(whole.len() as u32 - 1).to_le_bytes());
            std::fs::write(&path, broken).unwrap();
            let error = automatic(&path).unwrap_err().to_string();
            assert!(error.contains("the file is cut"), "{error}");
        }
    }

    #[test]
    fn palettes_count_by_their_colours() {
        let dir = tempfile::tempdir().unwrap();
        let palette = |colours: &[(usize, [u8; 3])]| {
            let mut map = vec![0u16; 3 * 256];
            for &(index, colour) in colours {
                (0..3).for_each(|c| map[c * 256 + index] = u16::from(colour[c]) * 257);
            }
            map
        };
        let write_palette = |name: &str, indices: &[u8], map: &[u16]| {
            let path = dir.path().join(name);
            let mut encoder = TiffEncoder::new(file(&path)).unwrap();
            let mut image = encoder.new_image::<colortype::Gray8>(WIDTH as u32, HEIGHT as u32).unwrap();
            image.encoder().write_tag(Tag::PhotometricInterpretation, 3u16).unwrap();
            image.encoder().write_tag(Tag::ColorMap, map).unwrap();
            image.write_data(indices).unwrap();
            path
        };
        let indices = pixels(|x, y| u8::from(vessel(x, y)));
        let white = write_palette("white.tif", &indices, &palette(&[(1, [255; 3])]));
        assert_eq!(automatic(&white).unwrap().mask, truth());
        let red = write_palette("red.tif", &indices, &palette(&[(1, [255, 0, 0])]));
        assert_eq!(automatic(&red).unwrap().mask, truth());
        // The ink comes first in this palette: the colours decide, not the indices.
        let swapped = write_palette("swapped.tif", &indices, &palette(&[(0, [0, 90, 0]), (1, [0, 0, 0])]));
        assert_eq!(automatic(&swapped).unwrap().mask, truth().complement());
        let three = pixels(|x, y| if vessel(x, y) { 1 } else { u8::from(y == 15) * 2 });
        let classes = write_palette("classes.tif", &three, &palette(&[(1, [128, 0, 0]), (2, [0, 128, 0])]));
        let error = automatic(&classes).unwrap_err().to_string();
        assert!(error.contains("#800000") && error.contains("#008000"), "{error}");
        let by_colour = MaskRule::Labels(Labels { foreground: vec!["#800000".parse().unwrap()], ..Labels::default() });
        assert_eq!(read(&classes, by_colour, false).unwrap().mask, truth());
    }
}

#[test]
fn label_maps_are_errors_that_list_their_values() {
    let dir = tempfile::tempdir().unwrap();
    // A vessel of 1 and a rim of 255 that is to be ignored.
    let path = dir.path().join("ignore.png");
    let rim = |x: usize, y: usize| x < 2 || y < 1 || x + 2 >= WIDTH;
    grey(&path, WIDTH, HEIGHT, |x, y| if rim(x, y) { 255 } else { u8::from(vessel(x, y)) });
    for allow_empty in [false, true] {
        let error = read(&path, MaskRule::Automatic, allow_empty).unwrap_err();
        assert!(matches!(&error, DataError::MultiClassMask { values, .. } if values.shown.len() == 3), "{error}");
        let text = error.to_string();
        for part in ["ignore.png", "0 (", "1 (", "255 (", " %)", "--foreground", "--ignore", "[data.options]"] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }
    let expected = Mask::from_fn(HEIGHT, WIDTH, |row, column| vessel(column, row) && !rim(column, row)).unwrap();
    let outside = Mask::from_fn(HEIGHT, WIDTH, |row, column| rim(column, row)).unwrap();
    for rule in [labels(&[1], &[], &[255]), labels(&[], &[], &[255])] {
        let decoded = read(&path, rule, false).unwrap();
        assert_eq!(decoded, DecodedMask { mask: expected.clone(), ignored: Some(outside.clone()) });
    }
    // Numbered branches, in both depths: none may get lost.
    let numbers = |x: usize, y: usize| if vessel(x, y) { (x * 12 + 1) as u16 } else { 0 };
    let eight = dir.path().join("branches.png");
    grey(&eight, WIDTH, HEIGHT, |x, y| numbers(x, y).min(255) as u8);
    let sixteen = dir.path().join("branches16.png");
    save(&sixteen, &wide(pixels(numbers)), ExtendedColorType::L16);
    for path in [eight, sixteen] {
        let error = read(&path, MaskRule::Automatic, true).unwrap_err();
        assert!(error.to_string().contains("more"), "{error}");
        let cut = read(&path, MaskRule::Threshold(1.0), false).unwrap();
        assert_eq!(cut.mask, truth(), "chosen on purpose");
    }
    // A dark class beside a bright one, few values, two values without 0.
    for (name, values) in [("soft", [0u8, 128, 255]), ("small", [0, 1, 2]), ("no_zero", [1, 1, 2])] {
        let path = dir.path().join(format!("{name}.png"));
        grey(&path, WIDTH, HEIGHT, |x, y| values[if vessel(x, y) { 2 } else { usize::from(y > 12) }]);
        assert!(matches!(read(&path, MaskRule::Automatic, true), Err(DataError::MultiClassMask { .. })), "{name}");
    }
}

/// Samples of 1, 2 and 4 bits, and of a grey map whose white is small, are numbers, not shades of 8 bits.
#[test]
fn labels_of_few_bits_keep_their_numbers() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("few.png");
    for bits in [2u8, 4] {
        // Eight pixels: 0, 1, 2, 3, 0, 1, 2, 3.
        let each = usize::from(8 / bits);
        let pack = |chunk: &[u8]| chunk.iter().fold(0u8, |byte, &label| byte << bits | label);
        let row: Vec<u8> = [0u8, 1, 2, 3, 0, 1, 2, 3].chunks(each).map(pack).collect();
        std::fs::write(&path, png(&[0, 0, 0, 8, 0, 0, 0, 1, bits, 0, 0, 0, 0], &[], &[vec![0], row].concat())).unwrap();
        let error = automatic(&path).unwrap_err().to_string();
        assert!(error.contains("1 (25.00 %), 2 (25.00 %), 3 (25.00 %)"), "{bits} bits: {error}");
        let chosen = read(&path, labels(&[1, 3], &[2], &[]), false).unwrap();
        assert_eq!(chosen.mask.to_bytes(), [0, 1, 0, 1, 0, 1, 0, 1], "{bits} bits");
        let cut = read(&path, MaskRule::Threshold(2.0), false).unwrap();
        assert_eq!(cut.mask.to_bytes(), [0, 0, 1, 1, 0, 0, 1, 1], "{bits} bits");
    }
    std::fs::write(&path, png(&[0, 0, 0, 8, 0, 0, 0, 1, 1, 0, 0, 0, 0], &[], &[0, 0b0110_0101])).unwrap();
    assert_eq!(automatic(&path).unwrap().mask.to_bytes(), [0, 1, 1, 0, 0, 1, 0, 1]);
    assert_eq!(read(&path, labels(&[1], &[], &[]), false).unwrap().mask.count(), 4);
    for white in [3u16, 4, 200, 1000, 65_535] {
        let mut bytes = format!("P5 4 1 {white}\n").into_bytes();
        for label in [0u16, 1, 2, 3] {
            bytes.extend(if white > 255 { label.to_be_bytes().to_vec() } else { vec![label as u8] });
        }
        let path = dir.path().join("few.pgm");
        std::fs::write(&path, bytes).unwrap();
        let chosen = read(&path, labels(&[2], &[1, 3], &[]), false).unwrap();
        assert_eq!(chosen.mask.to_bytes(), [0, 0, 1, 0], "white is {white}");
    }
}

#[test]
fn content_that_a_rule_drops_is_never_empty() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("low.png");
    grey(&path, WIDTH, HEIGHT, |x, y| if vessel(x, y) { 127 } else { 0 });
    for rule in [MaskRule::Threshold(128.0), labels(&[1], &[], &[])] {
        let error = read(&path, rule, true).unwrap_err();
        assert!(matches!(error, DataError::UnclearMask { .. }), "{error}");
        assert!(error.to_string().contains("127"), "{error}");
    }
    // A class that is known to be background may be all there is.
    let known = read(&path, labels(&[1], &[127], &[]), true).unwrap();
    assert!(known.mask.is_empty());
    assert!(matches!(read(&path, labels(&[1], &[127], &[]), false), Err(DataError::EmptyMask { .. })));
    let black = dir.path().join("black.png");
    grey(&black, WIDTH, HEIGHT, |_, _| 0);
    assert!(matches!(automatic(&black), Err(DataError::EmptyMask { .. })));
    assert!(read(&black, MaskRule::Automatic, true).unwrap().mask.is_empty());
    // One value that is not 0: everything, or nothing?
    for value in [1, 255] {
        grey(&path, WIDTH, HEIGHT, |_, _| value);
        let error = read(&path, MaskRule::Automatic, true).unwrap_err();
        assert!(error.to_string().contains("cannot be told"), "{error}");
        let named = read(&path, labels(&[i64::from(value)], &[], &[]), true).unwrap();
        assert_eq!(named.mask.count(), (WIDTH * HEIGHT) as u64);
    }
}

#[test]
fn transparency_is_read_or_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("drawn.png");
    let refused = |name: &str, pixel: &dyn Fn(usize, usize) -> [u8; 4]| {
        save(&path, &pixels(pixel).concat(), ExtendedColorType::Rgba8);
        let error = read(&path, MaskRule::Automatic, true);
        assert!(
            matches!(error, Err(DataError::UnclearMask { .. } | DataError::MultiClassMask { .. })),
            "{name}: {error:?}"
        );
    };
    // The mask is in the colours, but nothing of it can be seen.
    refused("hidden", &|x, y| if vessel(x, y) { [255, 255, 255, 0] } else { [0, 0, 0, 0] });
    // A stroke with soft edges, as it is and premultiplied.
    let soft = |x: usize, y: usize| if vessel(x, y) { if x.is_multiple_of(3) { 90u8 } else { 255 } } else { 0 };
    refused("soft", &|x, y| [255, 0, 0, soft(x, y)]);
    refused("premultiplied", &|x, y| [soft(x, y), 0, 0, soft(x, y)]);
    // Two inks.
    refused("two inks", &|x, y| if vessel(x, y) { [255 * u8::from(x > 9), 0, 9, 255] } else { [0; 4] });
    // The soft stroke can be cut: its opacity is the mask.
    save(&path, &pixels(|x, y| [255, 0, 0, soft(x, y)]).concat(), ExtendedColorType::Rgba8);
    assert_eq!(read(&path, MaskRule::Threshold(1.0), false).unwrap().mask, truth());
    // An empty canvas of any colour is an empty mask.
    save(&path, &pixels(|_, _| [255, 255, 255, 0]).concat(), ExtendedColorType::Rgba8);
    assert!(matches!(automatic(&path), Err(DataError::EmptyMask { .. })));
    assert!(read(&path, MaskRule::Automatic, true).unwrap().mask.is_empty());
}

#[test]
fn blurred_masks_of_jpeg_are_masks_and_their_label_maps_are_not() {
    let dir = tempfile::tempdir().unwrap();
    let (width, height) = (160usize, 120usize);
    let line = |x: usize, y: usize| (y * 3).abs_diff(x * 2) < 14;
    let write = |name: &str, quality: u8, value: &dyn Fn(usize, usize) -> u8, colour: bool| {
        let path = dir.path().join(name);
        let grey: Vec<u8> = (0..width * height).map(|i| value(i % width, i / width)).collect();
        let mut bytes = Vec::new();
        let encoder = image::codecs::jpeg::JpegEncoder::new_with_quality(&mut bytes, quality);
        let (w, h) = (width as u32, height as u32);
        if colour {
            let rgb: Vec<u8> = grey.iter().flat_map(|&v| [v; 3]).collect();
            encoder.write_image(&rgb, w, h, ExtendedColorType::Rgb8).unwrap();
        } else {
            encoder.write_image(&grey, w, h, ExtendedColorType::L8).unwrap();
        }
        std::fs::write(&path, bytes).unwrap();
        path
    };
    let truth = Mask::from_fn(height, width, |row, column| line(column, row)).unwrap();
    for quality in [60, 75, 90, 100] {
        for colour in [false, true] {
            let name = format!("{quality}{colour}.jpg");
            let path = write(&name, quality, &|x, y| if line(x, y) { 255 } else { 0 }, colour);
            let found = automatic(&path).unwrap_or_else(|error| panic!("{error}")).mask;
            assert_eq!(found, truth, "{name}");
        }
    }
    let classes = write("classes.jpg", 90, &|x, y| if line(x, y) { 255 } else { 127 * u8::from(y > 100) }, false);
    assert!(matches!(automatic(&classes), Err(DataError::MultiClassMask { .. })));
    let dim = write("dim.jpg", 90, &|x, y| if line(x, y) { 90 } else { 0 }, false);
    assert!(read(&dim, MaskRule::Automatic, true).is_err(), "the foreground of a blurred dim mask cannot be told");
    let error = read(&classes, labels(&[255], &[], &[]), true).unwrap_err();
    assert!(error.to_string().contains("JPEG"), "{error}");
    // Values of 0 and 1: two values are left, and not at their places.
    let faint = write("faint.jpg", 95, &|x, y| u8::from(line(x, y)), false);
    let error = read(&faint, MaskRule::Automatic, true).unwrap_err().to_string();
    assert!(error.contains("JPEG blurs values as low as these"), "{error}");
}

#[test]
fn options_are_checked_and_reach_every_sample() {
    let text = "foreground = [1, \"#ff0000\"]\nignore = [255]\nrange = \"own\"\npages = 2\norientation = \"apply\"";
    let options: OpenOptions = toml::from_str(text).unwrap();
    assert_eq!(options.foreground, [Label::Value(1), Label::Colour([255, 0, 0])]);
    assert_eq!(options.orientation, ExifOrientation::Apply);
    assert_eq!(toml::from_str::<OpenOptions>(&toml::to_string(&options).unwrap()).unwrap(), options);
    for wrong in [
        "threshold = 0",
        "threshold = nan",
        "threshold = 9\nforeground = [1]",
        "foreground = [1]\nignore = [1]",
        "range = { percentiles = [99, 1] }",
    ] {
        let options: OpenOptions = toml::from_str(wrong).unwrap();
        assert!(options.mask_rule().is_err() || options.image_options().is_err(), "{wrong}");
    }
    for wrong in ["foreground = [\"red\"]", "foreground = [\"#12\"]", "pages = 0", "range = \"wide\"", "thresholds = 1"]
    {
        assert!(toml::from_str::<OpenOptions>(wrong).is_err(), "{wrong}");
    }
    let dir = tempfile::tempdir().unwrap();
    grey(dir.path().join("images/a.png"), WIDTH, HEIGHT, |x, _| x as u8);
    grey(dir.path().join("masks/a.png"), WIDTH, HEIGHT, |x, y| if y == 0 { 255 } else { u8::from(vessel(x, y)) });
    let plain = Dataset::open(dir.path()).unwrap();
    assert!(matches!(plain.samples[0].load(), Err(DataError::MultiClassMask { .. })));
    let options: OpenOptions = toml::from_str("foreground = [1]\nignore = [255]").unwrap();
    let chosen = Dataset::open_with(dir.path(), &options).unwrap();
    let loaded = chosen.samples[0].load().unwrap();
    assert_eq!(loaded.ignored.unwrap().count(), WIDTH as u64);
    assert!(!loaded.mask.get(0, 0) && loaded.mask.get(1, 1));
}
