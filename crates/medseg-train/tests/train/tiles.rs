//! Large images tile by tile: the same answers as without tiles, away from the seams.

use crate::support::tiny;
use medseg_data::transform::Tiling;
use medseg_data::{Image, Protocol};
use medseg_train::bundle::{BundleContent, Preprocessing, write_weights};
use medseg_train::model::{PromptedSam, Segmenter};
use medseg_train::session::{Session, SessionOptions};
use medseg_train::{StopFlag, TrainError, device};
use sam_model::{AutomaticPrompt, MaskAnswer};
use tempfile::TempDir;

/// An untrained model of two labels, as a bundle.
fn session(place: &TempDir, protocol: Protocol) -> Session {
    let device = device::open("cpu").unwrap();
    let sam = tiny().init_seeded(3, &device).unwrap();
    let prompt = AutomaticPrompt::learned(2, tiny().output_channels, &device);
    let preprocessing = Preprocessing::new(Default::default(), protocol, 64).unwrap();
    let content = BundleContent { labels: vec!["artery".into(), "vein".into()], preprocessing, provenance: None };
    let bundle = place.path().join(format!("{protocol:?}"));
    write_weights(&bundle, &Segmenter::Sam(PromptedSam { sam, prompt }), content).unwrap();
    Session::open(bundle.to_str().unwrap(), &device, &SessionOptions::default()).unwrap()
}

fn picture(width: usize, height: usize) -> Image {
    let pixel = |i: usize| ((i % width * 7 + i / width * 13) % 200 + i % 3 * 18) as u8;
    Image::new(width, height, 1, (0..width * height).map(pixel).collect()).unwrap()
}

/// Masks and logits of every label, tile by tile.
fn tiled(session: &Session, image: &Image, tiling: Tiling) -> Vec<(medseg_data::Mask, Vec<f32>)> {
    let mut logits = vec![Vec::new(); 2];
    let masks = session
        .segment_tiles(image, tiling, &StopFlag::new(), |label, rows| {
            assert_eq!(rows.first * image.width(), logits[label].len());
            logits[label].extend_from_slice(&rows.logits);
            Ok::<(), TrainError>(())
        })
        .unwrap();
    masks.into_iter().zip(logits).collect()
}

fn whole(session: &Session, image: Image) -> Vec<MaskAnswer> {
    session.segment(&[image]).unwrap().remove(0)
}

#[test]
fn an_image_of_one_tile_has_the_bits_of_the_untiled_call() {
    let place = tempfile::tempdir().unwrap();
    for protocol in [Protocol::Default, Protocol::Paper] {
        let session = session(&place, protocol);
        for (width, height) in [(70, 50), (96, 96), (1, 90)] {
            let image = picture(width, height);
            let answers = whole(&session, image.clone());
            let found = tiled(&session, &image, Tiling::new(96, 40).unwrap());
            assert_eq!(found.len(), 2);
            for (answer, (mask, logits)) in answers.iter().zip(found) {
                let bits = |values: &[f32]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
                assert_eq!(bits(&answer.logits), bits(&logits), "{width} x {height}");
                assert_eq!(answer.mask, mask);
            }
        }
    }
}

#[test]
fn away_from_seams_every_pixel_is_that_of_its_tile_alone() {
    let place = tempfile::tempdir().unwrap();
    let session = session(&place, Protocol::Default);
    let image = picture(150, 110);
    let tiling = Tiling::new(64, 16).unwrap();
    let found = tiled(&session, &image, tiling);
    let grid = tiling.grid(image.size());
    let tiles: Vec<_> = grid.tiles().collect();
    assert_eq!(tiles.len(), 6);
    let (mut alone, mut shared) = (0, 0);
    for tile in &tiles {
        let answers = whole(&session, image.tile(tile));
        for (answer, (mask, logits)) in answers.iter().zip(&found) {
            for (at, &logit) in answer.logits.iter().enumerate() {
                let (x, y) = (tile.columns.start + at % tile.columns.len(), tile.rows.start + at / tile.columns.len());
                let here = tiles.iter().filter(|t| t.columns.contains(&x) && t.rows.contains(&y)).count();
                if here == 1 {
                    assert_eq!(logits[y * 150 + x], logit, "({x}, {y})");
                    assert_eq!(mask.get(y, x), answer.mask.get(y - tile.rows.start, x - tile.columns.start));
                    alone += 1;
                } else {
                    shared += 1;
                }
            }
        }
    }
    assert!(alone > 2 * 4000 && shared > 2 * 4000, "{alone} and {shared}");
    let foreground: u64 = found.iter().map(|(mask, _)| mask.count()).sum();
    let positive = found.iter().flat_map(|(_, logits)| logits).filter(|logit| **logit > 0.0).count();
    assert_eq!(foreground, positive as u64);
}

#[test]
fn tiles_stop_between_two() {
    let place = tempfile::tempdir().unwrap();
    let session = session(&place, Protocol::Default);
    let stop = StopFlag::new();
    let mut calls = 0;
    let outcome = session.segment_tiles(&picture(64, 300), Tiling::new(64, 0).unwrap(), &stop, |_, _| {
        calls += 1;
        stop.raise();
        Ok::<(), TrainError>(())
    });
    assert!(matches!(outcome, Err(TrainError::Stopped { .. })));
    assert_eq!(calls, 2, "both labels of the first tile");
}
