//! The published packages themselves: every value of `metrics_golden.json`.

use crate::fixtures::{json, masks, read};
use medseg_metrics::{
    Betti, Boundary, Centrelines, Definition, EmptyPolicy, EmptyValue, Mask, Overlap, Result, Score, Spacing, Tolerance,
};
use serde_json::Value;

struct Pair {
    name: String,
    prediction: Mask,
    reference: Mask,
    spacing: Spacing,
    golden: Value,
}

fn pairs() -> Vec<Pair> {
    let rows = json("metrics_golden.json");
    let rows = rows.as_array().unwrap();
    let (predictions, references) = (masks("pred"), masks("ref"));
    assert_eq!((rows.len(), predictions.len(), references.len()), (32, 32, 32));
    let zipped = rows.iter().zip(predictions).zip(references);
    zipped
        .map(|((row, prediction), reference)| Pair {
            name: row["name"].as_str().unwrap().to_owned(),
            spacing: Spacing::millimetres(row["spacing"][0].as_f64().unwrap(), row["spacing"][1].as_f64().unwrap())
                .unwrap(),
            golden: row.clone(),
            prediction,
            reference,
        })
        .collect()
}

/// A number must agree to `tolerance` (relative), "inf" be infinity under `policy`, and null be NaN under the policy NaN and
/// an error under the policy of refusing.
fn check(
    pair: &Pair,
    metric: &str,
    tolerance: f64,
    policy: EmptyPolicy,
    measure: impl Fn(EmptyPolicy) -> Result<Score>,
) {
    let context = format!("{} {metric}", pair.name);
    match &pair.golden[metric] {
        Value::Null => {
            assert!(measure(EmptyPolicy::uniform(EmptyValue::Nan)).unwrap().value().unwrap().is_nan(), "{context}");
            assert!(measure(EmptyPolicy::MEDPY).is_err(), "{context}");
            if policy.one_empty == EmptyValue::Nan || policy.both_empty == EmptyValue::Nan {
                assert!(measure(policy).unwrap().value().unwrap().is_nan(), "{context}");
            }
        }
        Value::String(text) => {
            assert_eq!(text, "inf");
            assert_eq!(measure(policy).unwrap().value(), Some(f64::INFINITY), "{context}");
        }
        Value::Number(number) => {
            let (found, expected) = (measure(policy).unwrap().value().unwrap(), number.as_f64().unwrap());
            assert!((found - expected).abs() <= tolerance * expected.abs(), "{context}: {found} against {expected}");
        }
        other => panic!("{context}: {other}"),
    }
}

#[test]
fn overlap() {
    for pair in pairs() {
        let overlap = Overlap::new(&pair.prediction, &pair.reference).unwrap();
        let nan = EmptyPolicy::uniform(EmptyValue::Nan);
        check(&pair, "dice", 1e-6, nan, |policy| overlap.dice(policy));
        check(&pair, "iou", 1e-6, nan, |policy| overlap.iou(policy));
    }
}

#[test]
fn boundary_distances_of_medpy_monai_deepmind_and_the_paper() {
    for pair in pairs() {
        let boundary = Boundary::new(&pair.prediction, &pair.reference, pair.spacing).unwrap();
        let medpy = EmptyPolicy::MEDPY;
        let pooled = Definition::Pooled;
        check(&pair, "medpy.hd", 1e-6, medpy, |p| boundary.hausdorff(pooled, p));
        check(&pair, "medpy.hd95", 1e-6, medpy, |p| boundary.hausdorff_percentile(pooled, 95.0, p));
        check(&pair, "medpy.assd", 1e-6, medpy, |p| boundary.average_surface_distance(pooled, p));

        let larger = Definition::MaxDirected;
        let (monai, quantile) = (EmptyPolicy::MONAI, EmptyPolicy::MONAI_PERCENTILE);
        check(&pair, "monai.hd", 1e-5, monai, |p| boundary.hausdorff(larger, p));
        check(&pair, "monai.hd95", 1e-5, quantile, |p| boundary.hausdorff_percentile(larger, 95.0, p));
        check(&pair, "monai.asd_sym", 1e-5, monai, |p| boundary.average_surface_distance(larger, p));

        let weighted = Definition::LengthWeighted;
        let deepmind = EmptyPolicy::SURFACE_DISTANCE;
        let tolerance = Tolerance::Millimetres(2.0);
        check(&pair, "deepmind.hd95", 1e-6, deepmind, |p| boundary.hausdorff_percentile(weighted, 95.0, p));
        check(&pair, "deepmind.nsd_2", 1e-6, deepmind, |p| boundary.surface_dice(weighted, tolerance, p));

        let paper = Definition::PaperReleased;
        let released = EmptyPolicy::PAPER_RELEASED;
        check(&pair, "salt.hd95", 1e-6, released, |p| boundary.hausdorff_percentile(paper, 95.0, p));
    }
}

