//! Packed copies of frozen weights that are kept: the same run, bit for bit.

use crate::support::{config, ended, images};
use medseg_train::config::{Architecture, RunConfig};
use medseg_train::train::Silent;
use salt_peft::AdapterConfig;

/// The selected weights and the learning curve of a run that keeps copies in so many MiB.
fn ending(config: &RunConfig, mebibytes: Option<u64>) -> (Vec<u8>, String) {
    let mut config = config.clone();
    config.training.keep_packed_mib = mebibytes;
    ended(&config, &Silent)
}

#[test]
fn a_run_with_kept_copies_has_the_bits_of_one_without() {
    let folder = images([4, 3, 1]);
    let linear = ["qkv", "attn.proj", "lin1", "lin2"];
    for (name, adapter) in [
        ("SALT", AdapterConfig::salt(16, 8).with_include(linear).with_train(["norm", "prompt"])),
        ("LoRA", AdapterConfig::lora(4, 4.0).with_include(linear)),
    ] {
        let mut config = config(folder.path());
        config.model.base = "sam-mini".into();
        config.model.architecture = Architecture::Auto;
        config.data.image_size = 128;
        config.adapter = Some(adapter);
        config.training.epochs = 2;
        let without = ending(&config, None);
        // One that holds everything, and one that does not hold all.
        for mebibytes in [256, 4] {
            assert!(ending(&config, Some(mebibytes)) == without, "{name} in {mebibytes} MiB");
        }
    }
}
