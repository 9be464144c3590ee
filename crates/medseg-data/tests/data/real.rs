//! The real sets under `SALT_DATA_DIR`: everything loads, aligns, and has the stated share of foreground.

use crate::support::real;
use medseg_data::check::{VerifyOptions, fingerprint, verify};
use medseg_data::dataset::{ArcadeTask, Observer};
use medseg_data::decode::Limits;
use medseg_data::{Dataset, OpenOptions, Split};
use std::path::Path;

/// Opens, verifies and compares with the facts.
fn check(path: &Path, options: &OpenOptions, samples: [usize; 3], share: std::ops::Range<f64>, dark: bool) {
    let data = Dataset::open_with(path, options).unwrap();
    let count = [Split::Train, Split::Val, Split::Test].map(|s| data.split(s).count());
    assert_eq!(count, samples, "{}", data.description);
    let report = verify(&data, &VerifyOptions { near_duplicates: None, ..VerifyOptions::default() });
    assert_eq!(report.errors(), 0, "{report}");
    let print = fingerprint(&data, &Limits::default()).unwrap();
    let (foreground, contrast) = (print.foreground.unwrap(), print.vessel_contrast.unwrap());
    assert!(share.contains(&foreground.mean), "{}: foreground {foreground}", data.description);
    // Images and masks are aligned: under a shift of ten pixels most of this contrast would vanish.
    assert_eq!(contrast.median < 0.0, dark, "{}: contrast {contrast}", data.description);
    assert!(contrast.median.abs() > 3.0, "{}: contrast {contrast}", data.description);
}

#[test]
fn chase_db1() {
    let Some(path) = real("CHASE_DB1") else { return };
    check(&path, &OpenOptions::default(), [20, 0, 8], 0.068..0.071, true);
    let second = OpenOptions { observer: Observer::Second, ..OpenOptions::default() };
    check(&path, &second, [20, 0, 8], 0.06..0.08, true);
}

#[test]
fn rossa() {
    let Some(path) = real("ROSSA") else { return };
    check(&path, &OpenOptions::default(), [100, 100, 100], 0.105..0.110, false);
}

#[test]
fn arcade_stenosis_val() {
    let Some(path) = real("ARCADE") else { return };
    let stenosis = OpenOptions { arcade_task: Some(ArcadeTask::Stenosis), ..OpenOptions::default() };
    check(&path, &stenosis, [0, 200, 0], 0.0078..0.0082, true);
    let data = Dataset::open(&path).unwrap();
    assert!(data.notes.iter().any(|n| n.starts_with("train: annotations")), "{:?}", data.notes);
}
