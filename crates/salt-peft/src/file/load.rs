//! Reading an adapter.

use super::manifest::Manifest;
use super::names::{CONFIG_FILE, WEIGHTS_FILE};
use super::options::LoadOptions;
use super::peft::PeftConfig;
use super::reader::Reader;
use super::tensors::{Array, decode, sha256};
use crate::attach::{DEFAULT_ADAPTER, base_part, check_name, with_active};
use crate::check::{check_norms, row_squares};
use crate::config::Layout;
use crate::error::PeftError;
use crate::layer::{Adapter, Entry};
use crate::model::{Snapshot, install};
use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Tensor, TensorData};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;

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
    /// What a user should know of the file, in sentences.
    pub notes: Vec<String>,
}

/// Attaches the adapter of a folder and makes it active: one written by [`save_adapter`](crate::save_adapter), or LoRA and DoRA as
/// Hugging Face PEFT writes them.
///
/// # Errors
/// [`PeftError::WrongBase`] if the file was made for other base weights (files of PEFT do not say); [`PeftError::Keys`] if keys are missing,
/// unexpected or of another shape; [`PeftError::Variant`] for an adapter of PEFT that is more than LoRA or DoRA, or whose initialisation moved
/// the base weights; [`PeftError::NothingFits`], [`PeftError::DoraRow`], [`PeftError::Format`], [`PeftError::Io`],
/// [`PeftError::DuplicateAdapter`].
pub fn load_adapter<M: Module>(
    module: M,
    folder: impl AsRef<Path>,
    options: &LoadOptions,
) -> Result<(M, LoadReport), PeftError> {
    let name = options.name.clone().unwrap_or_else(|| DEFAULT_ADAPTER.to_owned());
    check_name(&name)?;
    let (config_file, weights_file) = (folder.as_ref().join(CONFIG_FILE), folder.as_ref().join(WEIGHTS_FILE));
    let config = PeftConfig::read(&config_file)?;
    let bytes = read_weights(folder.as_ref(), &weights_file)?;
    let mut snapshot = Snapshot::take(&module)?;
    if snapshot.adapter_names().contains(&name) {
        return Err(PeftError::DuplicateAdapter { name });
    }
    let mut reader = Reader::new(&weights_file, &name, &options.keys, decode(&weights_file, &bytes)?);
    match &config.salt_peft {
        Some(manifest) => {
            check_pair(&weights_file, manifest, &bytes)?;
            reader.own(&snapshot, manifest, options)?;
        }
        None => reader.foreign(&snapshot, &config, &config_file)?,
    }
    let (added, buffers) = reader.finish()?;
    check_directions(&snapshot, &added)?;
    let is_full = |entry: &Entry| matches!(entry.parts.as_slice(), [Adapter::Full(_)]);
    let (trained, adapted): (Vec<_>, Vec<_>) = added.iter().partition(|(_, entry)| is_full(entry));
    let paths = |list: Vec<(&String, &Entry)>| list.into_iter().map(|(path, _)| path.clone()).collect();
    let report = LoadReport {
        adapter: name.clone(),
        adapted: paths(adapted),
        trained: paths(trained),
        verified_base: config.salt_peft.is_some(),
        notes: config.notes(),
    };
    let mut entries = with_active(&mut snapshot, None);
    for (path, entry) in added {
        entries.entry(path).or_default().push(entry);
    }
    drop(snapshot);
    let module = if buffers.is_empty() { module } else { module.map(&mut SetBuffers { path: Vec::new(), buffers }) };
    Ok((install(module, entries), report))
}

/// The weights file, or a hint where only PEFT's older format is there.
fn read_weights(folder: &Path, file: &Path) -> Result<Vec<u8>, PeftError> {
    let pickle = folder.join("adapter_model.bin");
    if !file.exists() && pickle.exists() {
        let reason = format!(
            "a pickle of an older PEFT; load it there and save it again, which writes {WEIGHTS_FILE} (`safe_serialization=True`)"
        );
        return Err(PeftError::format(&pickle, reason));
    }
    std::fs::read(file).map_err(PeftError::io(file))
}

/// DoRA divides each row of `W + c B A` by its norm.
fn check_directions(snapshot: &Snapshot, added: &BTreeMap<String, Entry>) -> Result<(), PeftError> {
    for site in &snapshot.sites {
        let Some(entry) = added.get(&site.path) else { continue };
        for (part, place) in entry.parts.iter().zip(&entry.spec.parts) {
            let Adapter::Dora(dora) = part else { continue };
            let layout = entry.spec.layout;
            let base = base_part(site, layout, place.start, place.len);
            let direction = (base + dora.direction.delta(layout)).without_autodiff();
            let rows = match layout {
                Layout::OutIn => direction,
                Layout::InOut => direction.transpose(),
            };
            let columns = rows.dims()[1];
            let squares = row_squares(&rows.into_data(), columns);
            check_norms(&site.path, site.base.dtype(), place.start, &squares)?;
        }
    }
    Ok(())
}

fn check_pair(weights_file: &Path, manifest: &Manifest, bytes: &[u8]) -> Result<(), PeftError> {
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
