//! Reading an adapter.

use super::host::{is_transposed, low_rank_shapes};
use super::manifest::{BasisStorage, FORMAT, LayerEntry, Manifest};
use super::names::{KeyMap, PREFIX, key};
use super::peft::PeftConfig;
use super::tensors::{Array, Arrays, decode, sha256};
use super::{CONFIG_FILE, WEIGHTS_FILE};
use crate::attach::{DEFAULT_ADAPTER, check_name, full_entry, part_matrix, with_active};
use crate::config::{Initialization, Layout};
use crate::error::PeftError;
use crate::initial::Factory;
use crate::layer::{Adapter, Delta, Dora, Entry, Kind, LayerSpec, Lora, PartSpec};
use crate::layer::{matrix_shape, outputs_inputs, transpose};
use crate::model::{Site, Snapshot, install};
use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Tensor, TensorData};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// How to read an adapter.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct LoadOptions {
    /// Name to attach it under; none means [`DEFAULT_ADAPTER`](crate::DEFAULT_ADAPTER).
    pub name: Option<String>,
    /// Names of modules in the file; the same map as for saving.
    pub keys: KeyMap,
    /// A folder that keeps decompositions between runs, for files without their basis.
    pub basis_cache: Option<PathBuf>,
}

impl LoadOptions {
    /// The same under another name.
    #[must_use]
    pub fn with_name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// The same with other names in the file.
    #[must_use]
    pub fn with_keys(mut self, keys: KeyMap) -> Self {
        self.keys = keys;
        self
    }

    /// The same with a folder that keeps decompositions between runs.
    #[must_use]
    pub fn with_basis_cache(mut self, folder: impl Into<PathBuf>) -> Self {
        self.basis_cache = Some(folder.into());
        self
    }
}

/// What was loaded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct LoadReport {
    /// Name of the adapter.
    pub adapter: String,
    /// Weights with an adapter, by path.
    pub adapted: Vec<String>,
    /// Parameters that the adapter trains in full, by path.
    pub trained: Vec<String>,
    /// Whether the file was written by this crate; only such files carry fingerprints of the base.
    pub verified_base: bool,
}

/// Attaches the adapter of a folder and makes it active: one written by [`save_adapter`](crate::save_adapter), or LoRA and DoRA as
/// Hugging Face PEFT writes them.
///
/// # Errors
/// [`PeftError::WrongBase`] if the file was made for other base weights (files of PEFT do not say); [`PeftError::Keys`] if keys are missing,
/// unexpected or of another shape; [`PeftError::Format`], [`PeftError::Io`], [`PeftError::DuplicateAdapter`].
pub fn load_adapter<M: Module>(
    module: M,
    folder: impl AsRef<Path>,
    options: &LoadOptions,
) -> Result<(M, LoadReport), PeftError> {
    let name = options.name.clone().unwrap_or_else(|| DEFAULT_ADAPTER.to_owned());
    check_name(&name)?;
    let (config_file, weights_file) = (folder.as_ref().join(CONFIG_FILE), folder.as_ref().join(WEIGHTS_FILE));
    let config = PeftConfig::read(&config_file)?;
    let bytes = std::fs::read(&weights_file).map_err(PeftError::io(&weights_file))?;
    let mut snapshot = Snapshot::take(&module)?;
    if snapshot.adapter_names().contains(&name) {
        return Err(PeftError::DuplicateAdapter { name });
    }
    let mut reader = Reader {
        file: &weights_file,
        name: &name,
        keys: &options.keys,
        arrays: decode(&weights_file, &bytes)?,
        missing: Vec::new(),
        mismatched: Vec::new(),
        entries: BTreeMap::new(),
        buffers: BTreeMap::new(),
    };
    match &config.salt_peft {
        Some(manifest) => {
            check_pair(&config_file, &weights_file, manifest, &bytes)?;
            reader.own(&snapshot, manifest, options)?;
        }
        None => reader.foreign(&snapshot, &config, &config_file)?,
    }
    let (added, buffers) = reader.finish()?;
    let is_full = |entry: &Entry| matches!(entry.parts.as_slice(), [Adapter::Full(_)]);
    let (trained, adapted): (Vec<_>, Vec<_>) = added.iter().partition(|(_, entry)| is_full(entry));
    let paths = |list: Vec<(&String, &Entry)>| list.into_iter().map(|(path, _)| path.clone()).collect();
    let report = LoadReport {
        adapter: name.clone(),
        adapted: paths(adapted),
        trained: paths(trained),
        verified_base: config.salt_peft.is_some(),
    };
    let mut entries = with_active(&mut snapshot, None);
    for (path, entry) in added {
        entries.entry(path).or_default().push(entry);
    }
    drop(snapshot);
    let module = if buffers.is_empty() { module } else { module.map(&mut SetBuffers { path: Vec::new(), buffers }) };
    Ok((install(module, entries), report))
}

