//! Inputs at the ends of what is possible: each is trained on, scored and segmented, or refused by name.

use crate::support::config;
use image::{DynamicImage, GrayImage, ImageBuffer, Luma};
use medseg_data::decode::{Limits, decode_image};
use medseg_train::config::RunConfig;
use medseg_train::data::prepare;
use medseg_train::evaluate::{evaluate, merged};
use medseg_train::model::BaseModel;
use medseg_train::session::{Session, SessionOptions};
use medseg_train::train::{Silent, load_best, train, write_bundle};
use medseg_train::{StopFlag, device};
use std::path::Path;

/// Image and mask files of one name, both of them odd in some way.
fn pair(root: &Path, part: &str, name: &str, image: &DynamicImage, foreground: bool) {
    for (kind, picture) in [
        ("images", image.clone()),
        ("masks", {
            let ink = |x: u32, y: u32| u8::from(foreground && (x + y).is_multiple_of(3)) * 255;
            GrayImage::from_fn(image.width(), image.height(), |x, y| Luma([ink(x, y)])).into()
        }),
    ] {
        let folder = root.join(part).join(kind);
        std::fs::create_dir_all(&folder).unwrap();
        picture.save(folder.join(format!("{name}.png"))).unwrap();
    }
}

fn grey(width: u32, height: u32, value: impl Fn(u32, u32) -> u8) -> DynamicImage {
    GrayImage::from_fn(width, height, |x, y| Luma([value(x, y)])).into()
}

/// The set: one odd thing an image.
fn odd(root: &Path) -> RunConfig {
    for part in ["train", "val", "test"] {
        pair(root, part, "constant", &grey(40, 30, |_, _| 77), true);
        pair(root, part, "empty", &grey(40, 30, |x, y| (x * 5 + y) as u8), false);
        pair(root, part, "smaller_than_a_patch", &grey(3, 2, |x, _| (x * 90) as u8), true);
        pair(root, part, "one_pixel", &grey(1, 1, |_, _| 9), false);
        pair(root, part, "wide", &grey(5000, 1, |x, _| (x % 251) as u8), true);
        pair(root, part, "high", &grey(1, 5000, |_, y| (y % 251) as u8), true);
        let sixteen = ImageBuffer::from_fn(30, 40, |x, y| Luma([(x * 2000 + y * 7) as u16]));
        pair(root, part, "sixteen_bits", &DynamicImage::ImageLuma16(sixteen), true);
    }
    let mut config = config(root);
    config.training.epochs = 1;
    config.training.batch_size = 1;
    config.training.accumulate = 1;
    config
}

#[test]
fn odd_images_are_trained_on_scored_and_segmented() {
    let place = tempfile::tempdir().unwrap();
    let config = odd(&place.path().join("set"));
    let run = place.path().join("run");
    let data = prepare(&config.data, "odd").unwrap();
    let device = device::open("cpu").unwrap();
    let base = BaseModel::load(&config.model, config.data.image_size, &device).unwrap();
    let outcome = train(&config, &data, &base, &run, &StopFlag::new(), &Silent).unwrap();
    assert_eq!(outcome.steps, 7, "batches of one");
    assert!(outcome.curve.iter().all(|epoch| epoch.loss.is_finite()), "{:?}", outcome.curve);
    let best = merged(&load_best(&config, &base, &run, &device).unwrap());
    let scores = evaluate(&best, &data, &data.test, &config.evaluation, &device, &StopFlag::new()).unwrap();
    assert_eq!(scores.report.cases().len(), 7);
    write_bundle(&run.join("bundle"), &config, &data, &base, &run, &outcome).unwrap();
    let session = Session::open(run.to_str().unwrap(), &device, &SessionOptions::default()).unwrap();
    for case in &data.test {
        let path = &case.sample.image.paths()[0];
        let image = decode_image(path, &Limits::default(), &session.preprocessing().reading).unwrap();
        let answer = session.segment(std::slice::from_ref(&image)).unwrap().remove(0).remove(0);
        assert_eq!((answer.mask.width(), answer.mask.height()), image.size(), "{}", path.display());
        assert!(answer.logits.iter().all(|logit| logit.is_finite()), "{}", path.display());
    }
}

#[test]
fn masks_without_foreground_are_refused_by_name_unless_they_are_allowed() {
    let place = tempfile::tempdir().unwrap();
    for part in ["train", "val", "test"] {
        pair(place.path(), part, "nothing", &grey(40, 30, |x, y| (x * 5 + y) as u8), false);
    }
    let mut config = config(place.path());
    config.training.epochs = 1;
    let (device, run) = (device::open("cpu").unwrap(), place.path().join("run"));
    let data = prepare(&config.data, "nothing but background").unwrap();
    let base = BaseModel::load(&config.model, config.data.image_size, &device).unwrap();
    let outcome = train(&config, &data, &base, &run, &StopFlag::new(), &Silent).unwrap();
    assert!(outcome.curve.iter().all(|epoch| epoch.loss.is_finite()));
    config.data.allow_empty_masks = false;
    let error = prepare(&config.data, "nothing but background").unwrap_err().to_string();
    assert!(error.contains("nothing.png") && error.contains("empty"), "{error}");
}
