//! Writing an adapter.

use super::manifest::{BasisStorage, FORMAT, LayerEntry, Manifest};
use super::names::{KeyMap, key};
use super::peft::PeftConfig;
use super::tensors::{Array, Arrays, encode, sha256, sha256_floats, write_atomically};
use super::{CONFIG_FILE, WEIGHTS_FILE};
use crate::attach::part_matrix;
use crate::config::{Layout, SaltForm};
use crate::error::PeftError;
use crate::layer::{
    Adapter, Basis, Entry, Kind, Lora, Top, effective, matrix_shape, outputs_inputs, row_norms, transpose,
};
use crate::manage::floats;
use crate::model::{Site, Snapshot};
use burn::module::Module;
use burn::tensor::Tensor;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// How to write an adapter.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct SaveOptions {
    /// The adapter; none means the active one.
    pub adapter: Option<String>,
    /// What to store of the bases of SALT and SVD tuning.
    pub basis: BasisStorage,
    /// Names of modules in the file.
    pub keys: KeyMap,
    /// PEFT's `base_model_name_or_path`.
    pub base_model: Option<String>,
}

impl SaveOptions {
    /// The same for another adapter than the active one.
    #[must_use]
    pub fn with_adapter(mut self, name: impl Into<String>) -> Self {
        self.adapter = Some(name.into());
        self
    }

    /// The same with another content for bases.
    #[must_use]
    pub fn with_basis(mut self, basis: BasisStorage) -> Self {
        self.basis = basis;
        self
    }

    /// The same with other names.
    #[must_use]
    pub fn with_keys(mut self, keys: KeyMap) -> Self {
        self.keys = keys;
        self
    }
}

/// Writes one adapter, and nothing of the base but what is trained, into a folder: [`CONFIG_FILE`] and [`WEIGHTS_FILE`].
///
/// The same adapter gives the same bytes. Each file appears whole or not at all, and the configuration names the hash of the weights, so
/// that a pair torn by a crash is refused when it is loaded.
///
/// # Errors
/// [`PeftError::UnknownAdapter`] without an active adapter, [`PeftError::Io`] and [`PeftError::Values`].
pub fn save_adapter<M: Module>(module: &M, folder: impl AsRef<Path>, options: &SaveOptions) -> Result<(), PeftError> {
    let folder = folder.as_ref();
    let snapshot = Snapshot::take(module)?;
    let name = match &options.adapter {
        Some(name) => name.clone(),
        None => snapshot.sites.iter().find_map(|site| Some(site.active()?.spec.adapter.clone())).ok_or_else(|| {
            PeftError::UnknownAdapter { name: "(the active one)".into(), attached: snapshot.adapter_names() }
        })?,
    };
    snapshot.require(&name)?;
    let (weights, config) = (folder.join(WEIGHTS_FILE), folder.join(CONFIG_FILE));
    let mut writer = Writer {
        options,
        arrays: Arrays::new(),
        layers: BTreeMap::new(),
        trained: Vec::new(),
        buffers: Vec::new(),
        companions: Vec::new(),
    };
    for site in &snapshot.sites {
        if let Some(entry) = site.entry(&name) {
            writer.site(site, entry)?;
        }
    }
    let (modules_to_save, siblings) = trained_modules(&snapshot, &name, options);
    for site in siblings {
        let array = parameter_array(site, floats(&site.path, site.data()?)?);
        let file_name = options.keys.parameter(site);
        let list = if site.is_buffer() { &mut writer.buffers } else { &mut writer.companions };
        list.push(file_name.clone());
        writer.arrays.insert(key("", &file_name), array);
    }
    writer.trained.sort();
    writer.buffers.sort();
    writer.companions.sort();
    let bytes = encode(&weights, &writer.arrays)?;
    let manifest = Manifest {
        format: FORMAT,
        weights_sha256: sha256(&bytes),
        basis: options.basis,
        layers: writer.layers,
        trained: writer.trained,
        buffers: writer.buffers,
        companions: writer.companions,
    };
    let text = peft_config(&snapshot, &name, options, modules_to_save, manifest).text(&config)?;
    write_atomically(&weights, &bytes)?;
    write_atomically(&config, text.as_bytes())
}

