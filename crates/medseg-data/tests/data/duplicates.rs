//! Copies are found, different images of one kind are not taken for copies.

#[path = "../../examples/near_duplicates/changes.rs"]
mod changes;
#[path = "../../examples/near_duplicates/drawn.rs"]
mod drawn;

use crate::support::{bar, real};
use changes::{changes, shift};
use drawn::drawn;
use medseg_data::check::{DuplicatePair, ImagePrint, NEAR_DUPLICATE, ProblemKind, VerifyOptions, duplicates, verify};
use medseg_data::decode::Limits;
use medseg_data::preview::save_image;
use medseg_data::{Dataset, Image};
use std::path::Path;

fn prints(images: &[Image]) -> Vec<ImagePrint> {
    images.iter().map(ImagePrint::new).collect()
}

fn set(kind: &str, side: usize, count: u64) -> Vec<Image> {
    (0..count).map(|k| drawn(kind, side, k)).collect()
}

fn indices(pairs: &[DuplicatePair]) -> Vec<(usize, usize)> {
    pairs.iter().map(|p| (p.first, p.second)).collect()
}

#[test]
fn changed_copies_are_found_and_nothing_else() {
    for kind in ["angiogram", "octa", "fundus"] {
        let images = set(kind, 256, 10);
        for (name, change) in changes() {
            let copies: Vec<Image> = images.iter().map(change).collect();
            let pairs = duplicates(&prints(&[images.clone(), copies].concat()), Some(NEAR_DUPLICATE));
            let expected: Vec<(usize, usize)> = (0..10).map(|i| (i, i + 10)).collect();
            assert_eq!(indices(&pairs), expected, "{kind}, {name}: {pairs:?}");
            let mirrored = name.contains("mirrored");
            assert!(pairs.iter().all(|p| p.mirrored == mirrored), "{kind}, {name}: {pairs:?}");
            assert!(pairs.iter().all(|p| p.same_pixels == name.starts_with("none")), "{kind}, {name}: {pairs:?}");
        }
    }
}

#[test]
fn frame_field_of_view_and_shading_do_not_make_a_duplicate() {
    // Everything but the vessels is the same to the pixel.
    let pairs = duplicates(&prints(&set("fundus", 256, 40)), Some(NEAR_DUPLICATE));
    assert_eq!(pairs, []);
    // A black frame and a white label, as burnt into angiograms.
    let framed: Vec<Image> = set("angiogram", 256, 40).iter().map(framed).collect();
    assert_eq!(duplicates(&prints(&framed), Some(NEAR_DUPLICATE)), []);
}

fn framed(image: &Image) -> Image {
    let (width, height) = image.size();
    let mut data = image.data().to_vec();
    for (i, value) in data.iter_mut().enumerate() {
        let (x, y) = (i % width, i / width);
        if x < 12 || y < 12 || x >= width - 12 || y >= height - 12 {
            *value = 0;
        } else if (20..26).contains(&y) && (20..90).contains(&x) && x % 9 < 5 {
            *value = 255;
        }
    }
    Image::new(width, height, 1, data).unwrap()
}

#[test]
fn the_same_pixels_are_found_without_any_detail_and_without_near_duplicates() {
    let blank = |value: u8, side: usize| Image::new(side, side, 1, vec![value; side * side]).unwrap();
    let images = [blank(0, 40), blank(9, 40), blank(9, 40), blank(9, 41), blank(255, 1), blank(9, 40)];
    for near in [None, Some(NEAR_DUPLICATE), Some(-1.0)] {
        let pairs = duplicates(&prints(&images), near);
        assert_eq!(indices(&pairs), [(1, 2), (1, 5), (2, 5)], "{near:?}");
        assert!(pairs.iter().all(|p| p.same_pixels && p.correlation == 1.0));
    }
    assert_eq!(duplicates(&[], Some(NEAR_DUPLICATE)), []);
}

#[test]
fn many_copies_of_one_image_do_not_hide_another() {
    let mut images = set("octa", 128, 30);
    let first = images[0].clone();
    images.extend((1..=20).map(|k| shift(&first, f64::from(k) / 500.0, 0.0)));
    let moved = shift(&images[7], 0.03, -0.02);
    images.push(moved);
    let pairs = duplicates(&prints(&images), Some(NEAR_DUPLICATE));
    assert!(indices(&pairs).contains(&(7, 50)), "{pairs:?}");
    // Every copy is named with at least one other, and no stranger with any.
    assert!((30..50).all(|k| pairs.iter().any(|p| p.first == k || p.second == k)), "{pairs:?}");
    let copy = |k: usize| k == 0 || (30..50).contains(&k);
    assert!(pairs.iter().all(|p| copy(p.first) == copy(p.second)), "{pairs:?}");
}

#[test]
fn the_report_says_what_is_like_what() {
    let dir = tempfile::tempdir().unwrap();
    let (_, mirror) = changes().into_iter().find(|(name, _)| *name == "mirrored").unwrap();
    let image = drawn("octa", 128, 0);
    for (name, image) in [("a", &image), ("b", &mirror(&image)), ("c", &drawn("octa", 128, 1))] {
        bar(dir.path().join(format!("masks/{name}.png")), 128, 128);
        std::fs::create_dir_all(dir.path().join("images")).unwrap();
        save_image(dir.path().join(format!("images/{name}.png")), image).unwrap();
    }
    let report = verify(&Dataset::open(dir.path()).unwrap(), &VerifyOptions::default());
    assert_eq!((report.problems.len(), report.problems[0].kind), (1, ProblemKind::NearDuplicate), "{report}");
    assert!(report.problems[0].path.ends_with("b.png") && report.to_string().contains("mirror image of"), "{report}");
}

/// The ids of the pairs that are named in a real set.
fn named(path: &Path) -> Vec<(String, String)> {
    let data = Dataset::open(path).unwrap();
    let images: Vec<Image> = data.samples.iter().map(|s| s.load_image(&Limits::default()).unwrap()).collect();
    let pairs = duplicates(&prints(&images), Some(NEAR_DUPLICATE));
    pairs.iter().map(|p| (data.samples[p.first].id.clone(), data.samples[p.second].id.clone())).collect()
}

#[test]
fn no_two_eyes_of_chase_db1_are_taken_for_one() {
    let Some(path) = real("CHASE_DB1") else { return };
    assert_eq!(named(&path), []);
}

#[test]
fn rossa_has_five_eyes_twice() {
    let Some(path) = real("ROSSA") else { return };
    // Looked at, they are two scans of one eye each; of 42/168 and 68/131 one and the same scan.
    let pairs = [("2", "231"), ("9", "165"), ("42", "168"), ("68", "131"), ("122", "191")];
    assert_eq!(named(&path), pairs.map(|(a, b)| (a.to_owned(), b.to_owned())));
}

#[test]
fn arcade_stenosis_val_shows_two_runs_twice() {
    let Some(path) = real("ARCADE") else { return };
    // Looked at, they are two frames of one run each: the same catheter, vertebrae and projection.
    assert_eq!(named(&path), [("val_17", "val_99"), ("val_30", "val_168")].map(|(a, b)| (a.to_owned(), b.to_owned())));
}
