//! The tensors of an adapter file on their way onto a module.

use super::host::is_transposed;
use super::names::KeyMap;
use super::tensors::{Array, Arrays};
use crate::config::Initialization;
use crate::error::PeftError;
use crate::initial::Factory;
use crate::layer::{Entry, matrix_shape, transpose};
use crate::model::Site;
use std::collections::BTreeMap;
use std::path::Path;

/// Entries and statistics by the path of their parameter.
pub(super) type Loaded = (BTreeMap<String, Entry>, BTreeMap<String, Array>);

/// Gives out the tensors of a file, and gathers what is wrong with it until all is known.
pub(super) struct Reader<'a> {
    pub(super) file: &'a Path,
    /// Name of the adapter.
    pub(super) name: &'a str,
    pub(super) keys: &'a KeyMap,
    pub(super) arrays: Arrays,
    pub(super) missing: Vec<String>,
    pub(super) mismatched: Vec<String>,
    pub(super) entries: BTreeMap<String, Entry>,
    pub(super) buffers: BTreeMap<String, Array>,
    /// The first keys of the file.
    found: Vec<String>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(file: &'a Path, name: &'a str, keys: &'a KeyMap, arrays: Arrays) -> Self {
        Self {
            file,
            name,
            keys,
            found: arrays.keys().take(5).cloned().collect(),
            arrays,
            missing: Vec::new(),
            mismatched: Vec::new(),
            entries: BTreeMap::new(),
            buffers: BTreeMap::new(),
        }
    }
}

impl Reader<'_> {
    /// Takes a tensor out of the file, noting it where it is missing or has another shape.
    pub(super) fn take(&mut self, key: String, shape: &[usize]) -> Option<Array> {
        match self.arrays.remove(&key) {
            None => self.missing.push(key),
            Some(array) if array.shape != shape => {
                self.mismatched.push(format!("{key}: expected {shape:?}, found {:?}", array.shape));
            }
            Some(array) => return Some(array),
        }
        None
    }

    /// A parameter in the file's layout, brought into Burn's.
    pub(super) fn stored(&mut self, site: &Site, key: String) -> Option<Vec<f32>> {
        if is_transposed(site) {
            let [rows, columns] = matrix_shape(&site.shape);
            let array = self.take(key, &[columns, rows])?;
            Some(transpose(&array.values, columns, rows))
        } else {
            Some(self.take(key, &site.shape)?.values)
        }
    }

    pub(super) fn factory<'f>(&self, site: &Site, device: &'f burn::tensor::Device, index: usize) -> Factory<'f> {
        Factory {
            device,
            dtype: site.base.dtype(),
            seed: 0,
            initialization: Initialization::Identity,
            convolution: false,
            name: format!("{}.{index}\u{0}{}", site.path, self.name),
        }
    }

    /// What was read, if nothing is missing, unexpected or of another shape.
    pub(super) fn finish(mut self) -> Result<Loaded, PeftError> {
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
            found: self.found,
        })
    }
}
