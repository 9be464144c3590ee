//! Cases, files, locks and comparisons.

use crate::fixtures::{masks, rectangle};
use medseg_metrics::{
    BootstrapOptions, CompareOptions, Definition, EmptyPolicy, EmptyValue, Evaluator, LibraryAnswer, Mask, MaskPair,
    Metric, MetricsError, Protocol, Report, Spacing, Tolerance,
};

use proptest::prelude::*;

const DIAGONAL: EmptyPolicy = EmptyPolicy::new(EmptyValue::ImageDiagonal, EmptyValue::Perfect);

fn protocol(empty: EmptyPolicy) -> Protocol {
    Protocol::new(Spacing::pixels(), Tolerance::Pixels(2.0), empty).unwrap()
}

/// The golden pairs, two cases per patient.
fn pairs() -> Vec<MaskPair> {
    let zipped = masks("pred").into_iter().zip(masks("ref")).enumerate();
    zipped
        .map(|(i, (prediction, reference))| {
            MaskPair::new(format!("case_{i:02}"), prediction, reference).with_patient(format!("patient_{:02}", i / 2))
        })
        .collect()
}

fn report(empty: EmptyPolicy) -> Report {
    let protocol = protocol(empty).with_definitions(Definition::ALL).unwrap();
    Evaluator::new(protocol).evaluate_all(&pairs()).unwrap()
}

fn quick() -> BootstrapOptions {
    BootstrapOptions { resamples: 500, ..Default::default() }
}

#[test]
fn columns_name_definition_and_unit() {
    let protocol =
        Protocol::new(Spacing::millimetres(0.8, 1.7).unwrap(), Tolerance::Millimetres(1.5), DIAGONAL).unwrap();
    let column = |metric: Metric| metric.column(&protocol);
    assert_eq!(column(Metric::HausdorffPercentile(Definition::Pooled)), "hd95_pooled_mm");
    assert_eq!(column(Metric::SurfaceDice(Definition::LengthWeighted)), "nsd_1.5mm_length_weighted");
    let finer = protocol.clone().with_percentile(97.5).unwrap();
    assert_eq!(Metric::HausdorffPercentile(Definition::MaxDirected).column(&finer), "hd97.5_max_directed_mm");
}

#[test]
fn json_round_trip() {
    for empty in [DIAGONAL, EmptyPolicy::SURFACE_DISTANCE, EmptyPolicy::uniform(EmptyValue::Skip)] {
        let report = report(empty);
        let mut text = Vec::new();
        report.write_json(&mut text, &report.aggregate(&quick()).unwrap()).unwrap();
        let back = Report::read_json(&text[..]).unwrap();
        assert_eq!(back.lock(), report.lock());
        for (case, original) in back.cases().iter().zip(report.cases()) {
            assert_eq!((&case.id, &case.patient, case.overlap), (&original.id, &original.patient, original.overlap));
            for (&(metric, score), &(_, expected)) in case.scores.iter().zip(&original.scores) {
                assert_eq!(score.cause(), expected.cause());
                assert_eq!(score.value(), expected.value(), "{metric:?}");
            }
            let points = |case: &medseg_metrics::Case| case.missed.iter().map(|s| s.points.clone()).collect::<Vec<_>>();
            assert_eq!(points(case), points(original));
        }
        assert_eq!(back.cases().len(), 32);
    }
    let nan = report(EmptyPolicy::uniform(EmptyValue::Nan));
    let mut text = Vec::new();
    nan.write_json(&mut text, &[]).unwrap();
    let back = Report::read_json(&text[..]).unwrap();
    assert!(back.cases()[7].value(Metric::Hausdorff(Definition::MaxDirected)).unwrap().is_nan());
}

#[test]
fn csv_has_one_row_per_case_and_the_lock() {
    let report = report(EmptyPolicy::uniform(EmptyValue::Skip));
    let mut text = Vec::new();
    report.write_csv(&mut text).unwrap();
    let mut csv = csv::Reader::from_reader(&text[..]);
    let header = csv.headers().unwrap().clone();
    let column = |name: &str| header.iter().position(|h| h == name).unwrap();
    let rows: Vec<csv::StringRecord> = csv.records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), 32);
    assert_eq!(&rows[7][column("hd95_max_directed_px")], "");
    assert!(rows[7][column("undefined")].contains("hd95_max_directed_px: the prediction is empty"));
    assert!(rows.iter().all(|row| &row[column("lock")] == report.lock().fingerprint()));
    assert_eq!(rows[1][column("dice")].parse::<f64>().unwrap(), report.cases()[1].value(Metric::Dice).unwrap());
    let counts = ["true_positives", "false_positives", "false_negatives", "true_negatives"];
    let pixels: u64 = counts.iter().map(|name| rows[1][column(name)].parse::<u64>().unwrap()).sum();
    assert_eq!(pixels, 96 * 128);
}

