//! Properties that hold for any image: the way back, mask values, determinism.

use crate::support::scene;
use medseg_data::coco::fill_polygon;
use medseg_data::dataset::Loaded;
use medseg_data::synth::outlines;
use medseg_data::transform::{
    Augmentation, Elastic, Jitter, Pipeline, Protocol, flip_horizontal, flip_vertical, resize_image, rotate_image,
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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases / 10))]

    /// Masks stay masks, shapes stay shapes, nothing is NaN, and the draw depends on (seed, epoch, id) only.
    #[test]
    fn pipelines_are_functions_of_their_keys(
        width in 9usize..80, height in 9usize..80, channels in prop::sample::select(vec![1usize, 3]),
        side in 16usize..72, seed in any::<u64>(), epoch in 0u64..1000,
        protocol in prop::sample::select(vec![Protocol::Default, Protocol::Paper, Protocol::Sam2, Protocol::MedSam]),
    ) {
        let loaded = scene(width, height, channels);
        let paper = protocol == Protocol::Paper;
        let pipeline = if paper {
            Pipeline::training(protocol, side).unwrap()
        } else {
            Pipeline::new(protocol, side, everything()).unwrap()
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
        for protocol in [Protocol::Default, Protocol::Sam2, Protocol::MedSam] {
            let pipeline = Pipeline::new(protocol, 64, geometry.clone()).unwrap();
            let loaded = Loaded { image: shown.clone(), mask: mask.clone(), ignored: None };
            let (image, mask) = pipeline.augmented(&pipeline.prepare(loaded), "x", seed, 0);
            // The image saw one more rounding (to bytes) than the mask before each was cut at one half.
            let wrong = image.data().iter().zip(&mask.to_bytes()).filter(|(i, m)| {
                let clear = i.abs_diff(128) > 70;
                clear && (**i >= 128) != (**m == 1)
            }).count();
            prop_assert_eq!(wrong, 0, "{:?}", protocol);
        }
        let pipeline = Pipeline::training(Protocol::Paper, 64).unwrap();
        let mask = scene(width, height, 1).mask;
        let shown = Image::new(width, height, 1, mask.to_bytes()).unwrap();
        let (image, mask) = pipeline.augmented(&pipeline.prepare(Loaded { image: shown, mask, ignored: None }), "x", seed, 0);
        prop_assert!(image.data().iter().zip(&mask.to_bytes()).all(|(i, m)| (*i > 0) == (*m == 1)));
    }

    /// What is scored is what prediction sees, to the last bit, and a stretched mask fills the square: nothing is padded.
    #[test]
    fn a_stretched_image_is_the_one_that_prediction_sees(
        width in 9usize..80, height in 9usize..80, channels in prop::sample::select(vec![1usize, 3]), side in 16usize..72,
    ) {
        let loaded = scene(width, height, channels);
        let image = loaded.image.clone();
        let covered = loaded.mask.count() as f64 / (width * height) as f64;
        let pipeline = Pipeline::evaluation(Protocol::Sam2, side).unwrap();
        let item = pipeline.finish(&pipeline.prepare(loaded), "one", 3, 0);
        let seen = pipeline.preprocess().prepare(&image);
        prop_assert_eq!(&item.image, &seen.values);
        prop_assert_eq!(item.geometry, seen.geometry);
        prop_assert_eq!(item.geometry.resized, (side, side));
        let share = f64::from(item.mask.iter().sum::<f32>()) / (side * side) as f64;
        prop_assert!((share - covered).abs() < 0.25, "{} of the square, {} of the image", share, covered);
    }

    #[test]
    fn flips_undo_themselves(width in 1usize..40, height in 1usize..40, channels in prop::sample::select(vec![1usize, 3])) {
        let image = scene(width, height, channels).image;
        prop_assert_eq!(&flip_horizontal(&flip_horizontal(&image)), &image);
        prop_assert_eq!(&flip_vertical(&flip_vertical(&image)), &image);
        prop_assert_eq!(&rotate_image(&image, 0.0), &image);
        prop_assert_eq!(&resize_image(&image, width, height), &image);
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