struct Writer<'a> {
    options: &'a SaveOptions,
    arrays: Arrays,
    layers: BTreeMap<String, LayerEntry>,
    trained: Vec<String>,
    buffers: Vec<String>,
    companions: Vec<String>,
}

impl Writer<'_> {
    fn site(&mut self, site: &Site, entry: &Entry) -> Result<(), PeftError> {
        if let [Adapter::Full(full)] = entry.parts.as_slice() {
            let name = self.options.keys.parameter(site);
            let values = floats(
                &site.path,
                full.value.reshaped::<1>([site.shape.iter().product::<usize>()].into()).into_data(),
            )?;
            self.arrays.insert(key("", &name), parameter_array(site, values));
            self.trained.push(name);
            return Ok(());
        }
        let [outputs, _] = outputs_inputs(entry.spec.layout, &site.shape);
        let matrix = part_matrix(&site.data()?, &site.shape, entry.spec.layout, 0, outputs)
            .map_err(|reason| PeftError::Values { path: site.path.clone(), reason })?;
        let module = self.options.keys.adapted(site);
        let mut spec = (*entry.spec).clone();
        let mut basis_hashes = Vec::new();
        match entry.spec.parts.first().map(|part| part.kind) {
            Some(Kind::Lora { .. } | Kind::Dora { .. }) => self.low_rank(site, entry, &module)?,
            _ => {
                for (index, part) in entry.parts.iter().enumerate() {
                    let suffix = if entry.parts.len() > 1 { format!(".{index}") } else { String::new() };
                    basis_hashes.extend(self.spectral(site, entry.spec.layout, part, &module, &suffix)?);
                }
                if self.options.basis == BasisStorage::Delta || matches!(entry.parts.as_slice(), [Adapter::Delta(_)]) {
                    self.delta(site, entry, &module)?;
                    for part in &mut spec.parts {
                        part.kind = Kind::Delta;
                        part.start = 0;
                        part.len = outputs;
                    }
                    spec.parts.truncate(1);
                    basis_hashes.clear();
                }
            }
        }
        let base_hash = salt_linalg::content_hash(&matrix).to_string();
        spec.active = true;
        self.layers.insert(module, LayerEntry { spec, shape: site.shape.clone(), base_hash, basis_hashes });
        Ok(())
    }

    /// LoRA and DoRA under PEFT's names. Adapted ranges of outputs become one block matrix: `A` stacked, `B` zero outside the blocks.
    fn low_rank(&mut self, site: &Site, entry: &Entry, module: &str) -> Result<(), PeftError> {
        let layout = entry.spec.layout;
        let [outputs, inputs] = outputs_inputs(layout, &site.shape);
        let factors: Vec<(&Lora, usize)> = entry
            .parts
            .iter()
            .zip(&entry.spec.parts)
            .filter_map(|(part, place)| match part {
                Adapter::Lora(lora) => Some((lora, place.start)),
                Adapter::Dora(dora) => Some((&dora.direction, place.start)),
                _ => None,
            })
            .collect();
        let total: usize = factors.iter().map(|(lora, _)| lora.a.dims()[0]).sum();
        let mut a = Vec::with_capacity(total * inputs);
        let mut b = vec![0.0; outputs * total];
        let mut column = 0;
        for (lora, start) in factors {
            a.extend(read(&site.path, lora.a.val())?);
            let rank = lora.a.dims()[0];
            for (row, values) in read(&site.path, lora.b.val())?.chunks_exact(rank).enumerate() {
                let at = (start + row) * total + column;
                b[at..at + rank].copy_from_slice(values);
            }
            column += rank;
        }
        let (a_shape, b_shape) = low_rank_shapes(layout, &site.shape, total);
        self.arrays.insert(key(module, "lora_A.weight"), Array::new(a_shape, a));
        self.arrays.insert(key(module, "lora_B.weight"), Array::new(b_shape, b));
        if entry.parts.iter().any(|part| matches!(part, Adapter::Dora(_))) {
            let mut magnitude =
                floats(&site.path, row_norms(site.base.matrix().without_autodiff(), layout).into_data())?;
            for (part, place) in entry.parts.iter().zip(&entry.spec.parts) {
                if let Adapter::Dora(dora) = part {
                    magnitude[place.start..place.start + place.len]
                        .copy_from_slice(&read1(&site.path, dora.magnitude.val())?);
                }
            }
            let shape = if site.shape.len() > 2 && layout == Layout::OutIn {
                [vec![1, outputs], vec![1; site.shape.len() - 2]].concat()
            } else {
                vec![outputs]
            };
            self.arrays.insert(key(module, "lora_magnitude_vector"), Array::new(shape, magnitude));
        }
        Ok(())
    }

    /// SALT and SVD tuning; gives the hash of the basis.
    fn spectral(
        &mut self,
        site: &Site,
        layout: Layout,
        part: &Adapter,
        module: &str,
        suffix: &str,
    ) -> Result<Option<String>, PeftError> {
        let path = &site.path;
        let mut put = |name: &str, shape: Vec<usize>, values: Vec<f32>| {
            self.arrays.insert(key(module, &format!("{name}{suffix}")), Array::new(shape, values));
        };
        let put_matrix = |put: &mut dyn FnMut(&str, Vec<usize>, Vec<f32>), name: &str, tensor: Tensor<2>| {
            let shape = tensor.dims().to_vec();
            read(path, tensor).map(|values| put(name, shape, values))
        };
        let put_top =
            |put: &mut dyn FnMut(&str, Vec<usize>, Vec<f32>), prefix: &str, top: &Top| -> Result<(), PeftError> {
                for (name, value) in [("alpha", &top.alpha), ("beta", &top.beta)] {
                    let values = read1(path, value.val())?;
                    put(&format!("{prefix}_{name}"), vec![values.len()], values);
                }
                Ok(())
            };
        let delta_only = self.options.basis == BasisStorage::Delta;
        if delta_only {
            return Ok(None);
        }
        let mut blocks: Vec<&Basis> = Vec::new();
        let prefix = match part {
            Adapter::Svd(svd) => {
                put_top(&mut put, "svd", &svd.top)?;
                blocks.push(&svd.top.basis);
                "svd"
            }
            Adapter::Salt(salt) => {
                if let Some(top) = &salt.top {
                    put_top(&mut put, "salt", top)?;
                    blocks.push(&top.basis);
                }
                if let Some(tail) = &salt.tail {
                    put_matrix(&mut put, "salt_X", tail.x.val())?;
                    put_matrix(&mut put, "salt_Y", tail.y.val())?;
                    blocks.push(&tail.basis);
                }
                "salt"
            }
            Adapter::Projector(projector) => {
                if let Some(top) = &projector.top {
                    put_top(&mut put, "salt", top)?;
                    blocks.push(&top.basis);
                }
                put_matrix(&mut put, "salt_A", projector.a.val())?;
                put_matrix(&mut put, "salt_B", projector.b.val())?;
                "salt"
            }
            _ => return Ok(None),
        };
        if blocks.is_empty() {
            return Ok(None);
        }
        let host = HostBasis::gather(path, layout, &blocks)?;
        let hash = host.hash();
        if self.options.basis == BasisStorage::Basis {
            let k = host.sigma.len();
            put(&format!("{prefix}_U"), vec![host.outputs, k], transpose(&host.u_t, k, host.outputs));
            put(&format!("{prefix}_S"), vec![k], host.sigma);
            put(&format!("{prefix}_Vt"), vec![k, host.inputs], host.v_t);
        }
        Ok(Some(hash))
    }

    /// The update of the weight itself, in the file's layout of the weight.
    fn delta(&mut self, site: &Site, entry: &Entry, module: &str) -> Result<(), PeftError> {
        let base = site.base.matrix();
        let delta = match entry.parts.as_slice() {
            [Adapter::Delta(delta)] => delta.delta.val(),
            parts => effective(&entry.spec, parts, base.clone()) - base,
        };
        let values = read(&site.path, delta)?;
        self.arrays.insert(key(module, "salt_delta"), parameter_array(site, values));
        Ok(())
    }
}