#[test]
fn different_protocols_refuse_to_be_compared() {
    let options = CompareOptions { metrics: vec![Metric::Dice], bootstrap: quick(), power: 0.8 };
    let make = |protocol| Evaluator::new(protocol).evaluate_all(&pairs()).unwrap();
    let base = make(protocol(DIAGONAL));
    let others = [
        (protocol(EmptyPolicy::uniform(EmptyValue::Nan)), "empty"),
        (protocol(DIAGONAL).with_percentile(90.0).unwrap(), "percentile"),
        (protocol(DIAGONAL).with_definitions([Definition::Pooled]).unwrap(), "definitions"),
        (Protocol::new(Spacing::pixels(), Tolerance::Pixels(3.0), DIAGONAL).unwrap(), "tolerance"),
        (Protocol::new(Spacing::millimetres(1.0, 1.0).unwrap(), Tolerance::Pixels(2.0), DIAGONAL).unwrap(), "spacing"),
    ];
    for (other, field) in others {
        let other = make(other);
        assert_ne!(base.lock().fingerprint(), other.lock().fingerprint());
        let error = base.compare(&other, &options).unwrap_err();
        let MetricsError::LockMismatch { differences } = &error else { panic!("{error}") };
        assert!(differences.len() == 1 && differences[0].starts_with(field), "{differences:?}");
        assert!(base.clone().merge(other).is_err());
    }
    assert!(base.compare(&base, &options).is_ok());
}

#[test]
fn an_edited_lock_is_found() {
    let report = report(DIAGONAL);
    let mut text = Vec::new();
    report.write_json(&mut text, &[]).unwrap();
    let edited = String::from_utf8(text).unwrap().replace("\"percentile\": 95.0", "\"percentile\": 90.0");
    assert!(matches!(Report::read_json(edited.as_bytes()), Err(MetricsError::LockTampered { .. })));
}

#[test]
fn aggregates_count_what_the_policy_did() {
    let hd95 = Metric::HausdorffPercentile(Definition::MaxDirected);
    let of = |report: &Report| {
        let all = report.aggregate(&quick()).unwrap();
        all.into_iter().find(|a| a.metric == hd95).unwrap()
    };
    let skipping = of(&report(EmptyPolicy::uniform(EmptyValue::Skip)));
    assert_eq!((skipping.cases, skipping.skipped, skipping.substituted), (28, 4, 0));
    let diagonal = of(&report(DIAGONAL));
    assert_eq!((diagonal.cases, diagonal.skipped, diagonal.substituted), (32, 0, 4));
    assert!(diagonal.mean > skipping.mean);
    let (low, high) = diagonal.interval.unwrap();
    assert!(low < diagonal.mean && diagonal.mean < high);
    assert_eq!(of(&report(EmptyPolicy::SURFACE_DISTANCE)).mean, f64::INFINITY);
    assert!(of(&report(EmptyPolicy::uniform(EmptyValue::Nan))).mean.is_nan());
}

#[test]
fn the_better_of_two_methods_is_found() {
    let evaluator = Evaluator::new(protocol(DIAGONAL));
    let make = |shift: fn(usize) -> usize| {
        let pairs: Vec<MaskPair> = (0..24)
            .map(|i| {
                let reference = rectangle(80, 80, 20..50, 20..30 + i % 7);
                let prediction = rectangle(80, 80, 20..50, 20 + shift(i)..30 + i % 7 + shift(i));
                MaskPair::new(i.to_string(), prediction, reference).with_patient((i / 2).to_string())
            })
            .collect();
        evaluator.evaluate_all(&pairs).unwrap()
    };
    let (worse, better) = (make(|i| 3 + i % 3), make(|i| 1 + i % 2));
    let hd95 = Metric::HausdorffPercentile(Definition::MaxDirected);
    let options = CompareOptions { metrics: vec![Metric::Dice, hd95], bootstrap: quick(), power: 0.8 };
    let result = worse.compare(&better, &options).unwrap();
    let dice = &result[0];
    assert_eq!((dice.cases, dice.patients, dice.skipped), (24, 12, 0));
    assert!(dice.mean_difference > 0.1 && dice.interval.unwrap().0 > 0.0);
    // Twelve patients, all better: 2 / 2^12, doubled by Holm for two metrics.
    assert!(dice.exact && dice.p_value == Some(2.0 / 4096.0), "{dice:?}");
    assert_eq!(dice.adjusted_p_value, Some(4.0 / 4096.0));
    assert!(result[1].mean_difference < 0.0);
    assert!(dice.minimum_detectable_difference.unwrap() < dice.mean_difference);
    let same = worse.compare(&worse, &options).unwrap();
    assert_eq!((same[0].mean_difference, same[0].p_value), (0.0, None));
}

