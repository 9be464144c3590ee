//! Checkpoints, adapters and bundles of models with a few thousand numbers.

use super::{Result, Seed, seed};
use crate::parts::joined;
use crate::readers::Layers;
use burn::tensor::Device;
use medseg_data::Protocol;
use medseg_data::decode::ImageOptions;
use medseg_train::bundle::{
    BundleContent, MANIFEST_FILE, PROMPT_FILE, Preprocessing, WEIGHTS_FILE, write_adapter, write_weights,
};
use medseg_train::config::{Architecture, ModelConfig};
use medseg_train::model::BaseModel;
use salt_peft::{AdapterConfig, AttachOptions, BasisStorage, SaveOptions, attach, save_adapter};
use sam_model::SamConfig;
use std::path::Path;

/// The smallest SAM with every part.
fn smallest() -> SamConfig {
    SamConfig {
        image_size: 16,
        patch_size: 8,
        embed_dim: 8,
        depth: 1,
        num_heads: 2,
        mlp_ratio: 1.0,
        output_channels: 8,
        window_size: 2,
        global_attention_blocks: Vec::new(),
        mask_input_channels: 4,
        decoder_depth: 1,
        decoder_heads: 1,
        decoder_mlp_dim: 8,
        iou_head_hidden_dim: 8,
        ..SamConfig::mini()
    }
}

fn files(folder: &Path, names: &[&str]) -> Vec<u8> {
    let files: Vec<Vec<u8>> = names.iter().map(|name| std::fs::read(folder.join(name)).unwrap_or_default()).collect();
    joined(&files.iter().map(Vec::as_slice).collect::<Vec<_>>())
}

fn adapters(place: &Path) -> Result<Vec<Seed>> {
    let everything = ["first", "second", "neck"];
    let mut seeds = Vec::new();
    for (name, config, basis) in [
        ("lora", AdapterConfig::lora(2, 4.0).with_train(["norm"]), BasisStorage::Basis),
        ("dora", AdapterConfig::dora(1, 2.0), BasisStorage::Basis),
        ("salt", AdapterConfig::salt(2, 1), BasisStorage::Basis),
        ("salt-delta", AdapterConfig::salt(1, 1), BasisStorage::Delta),
        ("svd-recompute", AdapterConfig::svd(), BasisStorage::Recompute),
    ] {
        let config = config.with_include(everything.map(|layer| format!("{layer}\\.weight$")));
        let (model, _) = attach(Layers::new(), &config, &AttachOptions::default())?;
        let folder = place.join(name);
        save_adapter(&model, &folder, &SaveOptions::default().with_basis(basis))?;
        let files = files(&folder, &[salt_peft::CONFIG_FILE, salt_peft::WEIGHTS_FILE]);
        if name == "lora" {
            // The same as Hugging Face PEFT writes it: without our section, and so without what is trained in full.
            let (plain, _) = attach(
                Layers::new(),
                &AdapterConfig::lora(2, 4.0).with_include(["first", "second"]),
                &AttachOptions::default(),
            )?;
            let folder = place.join("peft");
            save_adapter(&plain, &folder, &SaveOptions::default())?;
            let text = std::fs::read(folder.join(salt_peft::CONFIG_FILE))?;
            let mut fields: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(&text)?;
            fields.remove("salt_peft");
            let weights = std::fs::read(folder.join(salt_peft::WEIGHTS_FILE))?;
            seeds.push(seed("adapter", "peft", joined(&[serde_json::to_string(&fields)?.as_bytes(), &weights])));
        }
        seeds.push(seed("adapter", name, files));
    }
    Ok(seeds)
}

fn content() -> Result<BundleContent> {
    let preprocessing = Preprocessing::new(ImageOptions::default(), Protocol::Default, 16)?;
    Ok(BundleContent { labels: vec!["vessel".into()], preprocessing, provenance: None })
}

fn bundles(place: &Path) -> Result<Vec<Seed>> {
    let names = [MANIFEST_FILE, PROMPT_FILE, WEIGHTS_FILE, salt_peft::CONFIG_FILE, salt_peft::WEIGHTS_FILE];
    let device = Device::default();
    let model = ModelConfig {
        base: "random".into(),
        architecture: Architecture::Custom(Box::new(smallest())),
        ..ModelConfig::default()
    };
    let base = BaseModel::load(&model, 16, &device)?;
    let whole = place.join("whole");
    write_weights(&whole, &base.segmenter(), content()?)?;
    let lora = AdapterConfig::lora(1, 1.0).with_include(["qkv", "lin1"]).with_train(["prompt"]);
    let adapted = base.adapted(Some(&lora), &device)?.segmenter;
    let adapter = place.join("adapter-bundle");
    write_adapter(&adapter, &adapted, (&model, &base.card.sha256), BasisStorage::Basis, content()?)?;
    Ok(vec![
        seed("bundle", "whole", files(&whole, &names)),
        seed("bundle", "adapter", files(&adapter, &names)),
        seed("bundle", "manifest-alone", std::fs::read(whole.join(MANIFEST_FILE))?),
    ])
}

pub(super) fn all() -> Result<Vec<Seed>> {
    let place = tempfile::tempdir()?;
    let path = place.path().join("sam.safetensors");
    smallest().init_seeded(0, &Device::default())?.save(&path)?;
    let mut seeds = vec![seed("checkpoint", "sam.safetensors", std::fs::read(&path)?)];
    seeds.extend(adapters(place.path())?);
    seeds.extend(bundles(place.path())?);
    Ok(seeds)
}
