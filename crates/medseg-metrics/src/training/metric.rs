//! A metric of this crate as one of burn-train.

use super::batch::{MaskBatch, unreadable};
use crate::{Evaluator, Metric, MetricsError, Protocol, Result, Score};
use burn::tensor::TensorReadError;
use burn::train::metric::state::{FormatOptions, NumericMetricState};
use burn::train::metric::{
    Metric as BurnMetric, MetricAttributes, MetricMetadata, MetricName, Numeric, NumericAttributes, NumericEntry,
    SerializedEntry,
};
use rayon::prelude::*;
use std::sync::Arc;

/// The mean of one [`Metric`] over the images of a batch, and over those of an epoch.
///
/// An image that the protocol's policy leaves out ([`EmptyValue::Skip`](crate::EmptyValue::Skip)) is in no mean. Where the
/// policy is to refuse, training ends with an error at the first empty mask.
#[derive(Clone)]
pub struct ImageMetric {
    metric: Metric,
    evaluator: Evaluator,
    name: MetricName,
    state: NumericMetricState,
}

impl std::fmt::Debug for ImageMetric {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ImageMetric")
            .field("name", &self.name)
            .field("evaluator", &self.evaluator)
            .finish_non_exhaustive()
    }
}

impl ImageMetric {
    /// This metric under this protocol; its name is the metric's [column](Metric::column), for example
    /// `hd95_max_directed_px`.
    ///
    /// # Errors
    /// When the protocol does not have the metric.
    pub fn new(metric: Metric, protocol: Protocol) -> Result<Self> {
        let name = Arc::new(metric.column(&protocol));
        let evaluator = Evaluator::new(protocol);
        if !evaluator.metrics().contains(&metric) {
            return Err(MetricsError::MetricNotComputed(metric));
        }
        Ok(Self { metric, evaluator, name, state: NumericMetricState::new() })
    }

    /// The score of every image, measured over all cores.
    ///
    /// # Errors
    /// As [`MaskBatch::pairs`] and [`Evaluator::score`].
    pub fn scores(&self, batch: &MaskBatch) -> Result<Vec<Score>> {
        batch.pairs()?.par_iter().map(|pair| self.evaluator.score(self.metric, pair)).collect()
    }

    fn format(&self) -> FormatOptions {
        FormatOptions::new(self.name.clone()).precision(4)
    }
}

impl BurnMetric for ImageMetric {
    type Input = MaskBatch;

    fn name(&self) -> MetricName {
        self.name.clone()
    }

    fn description(&self) -> Option<String> {
        Some(format!("{} of every image, averaged over images", self.name))
    }

    fn attributes(&self) -> MetricAttributes {
        // The unit is in the name.
        NumericAttributes { unit: None, higher_is_better: self.metric.higher_is_better() }.into()
    }

    fn update(&mut self, batch: &MaskBatch, _: &MetricMetadata) -> Result<SerializedEntry, TensorReadError> {
        let scores = self.scores(batch).map_err(unreadable)?;
        let values: Vec<f64> = scores.iter().filter_map(Score::value).collect();
        self.state.update(crate::statistics::mean(&values), values.len());
        Ok(self.state.compute_update(self.format()))
    }

    fn compute(&mut self) -> Result<SerializedEntry, TensorReadError> {
        Ok(self.state.compute_final(self.format()))
    }

    fn clear(&mut self) {
        self.state.reset();
    }
}

impl Numeric for ImageMetric {
    fn value(&self) -> Option<NumericEntry> {
        Some(self.state.current_value())
    }

    fn running_value(&self) -> Option<NumericEntry> {
        Some(self.state.running_value())
    }

    fn final_value(&self) -> NumericEntry {
        self.state.final_value()
    }
}
