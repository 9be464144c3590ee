//! How adapters are written and read.

use super::manifest::BasisStorage;
use super::names::KeyMap;
use std::path::PathBuf;

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

    /// The same naming the base model, as PEFT finds it: a name of its hub or a folder.
    #[must_use]
    pub fn with_base_model(mut self, name: impl Into<String>) -> Self {
        self.base_model = Some(name.into());
        self
    }

    /// The same with other names.
    #[must_use]
    pub fn with_keys(mut self, keys: KeyMap) -> Self {
        self.keys = keys;
        self
    }
}

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
