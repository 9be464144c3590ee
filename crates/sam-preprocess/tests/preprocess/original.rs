//! Inputs as Segment Anything's own code makes them.

use safetensors::SafeTensors;
use sam_preprocess::{Image, Preprocess, Protocol};

/// `sam_preprocess.py` runs the original's own resizing, normalisation and padding, enlarging and reducing. Grey levels agree to
/// the last bit; what is left is the rounding of one division.
#[test]
fn inputs_are_those_of_the_original() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/sam_preprocess.safetensors");
    let bytes = std::fs::read(path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let values = |name: &str| -> Vec<f32> {
        let data = file.tensor(name).unwrap().data().to_vec();
        data.chunks_exact(4).map(|c| f32::from_le_bytes(c.try_into().unwrap())).collect()
    };
    let pixels = values("image").iter().map(|v| *v as u8).collect();
    let image = Image::new(31, 23, 3, pixels).unwrap();
    for side in [48, 12] {
        let found = Preprocess::new(Protocol::Default, side).unwrap().prepare(&image).values;
        let expected = values(&format!("input.{side}"));
        assert_eq!(found.len(), expected.len());
        let largest = found.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        // A grey level is 0.017.
        assert!(largest < 1e-6, "side {side}: {largest}");
    }
}

/// Rounded half up, as the original: 1024 * 565 / 584 = 990.68; 7 * 3 / 2 = 10.5.
#[test]
fn the_longest_side_fills_the_input() {
    for (original, side, resized) in [
        ((565, 584), 1024, (991, 1024)),
        ((584, 565), 1024, (1024, 991)),
        ((14, 7), 21, (21, 11)),
        ((300, 300), 512, (512, 512)),
        ((4000, 1), 512, (512, 1)),
        ((1, 4000), 512, (1, 512)),
    ] {
        let geometry = Preprocess::new(Protocol::Default, side).unwrap().geometry(original);
        assert_eq!(geometry.resized, resized, "{original:?}");
    }
}

#[test]
fn pixels_are_normalised_and_the_rest_is_zero() {
    let grey = [10u8, 200, 255];
    let image = Image::new(32, 16, 3, grey.repeat(32 * 16)).unwrap();
    let input = Preprocess::new(Protocol::Default, 64).unwrap().prepare(&image);
    assert_eq!(input.geometry.resized, (64, 32));
    let (mean, deviation) = ([123.675f32, 116.28, 103.53], [58.395f32, 57.12, 57.375]);
    for (channel, grey) in grey.into_iter().enumerate() {
        let plane = &input.values[channel * 64 * 64..][..64 * 64];
        let expected = (f32::from(grey) - mean[channel]) / deviation[channel];
        assert!(plane[..32 * 64].iter().all(|v| *v == expected));
        assert!(plane[32 * 64..].iter().all(|v| *v == 0.0), "padding is zero after normalisation");
    }
}

/// SAM 2 stretches both axes to the square and keeps what lies between two grey levels.
#[test]
fn sam2_stretches_without_rounding() {
    let ramp = Image::new(2, 3, 1, vec![0, 255, 0, 255, 0, 255]).unwrap();
    let input = Preprocess::new(Protocol::Sam2, 8).unwrap().prepare(&ramp);
    assert_eq!(input.geometry.resized, (8, 8));
    assert_eq!(input.geometry.to_resized([1.0, 1.5]), [4.0, 4.0]);
    // Between pixel centres at 0.5 and 1.5 of two pixels: 1/8, 3/8, 5/8, 7/8 of the way.
    let expected = [0.0, 0.0, 31.875, 95.625, 159.375, 223.125, 255.0, 255.0];
    for (found, expected) in input.values.iter().zip(expected) {
        assert!((found - (expected - 123.675f32) / 58.395).abs() < 1e-5, "{found}");
    }
    let colour = Image::new(5, 4, 3, [10u8, 200, 255].repeat(20)).unwrap();
    let input = Preprocess::new(Protocol::Sam2, 16).unwrap().prepare(&colour);
    for (plane, expected) in input.values.chunks_exact(256).zip([-1.946_656_5f32, 1.465_686_3, 2.64]) {
        assert!(plane.iter().all(|value| (value - expected).abs() < 1e-5), "{} {expected}", plane[0]);
    }
}

/// Stripes finer than a pixel of the result average out.
#[test]
fn reduction_is_antialiased() {
    let stripes = Image::new(64, 64, 1, (0..64 * 64).map(|at| if at % 2 == 0 { 0 } else { 200 }).collect()).unwrap();
    let input = Preprocess::new(Protocol::Default, 16).unwrap().resize(&stripes).into_owned();
    for row in input.data().chunks_exact(16) {
        assert!(row[2..14].iter().all(|v| v.abs_diff(100) <= 1), "{row:?}");
    }
}