/// A basis on the host in the papers' orientation: `U^T [k, out]`, `sigma [k]`, `V^T [k, in]`.
pub(crate) struct HostBasis {
    pub(crate) outputs: usize,
    pub(crate) inputs: usize,
    pub(crate) u_t: Vec<f32>,
    pub(crate) sigma: Vec<f32>,
    pub(crate) v_t: Vec<f32>,
}

impl HostBasis {
    /// Joins consecutive blocks of triplets.
    pub(crate) fn gather(path: &str, layout: Layout, blocks: &[&Basis]) -> Result<Self, PeftError> {
        let mut host = Self { outputs: 0, inputs: 0, u_t: Vec::new(), sigma: Vec::new(), v_t: Vec::new() };
        for block in blocks {
            let (u, v_t) = block.papers_factors(layout);
            [host.outputs, host.inputs] = [u.dims()[0], v_t.dims()[1]];
            host.u_t.extend(read(path, u.transpose())?);
            host.sigma.extend(read1(path, block.sigma.val())?);
            host.v_t.extend(read(path, v_t)?);
        }
        Ok(host)
    }

    pub(crate) fn hash(&self) -> String {
        sha256_floats([self.u_t.as_slice(), &self.sigma, &self.v_t])
    }
}

pub(crate) fn read(path: &str, tensor: Tensor<2>) -> Result<Vec<f32>, PeftError> {
    floats(path, tensor.without_autodiff().into_data())
}

