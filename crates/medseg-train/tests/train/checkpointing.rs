//! Blocks that are computed twice instead of kept: the same run, bit for bit.

use crate::support::{config, ended, images, tiny_sam2};
use medseg_train::config::{Architecture, RunConfig};
use medseg_train::train::Silent;
use salt_peft::{AdapterConfig, Method, SaltForm};

/// The selected weights and the learning curve of a run with or without checkpointing.
fn ending(config: &RunConfig, checkpointing: bool) -> (Vec<u8>, String) {
    let mut config = config.clone();
    config.training.activation_checkpointing = checkpointing;
    ended(&config, &Silent)
}

fn named(patterns: &[&str]) -> AdapterConfig {
    let config = AdapterConfig { method: Method::Named, ..AdapterConfig::default() };
    config.with_include(patterns.iter().copied())
}

#[test]
fn a_run_with_checkpointing_has_the_bits_of_one_without() {
    let folder = images([6, 2, 2]);
    let linear = ["qkv", "proj", "lin1", "lin2"];
    let always = ["norm", "prompt", "pos_embed"];
    for (name, adapter) in [
        ("SALT on everything", AdapterConfig::salt(6, 4).with_include(linear).with_train(always)),
        (
            "the paper's form",
            AdapterConfig::salt(6, 4).with_form(SaltForm::Paper).with_include(linear).with_train(always),
        ),
        ("LoRA of the second block alone", AdapterConfig::lora(2, 2.0).with_include([r"blocks\.1\..*qkv"])),
        ("everything", AdapterConfig { method: Method::Full, ..AdapterConfig::default() }),
        ("positions alone, before the first block", named(&["image_encoder.pos_embed"])),
        ("the neck alone, after the last block", named(&["neck"])),
        ("the decoder alone", named(&["mask_decoder"])),
    ] {
        let mut config = config(folder.path());
        config.adapter = Some(adapter);
        config.training.epochs = 2;
        assert!(ending(&config, true) == ending(&config, false), "{name}");
    }
}

#[test]
fn so_has_a_run_of_sam_2_whose_decoder_reads_several_stages() {
    let folder = images([6, 2, 2]);
    for (name, adapter) in [
        (
            "SALT on everything",
            AdapterConfig::salt(6, 4).with_include(["qkv", "proj", r"mlp\.layers"]).with_train([
                "norm",
                "prompt",
                "pos_embed",
            ]),
        ),
        ("LoRA of the last stage alone", AdapterConfig::lora(2, 2.0).with_include([r"blocks\.4\..*qkv"])),
        ("everything", AdapterConfig { method: Method::Full, ..AdapterConfig::default() }),
        ("positions alone, before the first block", named(&["pos_embed"])),
        ("the neck alone, after the last block", named(&["neck"])),
        ("the decoder alone", named(&["mask_decoder"])),
    ] {
        let mut config = config(folder.path());
        config.model.architecture = Architecture::Custom(Box::new(tiny_sam2()));
        config.adapter = Some(adapter);
        config.training.epochs = 2;
        assert!(ending(&config, true) == ending(&config, false), "{name}");
    }
}
