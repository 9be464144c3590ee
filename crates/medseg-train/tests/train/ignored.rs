//! Pixels that a mask says nothing about train nothing.

use crate::support::{config, prepared};
use image::{GrayImage, Luma};
use medseg_data::decode::Label;
use medseg_train::StopFlag;
use medseg_train::losses::{LossTermKind, WeightedLoss};
use medseg_train::train::{Silent, train};
use std::path::Path;
use tempfile::TempDir;

/// Images with a bar and, in their right third, `unknown` in the mask instead.
fn images(unknown: u8) -> TempDir {
    let place = tempfile::tempdir().unwrap();
    for (part, count) in [("train", 5), ("val", 2), ("test", 2)] {
        let [images, masks] = ["images", "masks"].map(|kind| place.path().join(part).join(kind));
        for index in 0..count {
            let bar = |x: u32, y: u32| (y * 3 + x).abs_diff(120 + index) < 12;
            let shade = |x: u32, y: u32| 60 + ((x * 7 + y * 13 + index) % 50) as u8;
            let image = GrayImage::from_fn(60, 64, |x, y| Luma([if bar(x, y) { 20 } else { shade(x, y) }]));
            let mask = GrayImage::from_fn(60, 64, |x, y| {
                Luma([match (x < 40, bar(x, y)) {
                    (false, _) => unknown,
                    (true, true) => 255,
                    (true, false) => 0,
                }])
            });
            for (folder, picture) in [(&images, image), (&masks, mask)] {
                std::fs::create_dir_all(folder).unwrap();
                picture.save(folder.join(format!("{index}.png"))).unwrap();
            }
        }
    }
    place
}

/// The selected weights, the loss of each epoch and the Dice of the validation images after training with every kind of loss.
fn ending(folder: &Path, ignore: &[i64]) -> (Vec<u8>, String) {
    let mut config = config(folder);
    config.data.options.foreground = vec![Label::Value(255)];
    config.data.options.ignore = ignore.iter().copied().map(Label::Value).collect();
    config.loss = WeightedLoss::new([
        LossTermKind::CrossEntropy {},
        LossTermKind::Focal { alpha: 0.75, gamma: 2.0 },
        LossTermKind::ClDice { iterations: 3, smooth: 1.0 },
        LossTermKind::Boundary {},
    ]);
    let (data, base) = prepared(&config);
    let run = tempfile::tempdir().unwrap();
    let outcome = train(&config, &data, &base, run.path(), &StopFlag::new(), &Silent).unwrap();
    (std::fs::read(run.path().join("best.safetensors")).unwrap(), format!("{:?}", outcome.curve))
}

#[test]
fn what_stands_under_ignored_pixels_changes_no_bit_of_a_run() {
    let (first, second) = (images(128), images(77));
    let [one, other] = [(&first, 128), (&second, 77)].map(|(folder, value)| ending(folder.path(), &[value]));
    assert!(one == other);
    let as_background = ending(first.path(), &[]);
    assert!(one != as_background, "ignoring a third of every image changes the run");
}
