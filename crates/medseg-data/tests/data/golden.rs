//! Agreement with torchvision and Pillow, value by value.

use crate::support::parity;
use medseg_data::dataset::Loaded;
use medseg_data::transform::{Augmentation, Pipeline, Protocol, adjust_brightness, flip_horizontal, rotate_image};
use medseg_data::{Image, Mask};
use safetensors::SafeTensors;

const SIDE: usize = 64;
const STD: [f32; 3] = [58.395, 57.12, 57.375];
const STD_PAPER: [f32; 3] = [53.395, 57.12, 57.375];

struct Golden(Vec<u8>);

impl Golden {
    fn read() -> Self {
        Self(std::fs::read(parity("transforms_golden.safetensors")).unwrap())
    }

    fn bytes(&self, name: &str) -> (Vec<usize>, Vec<u8>) {
        let file = SafeTensors::deserialize(&self.0).unwrap();
        let tensor = file.tensor(name).unwrap();
        (tensor.shape().to_vec(), tensor.data().to_vec())
    }

    fn image(&self, name: &str) -> Image {
        let (shape, data) = self.bytes(name);
        Image::new(shape[1], shape[0], 3, data).unwrap()
    }

    fn mask(&self, name: &str) -> Mask {
        let (shape, data) = self.bytes(name);
        Mask::from_bytes(shape[0], shape[1], &data).unwrap()
    }

    fn floats(&self, name: &str) -> Vec<f32> {
        self.bytes(name).1.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
    }
}

/// Largest difference in grey levels of 255, given the standard deviation of each channel.
fn levels(a: &[f32], b: &[f32], std: [f32; 3]) -> f32 {
    assert_eq!(a.len(), b.len());
    let plane = a.len() / 3;
    a.iter().zip(b).enumerate().map(|(i, (x, y))| (x - y).abs() * std[i / plane]).fold(0.0, f32::max)
}

#[test]
fn default_protocol_is_within_one_level_of_pillow() {
    let golden = Golden::read();
    let pipeline = Pipeline::evaluation(Protocol::Default, SIDE).unwrap();
    for case in 0..5 {
        let image = golden.image(&format!("{case}.image"));
        let ours = pipeline.preprocess().prepare(&image);
        let theirs = golden.floats(&format!("{case}.default.image"));
        let worst = levels(&ours.values, &theirs, STD);
        // Same fixed-point arithmetic: what is left is the rounding of the normalisation.
        assert!(worst < 1e-3, "case {case}: {worst} levels");
        assert_eq!(ours.geometry.original, image.size());
    }
}

#[test]
fn paper_protocol_is_within_one_level_of_torchvision() {
    let golden = Golden::read();
    let pipeline = Pipeline::evaluation(Protocol::Paper, SIDE).unwrap();
    for case in 0..5 {
        let image = golden.image(&format!("{case}.image"));
        let mask = golden.mask(&format!("{case}.mask"));
        let item =
            pipeline.finish(&pipeline.prepare(Loaded { image: image.clone(), mask, ignored: None }), "golden", 0, 0);
        let theirs = golden.floats(&format!("{case}.paper.image"));
        // The stretch to 0..255 magnifies; the bound holds for the levels before it.
        let high = image.data().iter().copied().max().unwrap();
        let before = |level: f32| level * f32::from(high) / 255.0;
        let worst = before(levels(&item.image, &theirs, STD_PAPER));
        assert!(worst <= 1.01, "case {case}: image off by {worst} levels");
        let different = item.image.iter().zip(&theirs).filter(|(a, b)| (**a - **b).abs() > 1e-3).count();
        assert!(different * 500 <= theirs.len(), "case {case}: {different} of {} values differ", theirs.len());
        let soft = golden.floats(&format!("{case}.paper.mask"));
        let worst = item.mask.iter().zip(&soft).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(worst <= 1.0 / 255.0, "case {case}: mask off by {worst}");
        let fractional = item.mask.iter().filter(|v| **v > 0.0 && **v < 1.0).count();
        // 64x64 shrinks to 63x63 too: the paper's masks are never binary.
        assert!(fractional > 0, "case {case}: the paper's masks are soft");
    }
}

#[test]
fn flips_and_rotations_are_exact() {
    let golden = Golden::read();
    for case in 0..5 {
        let image = golden.image(&format!("{case}.image"));
        assert_eq!(flip_horizontal(&image), golden.image(&format!("{case}.hflip")), "case {case}: flip");
        for angle in [7, -7] {
            let ours = rotate_image(&image, f64::from(angle));
            let theirs = golden.image(&format!("{case}.rot{angle}"));
            let different = ours.data().iter().zip(theirs.data()).filter(|(a, b)| a != b).count();
            assert_eq!(different, 0, "case {case}: {different} bytes differ at {angle} degrees");
        }
        let zeros_and_ones = |name: &str| {
            let mask = golden.mask(&format!("{case}.{name}"));
            Image::new(mask.width(), mask.height(), 1, mask.to_bytes()).unwrap()
        };
        assert_eq!(rotate_image(&zeros_and_ones("mask"), 7.0), zeros_and_ones("mask_rot7"), "case {case}: mask");
    }
}

#[test]
fn brightness_is_exact() {
    let golden = Golden::read();
    for case in 0..5 {
        let ours = adjust_brightness(golden.image(&format!("{case}.image")), 1.6);
        let theirs = golden.image(&format!("{case}.bright1.6"));
        let worst = ours.data().iter().zip(theirs.data()).map(|(a, b)| a.abs_diff(*b)).max();
        assert_eq!(worst, Some(0), "case {case}");
    }
}

#[test]
fn paper_augmentation_draws_what_the_released_code_draws() {
    let loaded = crate::support::scene(40, 40, 1);
    let image = loaded.image.clone();
    let only = |f: fn(&mut Augmentation)| {
        let mut augmentation = Augmentation::none();
        f(&mut augmentation);
        Pipeline::new(Protocol::Paper, SIDE, augmentation).unwrap()
    };
    let rotation = only(|a| a.rotation = medseg_data::transform::Jitter { probability: 1.0, low: 1.0, high: 10.0 });
    let prepared = rotation.prepare(loaded);
    let turned: Vec<Image> = (1..=10).map(|d| rotate_image(&image, f64::from(d))).collect();
    let mut seen = [false; 10];
    for epoch in 0..200 {
        let (drawn, _) = rotation.augmented(&prepared, "x", 1, epoch);
        let degrees = turned.iter().position(|t| *t == drawn);
        seen[degrees.expect("a whole number of degrees from 1 to 10")] = true;
    }
    assert_eq!(seen, [true; 10], "every angle is drawn");
    let brightness = only(|a| a.brightness = medseg_data::transform::Jitter { probability: 1.0, low: 1.0, high: 2.0 });
    let same = (0..400).filter(|&e| brightness.augmented(&prepared, "x", 1, e).0 == image).count();
    assert!((150..=250).contains(&same), "half of the draws change nothing, found {same} of 400");
}
