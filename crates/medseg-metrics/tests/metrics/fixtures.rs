//! Golden files, and masks to test on.

use medseg_metrics::Mask;
use safetensors::SafeTensors;
use std::path::PathBuf;

/// Files that belong together: all of a group come from the same folder.
const GROUPS: [&[&str]; 3] =
    [&["metrics_golden.json", "metrics_masks.safetensors"], &["skeleton_golden.json"], &["wilcoxon_golden.json"]];

/// In `SALT_PARITY_DIR` when that is set and holds any file of the group, else the committed copy.
fn path(name: &str) -> PathBuf {
    let group =
        GROUPS.into_iter().find(|group| group.contains(&name)).unwrap_or_else(|| panic!("{name} is in no group"));
    let committed = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let shared = std::env::var_os("SALT_PARITY_DIR").map(PathBuf::from);
    let shared = shared.filter(|folder| group.iter().any(|file| folder.join(file).exists()));
    shared.unwrap_or(committed).join(name)
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
