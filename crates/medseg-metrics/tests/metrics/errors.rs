//! Input that must be refused, with a message that says what and why.

use crate::fixtures::rectangle;
use medseg_metrics::{
    Boundary, Centrelines, Definition, EmptyPolicy, EmptyValue, Mask, Overlap, Protocol, Spacing, Tolerance,
    TopologyErrors,
};

fn message<T: std::fmt::Debug>(result: medseg_metrics::Result<T>) -> String {
    result.unwrap_err().to_string()
}

#[test]
fn sizes() {
    assert!(message(Mask::new(0, 5)).contains("0 x 5"));
    assert!(message(Mask::new(5, Mask::MAX_SIDE + 1)).contains("each side must be 1 to"));
    assert!(message(Mask::from_bytes(2, 3, &[0; 5])).contains("needs 6 values, found 5"));
    let (a, b) = (Mask::new(2, 3).unwrap(), Mask::new(3, 2).unwrap());
    for text in [
        message(Overlap::new(&a, &b)),
        message(Boundary::new(&a, &b, Spacing::pixels())),
        message(Centrelines::new(&a, &b)),
        message(TopologyErrors::new(&a, &b)),
        message(a.union(&b)),
        message(a.iou(&b)),
        message(a.clone().unite(&b)),
    ] {
        assert!(text.contains("2 x 3") && text.contains("3 x 2"), "{text}");
    }
}

#[test]
fn probabilities() {
    let mask = Mask::from_probabilities(1, 3, &[0.49, 0.5, 0.51], 0.5).unwrap();
    assert_eq!(mask.to_bytes(), [0, 1, 1]);
    assert!(
        message(Mask::from_probabilities(2, 2, &[0.0, 1.0, f32::NAN, 0.0], 0.5)).contains("row 1, column 0 is NaN")
    );
}

#[test]
fn spacing_and_tolerance() {
    for (row, column) in [(0.0, 1.0), (1.0, -1.0), (f64::NAN, 1.0), (1.0, f64::INFINITY)] {
        assert!(Spacing::millimetres(row, column).is_err());
    }
    let uneven = Spacing::millimetres(1.0, 2.0).unwrap();
    assert!(message(Tolerance::Pixels(2.0).in_units_of(uneven)).contains("not square"));
    assert!(message(Tolerance::Millimetres(2.0).in_units_of(Spacing::pixels())).contains("spacing in millimetres"));
    assert_eq!(Tolerance::Pixels(2.0).in_units_of(Spacing::millimetres(0.5, 0.5).unwrap()).unwrap(), 1.0);
    for text in ["-1px", "NaN", "two", "", "1cm"] {
        assert!(text.parse::<Tolerance>().is_err(), "{text}");
    }
    assert_eq!("1.5mm".parse::<Tolerance>().unwrap(), Tolerance::Millimetres(1.5));
    assert_eq!("2".parse::<Tolerance>().unwrap(), Tolerance::Pixels(2.0));
}

#[test]
fn percentiles_definitions_and_policies() {
    let mask = rectangle(9, 9, 2..5, 2..5);
    let boundary = Boundary::new(&mask, &mask, Spacing::pixels()).unwrap();
    let policy = EmptyPolicy::uniform(EmptyValue::Nan);
    for percent in [-0.1, 100.1, f64::NAN] {
        assert!(boundary.hausdorff_percentile(Definition::Pooled, percent, policy).is_err());
    }
    assert!(message("monai".parse::<Definition>()).contains("max_directed, pooled"));
    assert_eq!("Max-Directed".parse::<Definition>().unwrap(), Definition::MaxDirected);
    assert!("nan,skip,error,skip".parse::<EmptyPolicy>().is_err());
    assert!(message("zero".parse::<EmptyPolicy>()).contains("diagonal"));
    let protocol = Protocol::new(Spacing::pixels(), Tolerance::Pixels(1.0), policy).unwrap();
    assert!(protocol.clone().with_definitions([]).is_err());
    assert!(protocol.with_definitions([Definition::Pooled, Definition::Pooled]).is_err());
}

#[test]
fn each_policy_for_an_empty_prediction() {
    let (empty, square) = (Mask::new(30, 40).unwrap(), rectangle(30, 40, 5..9, 5..9));
    let boundary = Boundary::new(&empty, &square, Spacing::pixels()).unwrap();
    let hd95 = |value| boundary.hausdorff_percentile(Definition::MaxDirected, 95.0, EmptyPolicy::uniform(value));
    let nsd =
        |value| boundary.surface_dice(Definition::MaxDirected, Tolerance::Pixels(1.0), EmptyPolicy::uniform(value));
    assert!(message(hd95(EmptyValue::Error)).contains("the prediction is empty"));
    assert!(hd95(EmptyValue::Nan).unwrap().value().unwrap().is_nan());
    assert_eq!(hd95(EmptyValue::Infinity).unwrap().value(), Some(f64::INFINITY));
    assert_eq!(hd95(EmptyValue::ImageDiagonal).unwrap().value(), Some(50.0));
    assert_eq!(hd95(EmptyValue::Perfect).unwrap().value(), Some(0.0));
    assert_eq!(hd95(EmptyValue::Skip).unwrap().value(), None);
    assert_eq!(nsd(EmptyValue::Infinity).unwrap().value(), Some(0.0));
    assert_eq!(nsd(EmptyValue::Perfect).unwrap().value(), Some(1.0));
    let overlap = Overlap::new(&empty, &square).unwrap();
    let policy = EmptyPolicy::uniform(EmptyValue::Skip);
    assert_eq!(overlap.dice(policy).unwrap().value(), Some(0.0));
    assert_eq!(overlap.recall(policy).unwrap().value(), Some(0.0));
    assert_eq!(overlap.precision(policy).unwrap().value(), None);
    assert_eq!(overlap.specificity(), 1.0);
}
