//! From images to masks in the image's own size.

use burn::tensor::Device;
use image::{DynamicImage, GrayImage, Luma, Rgb, RgbImage, Rgba, RgbaImage};
use medseg_metrics::Mask;
use sam_model::{
    Image, ImagePrompt, PointLabel, Preprocess, Protocol, SamError, SamPredictor, draw_overlay, restore_masks,
};

use crate::support::{automatic_prompt, close, tiny_sam};

fn picture(width: u32, height: u32) -> Image {
    let image = RgbImage::from_fn(width, height, |x, y| Rgb([(x * 7) as u8, (y * 5) as u8, (x * y) as u8]));
    DynamicImage::from(image).try_into().unwrap()
}

fn predictor() -> SamPredictor {
    SamPredictor::new(tiny_sam(&Device::default())).unwrap()
}

fn point(x: f32, y: f32) -> ImagePrompt {
    ImagePrompt { points: vec![([x, y], PointLabel::Foreground)], ..ImagePrompt::default() }
}

#[test]
fn every_kind_of_image_is_segmented_in_its_own_size() {
    let mut predictor = predictor();
    let grey: DynamicImage = GrayImage::from_fn(50, 30, |x, y| Luma([(x + y) as u8])).into();
    let rgba: DynamicImage = RgbaImage::from_pixel(50, 30, Rgba([9, 8, 7, 0])).into();
    let [grey, rgba, deep] = [grey, rgba, DynamicImage::new_luma16(50, 30)].map(|image| image.try_into().unwrap());
    for image in [picture(50, 30), grey, rgba, deep, picture(1, 400), picture(400, 1), picture(1, 1), picture(500, 333)]
    {
        predictor.set_image(&image).unwrap();
        for multimask in [false, true] {
            let answers = predictor.predict(&[point(0.0, 0.0)], multimask).unwrap();
            assert_eq!(answers[0].len(), if multimask { 3 } else { 1 });
            for answer in &answers[0] {
                let size = (image.width() as u32, image.height() as u32);
                assert_eq!((answer.to_image().dimensions(), answer.to_probabilities().dimensions()), (size, size));
                assert!(answer.iou.is_some_and(f32::is_finite));
            }
        }
    }
}

/// A grey image and the same image in three channels are one image.
#[test]
fn colour_types_do_not_matter() {
    let predictor = predictor();
    let grey = Image::new(40, 24, 1, (0..40 * 24).map(|at| (at * 3) as u8).collect()).unwrap();
    let expected = predictor.embed(&grey).unwrap();
    close(predictor.embed(&grey.to_rgb()).unwrap().embedding, expected.embedding, 0.0);
}

#[test]
fn a_mask_passes_zero_where_its_probability_passes_one_half() {
    let mut predictor = predictor();
    predictor.set_image(&picture(90, 70)).unwrap();
    for answer in predictor.predict(&[point(40.0, 30.0)], true).unwrap().remove(0) {
        let (mask, probability) = (answer.to_image(), answer.to_probabilities());
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
        assert_eq!(alone.geometry, embedded.geometry);
        close(alone.embedding, embedded.embedding.clone(), 1e-5);
    }
    assert!(predictor.embed_batch(&[]).unwrap().is_empty());
    let mut answers = Vec::new();
    for image in [0, 1, 0, 2, 0, 1] {
        predictor.set_image(&images[image]).unwrap();
        answers.push((image, predictor.predict(&[point(5.0, 5.0)], false).unwrap()[0][0].logits.clone()));
    }
    for (image, answer) in &answers {
        let first = answers.iter().find(|(other, _)| other == image).unwrap();
        assert_eq!(answer, &first.1);
    }
    predictor.set_embedding(batch[1].clone()).unwrap();
    assert_eq!(predictor.embedding().unwrap().geometry, batch[1].geometry);
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
    let pairs = together[0][0].logits.iter().zip(&together[1][0].logits);
    assert!(pairs.into_iter().all(|(a, b)| (a - b).abs() <= 1e-5));
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
    assert!(answers.iter().all(|answer| answer.to_image().dimensions() == (70, 50) && answer.iou.is_none()));
}

