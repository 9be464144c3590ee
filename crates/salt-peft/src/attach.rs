//! Attaching adapters to a module.

use crate::check::check_values;
use crate::config::{AdapterConfig, Decomposition, Layout};
use crate::decompose::{Decomposed, Job, decompose};
use crate::error::PeftError;
use crate::initial::{Factory, basis_record};
use crate::layer::{Entry, Kind, LayerSpec, PartSpec, matrix_shape};
use crate::model::{Site, Snapshot, install};
use crate::plan::{Plan, PlannedLayer};
use burn::module::Module;
use burn::tensor::{Tensor, TensorData};
use burn_kernels::release_set_aside;
use serde::Serialize;
use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;

/// The name of an adapter that was given none.
pub const DEFAULT_ADAPTER: &str = "default";

/// What attaching needs besides the configuration.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct AttachOptions {
    /// Name of the adapter: letters, digits, `_` and `-`.
    pub name: Option<String>,
    /// A folder that keeps decompositions between runs, addressed by the content of the weight.
    pub basis_cache: Option<PathBuf>,
}

impl AttachOptions {
    /// The same under another name than [`DEFAULT_ADAPTER`].
    #[must_use]
    pub fn with_name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// The same with a folder that keeps decompositions between runs.
    #[must_use]
    pub fn with_basis_cache(mut self, folder: impl Into<PathBuf>) -> Self {
        self.basis_cache = Some(folder.into());
        self
    }
}

/// What was attached.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct AttachReport {
    /// Name of the adapter.
    pub adapter: String,
    /// What was planned, with every rank decided.
    pub plan: Plan,
    /// What a user should know: cuts through a cluster of singular values, ranks above what remains.
    pub warnings: Vec<String>,
}

/// Adapts a module: every parameter of the base is frozen, the weights that `config` names get adapters, the parameters that it
/// trains in full get a trained stand-in. The effective weights change the next time that a layer asks for them; no layer knows.
///
/// A module that carries adapters already keeps them, inactive; the new one is active.
///
/// # Errors
/// As [`check`](crate::check), and [`PeftError::DuplicateAdapter`], [`PeftError::Decomposition`], [`PeftError::Cache`] or
/// [`PeftError::Values`].
pub fn attach<M: Module>(
    module: M,
    config: &AdapterConfig,
    options: &AttachOptions,
) -> Result<(M, AttachReport), PeftError> {
    let name = options.name.clone().unwrap_or_else(|| DEFAULT_ADAPTER.to_owned());
    check_name(&name)?;
    let mut snapshot = Snapshot::take(&module)?;
    if snapshot.adapter_names().contains(&name) {
        return Err(PeftError::DuplicateAdapter { name });
    }
    let mut plan = Plan::of(&snapshot, config)?;
    let sites: BTreeMap<&str, &Site> = snapshot.sites.iter().map(|site| (site.path.as_str(), site)).collect();
    check_values(&plan, &sites)?;
    let mut warnings = Vec::new();
    let mut added: BTreeMap<String, Entry> = BTreeMap::new();
    for layers in plan.layers.chunks_mut(layers_at_once()) {
        let jobs = jobs(layers, &sites, config.decomposition)?;
        let mut decomposed = decompose(jobs, options.basis_cache.as_deref())?.into();
        for layer in layers {
            let site = sites[layer.path.as_str()];
            let entry = adapted(layer, site, config, &name, &mut decomposed, &mut warnings)?;
            added.insert(layer.path.clone(), entry);
        }
        release_set_aside();
    }
    for parameter in &plan.trained {
        added.insert(parameter.path.clone(), full_entry(sites[parameter.path.as_str()], &name)?);
    }
    drop(sites);
    let mut entries = with_active(&mut snapshot, None);
    for (path, entry) in added {
        entries.entry(path).or_default().push(entry);
    }
    drop(snapshot);
    let report = AttachReport { adapter: name, plan, warnings };
    Ok((install(module, entries), report))
}

/// Moves all entries out of a snapshot, with only the named adapter active.
pub(crate) fn with_active(snapshot: &mut Snapshot, name: Option<&str>) -> BTreeMap<String, Vec<Entry>> {
    let mut entries = BTreeMap::new();
    for site in &mut snapshot.sites {
        if site.entries.is_empty() {
            continue;
        }
        let own = std::mem::take(&mut site.entries)
            .into_iter()
            .map(|entry| {
                let active = name == Some(entry.spec.adapter.as_str());
                Entry::new(LayerSpec { active, ..(*entry.spec).clone() }, entry.parts)
            })
            .collect();
        entries.insert(site.path.clone(), own);
    }
    entries
}

pub(crate) fn check_name(name: &str) -> Result<(), PeftError> {
    let fits = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    if fits {
        Ok(())
    } else {
        Err(PeftError::config("name", format!("expected letters, digits, `_` and `-`, found `{name}`")))
    }
}

/// `W [out, in]` of a part, from the stored values.
pub(crate) fn part_matrix(
    data: &TensorData,
    shape: &[usize],
    layout: Layout,
    start: usize,
    outputs: usize,
) -> Result<nalgebra::DMatrix<f32>, String> {
    let values = data.clone().convert::<f32>().try_into_vec::<f32>().map_err(|error| format!("{error:?}"))?;
    let [rows, columns] = matrix_shape(shape);
    Ok(match layout {
        Layout::OutIn => {
            nalgebra::DMatrix::from_row_slice(outputs, columns, &values[start * columns..(start + outputs) * columns])
        }
        Layout::InOut if outputs == columns => nalgebra::DMatrix::from_vec(outputs, rows, values),
        Layout::InOut => nalgebra::DMatrix::from_iterator(
            outputs,
            rows,
            values.chunks_exact(columns).flat_map(|row| row[start..start + outputs].iter().copied()),
        ),
    })
}