pub(crate) fn read1(path: &str, tensor: Tensor<1>) -> Result<Vec<f32>, PeftError> {
    floats(path, tensor.without_autodiff().into_data())
}

/// PEFT's shapes of `lora_A` and `lora_B`: those of the two layers that they are in PyTorch.
pub(crate) fn low_rank_shapes(layout: Layout, shape: &[usize], rank: usize) -> (Vec<usize>, Vec<usize>) {
    let [outputs, inputs] = outputs_inputs(layout, shape);
    if layout == Layout::OutIn && shape.len() > 2 {
        let a = [vec![rank], shape[1..].to_vec()].concat();
        let b = [vec![outputs, rank], vec![1; shape.len() - 2]].concat();
        (a, b)
    } else {
        (vec![rank, inputs], vec![outputs, rank])
    }
}

/// Whether files hold this parameter transposed: a linear layer's matrix is `[out, in]` there.
pub(crate) fn is_transposed(site: &Site) -> bool {
    site.container == "Linear" && site.name() == "weight" && site.shape.len() == 2
}

/// A parameter's values in the file's layout.
fn parameter_array(site: &Site, values: Vec<f32>) -> Array {
    match (is_transposed(site), matrix_shape(&site.shape)) {
        (true, [rows, columns]) => Array::new([columns, rows], transpose(&values, rows, columns)),
        (false, _) => Array::new(site.shape.clone(), values),
    }
}