fn check_pair(config_file: &Path, weights_file: &Path, manifest: &Manifest, bytes: &[u8]) -> Result<(), PeftError> {
    if manifest.format != FORMAT {
        let reason = format!("field `salt_peft.format`: expected {FORMAT}, found {}", manifest.format);
        return Err(PeftError::format(config_file, reason));
    }
    let found = sha256(bytes);
    if found != manifest.weights_sha256 {
        return Err(PeftError::format(
            weights_file,
            format!(
                "its SHA-256 is {found}, but {CONFIG_FILE} beside it was written with {}: the two files do not belong together, or one is damaged",
                manifest.weights_sha256
            ),
        ));
    }
    Ok(())
}

/// Entries and statistics by the path of their parameter.
type Loaded = (BTreeMap<String, Entry>, BTreeMap<String, Array>);

pub(crate) struct Reader<'a> {
    pub(crate) file: &'a Path,
    name: &'a str,
    keys: &'a KeyMap,
    arrays: Arrays,
    missing: Vec<String>,
    mismatched: Vec<String>,
    entries: BTreeMap<String, Entry>,
    buffers: BTreeMap<String, Array>,
}

impl Reader<'_> {
    /// Takes a tensor out of the file, noting it where it is missing or has another shape.
    pub(crate) fn take(&mut self, key: String, shape: &[usize]) -> Option<Array> {
        match self.arrays.remove(&key) {
            None => self.missing.push(key),
            Some(array) if array.shape != shape => {
                self.mismatched.push(format!("{key}: expected {shape:?}, found {:?}", array.shape));
            }
            Some(array) => return Some(array),
        }
        None
    }

    fn finish(mut self) -> Result<Loaded, PeftError> {
        let unexpected: Vec<String> = self.arrays.into_keys().collect();
        if self.missing.is_empty() && self.mismatched.is_empty() && unexpected.is_empty() {
            return Ok((self.entries, self.buffers));
        }
        self.missing.sort();
        Err(PeftError::Keys {
            file: self.file.to_owned(),
            missing: self.missing,
            unexpected,
            mismatched: self.mismatched,
        })
    }

    pub(crate) fn factory<'f>(&self, site: &Site, device: &'f burn::tensor::Device, index: usize) -> Factory<'f> {
        Factory {
            device,
            dtype: site.base.dtype(),
            seed: 0,
            initialization: Initialization::Identity,
            convolution: false,
            name: format!("{}.{index}\u{0}{}", site.path, self.name),
        }
    }

    /// A file of this crate.
    fn own(&mut self, snapshot: &Snapshot, manifest: &Manifest, options: &LoadOptions) -> Result<(), PeftError> {
        let adapted: BTreeMap<String, &Site> = snapshot
            .sites
            .iter()
            .map(|site| (self.keys.adapted(site), site))
            .filter(|(name, _)| manifest.layers.contains_key(name))
            .collect();
        let parameters: BTreeMap<String, &Site> =
            snapshot.sites.iter().map(|site| (self.keys.parameter(site), site)).collect();
        self.check_bases(&adapted, manifest)?;
        for (name, layer) in &manifest.layers {
            let Some(site) = adapted.get(name) else {
                self.missing.push(format!("(module) {name}"));
                continue;
            };
            if let Some(entry) = self.layer(site, name, layer, manifest.basis, options)? {
                self.entries.insert(site.path.clone(), entry);
            }
        }
        for name in &manifest.trained {
            match parameters.get(name) {
                Some(site) => self.full(site)?,
                None => self.missing.push(format!("(parameter) {name}")),
            }
        }
        for name in &manifest.buffers {
            if let Some(site) = parameters.get(name)
                && let Some(array) = self.take(key("", name), &site.shape)
            {
                self.buffers.insert(site.path.clone(), array);
            }
        }
        for name in &manifest.companions {
            self.arrays.remove(&key("", name));
        }
        Ok(())
    }

    /// Refuses a base whose weights are not those of the file.
    fn check_bases(&self, adapted: &BTreeMap<String, &Site>, manifest: &Manifest) -> Result<(), PeftError> {
        for (name, layer) in &manifest.layers {
            let Some(site) = adapted.get(name) else { continue };
            check_spec(&layer.spec, layer.shape.as_slice())
                .map_err(|reason| PeftError::format(self.file, format!("{CONFIG_FILE}: layer `{name}`: {reason}")))?;
            let wrong = |reason: String| PeftError::WrongBase {
                file: self.file.to_owned(),
                reason: format!("`{}`: {reason}", site.path),
            };
            if site.shape != layer.shape {
                return Err(wrong(format!("expected shape {:?}, found {:?}", layer.shape, site.shape)));
            }
            let [outputs, _] = outputs_inputs(layer.spec.layout, &site.shape);
            let matrix = part_matrix(&site.data()?, &site.shape, layer.spec.layout, 0, outputs)
                .map_err(|reason| PeftError::Values { path: site.path.clone(), reason })?;
            let found = salt_linalg::content_hash(&matrix).to_string();
            if found != layer.base_hash {
                return Err(wrong(format!("expected a weight with hash {}, found {found}", layer.base_hash)));
            }
        }
        Ok(())
    }

    fn layer(
        &mut self,
        site: &Site,
        module: &str,
        layer: &LayerEntry,
        storage: BasisStorage,
        options: &LoadOptions,
    ) -> Result<Option<Entry>, PeftError> {
        let spec = LayerSpec { adapter: self.name.to_owned(), active: true, ..layer.spec.clone() };
        let parts = match spec.parts.first().map(|part| part.kind) {
            Some(Kind::Lora { .. } | Kind::Dora { .. }) => self.low_rank(site, module, &spec),
            Some(Kind::Delta) => self.delta(site, module, spec.layout).map(|delta| vec![delta]),
            _ => self.spectral(site, module, &spec, layer, storage, options)?,
        };
        Ok(parts.map(|parts| Entry::new(spec, parts)))
    }

    /// LoRA and DoRA, cut back into the ranges of outputs that the block matrix was made of.
    fn low_rank(&mut self, site: &Site, module: &str, spec: &LayerSpec) -> Option<Vec<Adapter>> {
        let [outputs, inputs] = outputs_inputs(spec.layout, &site.shape);
        let numbers = |part: &PartSpec| match part.kind {
            Kind::Lora { rank, scale } => (rank, scale, false),
            Kind::Dora { rank, scale } => (rank, scale, true),
            _ => (0, 0.0, false),
        };
        let total: usize = spec.parts.iter().map(|part| numbers(part).0).sum();
        let (a_shape, b_shape) = low_rank_shapes(spec.layout, &site.shape, total);
        let a = self.take(key(module, "lora_A.weight"), &a_shape);
        let b = self.take(key(module, "lora_B.weight"), &b_shape);
        let magnitude =
            if spec.parts.iter().any(|part| numbers(part).2) { Some(self.magnitude(module, outputs)) } else { None };
        let (a, b) = (a?, b?);
        let device = site.base.device();
        let mut column = 0;
        let mut adapters = Vec::with_capacity(spec.parts.len());
        for (index, part) in spec.parts.iter().enumerate() {
            let (rank, scale, is_dora) = numbers(part);
            let factory = self.factory(site, &device, index);
            let own_a = a.values[column * inputs..(column + rank) * inputs].to_vec();
            let own_b = (part.start..part.start + part.len)
                .flat_map(|row| b.values[row * total + column..row * total + column + rank].iter().copied())
                .collect();
            column += rank;
            let prefix = if is_dora { "direction." } else { "" };
            let lora = Lora {
                a: factory.matrix(&format!("{prefix}a"), own_a, [rank, inputs]),
                b: factory.matrix(&format!("{prefix}b"), own_b, [part.len, rank]),
                scale,
            };
            adapters.push(match is_dora {
                false => Adapter::Lora(lora),
                true => {
                    let all = magnitude.as_ref()?.as_ref()?;
                    let own = all.values[part.start..part.start + part.len].to_vec();
                    Adapter::Dora(Dora { direction: lora, magnitude: factory.vector("magnitude", own) })
                }
            });
        }
        Some(adapters)
    }

    /// DoRA's magnitude, under either of the names that PEFT has given it, with or without axes of one for a convolution.
    fn magnitude(&mut self, module: &str, outputs: usize) -> Option<Array> {
        let names = ["lora_magnitude_vector", "lora_magnitude_vector.weight"].map(|name| key(module, name));
        let known = names.iter().find(|name| self.arrays.contains_key(*name)).unwrap_or(&names[0]).clone();
        if let Some(array) = self.arrays.get_mut(&known)
            && array.values.len() == outputs
        {
            *array = std::mem::replace(array, Array::new([0], Vec::new())).reshaped([outputs]);
        }
        self.take(known, &[outputs])
    }

    fn delta(&mut self, site: &Site, module: &str, layout: Layout) -> Option<Adapter> {
        let values = self.stored(site, key(module, "salt_delta"))?;
        let device = site.base.device();
        let shape = matrix_shape(&site.shape);
        let mut delta = self.factory(site, &device, 0).matrix("delta", values, shape);
        delta = delta.set_require_grad(false);
        let _ = layout;
        Some(Adapter::Delta(Delta { delta }))
    }

    /// A parameter in the file's layout, brought into Burn's.
    fn stored(&mut self, site: &Site, key: String) -> Option<Vec<f32>> {
        if is_transposed(site) {
            let [rows, columns] = matrix_shape(&site.shape);
            let array = self.take(key, &[columns, rows])?;
            Some(transpose(&array.values, columns, rows))
        } else {
            Some(self.take(key, &site.shape)?.values)
        }
    }

    fn full(&mut self, site: &Site) -> Result<(), PeftError> {
        let Some(values) = self.stored(site, key("", &self.keys.parameter(site))) else { return Ok(()) };
        let entry = full_entry(site, self.name)?;
        let device = site.base.device();
        let options = (&device, site.base.dtype());
        let parts = entry
            .parts
            .into_iter()
            .map(|part| match part {
                Adapter::Full(mut full) => {
                    full.value = full.value.with_data(TensorData::new(values.clone(), site.shape.clone()), options);
                    Adapter::Full(full)
                }
                other => other,
            })
            .collect();
        self.entries.insert(site.path.clone(), Entry::new((*entry.spec).clone(), parts));
        Ok(())
    }

    /// A file of PEFT.
    fn foreign(&mut self, snapshot: &Snapshot, config: &PeftConfig, config_file: &Path) -> Result<(), PeftError> {
        let renamed: BTreeMap<String, Array> = std::mem::take(&mut self.arrays)
            .into_iter()
            .map(|(key, array)| (key.replace(".modules_to_save.", ".").replace(".base_layer.", "."), array))
            .collect();
        self.arrays = renamed;
        for site in &snapshot.sites {
            let module = self.keys.adapted(site);
            if self.arrays.contains_key(&key(&module, "lora_A.weight")) && site.name() == "weight" {
                let Some(layout) = site.layout() else {
                    return Err(PeftError::parameter(
                        &site.path,
                        &site.shape,
                        "the file has a LoRA for it, but it is no linear layer or convolution",
                    ));
                };
                let (rank, scale) = config.rank_and_scale(config_file, &module)?;
                let [outputs, _] = outputs_inputs(layout, &site.shape);
                let kind = if config.use_dora { Kind::Dora { rank, scale } } else { Kind::Lora { rank, scale } };
                let parts = vec![PartSpec { start: 0, len: outputs, kind, basis: None }];
                let spec = LayerSpec { adapter: self.name.to_owned(), active: true, layout, parts };
                if let Some(parts) = self.low_rank(site, &module, &spec) {
                    self.entries.insert(site.path.clone(), Entry::new(spec, parts));
                }
            }
            let parameter = key("", &self.keys.parameter(site));
            if self.arrays.contains_key(&parameter) {
                if site.is_buffer() {
                    if let Some(array) = self.take(parameter, &site.shape) {
                        self.buffers.insert(site.path.clone(), array);
                    }
                } else {
                    self.full(site)?;
                }
            }
        }
        if self.entries.is_empty() && self.missing.is_empty() && self.mismatched.is_empty() {
            let known: Vec<&str> = self.arrays.keys().map(String::as_str).collect();
            let reason = format!(
                "none of its tensors belongs to a module; after `{PREFIX}` it names, for example, {}; a key map can rename the modules",
                crate::pattern::sample(&known)
            );
            return Err(PeftError::format(self.file, reason));
        }
        Ok(())
    }
}