/// Equal to the last bit, so the golden numbers are read from the text: the JSON reader's own rounding is not exact.
#[test]
fn cldice_is_equal() {
    let text = String::from_utf8(read("metrics_golden.json")).unwrap();
    let golden: Vec<Option<f64>> = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("\"cldice\": "))
        .map(|value| value.trim_end_matches(',').parse().ok())
        .collect();
    assert_eq!(golden.len(), 32);
    assert!(golden.iter().flatten().count() > 16);
    for (pair, golden) in pairs().into_iter().zip(golden) {
        let centrelines = Centrelines::new(&pair.prediction, &pair.reference).unwrap();
        let found = centrelines.cldice(EmptyPolicy::uniform(EmptyValue::Nan)).unwrap().value().unwrap();
        match golden {
            Some(golden) => assert_eq!(found, golden, "{}", pair.name),
            None => assert!(found.is_nan(), "{}: {found}", pair.name),
        }
        assert_eq!(golden.is_none(), centrelines.cldice(EmptyPolicy::uniform(EmptyValue::Error)).is_err());
    }
}

#[test]
fn components() {
    for pair in pairs() {
        for (name, mask) in [("betti0_ref", &pair.reference), ("betti0_pred", &pair.prediction)] {
            assert_eq!(Some(Betti::new(mask).components), pair.golden[name].as_u64(), "{} {name}", pair.name);
        }
    }
}

/// Values of the four tools on 64 x 64 pixels, from the packages themselves: the released evaluation code, medpy, MONAI,
/// DeepMind. The first is the one place where the released code's treatment of the image edge shows.
#[test]
fn simple_shapes() {
    use crate::fixtures::rectangle;
    let disc = |centre: (f64, f64), radius: f64| {
        Mask::from_fn(64, 64, |r, c| (r as f64 - centre.0).hypot(c as f64 - centre.1) < radius).unwrap()
    };
    let block = |rows, columns| rectangle(64, 64, rows, columns);
    let holed = block(10..50, 10..50).difference(&block(25..35, 25..35)).unwrap();
    let inf = f64::INFINITY;
    let cases = [
        (block(20..40, 20..40), block(20..40, 23..43), [3.0, 3.0, 3.0, 3.0]),
        (block(5..10, 5..10), block(50..55, 50..55), [63.1123, 63.2529, 63.1123, 62.9365]),
        (holed, block(10..50, 10..50), [0.0, 14.0, 14.0, 15.0]),
        (block(10..40, 30..33), block(10..54, 30..33), [12.55, 11.0, 12.55, 13.0]),
        (block(0..64, 0..64), block(16..48, 16..48), [inf, 21.2603, 21.2603, 21.2603]),
        (disc((33.0, 31.0), 13.0), disc((30.0, 28.0), 15.0), [6.3246, 6.0811, 6.3246, 5.8310]),
    ];
    let definitions =
        [Definition::PaperReleasedOpenBorder, Definition::Pooled, Definition::MaxDirected, Definition::LengthWeighted];
    for (at, (prediction, reference, expected)) in cases.iter().enumerate() {
        let boundary = Boundary::new(prediction, reference, Spacing::pixels()).unwrap();
        for (definition, &expected) in definitions.into_iter().zip(expected) {
            let score = boundary.hausdorff_percentile(definition, 95.0, EmptyPolicy::PAPER_RELEASED).unwrap();
            let found = score.value().unwrap();
            assert!(found == expected || (found - expected).abs() < 6e-5, "{at} {definition}: {found}, {expected}");
        }
    }
}
