//! Metrics of burn-train against the evaluator.

use crate::fixtures::masks;
use burn::data::dataloader::Progress;
use burn::tensor::{Device, Tensor, TensorData};
use burn::train::metric::{Metric as _, MetricAttributes, MetricMetadata, Numeric};
use medseg_metrics::training::{ImageMetric, MaskBatch};
use medseg_metrics::{
    Definition, EmptyPolicy, EmptyValue, Evaluator, Mask, MaskPair, Metric, MetricsError, Protocol, Spacing, Tolerance,
    statistics::mean,
};

fn protocol(empty: EmptyPolicy) -> Protocol {
    Protocol::new(Spacing::pixels(), Tolerance::Pixels(2.0), empty)
        .and_then(|protocol| protocol.with_definitions(Definition::ALL))
        .unwrap()
        .with_ignored_pixels(true)
}

fn metadata() -> MetricMetadata {
    let progress = Progress { items_processed: 1, items_total: 1, unit: None };
    MetricMetadata { progress, iteration: Some(0), lr: None }
}

/// `[n, 1, height, width]` with `inside` in the foreground and `outside` elsewhere.
fn tensor(masks: &[Mask], inside: f32, outside: f32) -> Tensor<4> {
    let (height, width) = masks[0].size();
    let values: Vec<f32> =
        masks.iter().flat_map(Mask::to_bytes).map(|byte| if byte == 1 { inside } else { outside }).collect();
    Tensor::from_data(TensorData::new(values, [masks.len(), 1, height, width]), &Device::default())
}

/// Batches of 5, 5, ... and 2: the mean over an epoch is that over images, not over batches.
#[test]
fn an_epoch_is_the_mean_over_images() {
    let empty = EmptyPolicy::new(EmptyValue::ImageDiagonal, EmptyValue::Perfect);
    let evaluator = Evaluator::new(protocol(empty));
    let (predictions, references) = (masks("pred"), masks("ref"));
    let pairs = predictions.iter().zip(&references).enumerate();
    let pairs: Vec<MaskPair> = pairs.map(|(at, (p, r))| MaskPair::new(at.to_string(), p.clone(), r.clone())).collect();
    let report = evaluator.evaluate_all(&pairs).unwrap();
    for &metric in evaluator.metrics() {
        let mut measured = ImageMetric::new(metric, evaluator.protocol().clone()).unwrap();
        assert_eq!(measured.name().as_str(), metric.column(evaluator.protocol()));
        for (p, r) in predictions.chunks(5).zip(references.chunks(5)) {
            let batch = MaskBatch::from_logits(tensor(p, 0.0, -1e-6), tensor(r, 1.0, 0.0));
            measured.update(&batch, &metadata()).unwrap();
        }
        let values: Vec<f64> = report.cases().iter().map(|case| case.value(metric).unwrap()).collect();
        let (found, expected) = (measured.final_value().current(), mean(&values));
        assert!((found - expected).abs() <= 1e-12 * expected.abs(), "{metric:?}: {found} against {expected}");
        assert_eq!(measured.value().unwrap().current(), mean(&values[30..]), "{metric:?}");
        let MetricAttributes::Numeric(attributes) = measured.attributes() else { panic!("{metric:?} is a number") };
        assert_eq!(attributes.higher_is_better, metric.higher_is_better());
        measured.clear();
        assert!(measured.final_value().current().is_nan());
    }
}

#[test]
fn skipped_images_are_in_no_mean_and_refusal_ends_training() {
    let (height, width) = (20, 30);
    let square = Mask::from_fn(height, width, |r, c| (5..9).contains(&r) && (5..9).contains(&c)).unwrap();
    let nothing = Mask::new(height, width).unwrap();
    let targets = tensor(&[square.clone(), square.clone(), nothing.clone()], 1.0, 0.0);
    let batch =
        MaskBatch::from_probabilities(tensor(&[square.clone(), nothing.clone(), nothing], 0.7, 0.69), targets, 0.7);
    let hd = Metric::Hausdorff(Definition::MaxDirected);
    let mut skipping = ImageMetric::new(hd, protocol(EmptyPolicy::uniform(EmptyValue::Skip))).unwrap();
    let entry = skipping.update(&batch, &metadata()).unwrap();
    assert_eq!(entry.serialized, "0,1");
    let mut refusing = ImageMetric::new(hd, protocol(EmptyPolicy::MEDPY)).unwrap();
    let text = refusing.update(&batch, &metadata()).unwrap_err().to_string();
    assert!(text.contains("the prediction is empty"), "{text}");
}

#[test]
fn ignored_pixels_are_left_out() {
    let (left, right) = (|_: usize, c: usize| c < 8, |_: usize, c: usize| c >= 8);
    let masks = [Mask::from_fn(16, 16, left).unwrap()];
    let everything = [Mask::from_fn(16, 16, |_, _| true).unwrap()];
    let ignored = [Mask::from_fn(16, 16, right).unwrap()];
    let batch = MaskBatch::from_logits(tensor(&everything, 2.0, -2.0), tensor(&masks, 1.0, 0.0));
    let dice = |batch: &MaskBatch| {
        let metric = ImageMetric::new(Metric::Dice, protocol(EmptyPolicy::MEDPY)).unwrap();
        metric.scores(batch).unwrap()[0].value()
    };
    assert_eq!(dice(&batch), Some(2.0 / 3.0));
    assert_eq!(dice(&batch.with_ignored(tensor(&ignored, 1.0, 0.0))), Some(1.0));
}

#[test]
fn what_is_no_batch_of_masks_is_refused() {
    let device = Device::default();
    let zeros = |shape: [usize; 4]| Tensor::<4>::zeros(shape, &device);
    let pairs = |predictions, targets| MaskBatch::from_logits(zeros(predictions), zeros(targets)).pairs();
    let text = pairs([2, 1, 8, 8], [2, 1, 8, 9]).unwrap_err().to_string();
    assert!(text.contains("[2, 1, 8, 8]") && text.contains("[2, 1, 8, 9]"), "{text}");
    assert!(matches!(pairs([2, 3, 8, 8], [2, 3, 8, 8]), Err(MetricsError::BatchChannels { .. })));
    assert!(matches!(pairs([2, 1, 0, 8], [2, 1, 0, 8]), Err(MetricsError::UnsupportedSize { .. })));
    let nan = MaskBatch::from_logits(zeros([1, 1, 2, 2]) / 0.0, zeros([1, 1, 2, 2])).pairs();
    assert!(matches!(nan, Err(MetricsError::NanProbability { row: 0, column: 0 })));
    let foreign = Protocol::new(Spacing::pixels(), Tolerance::Pixels(2.0), EmptyPolicy::MEDPY).unwrap();
    assert!(ImageMetric::new(Metric::Hausdorff(Definition::Pooled), foreign).is_err());
}
