//! Golden files, and masks to test on.

use medseg_metrics::Mask;
use safetensors::SafeTensors;
use std::path::PathBuf;

/// `SALT_PARITY_DIR/name` when that is set and holds the file, else the committed copy.
pub(crate) fn path(name: &str) -> PathBuf {
    let committed = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
    let shared = std::env::var_os("SALT_PARITY_DIR").map(|dir| PathBuf::from(dir).join(name));
    shared.filter(|path| path.exists()).unwrap_or(committed)
}

pub(crate) fn read(name: &str) -> Vec<u8> {
    std::fs::read(path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

pub(crate) fn json(name: &str) -> serde_json::Value {
    serde_json::from_slice(&read(name)).unwrap()
}

/// The masks of one tensor [N, H, W] of `metrics_masks.safetensors`.
pub(crate) fn masks(name: &str) -> Vec<Mask> {
    let bytes = read("metrics_masks.safetensors");
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let tensor = file.tensor(name).unwrap();
    let [_, height, width] = tensor.shape()[..] else { panic!("{name}: shape {:?}", tensor.shape()) };
    tensor.data().chunks(height * width).map(|image| Mask::from_bytes(height, width, image).unwrap()).collect()
}

/// Rows of `#` (foreground) and `.`.
pub(crate) fn drawn(rows: &[&str]) -> Mask {
    let pixels: Vec<bool> = rows.iter().flat_map(|row| row.chars().map(|c| c == '#')).collect();
    Mask::from_bools(rows.len(), rows[0].len(), &pixels).unwrap()
}

pub(crate) fn rectangle(
    height: usize,
    width: usize,
    rows: std::ops::Range<usize>,
    columns: std::ops::Range<usize>,
) -> Mask {
    Mask::from_fn(height, width, |r, c| rows.contains(&r) && columns.contains(&c)).unwrap()
}
