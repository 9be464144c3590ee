//! A model of a few thousand parameters and a data set of a dozen images.

use medseg_data::dataset::ArcadeTask;
use medseg_data::synth::{Counts, write_arcade};
use medseg_train::StopFlag;
use medseg_train::config::{Architecture, RunConfig};
use medseg_train::data::{PreparedData, prepare};
use medseg_train::device;
use medseg_train::model::BaseModel;
use medseg_train::train::{Observer, train};
use sam_model::{HieraConfig, SamConfig};
use std::path::Path;
use tempfile::TempDir;

/// A SAM of the smallest size that still has windows, global attention and every part of the decoder.
pub(crate) fn tiny() -> SamConfig {
    SamConfig {
        image_size: 64,
        embed_dim: 16,
        depth: 2,
        num_heads: 2,
        output_channels: 16,
        window_size: 3,
        global_attention_blocks: vec![1],
        decoder_heads: 2,
        decoder_mlp_dim: 16,
        iou_head_hidden_dim: 16,
        ..SamConfig::mini()
    }
}

/// A SAM 2 of the smallest size that still has padded windows, global attention and every part of the decoder.
pub(crate) fn tiny_sam2() -> SamConfig {
    SamConfig {
        image_size: 64,
        embed_dim: 8,
        depth: 5,
        num_heads: 1,
        output_channels: 16,
        window_size: 4,
        global_attention_blocks: vec![3],
        decoder_heads: 2,
        decoder_mlp_dim: 16,
        iou_head_hidden_dim: 16,
        hiera: Some(HieraConfig { stages: [1, 1, 2, 1], windows: [4, 2, 6, 3], background_grid: [5, 5] }),
        ..SamConfig::sam2_tiny()
    }
}

/// Synthetic angiograms in ARCADE's layout.
pub(crate) fn images(counts: [usize; 3]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let [train, val, test] = counts;
    write_arcade(folder.path(), ArcadeTask::Syntax, 64, Counts { train, val, test }, 5).unwrap();
    folder
}

/// A run of LoRA on the tiny model.
pub(crate) fn config(data: &Path) -> RunConfig {
    let mut config = RunConfig::new(data);
    config.data.image_size = 64;
    config.data.allow_empty_masks = true;
    config.model.base = "random".into();
    config.model.architecture = Architecture::Custom(Box::new(tiny()));
    let adapter = salt_peft::AdapterConfig::lora(2, 2.0).with_include(["qkv", "lin1"]).with_train(["norm", "prompt"]);
    config.adapter = Some(adapter);
    config.training.epochs = 3;
    config.training.batch_size = 2;
    config.training.accumulate = 2;
    config.training.learning_rate = 1e-2;
    config.training.checkpoint_seconds = 0;
    config
}

/// Data and base model of a configuration.
pub(crate) fn prepared(config: &RunConfig) -> (PreparedData, BaseModel) {
    let data = prepare(&config.data, "tiny").unwrap();
    let device = device::open("cpu").unwrap();
    (data, BaseModel::load(&config.model, config.data.image_size, &device).unwrap())
}

/// The selected weights of a training, and its identity with the bits of its learning curve.
pub(crate) fn ended(config: &RunConfig, observer: &dyn Observer) -> (Vec<u8>, String) {
    let (data, base) = prepared(config);
    let folder = tempfile::tempdir().unwrap();
    let outcome = train(config, &data, &base, folder.path(), &StopFlag::new(), observer).unwrap();
    let bits: Vec<String> = outcome
        .curve
        .iter()
        .map(|record| format!("{:x} {:?}", record.loss.to_bits(), record.validation_dice.map(f64::to_bits)))
        .collect();
    (std::fs::read(folder.path().join("best.safetensors")).unwrap(), format!("{} {bits:?}", outcome.identity))
}
