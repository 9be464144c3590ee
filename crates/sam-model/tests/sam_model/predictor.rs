//! From images to masks in the image's own size.

use burn::tensor::Device;
use image::{DynamicImage, GenericImageView, GrayImage, Luma, Rgb, RgbImage, Rgba, RgbaImage};
use sam_model::{
    Frame, ImagePrompt, PIXEL_MEAN, PIXEL_STD, PointLabel, SamError, SamPredictor, draw_overlay, prepare_image,
};

use crate::support::{automatic_prompt, close, tiny_sam};

fn picture(width: u32, height: u32) -> DynamicImage {
    RgbImage::from_fn(width, height, |x, y| Rgb([(x * 7) as u8, (y * 5) as u8, (x * y) as u8])).into()
}

fn predictor() -> SamPredictor {
    SamPredictor::new(tiny_sam(&Device::default()))
}

fn point(x: f32, y: f32) -> ImagePrompt {
    ImagePrompt { points: vec![([x, y], PointLabel::Foreground)], ..ImagePrompt::default() }
}

#[test]
fn the_longest_side_fills_the_input() {
    // Rounded half up, as the original: 1024 * 565 / 584 = 990.68; 7 * 3 / 2 = 10.5.
    for (original, input, resized) in [
        ([584, 565], 1024, [1024, 991]),
        ([565, 584], 1024, [991, 1024]),
        ([7, 14], 21, [11, 21]),
        ([300, 300], 512, [512, 512]),
        ([1, 4000], 512, [1, 512]),
        ([4000, 1], 512, [512, 1]),
    ] {
        assert_eq!(Frame::new(original, input).unwrap().resized, resized, "{original:?}");
    }
    assert!(matches!(Frame::new([0, 5], 512), Err(SamError::Value { .. })));
}

#[test]
fn pixels_are_normalised_and_the_rest_is_zero() {
    let image = RgbImage::from_pixel(32, 16, Rgb([10, 200, 255])).into();
    let (tensor, frame) = prepare_image(&image, 64, &Device::default()).unwrap();
    assert_eq!((tensor.dims(), frame.resized), ([1, 3, 64, 64], [32, 64]));
    let values: Vec<f32> = tensor.into_data().iter().collect();
    for (channel, grey) in [10.0, 200.0, 255.0].into_iter().enumerate() {
        let plane = &values[channel * 64 * 64..][..64 * 64];
        let expected = (grey - PIXEL_MEAN[channel]) / PIXEL_STD[channel];
        assert!(plane[..32 * 64].iter().all(|v| (v - expected).abs() < 1e-6));
        assert!(plane[32 * 64..].iter().all(|v| *v == 0.0), "padding is zero after normalisation");
    }
}

/// PIL's antialiased bilinear reduction of a ramp and of a step, by hand: a triangle of twice the scale.
#[test]
fn reduction_is_antialiased() {
    let stripes: DynamicImage = RgbImage::from_fn(64, 64, |x, _| Rgb([if x % 2 == 0 { 0 } else { 200 }; 3])).into();
    let (tensor, _) = prepare_image(&stripes, 16, &Device::default()).unwrap();
    let grey = tensor.slice([0..1, 0..1, 8..9, 2..14]) * PIXEL_STD[0] + PIXEL_MEAN[0];
    for value in grey.into_data().iter::<f32>() {
        assert!((value - 100.0).abs() <= 1.5, "stripes finer than a pixel average out, found {value}");
    }
}

