//! Pixels that the reference says nothing about.

use crate::fixtures::{drawn, rectangle};
use medseg_metrics::{
    CompareOptions, Definition, EmptyPolicy, EmptyValue, Evaluator, Mask, MaskPair, Metric, MetricsError, Overlap,
    Protocol, Report, Spacing, Tolerance,
};
use proptest::prelude::*;

const DIAGONAL: EmptyPolicy = EmptyPolicy::new(EmptyValue::ImageDiagonal, EmptyValue::Perfect);

fn evaluator(ignored_pixels: bool) -> Evaluator {
    let protocol = Protocol::new(Spacing::pixels(), Tolerance::Pixels(2.0), DIAGONAL).unwrap();
    Evaluator::new(protocol.with_definitions(Definition::ALL).unwrap().with_ignored_pixels(ignored_pixels))
}

/// Worked out by hand: 12 pixels, 4 of them ignored.
#[test]
fn counts_without_the_ignored_pixels() {
    let reference = drawn(&["##..", "##..", "...."]);
    let prediction = drawn(&["#..#", "#..#", "..##"]);
    let ignored = drawn(&["...#", "...#", "#..#"]);
    let overlap = Overlap::ignoring(&prediction, &reference, &ignored).unwrap();
    let counts = (overlap.true_positives, overlap.false_positives, overlap.false_negatives, overlap.true_negatives);
    assert_eq!(counts, (2, 1, 2, 3));
    assert_eq!(overlap.specificity(), 0.75);
    let pair = MaskPair::new("a", prediction, reference).with_ignored(ignored);
    assert_eq!(pair.overlap().unwrap(), overlap);
    let case = evaluator(true).evaluate_pair(&pair).unwrap();
    assert_eq!((case.overlap, case.ignored), (overlap, 4));
    assert_eq!(case.value(Metric::Dice), Some(4.0 / 7.0));
    assert_eq!(case.value(Metric::Precision), Some(2.0 / 3.0));
}

/// A false vessel far away costs 60 px; ignored, it costs nothing, in no metric.
#[test]
fn a_false_vessel_in_the_ignored_region_costs_nothing() {
    let reference = rectangle(100, 100, 10..20, 10..60);
    let false_vessel = rectangle(100, 100, 80..84, 10..90);
    let prediction = reference.union(&false_vessel).unwrap();
    let pair = MaskPair::new("a", prediction, reference.clone());
    let hausdorff = Metric::Hausdorff(Definition::MaxDirected);
    let counted = evaluator(true).evaluate_pair(&pair).unwrap();
    assert!(counted.value(hausdorff).unwrap() > 60.0 && counted.value(Metric::Dice).unwrap() < 0.8);
    assert_eq!(counted.spurious.len(), 1);
    let ignoring = evaluator(true).evaluate_pair(&pair.with_ignored(rectangle(100, 100, 70..100, 0..100))).unwrap();
    let perfect = evaluator(true).evaluate("b", None, &reference, &reference).unwrap();
    assert_eq!(ignoring.scores, perfect.scores);
    assert!(ignoring.spurious.is_empty());
}

/// A reference that is all ignored is empty, and the policy decides.
#[test]
fn what_is_left_can_be_empty() {
    let square = rectangle(30, 40, 5..9, 5..9);
    let pair = MaskPair::new("a", square.clone(), square.clone()).with_ignored(square);
    let case = evaluator(true).evaluate_pair(&pair).unwrap();
    assert_eq!(case.value(Metric::Dice), Some(1.0));
    assert!(case.score(Metric::Dice).unwrap().cause().is_some());
    let overlap = case.overlap;
    assert_eq!((overlap.true_positives, overlap.true_negatives), (0, 30 * 40 - 16));
}

#[test]
fn a_protocol_that_counts_every_pixel_refuses() {
    let square = rectangle(9, 9, 2..5, 2..5);
    let pair = MaskPair::new("image_7", square.clone(), square.clone()).with_ignored(square.clone());
    for error in [
        evaluator(false).evaluate_pair(&pair).unwrap_err(),
        evaluator(false).score(Metric::Dice, &pair).unwrap_err(),
        evaluator(false).report(vec![evaluator(true).evaluate_pair(&pair).unwrap()]).unwrap_err(),
    ] {
        assert!(matches!(&error, MetricsError::IgnoredPixels { case, pixels: 9 } if case == "image_7"), "{error}");
    }
    // A mask of ignored pixels that marks none changes nothing.
    let none = MaskPair::new("a", square.clone(), square.clone()).with_ignored(Mask::new(9, 9).unwrap());
    assert!(evaluator(false).evaluate_pair(&none).is_ok());
    let other_size = MaskPair::new("a", square.clone(), square).with_ignored(Mask::new(9, 8).unwrap());
    let text = evaluator(true).evaluate_pair(&other_size).unwrap_err().to_string();
    assert!(text.contains("ignored pixels is 9 x 8") && text.contains("9 x 9"), "{text}");
}

