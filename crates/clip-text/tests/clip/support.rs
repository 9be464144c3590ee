//! What the tests share.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clip_text::ClipTextConfig;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

/// The reference's files, which belong together: from `SALT_PARITY_DIR` if that has every one of them, else the copies beside the tests.
const FAMILY: [&str; 6] = [
    "clip_text_tiny.json",
    "clip_text_tiny.safetensors",
    "clip_text_tiny_io.safetensors",
    "clip_tokens.json",
    "hf_clip_text_tiny/config.json",
    "hf_clip_text_tiny/model.safetensors",
];

pub(crate) fn fixture(name: &str) -> PathBuf {
    assert!(FAMILY.contains(&name), "{name} is no file of the reference");
    let given = std::env::var_os("SALT_PARITY_DIR").map(PathBuf::from);
    let complete = given.filter(|folder| FAMILY.iter().all(|name| folder.join(name).is_file()));
    complete.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")).join(name)
}

pub(crate) type Tensors = BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)>;

pub(crate) fn read(path: &Path) -> Tensors {
    let bytes = std::fs::read(path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let owned = |view: TensorView<'_>| (view.dtype(), view.shape().to_vec(), view.data().to_vec());
    file.tensors().into_iter().map(|(name, view)| (name, owned(view))).collect()
}

pub(crate) fn write(path: &Path, tensors: &Tensors) {
    let view = |(dtype, shape, data): &'_ (Dtype, Vec<usize>, Vec<u8>)| (*dtype, shape.clone(), data.clone());
    let owned: Vec<_> = tensors.iter().map(|(name, tensor)| (name, view(tensor))).collect();
    let views = owned
        .iter()
        .map(|(name, (dtype, shape, data))| (name.as_str(), TensorView::new(*dtype, shape.clone(), data).unwrap()));
    safetensors::serialize_to_file(views, None, path).unwrap();
}

pub(crate) fn floats((_, _, data): &(Dtype, Vec<usize>, Vec<u8>)) -> Vec<f32> {
    data.chunks_exact(4).map(|c| f32::from_le_bytes(c.try_into().unwrap())).collect()
}

/// The tiny tower: OpenAI's file does not show its heads.
pub(crate) fn tiny_config() -> ClipTextConfig {
    let info: serde_json::Value =
        serde_json::from_slice(&std::fs::read(fixture("clip_text_tiny.json")).unwrap()).unwrap();
    let number = |key: &str| info[key].as_u64().unwrap() as usize;
    ClipTextConfig {
        vocabulary: number("vocabulary"),
        context: number("context"),
        width: number("width"),
        heads: number("heads"),
        layers: number("layers"),
        mlp: number("mlp"),
        embed: number("embed"),
        activation: serde_json::from_value(info["activation"].clone()).unwrap(),
    }
}

/// The rows of an integer tensor.
pub(crate) fn token_rows(name: &str) -> Vec<Vec<u32>> {
    let (_, shape, data) = &read(&fixture("clip_text_tiny_io.safetensors"))[name];
    let ids: Vec<u32> = data.chunks_exact(8).map(|c| i64::from_le_bytes(c.try_into().unwrap()) as u32).collect();
    ids.chunks(shape[1]).map(<[u32]>::to_vec).collect()
}
