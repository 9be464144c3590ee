//! Skeletons equal scikit-image's pixel by pixel.

use crate::fixtures::json;
use medseg_metrics::{Mask, skeletonize};

fn unpack(row: &serde_json::Value, field: &str) -> Mask {
    let size = |name: &str| row[name].as_u64().unwrap() as usize;
    let digits = row[field].as_str().unwrap().as_bytes();
    let width = size("width");
    Mask::from_fn(size("height"), width, |r, c| {
        let bit = r * width + c;
        let digit = (digits[bit / 4] as char).to_digit(16).unwrap();
        digit >> (3 - bit % 4) & 1 == 1
    })
    .unwrap()
}

#[test]
fn equal_to_scikit_image() {
    let rows = json("skeleton_golden.json");
    let rows = rows.as_array().unwrap();
    assert!(rows.len() > 40);
    for (at, row) in rows.iter().enumerate() {
        let mask = unpack(row, "mask");
        assert_eq!(skeletonize(&mask), unpack(row, "skeleton"), "image {at}: {mask:?}");
    }
}

/// Slow and plain: every pixel looked up by itself, one whole-image pass after the other.
#[test]
fn skipping_unchanged_tiles_changes_nothing() {
    let mask = Mask::from_fn(150, 200, |r, c| {
        let (y, x) = (r as f64 - 75.0, c as f64 - 100.0);
        y.hypot(x) < 70.0 && (y * 0.3).sin() + (x * 0.21).cos() > -0.6
    })
    .unwrap();
    let whole = skeletonize(&mask);
    // Thinning is idempotent, and thinning a part far from the rest gives the same part.
    assert_eq!(skeletonize(&whole), whole);
    let shifted = Mask::from_fn(190, 290, |r, c| r >= 13 && c >= 37 && mask.get(r - 13, c - 37)).unwrap();
    let expected = Mask::from_fn(190, 290, |r, c| r >= 13 && c >= 37 && whole.get(r - 13, c - 37)).unwrap();
    assert_eq!(skeletonize(&shifted), expected);
}
