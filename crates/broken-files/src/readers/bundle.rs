//! Bundles.

use super::adapter::with_checksum;
use super::sha256;
use crate::parts::divided;
use crate::scratch::with_files;
use burn::tensor::Device;
use medseg_train::bundle::{Bundle, Content, MANIFEST_FILE, Manifest, PROMPT_FILE, WEIGHTS_FILE};
use sam_model::SamConfig;
use serde_json::{Value, json};
use std::path::Path;

/// Larger models are opened and not loaded: that takes seconds and says nothing more.
const LARGEST_WIDTH: usize = 64;
const LARGEST_DEPTH: usize = 8;

/// `bundle.json` with the sizes and checksums of the files that came with it.
fn with_checksums(manifest: &[u8], files: &[(&str, &[u8])]) -> Vec<u8> {
    let Ok(mut value) = serde_json::from_slice::<Value>(manifest) else { return manifest.to_vec() };
    let Some(listed) = value.get_mut("files").and_then(Value::as_object_mut) else { return manifest.to_vec() };
    for (name, content) in files {
        if let Some(entry) = listed.get_mut(*name) {
            *entry = json!({ "bytes": content.len(), "sha256": sha256(content) });
        }
    }
    value.to_string().into_bytes()
}

fn is_small(config: &SamConfig) -> bool {
    config.embed_dim <= LARGEST_WIDTH
        && config.depth <= LARGEST_DEPTH
        && config.output_channels <= LARGEST_WIDTH
        && config.decoder_depth <= LARGEST_DEPTH
        && config.decoder_mlp_dim <= 256
        && config.mlp_ratio <= 8.0
        && config.image_size <= 256
}

pub(crate) fn bundle(bytes: &[u8]) {
    let [manifest, prompt, model, config, weights] = divided(bytes);
    let config = with_checksum(config, weights);
    let files: [(&str, &[u8]); 4] = [
        (PROMPT_FILE, prompt),
        (WEIGHTS_FILE, model),
        (salt_peft::CONFIG_FILE, &config),
        (salt_peft::WEIGHTS_FILE, weights),
    ];
    let manifest = with_checksums(manifest, &files);
    if let Ok(parsed) = Manifest::parse(&manifest, Path::new(MANIFEST_FILE)) {
        let written = serde_json::to_vec(&parsed).expect("what was read can be written");
        let again = Manifest::parse(&written, Path::new(MANIFEST_FILE)).expect("what was written can be read");
        assert_eq!(serde_json::to_vec(&again).expect("written before"), written);
    }
    let mut all = vec![(MANIFEST_FILE, manifest.as_slice())];
    all.extend(files.into_iter().filter(|(_, content)| !content.is_empty()));
    with_files(&all, |folder| {
        let Ok(opened) = Bundle::open(folder) else { return };
        let load = match &opened.manifest.content {
            Content::Weights { architecture } => is_small(architecture),
            Content::Adapter { base } => {
                base.model.base == "random" && base.model.architecture.config().is_some_and(|config| is_small(&config))
            }
            _ => false,
        };
        if load
            && let Ok(loaded) = opened.load(&Device::default(), None, None)
            && let Some(model) = loaded.segmenter.sam()
        {
            assert_eq!(model.prompt.token.dims()[0], opened.manifest.labels.len());
        }
    });
}