/// The modules that PEFT would list as `modules_to_save`, and their parameters and statistics that are not trained but belong to them.
///
/// A module qualifies if it holds parameters only, no modules, and is not adapted itself.
fn trained_modules<'a>(snapshot: &'a Snapshot, name: &str, options: &SaveOptions) -> (Vec<String>, Vec<&'a Site>) {
    let is_full =
        |site: &Site| site.entry(name).is_some_and(|entry| matches!(entry.parts.as_slice(), [Adapter::Full(_)]));
    let mut modules: BTreeSet<&str> =
        snapshot.sites.iter().filter(|site| is_full(site)).map(Site::module_path).collect();
    modules.retain(|module| {
        let inside = |site: &&Site| site.path.starts_with(&format!("{module}."));
        !module.is_empty()
            && snapshot
                .sites
                .iter()
                .filter(inside)
                .all(|site| site.module_path() == *module && (is_full(site) || site.entry(name).is_none()))
    });
    let siblings = snapshot
        .sites
        .iter()
        .filter(|site| modules.contains(site.module_path()) && site.entry(name).is_none())
        .collect();
    let names: BTreeSet<String> = modules.into_iter().map(|module| options.keys.apply(module)).collect();
    (names.into_iter().collect(), siblings)
}

fn peft_config(
    snapshot: &Snapshot,
    name: &str,
    options: &SaveOptions,
    modules_to_save: Vec<String>,
    manifest: Manifest,
) -> PeftConfig {
    let mut config = PeftConfig {
        base_model_name_or_path: options.base_model.clone(),
        bias: "none".into(),
        inference_mode: true,
        init_lora_weights: true.into(),
        modules_to_save: (!modules_to_save.is_empty()).then_some(modules_to_save),
        peft_type: "FULL".into(),
        ..PeftConfig::default()
    };
    let mut targets = Vec::new();
    let mut ranks: BTreeMap<String, (usize, f64)> = BTreeMap::new();
    for site in &snapshot.sites {
        let Some(entry) = site.entry(name) else { continue };
        let total: usize = entry
            .spec
            .parts
            .iter()
            .map(|part| match part.kind {
                Kind::Lora { rank, .. } | Kind::Dora { rank, .. } => rank,
                _ => 0,
            })
            .sum();
        let Some(part) = entry.spec.parts.first() else { continue };
        match part.kind {
            Kind::Full => continue,
            Kind::Lora { scale, .. } | Kind::Dora { scale, .. } => {
                config.peft_type = "LORA".into();
                config.use_dora |= matches!(part.kind, Kind::Dora { .. });
                ranks.insert(options.keys.adapted(site), (total, scale * total as f64));
            }
            Kind::Svd { .. } => config.peft_type = "SVD".into(),
            Kind::Salt { form: SaltForm::Projector, .. } => config.peft_type = "SALT_PROJECTOR".into(),
            Kind::Salt { .. } => config.peft_type = "SALT".into(),
            Kind::Delta => config.peft_type = "DELTA".into(),
        }
        targets.push(options.keys.adapted(site));
    }
    targets.sort();
    config.target_modules = targets.into();
    if options.basis == BasisStorage::Delta && config.peft_type != "LORA" && config.peft_type != "FULL" {
        config.peft_type = "DELTA".into();
    }
    if let Some((rank, alpha)) = most_common(&ranks) {
        (config.r, config.lora_alpha) = (rank, alpha);
        for (module, (own_rank, own_alpha)) in ranks {
            let pattern = regex::escape(&module);
            if own_rank != rank {
                config.rank_pattern.insert(pattern.clone(), own_rank);
            }
            if own_alpha != alpha {
                config.alpha_pattern.insert(pattern, own_alpha);
            }
        }
    }
    config.salt_peft = Some(manifest);
    config
}

/// The pair that most modules share; the smaller one where several tie.
fn most_common(ranks: &BTreeMap<String, (usize, f64)>) -> Option<(usize, f64)> {
    let mut best: Option<((usize, f64), usize)> = None;
    for candidate in ranks.values() {
        let count = ranks.values().filter(|value| *value == candidate).count();
        let better = best.is_none_or(|(known, known_count)| {
            count > known_count
                || (count == known_count
                    && (candidate.0 < known.0 || (candidate.0 == known.0 && candidate.1 < known.1)))
        });
        if better {
            best = Some((*candidate, count));
        }
    }
    best.map(|(pair, _)| pair)
}
