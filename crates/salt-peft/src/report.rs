//! What is trained and what is frozen in an adapted module.

use crate::error::PeftError;
use crate::layer::{Kind, outputs_inputs};
use crate::model::Snapshot;
use burn::module::Module;
use serde::Serialize;
use std::fmt;

/// Counts of an adapted module.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct TrainableReport {
    /// One row per parameter with an active adapter.
    pub layers: Vec<LayerRow>,
    /// Trained parameters.
    pub trainable: usize,
    /// Parameters of the base that nothing trains; those of the stored basis are no parameters of the model and not counted.
    pub frozen: usize,
    /// `trainable + frozen`.
    pub total: usize,
    /// `100 * trainable / total`, the papers' percentage.
    pub percent: f64,
}

/// One adapted parameter.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct LayerRow {
    /// Path in the module.
    pub path: String,
    /// The struct that holds it.
    pub container: String,
    /// Shape in Burn's layout.
    pub shape: Vec<usize>,
    /// The methods of its parts.
    pub kinds: Vec<Kind>,
    /// Trained parameters.
    pub trainable: usize,
    /// Frozen parameters of the base.
    pub frozen: usize,
}

/// Counts what the active adapters train.
///
/// # Errors
/// [`PeftError::Foreign`] if the module carries something that this crate did not attach.
pub fn trainable_report<M: Module>(module: &M) -> Result<TrainableReport, PeftError> {
    Ok(TrainableReport::of(&Snapshot::take(module)?))
}

impl TrainableReport {
    pub(crate) fn of(snapshot: &Snapshot) -> Self {
        let mut layers = Vec::new();
        let (mut trainable, mut frozen) = (0, 0);
        for site in snapshot.sites.iter().filter(|site| !site.is_buffer()) {
            let size: usize = site.shape.iter().product();
            let Some(entry) = site.active() else {
                frozen += size;
                continue;
            };
            let [_, inputs] = outputs_inputs(entry.spec.layout, &site.shape);
            let kinds: Vec<Kind> = entry.spec.parts.iter().map(|part| part.kind).collect();
            let own: usize = entry.spec.parts.iter().map(|part| part.kind.trainable(part.len, inputs)).sum();
            let stays = if kinds == [Kind::Full] { 0 } else { size };
            trainable += own;
            frozen += stays;
            layers.push(LayerRow {
                path: site.path.clone(),
                container: site.container.clone(),
                shape: site.shape.clone(),
                kinds,
                trainable: own,
                frozen: stays,
            });
        }
        let total = trainable + frozen;
        let percent = if total == 0 { 0.0 } else { 100.0 * trainable as f64 / total as f64 };
        Self { layers, trainable, frozen, total, percent }
    }
}

impl fmt::Display for TrainableReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.layers.iter().map(|row| row.path.len()).max().unwrap_or(5).max(5);
        writeln!(f, "{:width$}  {:16}  {:18}  {:>12}  {:>12}", "path", "method", "shape", "trainable", "frozen")?;
        for row in &self.layers {
            let method = row.kinds.iter().map(Kind::name).collect::<Vec<_>>().join("+");
            let shape = format!("{:?}", row.shape);
            writeln!(f, "{:width$}  {method:16}  {shape:18}  {:>12}  {:>12}", row.path, row.trainable, row.frozen)?;
        }
        write!(f, "trainable {} of {} ({:.4} %), frozen {}", self.trainable, self.total, self.percent, self.frozen)
    }
}
