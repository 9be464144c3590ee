//! A CLIP of a few thousand parameters with the whole vocabulary: the reference's tiny tower knows only the tokens of its own prompts.

use safetensors::tensor::{Dtype, TensorView};
use safetensors::{SafeTensors, serialize_to_file};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A file of clip-text's reference set: from `SALT_PARITY_DIR` if it is there, else the copy beside its tests.
pub(crate) fn fixture(name: &str) -> PathBuf {
    let given = std::env::var_os("SALT_PARITY_DIR").map(|folder| PathBuf::from(folder).join(name));
    let copies = Path::new(env!("CARGO_MANIFEST_DIR")).join("../clip-text/tests/fixtures");
    given.filter(|path| path.is_file()).unwrap_or_else(|| copies.join(name))
}

/// Writes the reference's tower into a new folder, its embeddings where the real vocabulary has them, and returns the file. `scale`
/// multiplies the last layer: other weights, other features.
pub(crate) fn wide_clip(folder: &Path, scale: f32) -> PathBuf {
    const EMBEDDING: &str = "text_model.embeddings.token_embedding.weight";
    const PROJECTION: &str = "text_projection.weight";
    const VOCABULARY: usize = 49_408;
    std::fs::create_dir_all(folder).unwrap();
    std::fs::copy(fixture("hf_clip_text_tiny/config.json"), folder.join("config.json")).unwrap();
    let info: serde_json::Value =
        serde_json::from_slice(&std::fs::read(fixture("clip_text_tiny.json")).unwrap()).unwrap();
    let kept = info["kept_ids"].as_array().unwrap().iter().map(|id| id.as_u64().unwrap() as usize);
    let bytes = std::fs::read(fixture("hf_clip_text_tiny/model.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let mut tensors: BTreeMap<String, (Vec<usize>, Vec<u8>)> = BTreeMap::new();
    for (name, view) in file.tensors() {
        tensors.insert(name, (view.shape().to_vec(), view.data().to_vec()));
    }
    let (shape, narrow) = tensors[EMBEDDING].clone();
    let row = 4 * shape[1];
    let mut wide = vec![0; VOCABULARY * row];
    for (index, id) in kept.enumerate() {
        wide[id * row..(id + 1) * row].copy_from_slice(&narrow[index * row..(index + 1) * row]);
    }
    tensors.insert(EMBEDDING.into(), (vec![VOCABULARY, shape[1]], wide));
    let (_, projection) = tensors.get_mut(PROJECTION).unwrap();
    for value in projection.chunks_exact_mut(4) {
        let scaled = scale * f32::from_le_bytes([value[0], value[1], value[2], value[3]]);
        value.copy_from_slice(&scaled.to_le_bytes());
    }
    let views = tensors
        .iter()
        .map(|(name, (shape, data))| (name.as_str(), TensorView::new(Dtype::F32, shape.clone(), data).unwrap()));
    let path = folder.join("model.safetensors");
    serialize_to_file(views, None, &path).unwrap();
    path
}