#[test]
fn another_input_size_is_another_embedding() {
    let sized = |size| predictor().with_preprocess(Preprocess::new(Protocol::Default, size).unwrap());
    let mut predictor = sized(96).unwrap();
    predictor.set_image(&picture(70, 50)).unwrap();
    assert_eq!(predictor.embedding().unwrap().embedding.dims(), [1, 32, 6, 6]);
    let embedding = predictor.embedding().unwrap().clone();
    assert!(crate::predictor::predictor().set_embedding(embedding).is_err());
    assert!(matches!(sized(100), Err(SamError::Value { .. })));
}

#[test]
fn overlays_keep_the_picture_outside_the_mask() {
    let image = RgbImage::from_pixel(6, 6, Rgb([100, 100, 100]));
    let mask = Mask::from_fn(6, 6, |row, column| (1..5).contains(&row) && (1..5).contains(&column)).unwrap();
    let overlay = draw_overlay(&image, &mask);
    assert_eq!(overlay.get_pixel(0, 0), &Rgb([100, 100, 100]));
    assert_eq!(overlay.get_pixel(1, 1), &Rgb([0, 230, 90]), "the outline in full");
    let inside = overlay.get_pixel(2, 2);
    assert!(inside[1] > 100 && inside[1] < 230 && inside[0] < 100, "the inside translucent");
}

/// What an evaluation does (prepare a batch, one pass, restore) and what a person does (set an image, ask) end in the same
/// bits, under both protocols, for images of any form.
#[test]
fn evaluation_and_prediction_are_one_way() {
    let device = Device::default();
    let prompt = automatic_prompt(2, 32, &device);
    let images = [picture(60, 40), picture(40, 60), picture(33, 33), picture(300, 200)];
    for protocol in [Protocol::Default, Protocol::Paper] {
        for size in [96, 160] {
            let preprocess = Preprocess::new(protocol, size).unwrap();
            let mut predictor = predictor().with_preprocess(preprocess).unwrap();
            let together = predictor.predict_automatic_batch(&images, &prompt).unwrap();

            let inputs: Vec<_> = images.iter().map(|image| preprocess.prepare(image)).collect();
            let geometries: Vec<_> = inputs.iter().map(|input| input.geometry).collect();
            let values: Vec<f32> = inputs.into_iter().flat_map(|input| input.values).collect();
            let values = burn::tensor::TensorData::new(values, [images.len(), 3, size, size]);
            let batch = burn::tensor::Tensor::from_data(values, &device);
            let logits = predictor.model().forward_automatic(batch, &prompt).unwrap();
            let evaluated = restore_masks(logits, &preprocess, &geometries).unwrap();
            for (index, image) in images.iter().enumerate() {
                let alone = predictor.predict_automatic_batch(std::slice::from_ref(image), &prompt).unwrap().remove(0);
                predictor.set_image(image).unwrap();
                let asked = predictor.predict_automatic(&prompt).unwrap();
                for label in 0..2 {
                    let found = &together[index][label];
                    assert_eq!((&found.logits, &found.mask), {
                        let wanted = &evaluated[index][label];
                        (&wanted.logits, &wanted.mask)
                    });
                    assert_eq!((found.mask.width(), found.mask.height()), image.size());
                    assert_eq!((&asked[label].logits, &asked[label].mask), (&alone[label].logits, &alone[label].mask));
                    // Another batch size may add in another order, no more.
                    let pairs = found.logits.iter().zip(&alone[label].logits);
                    assert!(pairs.into_iter().all(|(a, b)| (a - b).abs() <= 1e-4));
                }
            }
        }
    }
    assert!(predictor().predict_automatic_batch(&[], &prompt).unwrap().is_empty());
    let preprocess = Preprocess::new(Protocol::Default, 160).unwrap();
    let logits = burn::tensor::Tensor::zeros([2, 1, 40, 40], &device);
    let one = [preprocess.geometry((5, 5))];
    assert!(matches!(restore_masks(logits, &preprocess, &one), Err(SamError::Shape { what: "geometries", .. })));
}
