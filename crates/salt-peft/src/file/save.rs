//! Writing an adapter.

use super::describe::{peft_config, trained_modules, wrapped_modules};
use super::host::{HostBasis, low_rank_shapes, parameter_array, read, read1};
use super::manifest::{BasisStorage, FORMAT, LayerEntry, Manifest};
use super::names::{CONFIG_FILE, WEIGHTS_FILE, key, wrapped};
use super::options::SaveOptions;
use super::tensors::{Array, Arrays, write, write_arrays};
use crate::attach::part_matrix;
use crate::config::Layout;
use crate::error::PeftError;
use crate::layer::{Adapter, Basis, Entry, Kind, Lora, Salt, Top, effective, outputs_inputs, row_norms, transpose};
use crate::manage::floats;
use crate::model::{Site, Snapshot};
use burn::module::Module;
use burn::tensor::Tensor;
use burn_kernels::release_set_aside;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

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
        wrapped: wrapped_modules(&snapshot, &name),
        arrays: Arrays::new(),
        layers: BTreeMap::new(),
        trained: Vec::new(),
        buffers: Vec::new(),
        companions: Vec::new(),
    };
    for site in &snapshot.sites {
        if let Some(entry) = site.entry(&name) {
            writer.site(site, entry)?;
            // The weight has been read for its hash; where it lies on the disk, its pages are given back.
            release_set_aside();
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
    let (written, weights_sha256) = write_arrays(&weights, &writer.arrays)?;
    let manifest = Manifest {
        format: FORMAT,
        weights_sha256,
        basis: options.basis,
        layers: writer.layers,
        trained: writer.trained,
        buffers: writer.buffers,
        companions: writer.companions,
    };
    let text = peft_config(&snapshot, &name, options, modules_to_save, manifest).text(&config)?;
    written.commit().map_err(PeftError::io(&weights))?;
    write(&config, text.as_bytes())
}

struct Writer<'a> {
    options: &'a SaveOptions,
    /// Modules whose own parameters PEFT finds one level deeper.
    wrapped: BTreeSet<&'a str>,
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
            let in_file = if self.wrapped.contains(site.module_path()) { wrapped(&name) } else { name.clone() };
            self.arrays.insert(key("", &in_file), parameter_array(site, values));
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

    fn put(&mut self, module: &str, name: &str, shape: impl Into<Vec<usize>>, values: Vec<f32>) {
        self.arrays.insert(key(module, name), Array::new(shape, values));
    }

    fn put_matrix(&mut self, path: &str, module: &str, name: &str, matrix: Tensor<2>) -> Result<(), PeftError> {
        let shape = matrix.dims();
        let values = read(path, matrix)?;
        self.put(module, name, shape, values);
        Ok(())
    }

    /// The trained scale and shift.
    fn put_top(&mut self, path: &str, module: &str, [alpha, beta]: [String; 2], top: &Top) -> Result<(), PeftError> {
        for (name, values) in [(alpha, read1(path, top.alpha.val())?), (beta, read1(path, top.beta.val())?)] {
            self.put(module, &name, [values.len()], values);
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
        if self.options.basis == BasisStorage::Delta {
            return Ok(None);
        }
        let prefix = if matches!(part, Adapter::Svd(_)) { "svd" } else { "salt" };
        let name = |factor: &str| format!("{prefix}_{factor}{suffix}");
        let top_names = [name("alpha"), name("beta")];
        let mut blocks: Vec<&Basis> = Vec::new();
        let top = match part {
            Adapter::Svd(svd) => Some(&svd.top),
            Adapter::Salt(salt) => salt.top.as_ref(),
            Adapter::Projector(projector) => projector.top.as_ref(),
            _ => return Ok(None),
        };
        if let Some(top) = top {
            self.put_top(path, module, top_names, top)?;
            blocks.push(&top.basis);
        }
        match part {
            Adapter::Salt(Salt { tail: Some(tail), .. }) => {
                self.put_matrix(path, module, &name("X"), tail.x.val())?;
                self.put_matrix(path, module, &name("Y"), tail.y.val())?;
                blocks.push(&tail.basis);
            }
            Adapter::Projector(projector) => {
                self.put_matrix(path, module, &name("A"), projector.a.val())?;
                self.put_matrix(path, module, &name("B"), projector.b.val())?;
            }
            _ => {}
        }
        if blocks.is_empty() {
            return Ok(None);
        }
        let host = HostBasis::gather(path, layout, &blocks)?;
        let hash = host.hash();
        if self.options.basis == BasisStorage::Basis {
            let k = host.sigma.len();
            let u = transpose(&host.u_t, k, host.outputs);
            self.put(module, &name("U"), [host.outputs, k], u);
            self.put(module, &name("S"), [k], host.sigma);
            self.put(module, &name("Vt"), [k, host.inputs], host.v_t);
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