#[test]
fn every_kind_of_image_is_segmented_in_its_own_size() {
    let mut predictor = predictor();
    let grey: DynamicImage = GrayImage::from_fn(50, 30, |x, y| Luma([(x + y) as u8])).into();
    let rgba: DynamicImage = RgbaImage::from_pixel(50, 30, Rgba([9, 8, 7, 0])).into();
    let deep = DynamicImage::new_luma16(50, 30);
    for image in [picture(50, 30), grey, rgba, deep, picture(1, 400), picture(400, 1), picture(1, 1), picture(500, 333)]
    {
        predictor.set_image(&image).unwrap();
        for multimask in [false, true] {
            let answers = predictor.predict(&[point(0.0, 0.0)], multimask).unwrap();
            assert_eq!(answers[0].len(), if multimask { 3 } else { 1 });
            for answer in &answers[0] {
                assert_eq!(answer.to_mask().dimensions(), image.dimensions());
                assert_eq!(answer.to_probabilities().dimensions(), image.dimensions());
                assert!(answer.iou.is_some_and(f32::is_finite));
            }
        }
    }
    assert!(matches!(predictor.set_image(&DynamicImage::new_rgb8(0, 5)), Err(SamError::Value { .. })));
}

/// A grey image and the same image in three channels are one image; alpha is left out.
#[test]
fn colour_types_do_not_matter() {
    let predictor = predictor();
    let grey = GrayImage::from_fn(40, 24, |x, y| Luma([(x * 3 + y) as u8]));
    let rgb: DynamicImage = DynamicImage::from(grey.clone()).to_rgb8().into();
    let rgba: DynamicImage = RgbaImage::from_fn(40, 24, |x, y| {
        let v = grey.get_pixel(x, y)[0];
        Rgba([v, v, v, (x * 6) as u8])
    })
    .into();
    let expected = predictor.embed(&grey.into()).unwrap();
    for image in [rgb, rgba] {
        close(predictor.embed(&image).unwrap().embedding, expected.embedding.clone(), 0.0);
    }
}

#[test]
fn a_mask_passes_zero_where_its_probability_passes_one_half() {
    let mut predictor = predictor();
    predictor.set_image(&picture(90, 70)).unwrap();
    for answer in predictor.predict(&[point(40.0, 30.0)], true).unwrap().remove(0) {
        let (mask, probability) = (answer.to_mask(), answer.to_probabilities());
        for (mask, probability) in mask.pixels().zip(probability.pixels()) {
            match probability[0] {
                0..=126 => assert_eq!(mask[0], 0),
                129.. => assert_eq!(mask[0], 255),
                _ => assert!(mask[0] == 0 || mask[0] == 255),
            }
        }
    }
}

#[test]
fn batches_equal_single_images_and_the_cache_equals_the_encoder() {
    let mut predictor = predictor().with_cache(2);
    let images = [picture(60, 40), picture(40, 60), picture(33, 33)];
    let batch = predictor.embed_batch(&images).unwrap();
    for (image, embedded) in images.iter().zip(&batch) {
        let alone = predictor.embed(image).unwrap();
        assert_eq!(alone.frame, embedded.frame);
        close(alone.embedding, embedded.embedding.clone(), 1e-5);
    }
    assert!(predictor.embed_batch(&[]).unwrap().is_empty());
    let mut answers = Vec::new();
    for image in [0, 1, 0, 2, 0, 1] {
        predictor.set_image(&images[image]).unwrap();
        answers.push((image, predictor.predict(&[point(5.0, 5.0)], false).unwrap()[0][0].logits.to_data()));
    }
    for (image, answer) in &answers {
        let first = answers.iter().find(|(other, _)| other == image).unwrap();
        assert_eq!(answer, &first.1);
    }
    predictor.set_embedding(batch[1].clone()).unwrap();
    assert_eq!(predictor.embedding().unwrap().frame, batch[1].frame);
}

#[test]
fn several_prompts_with_unequal_points_are_answered_together() {
    let mut predictor = predictor();
    predictor.set_image(&picture(80, 64)).unwrap();
    let two = ImagePrompt {
        points: vec![([10.0, 10.0], PointLabel::Foreground), ([60.0, 50.0], PointLabel::Background)],
        ..ImagePrompt::default()
    };
    let together = predictor.predict(&[two.clone(), two], false).unwrap();
    close(together[0][0].logits.clone(), together[1][0].logits.clone(), 1e-5);
    // Refining with the first answer as mask prompt, and a box.
    let refined = ImagePrompt {
        mask: Some(together[0][0].low_resolution.clone()),
        bounding_box: Some([5.0, 5.0, 70.0, 60.0]),
        ..point(10.0, 10.0)
    };
    assert_eq!(predictor.predict(std::slice::from_ref(&refined), true).unwrap()[0].len(), 3);
    // A box in only one prompt of a batch would need another shape for each.
    assert!(matches!(predictor.predict(&[refined, point(1.0, 1.0)], true), Err(SamError::Value { .. })));
    assert!(predictor.predict(&[], true).unwrap().is_empty());
}

