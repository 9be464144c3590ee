//! The section `salt_peft` of the configuration file.

use crate::layer::LayerSpec;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Version of the section.
pub(crate) const FORMAT: u32 = 1;

/// What a SALT or SVD adapter file holds of the basis in which its factors are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum BasisStorage {
    /// The singular vectors: the adapter can be trained further anywhere.
    #[default]
    Basis,
    /// The update of each weight: the adapter evaluates and merges anywhere, but cannot be trained further.
    Delta,
    /// Nothing but fingerprints: the smallest file. Loading decomposes the base again and refuses unless that gives the same basis, bit
    /// for bit, which holds on the same kind of machine.
    Recompute,
}

/// What PEFT's configuration has no words for.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Manifest {
    /// Version of this section.
    pub(crate) format: u32,
    /// SHA-256 of the weights file: the two files belong together.
    pub(crate) weights_sha256: String,
    /// How bases are stored.
    pub(crate) basis: BasisStorage,
    /// The adapted weights by their name in the file.
    pub(crate) layers: BTreeMap<String, LayerEntry>,
    /// The parameters trained in full, by their name in the file.
    pub(crate) trained: Vec<String>,
    /// Statistics of the normalisation layers that were trained, by their name in the file.
    pub(crate) buffers: Vec<String>,
    /// Untrained parameters beside trained ones in the same layer, which PEFT stores and loads as one module.
    pub(crate) companions: Vec<String>,
}

/// An adapted weight.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LayerEntry {
    /// The adapter.
    pub(crate) spec: LayerSpec,
    /// Shape of the base weight in Burn's layout.
    pub(crate) shape: Vec<usize>,
    /// Hash of the base weight, as `W [out, in]`.
    pub(crate) base_hash: String,
    /// Hash of the basis of each part.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) basis_hashes: Vec<String>,
}