#[test]
fn pairing_is_checked() {
    let evaluator = Evaluator::new(protocol(DIAGONAL));
    let mask = rectangle(20, 20, 5..9, 5..9);
    let case = |id: &str, patient: &str| evaluator.evaluate(id, Some(patient), &mask, &mask).unwrap();
    let report = |cases: Vec<_>| evaluator.report(cases);
    let options = CompareOptions { metrics: vec![Metric::Dice], bootstrap: quick(), power: 0.8 };
    let first = report(vec![case("a", "p"), case("b", "q")]).unwrap();
    let missing = report(vec![case("a", "p"), case("c", "q")]).unwrap();
    let error = first.compare(&missing, &options).unwrap_err().to_string();
    assert!(error.contains("\"b\"") && error.contains("\"c\""), "{error}");
    let moved = report(vec![case("a", "p"), case("b", "r")]).unwrap();
    assert!(matches!(first.compare(&moved, &options), Err(MetricsError::PatientMismatch { .. })));
    assert!(matches!(report(vec![case("a", "p"), case("a", "p")]), Err(MetricsError::DuplicateCase(_))));
    let foreign = CompareOptions { metrics: vec![Metric::Hausdorff(Definition::Pooled)], ..options };
    assert!(matches!(first.compare(&first, &foreign), Err(MetricsError::MetricNotComputed(_))));
}

#[test]
fn a_refusing_policy_stops_the_evaluation() {
    let error = Evaluator::new(protocol(EmptyPolicy::MEDPY)).evaluate_all(&pairs()).unwrap_err();
    assert!(matches!(error, MetricsError::Undefined { .. }));
    let sizes =
        Evaluator::new(protocol(DIAGONAL)).evaluate("x", None, &Mask::new(3, 3).unwrap(), &Mask::new(3, 4).unwrap());
    assert!(matches!(sizes, Err(MetricsError::ShapeMismatch { .. })));
}

#[test]
fn order_and_threads_change_nothing() {
    let evaluator = Evaluator::new(protocol(DIAGONAL));
    let one = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let several = rayon::ThreadPoolBuilder::new().num_threads(4).build().unwrap();
    let run = || {
        let report = evaluator.evaluate_all(&pairs()).unwrap();
        let aggregates = report.aggregate(&quick()).unwrap();
        let mut text = Vec::new();
        report.write_json(&mut text, &aggregates).unwrap();
        text
    };
    assert_eq!(one.install(run), several.install(run));
}

#[test]
fn what_each_library_would_have_said() {
    let report = report(DIAGONAL);
    let answers: std::collections::BTreeMap<Definition, LibraryAnswer> = report.library_answers().into_iter().collect();
    let mean = |definition| match answers[&definition] {
        LibraryAnswer::Mean { value, dropped } => (value, dropped),
        _ => (f64::NAN, 0),
    };
    assert_eq!(answers[&Definition::Pooled], LibraryAnswer::Raises { cases: 4 });
    assert_eq!(mean(Definition::MaxDirected).1, 4);
    assert!(mean(Definition::MaxDirected).0 < 100.0);
    assert_eq!(mean(Definition::LengthWeighted), (f64::INFINITY, 0));
    assert_eq!(mean(Definition::PaperReleased), (f64::INFINITY, 0));
    let table = report.table(&report.aggregate(&quick()).unwrap());
    for text in ["raises on 4", "4 dropped", "inf", "medpy, panoptica", "hd95_pooled_px", report.lock().fingerprint()] {
        assert!(table.contains(text), "{text} in\n{table}");
    }
}

proptest! {
    /// A damaged file is an error or a report, never a panic.
    #[test]
    fn damaged_files_do_no_harm(at in prop::collection::vec((0usize..20_000, any::<u8>()), 1..4), cut in 0usize..20_000) {
        let evaluator = Evaluator::new(protocol(DIAGONAL));
        let (a, b) = (rectangle(30, 40, 5..20, 5..9), rectangle(30, 40, 7..25, 5..12));
        let cases = ["x", "y"].map(|id| evaluator.evaluate(id, Some("p"), &a, &b).unwrap());
        let report = evaluator.report(cases.to_vec()).unwrap();
        let mut text = Vec::new();
        report.write_json(&mut text, &[]).unwrap();
        for (at, byte) in at {
            let length = text.len();
            text[at % length] = byte;
        }
        let _ = Report::read_json(&text[..]);
        let _ = Report::read_json(&text[..cut % text.len()]);
    }
}
