//! SALT, SVD tuning or any other weight-space adapter as a LoRA, so that results open where only LoRA is known.

use crate::attach::{check_name, full_entry, part_matrix, with_active};
use crate::config::{Initialization, Layout};
use crate::error::PeftError;
use crate::initial::Factory;
use crate::layer::{Adapter, Entry, Kind, LayerSpec, Lora, PartSpec, effective, outputs_inputs};
use crate::model::{Site, Snapshot, install};
use burn::module::Module;
use nalgebra::DMatrix;
use salt_linalg::{BatchOptions, Method, Svd, decompose_all};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;

/// What the truncation cost in one layer.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ConversionRow {
    /// Path of the weight.
    pub path: String,
    /// Rank of the LoRA.
    pub rank: usize,
    /// `||dW - B A||_F / ||dW||_F`; 0 where the update is zero. By Eckart and Young, no LoRA of this rank is closer.
    pub relative_error: f64,
    /// Frobenius norm of the update `dW`.
    pub update_norm: f64,
}

/// What the truncation cost, layer by layer and in all.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Conversion {
    /// One row per weight.
    pub layers: Vec<ConversionRow>,
    /// Frobenius norm of all updates together.
    pub update_norm: f64,
    /// `||dW - B A||_F / ||dW||_F` over all weights together; 0 where nothing was updated.
    pub relative_error: f64,
}

impl Conversion {
    fn of(layers: Vec<ConversionRow>) -> Self {
        let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|value| value * value).sum::<f64>().sqrt();
        let update_norm = norm(&mut layers.iter().map(|row| row.update_norm));
        let lost = norm(&mut layers.iter().map(|row| row.relative_error * row.update_norm));
        let relative_error = if update_norm > 0.0 { lost / update_norm } else { 0.0 };
        Self { layers, update_norm, relative_error }
    }
}

impl fmt::Display for Conversion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.layers.iter().map(|row| row.path.len()).max().unwrap_or(4).max(4);
        writeln!(f, "{:width$}  {:>5}  {:>10}  {:>14}", "path", "rank", "|dW|", "relative error")?;
        for row in &self.layers {
            let (path, rank) = (&row.path, row.rank);
            writeln!(f, "{path:width$}  {rank:>5}  {:>10.3e}  {:>14.3e}", row.update_norm, row.relative_error)?;
        }
        write!(f, "{:width$}  {:>5}  {:>10.3e}  {:>14.3e}", "all", "", self.update_norm, self.relative_error)
    }
}

/// Adds a LoRA of rank `rank` under the name `name` that comes as close to the active adapter as that rank allows, and makes it active.
/// Parameters that the adapter trains in full keep their values in the new one.
///
/// # Errors
/// [`PeftError::UnknownAdapter`] without an active adapter, [`PeftError::DuplicateAdapter`], [`PeftError::Config`] for rank 0, and
/// [`PeftError::Decomposition`].
pub fn to_lora<M: Module>(module: M, rank: usize, name: &str) -> Result<(M, Conversion), PeftError> {
    check_name(name)?;
    if rank == 0 {
        return Err(PeftError::config("rank", "expected at least 1, found 0"));
    }
    let mut snapshot = Snapshot::take(&module)?;
    if snapshot.adapter_names().iter().any(|known| known == name) {
        return Err(PeftError::DuplicateAdapter { name: name.to_owned() });
    }
    let mut added: BTreeMap<String, Entry> = BTreeMap::new();
    let mut sites: Vec<(&Site, Layout)> = Vec::new();
    let mut updates: Vec<DMatrix<f32>> = Vec::new();
    for site in &snapshot.sites {
        let Some(entry) = site.active() else { continue };
        if let [Adapter::Full(full)] = entry.parts.as_slice() {
            let fresh = full_entry(site, name)?;
            let parts = fresh
                .parts
                .into_iter()
                .map(|part| match part {
                    Adapter::Full(mut new) => {
                        new.value = full.value.leaf(new.value.id(), true);
                        Adapter::Full(new)
                    }
                    other => other,
                })
                .collect();
            added.insert(site.path.clone(), Entry::new((*fresh.spec).clone(), parts));
            continue;
        }
        updates.push(update_matrix(site, entry)?);
        sites.push((site, entry.spec.layout));
    }
    if sites.is_empty() && added.is_empty() {
        return Err(PeftError::UnknownAdapter { name: "(the active one)".into(), attached: snapshot.adapter_names() });
    }
    let mut rows = Vec::with_capacity(sites.len());
    let decomposed: Vec<Svd<f32>> = decompose_all(&updates, &BatchOptions::new(Method::Thin), |_| {})
        .map_err(|error| PeftError::Decomposition { path: sites[error.index].0.path.clone(), source: error.source })?;
    for ((site, layout), svd) in sites.into_iter().zip(decomposed) {
        let rank = rank.min(svd.rank());
        let sigma = svd.singular_values.as_slice();
        let square = |values: &[f32]| values.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>();
        let (all, lost) = (square(sigma), square(&sigma[rank..]));
        let relative_error = if all > 0.0 { (lost / all).sqrt() } else { 0.0 };
        rows.push(ConversionRow { path: site.path.clone(), rank, relative_error, update_norm: all.sqrt() });
        added.insert(site.path.clone(), lora_entry(site, layout, name, rank, &svd));
    }
    let mut entries = with_active(&mut snapshot, None);
    for (path, entry) in added {
        entries.entry(path).or_default().push(entry);
    }
    drop(snapshot);
    Ok((install(module, entries), Conversion::of(rows)))
}

/// `dW [out, in]` of an entry.
pub(crate) fn update_matrix(site: &Site, entry: &Entry) -> Result<DMatrix<f32>, PeftError> {
    let base = site.base.matrix().without_autodiff();
    let parts: Vec<Adapter> = entry.parts.iter().map(Module::valid).collect();
    let delta = effective(&entry.spec, &parts, base.clone()) - base;
    let [outputs, _] = outputs_inputs(entry.spec.layout, &site.shape);
    let shape = delta.dims();
    part_matrix(&delta.into_data(), &shape, entry.spec.layout, 0, outputs)
        .map_err(|reason| PeftError::Values { path: site.path.clone(), reason })
}

/// `B = U sqrt(S)`, `A = sqrt(S) V^T`.
fn lora_entry(site: &Site, layout: Layout, name: &str, rank: usize, svd: &Svd<f32>) -> Entry {
    let (outputs, inputs) = svd.shape();
    let device = site.base.device();
    let factory = Factory {
        device: &device,
        dtype: site.base.dtype(),
        seed: 0,
        initialization: Initialization::Identity,
        convolution: false,
        name: format!("{}.0\u{0}{name}", site.path),
    };
    let root = |index: usize| svd.singular_values[index].sqrt();
    let a = (0..rank)
        .flat_map(|row| (0..inputs).map(move |column| (row, column)))
        .map(|(row, column)| root(row) * svd.v_t[(row, column)]);
    let b = (0..outputs)
        .flat_map(|row| (0..rank).map(move |column| (row, column)))
        .map(|(row, column)| svd.u[(row, column)] * root(column));
    let lora = Lora {
        a: factory.matrix("a", a.collect(), [rank, inputs]),
        b: factory.matrix("b", b.collect(), [outputs, rank]),
        scale: 1.0,
    };
    let parts = vec![PartSpec { start: 0, len: outputs, kind: Kind::Lora { rank, scale: 1.0 }, basis: None }];
    Entry::new(LayerSpec { adapter: name.to_owned(), active: true, layout, parts }, vec![Adapter::Lora(lora)])
}