/// Whether a specification from a file makes sense for a weight of its shape, so that nothing after it can go out of bounds.
fn check_spec(spec: &LayerSpec, shape: &[usize]) -> Result<(), String> {
    const LARGEST_RANK: usize = 1 << 20;
    if !(2..=6).contains(&shape.len()) || shape.contains(&0) || shape.iter().any(|size| *size > 1 << 31) {
        return Err(format!("expected a shape of two to six axes, found {shape:?}"));
    }
    let [outputs, inputs] = outputs_inputs(spec.layout, shape);
    let mut end = 0;
    for part in &spec.parts {
        let next = part.start.checked_add(part.len);
        if part.len == 0 || part.start < end || next.is_none_or(|next| next > outputs) {
            return Err(format!(
                "expected ascending ranges within its {outputs} outputs, found {}, {} long",
                part.start, part.len
            ));
        }
        end = part.start + part.len;
        let k = part.len.min(inputs);
        let fits = match part.kind {
            Kind::Lora { rank, scale } | Kind::Dora { rank, scale } => {
                (1..=LARGEST_RANK).contains(&rank) && scale.is_finite()
            }
            Kind::Salt { svd_rank, lora_rank, .. } => svd_rank <= k && lora_rank <= LARGEST_RANK,
            Kind::Svd { .. } => true,
            Kind::Delta => spec.parts.len() == 1 && part.len == outputs,
            Kind::Full => false,
        };
        if !fits {
            return Err(format!(
                "a method that does not fit {} outputs and {inputs} inputs: {:?}",
                part.len, part.kind
            ));
        }
    }
    let same = spec
        .parts
        .windows(2)
        .all(|pair| std::mem::discriminant(&pair[0].kind) == std::mem::discriminant(&pair[1].kind));
    if spec.parts.is_empty() || !same {
        return Err("expected at least one part, all of one method".to_owned());
    }
    Ok(())
}

struct SetBuffers {
    path: Vec<String>,
    buffers: BTreeMap<String, Array>,
}

impl ModuleMapper for SetBuffers {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(array) = self.buffers.remove(&self.path.join(".")) else { return param };
        param.map(|old| {
            let data = TensorData::new(array.values, array.shape);
            Tensor::from_data(data, (&old.device(), old.dtype()))
        })
    }
}
