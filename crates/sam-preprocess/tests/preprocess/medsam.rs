//! MedSAM's own preparation of images, and its way from an answer to a mask.

use safetensors::SafeTensors;
use sam_preprocess::{Image, Preprocess, Protocol, sigmoid};

fn fixture() -> impl Fn(&str) -> (Vec<usize>, Vec<f32>) {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/medsam_preprocess.safetensors");
    let bytes = std::fs::read(path).unwrap();
    move |name| {
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let tensor = file.tensor(name).unwrap();
        let values = tensor.data().chunks_exact(4).map(|c| f32::from_le_bytes(c.try_into().unwrap())).collect();
        (tensor.shape().to_vec(), values)
    }
}

fn image(read: &impl Fn(&str) -> (Vec<usize>, Vec<f32>), name: &str) -> Image {
    let (shape, values) = read(&format!("image.{name}"));
    Image::new(shape[1], shape[0], shape[2], values.iter().map(|v| *v as u8).collect()).unwrap()
}

/// `medsam_preprocess.py` runs the lines of MedSAM's script with scikit-image, enlarging and reducing, in colour and grey.
#[test]
fn inputs_are_those_of_the_original() {
    let read = fixture();
    for (name, sides) in [("colour", [48, 12]), ("grey", [32, 9])] {
        let image = image(&read, name);
        for side in sides {
            let preprocess = Preprocess::new(Protocol::MedSam, side).unwrap();
            // Whole grey levels, cut and not rounded.
            let levels = preprocess.resize(&image).into_owned();
            let (_, resized) = read(&format!("resized.{name}.{side}"));
            let channels = 3 / levels.channels();
            for (at, level) in levels.data().iter().enumerate() {
                let expected = resized[at * channels];
                // In f32 a number just below a whole one may have become it.
                let cut = (expected.floor() as u8, (expected - 1e-4).floor() as u8);
                assert!(*level == cut.0 || *level == cut.1, "{name}, side {side}, value {at}: {level} {expected}");
            }
            let input = preprocess.prepare(&image);
            let (_, expected) = read(&format!("input.{name}.{side}"));
            assert_eq!(input.values.len(), expected.len());
            let largest = input.values.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            // A grey level is at least 0.004.
            assert!(largest < 1e-6, "{name}, side {side}: {largest}");
            let (low, high) = input.values.iter().fold((1f32, 0f32), |(l, h), &v| (l.min(v), h.max(v)));
            assert_eq!((low, high), (0.0, 1.0));

            let (_, corners) = read(&format!("box.{name}"));
            let (_, in_the_input) = read(&format!("box.{name}.{side}"));
            for (corner, expected) in corners.chunks_exact(2).zip(in_the_input.chunks_exact(2)) {
                let found = input.geometry.to_resized([corner[0], corner[1]]);
                assert!((found[0] - expected[0]).abs() < 1e-5 && (found[1] - expected[1]).abs() < 1e-5, "{found:?}");
            }
        }
    }
}

/// The spline through 0 and 100, mirrored at both, has the coefficients -100 and 200: a quarter of the way it is 15.625.
#[test]
fn a_spline_by_hand() {
    let image = Image::new(2, 1, 1, vec![0, 100]).unwrap();
    let preprocess = Preprocess::new(Protocol::MedSam, 4).unwrap();
    let resized = preprocess.resize(&image).into_owned();
    assert!(resized.data().chunks_exact(4).all(|row| row == [15, 15, 84, 84]), "{:?}", resized.data());
    let input = preprocess.prepare(&image);
    assert_eq!(input.geometry.resized, (4, 4));
    assert!(input.values.chunks_exact(4).all(|row| row == [0.0, 0.0, 1.0, 1.0]));
}

#[test]
fn images_of_the_inputs_own_size_and_without_contrast() {
    let levels: Vec<u8> = (0..64).map(|at| 50 + at as u8 * 2).collect();
    let own = Preprocess::new(Protocol::MedSam, 8).unwrap();
    let image = Image::new(8, 8, 1, levels.clone()).unwrap();
    assert_eq!(own.resize(&image).data(), levels);
    let values = own.prepare(&image).values;
    assert!(values[..64].iter().enumerate().all(|(at, v)| (v - at as f32 / 63.0).abs() < 1e-7));
    // One axis alone: rows stay as they are.
    let (wide, rows) = (Image::new(5, 8, 1, [1u8, 1, 1, 1, 1].repeat(8)).unwrap(), own);
    assert!(rows.resize(&wide).data().iter().all(|&v| v == 1));
    for (w, h) in [(1, 1), (1, 40), (40, 1), (3, 2)] {
        let constant = Image::new(w, h, 3, vec![77; w * h * 3]).unwrap();
        assert!(own.resize(&constant).data().iter().all(|&v| v == 77), "{w} x {h}");
        assert!(own.prepare(&constant).values.iter().all(|&v| v == 0.0));
    }
}

/// Probabilities of one half and three quarters, halfway and at a quarter between; interpolated logits would give other ones.
#[test]
fn probabilities_are_interpolated() {
    let preprocess = Preprocess::new(Protocol::MedSam, 2).unwrap();
    let logits = [0.0, 3f32.ln(), 0.0, 3f32.ln()];
    let restored = preprocess.restore(&preprocess.geometry((4, 2)), &logits).unwrap();
    let probabilities: Vec<f32> = restored.logits.iter().map(|&logit| sigmoid(logit)).collect();
    for (found, expected) in probabilities.iter().zip([0.5, 0.5625, 0.6875, 0.75].repeat(2)) {
        assert!((found - expected).abs() < 1e-6, "{probabilities:?}");
    }
    // One half itself is background.
    assert_eq!(restored.mask.to_bytes(), [0, 1, 1, 1, 0, 1, 1, 1]);
    // Far from the threshold logits and probabilities disagree: sigmoid(-9) and sigmoid(4) average to 0.4911, the logits to -2.5.
    let restored = preprocess.restore(&preprocess.geometry((3, 2)), &[-9.0, 4.0, -9.0, 4.0]).unwrap();
    assert!((restored.logits[1] + 0.035_729_4).abs() < 1e-5, "{:?}", restored.logits);
    // Infinite logits are probabilities of 0 and 1.
    let restored = preprocess.restore(&preprocess.geometry((4, 2)), &[f32::INFINITY, f32::NEG_INFINITY, 9.0, 9.0]);
    assert!(restored.unwrap().logits.iter().all(|logit| logit.is_finite()));
}
