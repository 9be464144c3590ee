//! Merging, switching and removing adapters.

use crate::attach::with_active;
use crate::error::PeftError;
use crate::layer::Entry;
use crate::model::{Snapshot, install};
use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Tensor, TensorData};
use serde::Serialize;
use std::any::Any;
use std::collections::BTreeMap;

/// Names of the attached adapters, sorted.
///
/// # Errors
/// [`PeftError::Foreign`] if the module carries something that this crate did not attach.
pub fn adapter_names<M: Module>(module: &M) -> Result<Vec<String>, PeftError> {
    Ok(Snapshot::take(module)?.adapter_names())
}

/// The name of the active adapter.
///
/// # Errors
/// [`PeftError::Foreign`] if the module carries something that this crate did not attach.
pub fn active_adapter<M: Module>(module: &M) -> Result<Option<String>, PeftError> {
    let snapshot = Snapshot::take(module)?;
    Ok(snapshot.sites.iter().find_map(|site| Some(site.active()?.spec.adapter.clone())))
}

/// Makes another adapter the active one. Nothing is computed or copied; the factors keep their identity and so their optimiser state.
///
/// # Errors
/// [`PeftError::UnknownAdapter`].
pub fn switch<M: Module>(module: M, name: &str) -> Result<M, PeftError> {
    let mut snapshot = Snapshot::take(&module)?;
    snapshot.require(name)?;
    let entries = with_active(&mut snapshot, Some(name));
    Ok(install(module, entries))
}

/// Makes no adapter active: the module gives the base model's outputs, bit for bit.
///
/// # Errors
/// [`PeftError::Foreign`] if the module carries something that this crate did not attach.
pub fn disable<M: Module>(module: M) -> Result<M, PeftError> {
    let mut snapshot = Snapshot::take(&module)?;
    let entries = with_active(&mut snapshot, None);
    Ok(install(module, entries))
}

/// Removes an adapter with its factors; if it was active, none is active afterwards.
///
/// # Errors
/// [`PeftError::UnknownAdapter`].
pub fn remove<M: Module>(module: M, name: &str) -> Result<M, PeftError> {
    let mut snapshot = Snapshot::take(&module)?;
    snapshot.require(name)?;
    let mut entries = BTreeMap::new();
    for site in &mut snapshot.sites {
        let kept: Vec<Entry> =
            std::mem::take(&mut site.entries).into_iter().filter(|entry| entry.spec.adapter != name).collect();
        entries.insert(site.path.clone(), kept);
    }
    Ok(install(module, entries))
}

/// The module for evaluation: without gradients, every effective weight computed once and stored as a plain weight.
///
/// `module.valid()` alone keeps the adapters and rebuilds every weight at every call.
pub fn materialize<M: Module>(module: &M) -> M {
    module.valid().materialize()
}

/// A module whose adapters are folded into plain weights, with what it takes to undo that.
///
/// Saving an adapter needs the unmerged module, and the types see to it: [`Merged`] is no module.
#[derive(Debug)]
pub struct Merged<M> {
    module: M,
    slots: StoredSlots,
}

struct StoredSlots {
    entries: BTreeMap<String, Vec<Entry>>,
    bases: BTreeMap<String, Box<dyn Any + Send>>,
}

impl std::fmt::Debug for StoredSlots {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.entries.keys()).finish()
    }
}

/// Folds the active adapter into plain weights. The stored bases and all adapters are kept aside, sharing their memory with `module`.
///
/// # Errors
/// [`PeftError::Parameter`] for a merged weight that is not finite, and [`PeftError::Foreign`].
pub fn merge<M: Module>(module: M) -> Result<Merged<M>, PeftError> {
    let snapshot = Snapshot::take(&module)?;
    let mut slots = StoredSlots { entries: BTreeMap::new(), bases: BTreeMap::new() };
    for site in snapshot.sites {
        if !site.entries.is_empty() {
            slots.bases.insert(site.path.clone(), site.base.boxed());
            slots.entries.insert(site.path, site.entries);
        }
    }
    let module = module.materialize();
    for site in Snapshot::take(&module)?.sites {
        if slots.entries.contains_key(&site.path) {
            let values = floats(&site.path, site.data()?)?;
            if let Some(index) = values.iter().position(|value| !value.is_finite()) {
                let reason = format!("the merged weight holds {} at position {index}; it was not kept", values[index]);
                return Err(PeftError::parameter(&site.path, &site.shape, reason));
            }
        }
    }
    Ok(Merged { module, slots })
}

impl<M: Module> Merged<M> {
    /// The module with plain weights.
    pub fn module(&self) -> &M {
        &self.module
    }

    /// Keeps the plain weights and forgets the adapters.
    pub fn into_plain(self) -> M {
        self.module
    }

    /// Puts the stored base bits and all adapters back.
    pub fn unmerge(self) -> M {
        let restored = self.module.map(&mut Restore { path: Vec::new(), bases: self.slots.bases });
        install(restored, self.slots.entries)
    }
}

struct Restore {
    path: Vec<String>,
    bases: BTreeMap<String, Box<dyn Any + Send>>,
}

impl ModuleMapper for Restore {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        match self.bases.remove(&self.path.join(".")).and_then(|base| base.downcast::<Param<Tensor<D>>>().ok()) {
            Some(base) => *base,
            None => param,
        }
    }
}

/// How far merging moves the outputs on a probe batch.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct MergeReport {
    /// Largest absolute difference between an output of the adapted and of the merged module.
    pub largest_difference: f64,
    /// Largest absolute output of the adapted module.
    pub largest_output: f64,
}

impl MergeReport {
    /// `largest_difference / largest_output`, or the difference itself where all outputs are zero.
    pub fn relative(&self) -> f64 {
        if self.largest_output > 0.0 { self.largest_difference / self.largest_output } else { self.largest_difference }
    }
}

/// Compares the outputs of `adapted` and of its merged form on a probe batch; `forward` runs the batch through a module.
///
/// # Errors
/// As [`merge`], and [`PeftError::Values`] for outputs that are not finite.
pub fn merge_report<M: Module, const D: usize>(
    adapted: &M,
    forward: impl Fn(&M) -> Tensor<D>,
) -> Result<MergeReport, PeftError> {
    let adapted = adapted.valid();
    let before = floats("adapted output", forward(&adapted).into_data())?;
    let after = floats("merged output", forward(merge(adapted)?.module()).into_data())?;
    let largest = |values: &mut dyn Iterator<Item = f64>| values.fold(0.0, f64::max);
    let report = MergeReport {
        largest_difference: largest(&mut before.iter().zip(&after).map(|(a, b)| (f64::from(*a) - f64::from(*b)).abs())),
        largest_output: largest(&mut before.iter().map(|a| f64::from(a.abs()))),
    };
    if before.iter().chain(&after).any(|value| !value.is_finite()) {
        return Err(PeftError::Values {
            path: "probe output".into(),
            reason: "it holds numbers that are not finite".into(),
        });
    }
    Ok(report)
}

/// The values as `f32`.
pub(crate) fn floats(path: &str, data: TensorData) -> Result<Vec<f32>, PeftError> {
    data.convert::<f32>()
        .try_into_vec::<f32>()
        .map_err(|error| PeftError::Values { path: path.to_owned(), reason: format!("{error:?}") })
}
