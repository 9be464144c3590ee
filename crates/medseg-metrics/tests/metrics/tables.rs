//! The claims of this crate's documentation about the definitions, on the situations they are about.

use crate::fixtures::rectangle;
use medseg_metrics::{Boundary, Definition, EmptyPolicy, EmptyValue, Mask, Spacing};

fn hd95(prediction: &Mask, reference: &Mask, definition: Definition) -> f64 {
    let boundary = Boundary::new(prediction, reference, Spacing::pixels()).unwrap();
    let policy = EmptyPolicy::uniform(EmptyValue::Error);
    boundary.hausdorff_percentile(definition, 95.0, policy).unwrap().value().unwrap()
}

#[test]
fn a_short_missed_branch_vanishes_when_pooled() {
    let vessel = rectangle(256, 256, 120..125, 10..246);
    let reference = vessel.union(&rectangle(256, 256, 125..148, 60..65)).unwrap();
    assert!(hd95(&vessel, &reference, Definition::Pooled) <= 1.5);
    assert!(hd95(&vessel, &reference, Definition::MaxDirected) > 5.0);
}

#[test]
fn a_hole_is_free_under_the_released_definition() {
    let whole = rectangle(128, 128, 20..80, 20..100);
    let holed = whole.difference(&rectangle(128, 128, 30..70, 40..61)).unwrap();
    assert_eq!(hd95(&holed, &whole, Definition::PaperReleased), 0.0);
    assert!(hd95(&holed, &whole, Definition::MaxDirected) > 5.0);
}

#[test]
fn the_image_edge_bounds_a_mask_except_in_the_released_code() {
    let (left, right) = (rectangle(64, 64, 0..64, 0..20), rectangle(64, 64, 0..64, 0..30));
    // With the image edge as surface, most of both surfaces coincide; without it only the inner edges are left.
    assert_eq!(hd95(&right, &left, Definition::PaperReleasedOpenBorder), 10.0);
    assert_eq!(left.surface_with_open_border().count(), 64);
    assert_eq!(left.surface().count(), 2 * 20 + 2 * 62);
    let full = rectangle(64, 64, 0..64, 0..64);
    assert!(full.surface_with_open_border().is_empty());
}
