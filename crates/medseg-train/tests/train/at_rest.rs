//! Base weights on a disk: the same run, the same base.

use crate::support::{config, images, prepared};
use medseg_train::StopFlag;
use medseg_train::config::RunConfig;
use medseg_train::model::BaseModel;
use medseg_train::train::{Silent, load_best, train};
use salt_peft::{AdapterConfig, Method, merge};
use std::path::Path;

fn ending(config: &RunConfig, base: &BaseModel, run: &Path) -> (Vec<u8>, String) {
    let data = medseg_train::data::prepare(&config.data, "tiny").unwrap();
    let outcome = train(config, &data, base, run, &StopFlag::new(), &Silent).unwrap();
    let bits: Vec<_> = outcome.curve.iter().map(|record| (record.loss.to_bits(), record.validation_dice)).collect();
    (std::fs::read(run.join("best.safetensors")).unwrap(), format!("{} {bits:?}", outcome.identity))
}

#[test]
fn a_run_on_weights_that_rest_on_a_disk_has_the_same_bits_and_so_has_the_base_afterwards() {
    let folder = images([4, 2, 2]);
    for adapter in [
        AdapterConfig::salt(6, 4).with_include(["qkv", "proj", "lin1", "lin2"]).with_train(["norm", "prompt"]),
        AdapterConfig { method: Method::Full, ..AdapterConfig::default() },
    ] {
        let mut config = config(folder.path());
        config.adapter = Some(adapter);
        config.training.epochs = 2;
        let (_, base) = prepared(&config);
        let [in_memory, on_disk] = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let expected = ending(&config, &base, in_memory.path());
        let resting = base.clone().at_rest(config.adapter.as_ref(), on_disk.path()).unwrap();
        assert!(ending(&config, &resting, on_disk.path()) == expected);

        // Merged and unmerged again, every weight of the base has its bits.
        let device = medseg_train::device::open("cpu").unwrap();
        let best = load_best(&config, &resting, on_disk.path(), &device).unwrap();
        let merged = merge(best).unwrap();
        let restored = salt_peft::remove(merged.unmerge(), salt_peft::DEFAULT_ADAPTER).unwrap();
        let all = |sam: &sam_model::Sam, name: &str| {
            let path = on_disk.path().join(name);
            sam.save(&path).unwrap();
            std::fs::read(path).unwrap()
        };
        assert!(all(&restored.sam().unwrap().sam, "restored") == all(&base.segmenter().sam().unwrap().sam, "base"));
    }
}

#[test]
fn a_folder_that_cannot_take_the_weights_leaves_them_in_memory() {
    let folder = images([2, 1, 1]);
    let mut config = config(folder.path());
    config.adapter = Some(AdapterConfig::salt(6, 4).with_include(["qkv"]));
    config.training.epochs = 1;
    let (_, base) = prepared(&config);
    // A file where a folder is expected.
    let place = tempfile::tempdir().unwrap();
    let blocked = place.path().join("file");
    std::fs::write(&blocked, "").unwrap();
    let resting = base.clone().at_rest(config.adapter.as_ref(), &blocked).unwrap();
    let [one, other] = [place.path().join("one"), place.path().join("other")];
    assert!(ending(&config, &resting, &one) == ending(&config, &base, &other));
}