#[test]
fn the_lock_keeps_results_apart_and_files_keep_the_count() {
    let square = rectangle(20, 20, 2..8, 2..8);
    let pair = MaskPair::new("a", square.clone(), square.clone()).with_ignored(rectangle(20, 20, 0..4, 0..5));
    let with = evaluator(true).evaluate_all(&[pair]).unwrap();
    let without = evaluator(false).evaluate_all(&[MaskPair::new("a", square.clone(), square)]).unwrap();
    assert_ne!(with.lock().fingerprint(), without.lock().fingerprint());
    let options = CompareOptions { metrics: vec![Metric::Dice], bootstrap: Default::default(), power: 0.8 };
    for error in [with.compare(&without, &options).unwrap_err(), with.clone().merge(without.clone()).unwrap_err()] {
        let MetricsError::LockMismatch { differences } = &error else { panic!("{error}") };
        assert_eq!(differences[..], ["ignored pixels: left out against none"]);
    }
    let write = |report: &Report| {
        let (mut json, mut csv) = (Vec::new(), Vec::new());
        report.write_json(&mut json, &[]).unwrap();
        report.write_csv(&mut csv).unwrap();
        (String::from_utf8(json).unwrap(), String::from_utf8(csv).unwrap())
    };
    let (json, csv) = write(&with);
    let back = Report::read_json(json.as_bytes()).unwrap();
    assert_eq!((back.lock(), back.cases()[0].ignored), (with.lock(), 20));
    assert!(csv.lines().next().unwrap().contains(",true_negatives,ignored_pixels,dice,"), "{csv}");
    let edited = json.replace("\"ignored_pixels\": true", "\"ignored_pixels\": false");
    assert!(matches!(Report::read_json(edited.as_bytes()), Err(MetricsError::LockTampered { .. })));
    // Nothing is new in the files of a protocol that counts every pixel.
    let (json, csv) = write(&without);
    assert!(!json.contains("ignored") && !csv.contains("ignored"), "{json}");
}

fn blots() -> impl Strategy<Value = Mask> {
    prop::collection::vec((0usize..40, 0usize..90, 1usize..14, 1usize..30), 1..5).prop_map(|blots| {
        let blots: Vec<Mask> = blots.into_iter().map(|(r, c, h, w)| rectangle(40, 90, r..r + h, c..c + w)).collect();
        blots.iter().skip(1).fold(blots[0].clone(), |all, blot| all.union(blot).unwrap())
    })
}

proptest! {
    /// Whatever prediction and reference do within the ignored region, nothing changes; and the counts are those of the rest.
    #[test]
    fn nothing_within_the_ignored_region_matters(reference in blots(), prediction in blots(), ignored in blots(),
                                                 noise in blots()) {
        let noise = noise.intersection(&ignored).unwrap();
        let changed = prediction.union(&noise).unwrap();
        let cleared = prediction.difference(&ignored).unwrap();
        let evaluator = evaluator(true);
        let measure = |prediction: &Mask, reference: &Mask| {
            let pair = MaskPair::new("a", prediction.clone(), reference.clone()).with_ignored(ignored.clone());
            evaluator.evaluate_pair(&pair).unwrap()
        };
        let case = measure(&prediction, &reference);
        prop_assert_eq!(&measure(&changed, &reference), &case);
        prop_assert_eq!(&measure(&cleared, &reference), &case);
        prop_assert_eq!(&measure(&prediction, &reference.union(&noise).unwrap()), &case);
        let o = case.overlap;
        let pixels = o.true_positives + o.false_positives + o.false_negatives + o.true_negatives;
        prop_assert_eq!(pixels + case.ignored, 40 * 90);
        // One metric alone is the same metric.
        let pair = MaskPair::new("a", changed, reference).with_ignored(ignored.clone());
        for &(metric, score) in &case.scores {
            prop_assert_eq!(evaluator.score(metric, &pair).unwrap(), score);
        }
    }
}