#[test]
fn automatic_prompts_give_one_mask_a_label() {
    let device = Device::default();
    let mut predictor = predictor();
    let prompt = automatic_prompt(2, 32, &device);
    assert!(matches!(predictor.predict_automatic(&prompt), Err(SamError::NoImage)));
    predictor.set_image(&picture(70, 50)).unwrap();
    let answers = predictor.predict_automatic(&prompt).unwrap();
    assert_eq!(answers.len(), 2);
    assert!(answers.iter().all(|answer| answer.to_mask().dimensions() == (70, 50) && answer.iou.is_none()));
}

#[test]
fn another_input_size_is_another_embedding() {
    let mut predictor = predictor().with_input_size(96).unwrap();
    predictor.set_image(&picture(70, 50)).unwrap();
    assert_eq!(predictor.embedding().unwrap().embedding.dims(), [1, 32, 6, 6]);
    let embedding = predictor.embedding().unwrap().clone();
    assert!(crate::predictor::predictor().set_embedding(embedding).is_err());
    assert!(matches!(crate::predictor::predictor().with_input_size(100), Err(SamError::Value { .. })));
}

#[test]
fn overlays_keep_the_picture_outside_the_mask() {
    let image = RgbImage::from_pixel(6, 6, Rgb([100, 100, 100]));
    let mask =
        GrayImage::from_fn(6, 6, |x, y| Luma([if (1..5).contains(&x) && (1..5).contains(&y) { 255 } else { 0 }]));
    let overlay = draw_overlay(&image, &mask);
    assert_eq!(overlay.get_pixel(0, 0), &Rgb([100, 100, 100]));
    assert_eq!(overlay.get_pixel(1, 1), &Rgb([0, 230, 90]), "the outline in full");
    let inside = overlay.get_pixel(2, 2);
    assert!(inside[1] > 100 && inside[1] < 230 && inside[0] < 100, "the inside translucent");
}

/// `sam_preprocess.py` runs the original's own resizing, normalisation and padding. Resizing happens in 8-bit grey levels on both
/// sides; theirs rounds after each axis, so a level of difference is what the arithmetic allows.
#[test]
fn inputs_are_those_of_the_original() {
    let bytes = std::fs::read(crate::support::fixture_beside_tests("sam_preprocess.safetensors")).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let values = |name: &str| -> Vec<f32> {
        let data = file.tensor(name).unwrap().data().to_vec();
        data.chunks_exact(4).map(|c| f32::from_le_bytes(c.try_into().unwrap())).collect()
    };
    let pixels = values("image").iter().map(|v| *v as u8).collect();
    let image: DynamicImage = RgbImage::from_raw(31, 23, pixels).unwrap().into();
    for side in [48, 12] {
        let (input, _) = prepare_image(&image, side, &Device::default()).unwrap();
        let found: Vec<f32> = input.into_data().iter().collect();
        let plane = side * side;
        let levels: Vec<f32> = values(&format!("input.{side}"))
            .iter()
            .zip(&found)
            .enumerate()
            .map(|(i, (a, b))| (a - b).abs() * PIXEL_STD[i / plane])
            .collect();
        let largest = levels.iter().copied().fold(0.0, f32::max);
        let mean = levels.iter().sum::<f32>() / levels.len() as f32;
        eprintln!("side {side}: largest {largest:.3}, mean {mean:.4} grey levels");
        assert!(largest <= 1.001 && mean < 0.2, "side {side}: largest {largest}, mean {mean}");
    }
}