/// Layers that are decomposed together: enough to keep every processor busy, few enough that what their decompositions need beside the
/// factors does not decide how much memory the program takes. The results do not depend on it.
fn layers_at_once() -> usize {
    4 * std::thread::available_parallelism().map_or(1, usize::from)
}

fn jobs(
    layers: &[PlannedLayer],
    sites: &BTreeMap<&str, &Site>,
    decomposition: Decomposition,
) -> Result<Vec<Job>, PeftError> {
    let mut jobs = Vec::new();
    for layer in layers.iter().filter(|layer| layer.parts.iter().any(|part| part.recipe.needs_basis())) {
        let data = sites[layer.path.as_str()].data()?;
        for part in &layer.parts {
            let matrix = part_matrix(&data, &layer.shape, layer.layout, part.start, part.outputs)
                .map_err(|reason| PeftError::Values { path: layer.path.clone(), reason })?;
            jobs.push(Job {
                path: layer.path.clone(),
                matrix,
                full: part.recipe.needs_full_basis(),
                rank: part.recipe.svd_rank,
                decomposition,
            });
        }
    }
    Ok(jobs)
}

fn adapted(
    layer: &mut PlannedLayer,
    site: &Site,
    config: &AdapterConfig,
    name: &str,
    decomposed: &mut VecDeque<Decomposed>,
    warnings: &mut Vec<String>,
) -> Result<Entry, PeftError> {
    let device = site.base.device();
    let dtype = site.base.dtype();
    let mut parts = Vec::with_capacity(layer.parts.len());
    let mut specs = Vec::with_capacity(layer.parts.len());
    for (index, part) in layer.parts.iter_mut().enumerate() {
        let svd = if part.recipe.needs_basis() { decomposed.pop_front() } else { None };
        let rank = svd.as_ref().map_or(0, |svd| svd.rank);
        let kind = part.recipe.kind(rank);
        part.kind = Some(kind);
        let factory = Factory {
            device: &device,
            dtype,
            seed: config.seed.unwrap_or(0),
            initialization: config.initialization,
            convolution: layer.container.starts_with("Conv"),
            name: format!("{}.{index}\u{0}{name}", layer.path),
        };
        let adapter = factory
            .adapter(&kind, [part.outputs, part.inputs], layer.layout, svd.as_ref(), || {
                base_part(site, layer.layout, part.start, part.outputs)
            })
            .ok_or_else(|| PeftError::foreign(&layer.path, "the method needs a basis that was not computed"))?;
        let cut = if matches!(kind, Kind::Svd { .. }) { part.full_rank() } else { rank };
        let basis = svd.as_ref().map(|svd| basis_record(svd, cut));
        warn(&layer.path, &kind, part.full_rank(), basis.as_ref().and_then(|record| record.relative_gap), warnings);
        specs.push(PartSpec { start: part.start, len: part.outputs, kind, basis });
        parts.push(adapter);
    }
    Ok(Entry::new(LayerSpec { adapter: name.to_owned(), active: true, layout: layer.layout, parts: specs }, parts))
}

/// Below this relative gap a cut goes through a cluster: the weight hardly determines which directions are in the top block.
const CLUSTER_GAP: f32 = 1e-4;

fn warn(path: &str, kind: &Kind, k: usize, gap: Option<f32>, warnings: &mut Vec<String>) {
    if let Some(gap) = gap.filter(|gap| *gap < CLUSTER_GAP) {
        warnings.push(format!("{path}: the cut lies in a cluster of singular values (relative gap {gap:.1e}), so the weight hardly determines the top block"));
    }
    if let Kind::Salt { svd_rank, lora_rank, form } = *kind
        && form != crate::config::SaltForm::Projector
        && lora_rank > k - svd_rank
        && svd_rank < k
    {
        warnings.push(format!("{path}: an update of rank {lora_rank} on {} remaining singular values has more parameters than the block that it updates", k - svd_rank));
    }
}

/// A part of the base in storage order, on its device.
pub(crate) fn base_part(site: &Site, layout: Layout, start: usize, outputs: usize) -> Tensor<2> {
    let matrix = site.base.matrix();
    let [rows, columns] = matrix.dims();
    match layout {
        Layout::OutIn if outputs == rows => matrix,
        Layout::InOut if outputs == columns => matrix,
        Layout::OutIn => matrix.slice(start..start + outputs),
        Layout::InOut => matrix.slice([0..rows, start..start + outputs]),
    }
}

/// The entry of a parameter that is trained in full.
pub(crate) fn full_entry(site: &Site, name: &str) -> Result<Entry, PeftError> {
    let device = site.base.device();
    let factory = Factory {
        device: &device,
        dtype: site.base.dtype(),
        seed: 0,
        initialization: crate::config::Initialization::Identity,
        convolution: false,
        name: format!("{}.0\u{0}{name}", site.path),
    };
    let adapter = factory
        .full(site.base.as_any())
        .ok_or_else(|| PeftError::parameter(&site.path, &site.shape, "expected one to six axes"))?;
    let outputs = site.shape.first().copied().unwrap_or(1);
    let spec = LayerSpec {
        adapter: name.to_owned(),
        active: true,
        layout: Layout::OutIn,
        parts: vec![PartSpec { start: 0, len: outputs, kind: Kind::Full, basis: None }],
    };
    Ok(Entry::new(spec, vec![adapter]))
}
