//! One module per kind of input.

mod adapter;
mod bundle;
mod checkpoint;
mod coco;
mod image;
mod metrics;
mod run_file;
mod split_table;

pub(crate) use adapter::{Layers, adapter};
pub(crate) use bundle::bundle;
pub(crate) use checkpoint::checkpoint;
pub(crate) use coco::coco;
pub(crate) use image::image;
pub(crate) use metrics::metrics;
pub(crate) use run_file::run_file;
pub(crate) use split_table::split_table;

use sha2::{Digest, Sha256};

/// SHA-256 in hexadecimal, as manifests hold it.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
