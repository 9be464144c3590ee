//! Verification, fingerprints, contact sheets.

use crate::support::{bar, grey, picture};
use medseg_data::check::{ProblemKind, Severity, VerifyOptions, fingerprint, verify};
use medseg_data::decode::Limits;
use medseg_data::preview::{PreviewOptions, preview, save_image};
use medseg_data::{Dataset, Pipeline, Protocol, Split};

/// Noise, so that no two images resemble each other.
fn noise(path: impl AsRef<std::path::Path>, seed: u64, offset: u8) {
    let data: Vec<u32> = {
        let mut stream = medseg_data::random::Stream::seeded(seed, "noise");
        (0..100).map(|_| stream.next_u32()).collect()
    };
    grey(path, 60, 60, |x, y| (data[y / 6 * 10 + x / 6] as u8 / 2).saturating_add(offset));
}

#[test]
fn every_problem_is_found_and_none_invented() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    let (image, mask) = (|n: &str| root.join(format!("images/{n}.png")), |n: &str| root.join(format!("masks/{n}.png")));
    for (seed, name) in ["fine", "other", "doubled", "blank", "classes", "small", "broken"].into_iter().enumerate() {
        noise(image(name), seed as u64, 0);
        bar(mask(name), 60, 60);
    }
    std::fs::copy(image("doubled"), image("copy")).unwrap();
    bar(mask("copy"), 60, 60);
    noise(image("brighter"), 2, 3);
    bar(mask("brighter"), 60, 60);
    grey(mask("blank"), 60, 60, |_, _| 0);
    grey(mask("classes"), 60, 60, |x, _| (x / 20) as u8);
    bar(mask("small"), 60, 50);
    std::fs::write(image("broken"), [0x89, 0x50, 0x4e, 0x47]).unwrap();
    let table = "id,split,patient\nfine,train,p1\nother,test,p1\ndoubled,train,\ncopy,test,\nbrighter,train,\n\
                 blank,train,\nclasses,train,\nsmall,train,\nbroken,train,\n";
    std::fs::write(root.join("split.csv"), table).unwrap();

    let data = Dataset::open(root).unwrap();
    let report = verify(&data, &VerifyOptions::default());
    let found: Vec<(ProblemKind, Severity, String)> = report
        .problems
        .iter()
        .map(|p| (p.kind, p.severity, p.path.file_stem().unwrap().to_str().unwrap().to_owned()))
        .collect();
    let has = |kind, severity, name: &str| {
        assert!(found.contains(&(kind, severity, name.to_owned())), "{kind} of {name} in {report}");
    };
    has(ProblemKind::EmptyMask, Severity::Error, "blank");
    has(ProblemKind::MultiClassMask, Severity::Error, "classes");
    has(ProblemKind::WrongSize, Severity::Error, "small");
    has(ProblemKind::Unreadable, Severity::Error, "broken");
    has(ProblemKind::PatientLeak, Severity::Error, "other");
    // Samples are in natural order: the later one of a pair is named.
    has(ProblemKind::Duplicate, Severity::Error, "doubled");
    // One of the two that have the same pixels stands for both.
    has(ProblemKind::NearDuplicate, Severity::Warning, "copy");
    assert_eq!(report.problems.len(), 7, "{report}");
    let quiet = verify(&data, &VerifyOptions { near_duplicates: None, ..VerifyOptions::default() });
    assert_eq!(quiet.warnings(), 0, "{quiet}");
}

#[test]
fn unexpected_sizes_are_warnings() {
    let dir = tempfile::tempdir().unwrap();
    picture(dir.path().join("train_manual/image/1.png"), 30, 30, 1);
    bar(dir.path().join("train_manual/label/1.png"), 30, 30);
    let report = verify(&Dataset::open(dir.path()).unwrap(), &VerifyOptions::default());
    assert_eq!((report.errors(), report.warnings()), (0, 1), "{report}");
    assert!(report.to_string().contains("320x320"));
}

#[test]
fn fingerprints_measure_what_was_drawn() {
    let dir = tempfile::tempdir().unwrap();
    for k in 0..2 {
        grey(dir.path().join(format!("images/{k}.png")), 100, 50, |_, y| if (20..25).contains(&y) { 50 } else { 150 });
        // Two bars, 5 and 3 pixels wide.
        let bars = |_: usize, y: usize| if (20..25).contains(&y) || (40..43).contains(&y) { 255 } else { 0 };
        grey(dir.path().join(format!("masks/{k}.png")), 100, 50, bars);
    }
    let mut data = Dataset::open(dir.path()).unwrap();
    data.samples[0].split = Some(Split::Train);
    let print = fingerprint(&data, &Limits::default()).unwrap();
    assert_eq!(print.samples, 2);
    assert_eq!(print.sizes["100x50"], 2);
    assert_eq!((print.splits["train"], print.splits["none"]), (1, 1));
    assert!((print.foreground.unwrap().mean - 0.16).abs() < 1e-12);
    assert!((print.intensity.unwrap().mean - 140.0).abs() < 1e-9);
    let background = 150.0;
    let foreground = (5.0 * 50.0 + 3.0 * 150.0) / 8.0;
    assert!((print.vessel_contrast.unwrap().mean - (foreground - background)).abs() < 1e-9);
    let width = print.vessel_width.unwrap();
    assert!((width.max - 5.0).abs() < 1e-9 && width.median >= 3.0, "{width}");
    assert_eq!(print.components.unwrap().max, 2.0);
    let length = print.skeleton_length.unwrap();
    assert!((180.0..=200.0).contains(&length.mean), "{length}");
}

#[test]
fn sheets_show_images_outlines_and_augmentations() {
    let dir = tempfile::tempdir().unwrap();
    for k in 0..3 {
        picture(dir.path().join(format!("images/{k}.png")), 60, 40, k);
        bar(dir.path().join(format!("masks/{k}.png")), 60, 40);
    }
    let data = Dataset::open(dir.path()).unwrap();
    let pipeline = Pipeline::training(Protocol::Default, 64).unwrap();
    let options = PreviewOptions { samples: 3, augmented: 2, tile: 64, columns: 8, ..PreviewOptions::default() };
    let sheet = preview(&data, &pipeline, &options).unwrap();
    assert_eq!((sheet.tiles, sheet.samples_per_row), (4, 2));
    assert_eq!(sheet.image.size(), (8 * 64, 2 * 64));
    assert_eq!(sheet.ids, ["0", "1", "2"]);
    let outline = |tile: usize| {
        (0..64 * 64)
            .filter(|i| {
                let at = ((i / 64) * 8 * 64 + tile * 64 + i % 64) * 3;
                sheet.image.data()[at..at + 3] == [40, 255, 90]
            })
            .count()
    };
    assert_eq!(outline(0), 0, "the first tile is plain");
    assert!(outline(1) >= 120 && outline(2) > 40 && outline(3) > 40);
    assert_eq!(preview(&data, &pipeline, &options).unwrap(), sheet);
    save_image(dir.path().join("sheet.png"), &sheet.image).unwrap();
    assert!(preview(&data, &pipeline, &PreviewOptions { tile: 4, ..options }).is_err());
}
