//! Properties that hold for any image: the way back, mask values, determinism.

use crate::support::scene;
use medseg_data::coco::fill_polygon;
use medseg_data::dataset::Loaded;
use medseg_data::synth::outlines;
use medseg_data::transform::{
    Augmentation, Elastic, Jitter, Pipeline, Protocol, ResizeGeometry, flip_horizontal, flip_vertical, resize_image,
    rotate_image,
};
use medseg_data::{Image, Mask};
use proptest::prelude::*;

fn everything() -> Augmentation {
    let always = |low, high| Jitter { probability: 1.0, low, high };
    Augmentation {
        horizontal_flip: 0.5,
        vertical_flip: 0.5,
        rotation: always(-40.0, 40.0),
        brightness: always(0.6, 1.6),
        contrast: always(0.6, 1.6),
        scale: always(0.7, 1.4),
        crop: always(0.6, 1.0),
        elastic: Elastic { probability: 1.0, cells: 5, amplitude: 0.02 },
    }
}

/// A line as a map of the square: how near each pixel is to it.
fn drawn(side: usize, a: (f64, f64), b: (f64, f64)) -> Vec<f32> {
    let (dx, dy) = (b.0 - a.0, b.1 - a.1);
    let length2 = dx * dx + dy * dy;
    let near = |i: usize| {
        let (px, py) = ((i % side) as f64 - a.0, (i / side) as f64 - a.1);
        let t = ((px * dx + py * dy) / length2).clamp(0.0, 1.0);
        let distance = ((px - t * dx).powi(2) + (py - t * dy).powi(2)).sqrt();
        (-distance * distance / 8.0).exp() as f32
    };
    (0..side * side).map(near).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases / 10))]

    /// A line drawn in the network's square comes back within half a pixel of the original image.
    #[test]
    fn lines_come_back_within_half_a_pixel(
        width in 60usize..400, height in 60usize..400, paper in any::<bool>(),
        ends in prop::array::uniform4(0.1f64..0.9),
    ) {
        let side = 256;
        let geometry = if paper {
            ResizeGeometry::paper((width, height), side)
        } else {
            ResizeGeometry::longest_side((width, height), side)
        };
        // The line in original pixels, and where it belongs in the square.
        let original = [(ends[0] * width as f64, ends[1] * height as f64), (ends[2] * width as f64, ends[3] * height as f64)];
        prop_assume!((original[0].0 - original[1].0).hypot(original[0].1 - original[1].1) > 30.0);
        let square = original.map(|(x, y)| geometry.to_resized(x, y));
        let back = geometry.restore(&drawn(side, square[0], square[1])).unwrap();
        prop_assert_eq!(back.len(), width * height);
        // Across the middle of the line the restored ridge must pass within half a pixel of the line.
        let (mx, my) = ((original[0].0 + original[1].0) / 2.0, (original[0].1 + original[1].1) / 2.0);
        let (dx, dy) = (original[1].0 - original[0].0, original[1].1 - original[0].1);
        let length = dx.hypot(dy);
        let (nx, ny) = (-dy / length, dx / length);
        let at = |x: f64, y: f64| {
            let (x, y) = (x.clamp(0.0, width as f64 - 1.001), y.clamp(0.0, height as f64 - 1.001));
            let (x0, y0) = (x as usize, y as usize);
            let (u, v) = ((x - x0 as f64) as f32, (y - y0 as f64) as f32);
            let p = |x: usize, y: usize| back[y * width + x];
            (p(x0, y0) * (1.0 - u) + p(x0 + 1, y0) * u) * (1.0 - v)
                + (p(x0, y0 + 1) * (1.0 - u) + p(x0 + 1, y0 + 1) * u) * v
        };
        let (mut weight, mut moment) = (0.0, 0.0);
        for step in -60i32..=60 {
            let offset = f64::from(step) / 10.0;
            let value = f64::from(at(mx + offset * nx, my + offset * ny)).powi(3);
            weight += value;
            moment += value * offset;
        }
        prop_assert!((moment / weight).abs() <= 0.5, "the ridge is {} pixels off", moment / weight);
    }

    #[test]
    fn points_go_there_and_back(w in 1usize..2000, h in 1usize..2000, side in 8usize..1100, x in -1.0f64..2000.0, y in -1.0f64..2000.0) {
        for geometry in [ResizeGeometry::longest_side((w, h), side), ResizeGeometry::paper((w, h), side)] {
            prop_assert!(geometry.resized.0 <= side && geometry.resized.1 <= side);
            prop_assert!(geometry.resized.0 >= 1 && geometry.resized.1 >= 1);
            let (u, v) = geometry.to_resized(x, y);
            let (p, q) = geometry.to_original(u, v);
            prop_assert!((p - x).abs() < 1e-6 && (q - y).abs() < 1e-6);
        }
    }

    /// Masks stay masks, shapes stay shapes, nothing is NaN, and the draw depends on (seed, epoch, id) only.
    #[test]
    fn pipelines_are_functions_of_their_keys(
        width in 9usize..80, height in 9usize..80, channels in prop::sample::select(vec![1usize, 3]),
        side in 16usize..72, seed in any::<u64>(), epoch in 0u64..1000, paper in any::<bool>(),
    ) {
        let loaded = scene(width, height, channels);
        let pipeline = if paper {
            Pipeline::training(Protocol::Paper, side).unwrap()
        } else {
            Pipeline::new(Protocol::Default, side, everything()).unwrap()
        };
        let prepared = pipeline.prepare(loaded);
        let item = pipeline.finish(&prepared, "one", seed, epoch);
        prop_assert_eq!(&item, &pipeline.finish(&prepared, "one", seed, epoch));
        prop_assert_eq!(item.image.len(), 3 * side * side);
        prop_assert_eq!(item.mask.len(), side * side);
        prop_assert!(item.image.iter().all(|v| v.is_finite()));
        if paper {
            prop_assert!(item.mask.iter().all(|v| (0.0..=1.0 + 1e-6).contains(v)));
        } else {
            prop_assert!(item.mask.iter().all(|v| *v == 0.0 || *v == 1.0));
        }
        let (resized, _) = item.geometry.resized;
        prop_assert!(item.mask.iter().enumerate().all(|(i, v)| i % side < resized || *v == 0.0), "padding is background");
    }

    /// Image and mask move together: an image that shows its own mask still does after any augmentation.
    #[test]
    fn image_and_mask_stay_in_step(seed in any::<u64>(), width in 40usize..90, height in 40usize..90) {
        let mask = scene(width, height, 1).mask;
        let shown = Image::new(width, height, 1, mask.to_bytes().iter().map(|v| v * 255).collect()).unwrap();
        let geometry = Augmentation {
            brightness: Jitter { probability: 0.0, low: 1.0, high: 1.0 },
            contrast: Jitter { probability: 0.0, low: 1.0, high: 1.0 },
            ..everything()
        };
        let pipeline = Pipeline::new(Protocol::Default, 64, geometry).unwrap();
        let (image, mask) = pipeline.augmented(&pipeline.prepare(Loaded { image: shown, mask, ignored: None }), "x", seed, 0);
        // The image saw one more rounding (to bytes) than the mask before each was cut at one half.
        let wrong = image.data().iter().zip(&mask.to_bytes()).filter(|(i, m)| {
            let clear = i.abs_diff(128) > 70;
            clear && (**i >= 128) != (**m == 1)
        }).count();
        prop_assert_eq!(wrong, 0);
        let pipeline = Pipeline::training(Protocol::Paper, 64).unwrap();
        let mask = scene(width, height, 1).mask;
        let shown = Image::new(width, height, 1, mask.to_bytes()).unwrap();
        let (image, mask) = pipeline.augmented(&pipeline.prepare(Loaded { image: shown, mask, ignored: None }), "x", seed, 0);
        prop_assert!(image.data().iter().zip(&mask.to_bytes()).all(|(i, m)| (*i > 0) == (*m == 1)));
    }

    #[test]
    fn flips_undo_themselves(width in 1usize..40, height in 1usize..40, channels in prop::sample::select(vec![1usize, 3])) {
        let image = scene(width, height, channels).image;
        prop_assert_eq!(&flip_horizontal(&flip_horizontal(&image)), &image);
        prop_assert_eq!(&flip_vertical(&flip_vertical(&image)), &image);
        prop_assert_eq!(&rotate_image(&image, 0.0), &image);
        prop_assert_eq!(&resize_image(&image, width, height), &image);
    }

    #[test]
    fn resizing_keeps_constants(width in 1usize..90, height in 1usize..90, w in 1usize..90, h in 1usize..90, value: u8) {
        let image = Image::new(width, height, 1, vec![value; width * height]).unwrap();
        prop_assert!(resize_image(&image, w, h).data().iter().all(|&v| v == value));
    }

    /// Any mask, traced and filled again, is itself: holes, diagonal contacts and all.
    #[test]
    fn outlines_fill_back_to_the_same_mask(width in 1usize..22, height in 1usize..22, bits in prop::collection::vec(0u8..3, 22 * 22)) {
        let data: Vec<u8> = (0..width * height).map(|i| u8::from(bits[i] > 0)).collect();
        let mask = Mask::from_bytes(height, width, &data).unwrap();
        let mut back = Mask::new(height, width).unwrap();
        for polygon in outlines(&mask) {
            back = back.union(&fill_polygon(&polygon, width, height).unwrap()).unwrap();
        }
        prop_assert_eq!(back, mask);
    }
}
