//! Embeddings of a frozen encoder that are kept: the same run, bit for bit.

use crate::support::{config, ended, images, prepared, tiny_sam2};
use medseg_data::transform::Augmentation;
use medseg_train::StopFlag;
use medseg_train::config::{Architecture, RunConfig};
use medseg_train::train::{Observer, train};
use salt_peft::{AdapterConfig, Method};
use std::path::Path;
use std::sync::Mutex;

/// Decoder and prompt alone, on images that are the same in every epoch.
fn decoder_only(folder: &Path) -> RunConfig {
    let mut config = config(folder);
    let named = AdapterConfig { method: Method::Named, ..AdapterConfig::default() };
    config.adapter = Some(named.with_include([r"mask_decoder\.", r"prompt\."]));
    config.data.augmentation = Some(Augmentation::none());
    config
}

#[derive(Default)]
struct Warnings(Mutex<Vec<String>>);

impl Observer for Warnings {
    fn warning(&self, text: &str) {
        self.0.lock().unwrap().push(text.into());
    }
}

fn ending(config: &RunConfig, mebibytes: Option<u64>) -> (Vec<u8>, String, Vec<String>) {
    let mut config = config.clone();
    config.training.keep_embeddings_mib = mebibytes;
    let heard = Warnings::default();
    let (best, curve) = ended(&config, &heard);
    (best, curve, heard.0.into_inner().unwrap())
}

#[test]
#[cfg(unix)]
fn a_run_with_kept_embeddings_has_the_bits_of_one_without() {
    let folder = images([7, 3, 2]);
    let config = decoder_only(folder.path());
    let without = ending(&config, None);
    let with = ending(&config, Some(64));
    assert!(with == without);
    assert!(with.2.is_empty(), "{:?}", with.2);
}

#[test]
#[cfg(unix)]
fn so_has_a_run_of_sam_2_whose_decoder_trains_what_becomes_of_the_finer_maps() {
    let folder = images([7, 3, 2]);
    let mut config = decoder_only(folder.path());
    config.model.architecture = Architecture::Custom(Box::new(tiny_sam2()));
    let without = ending(&config, None);
    let with = ending(&config, Some(64));
    assert!(with == without);
    assert!(with.2.is_empty(), "{:?}", with.2);
}

#[test]
#[cfg(unix)]
fn what_does_not_fit_is_computed_and_said() {
    let folder = images([6, 2, 2]);
    let mut config = decoder_only(folder.path());
    // Eight embeddings of 256 channels at 16 x 16 are 2 MiB: four fit.
    if let Architecture::Custom(own) = &mut config.model.architecture {
        own.output_channels = 256;
        own.image_size = 128;
    }
    config.data.image_size = 128;
    config.training.epochs = 2;
    let without = ending(&config, None);
    let with = ending(&config, Some(1));
    assert!((&with.0, &with.1) == (&without.0, &without.1));
    assert!(with.2.len() == 1 && with.2[0].contains("4 images fill the 1 MiB"), "{:?}", with.2);

    // Of SAM 2 three maps an image: 16 channels at 64 x 64, 32 x 32 and 16 x 16 are 336 KiB.
    config.model.architecture = Architecture::Custom(Box::new(tiny_sam2()));
    config.data.image_size = 256;
    let without = ending(&config, None);
    let with = ending(&config, Some(1));
    assert!((&with.0, &with.1) == (&without.0, &without.1));
    assert!(with.2.len() == 1 && with.2[0].contains("3 images fill the 1 MiB"), "{:?}", with.2);
}

#[test]
fn where_an_embedding_changes_nothing_can_be_kept() {
    let folder = images([2, 1, 1]);
    let refused = |config: &RunConfig| {
        let mut config = config.clone();
        config.training.keep_embeddings_mib = Some(64);
        let (data, base) = prepared(&config);
        let run = tempfile::tempdir().unwrap();
        train(&config, &data, &base, run.path(), &StopFlag::new(), &Warnings::default()).unwrap_err().to_string()
    };
    let mut varied = decoder_only(folder.path());
    varied.data.augmentation = None;
    let error = refused(&varied);
    assert!(error.contains("training.keep-embeddings-mib") && error.contains("augmentation"), "{error}");
    let mut adapted = decoder_only(folder.path());
    adapted.adapter = Some(AdapterConfig::lora(2, 2.0).with_include(["qkv"]));
    let error = refused(&adapted);
    assert!(error.contains("training.keep-embeddings-mib") && error.contains("encoder"), "{error}");
}
