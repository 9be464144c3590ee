//! One mask per image, whoever asks: the run, its bundle, the merged model; and what is wrong with a bundle is named.

use crate::support::{config, prepared};
use image::{GrayImage, Luma};
use medseg_data::Protocol;
use medseg_data::decode::{Limits, decode_image};
use medseg_metrics::Mask;
use medseg_train::bundle::{Bundle, BundleContent, write_weights};
use medseg_train::config::{EvaluationConfig, RunConfig};
use medseg_train::evaluate::{merged, predict};
use medseg_train::session::{Session, SessionOptions};
use medseg_train::train::{Silent, load_best, train, write_bundle};
use medseg_train::{StopFlag, device};
use salt_peft::{AdapterConfig, BasisStorage, Method};
use std::path::Path;
use tempfile::TempDir;

/// Images of several shapes with a bright bar as their mask, in the commonest layout of folders.
pub(crate) fn shapes() -> TempDir {
    let place = tempfile::tempdir().unwrap();
    for (part, sizes) in [
        ("train", &[(40, 64), (64, 40), (90, 33), (64, 64)][..]),
        ("val", &[(50, 64)]),
        ("test", &[(70, 31), (33, 90), (64, 64), (150, 47)]),
    ] {
        for kind in ["images", "masks"] {
            std::fs::create_dir_all(place.path().join(part).join(kind)).unwrap();
        }
        for (index, &(width, height)) in sizes.iter().enumerate() {
            let bar = |x: u32, y: u32| (y * 3 + x).abs_diff(height * 2) < 12;
            let shade = |x: u32, y: u32| 60 + ((x * 7 + y * 13 + index as u32) % 50) as u8;
            let image = GrayImage::from_fn(width, height, |x, y| Luma([if bar(x, y) { 20 } else { shade(x, y) }]));
            let mask = GrayImage::from_fn(width, height, |x, y| Luma([if bar(x, y) { 255 } else { 0 }]));
            let name = format!("{part}{index}.png");
            image.save(place.path().join(part).join("images").join(&name)).unwrap();
            mask.save(place.path().join(part).join("masks").join(&name)).unwrap();
        }
    }
    place
}

fn cpu() -> burn::tensor::Device {
    device::open("cpu").unwrap()
}

pub(crate) fn trained(config: &RunConfig, run: &Path) {
    let (data, base) = prepared(config);
    let outcome = train(config, &data, &base, run, &StopFlag::new(), &Silent).unwrap();
    write_bundle(&run.join("bundle"), config, &data, &base, run, &outcome).unwrap();
}

/// The masks that scoring counts.
pub(crate) fn scored(session: &Session, config: &RunConfig) -> Vec<Mask> {
    let (data, _) = prepared(config);
    let evaluation = EvaluationConfig { batch_size: 1, ..config.evaluation.clone() };
    let pairs = predict(session.segmenter(), &data, &data.test, &evaluation, &cpu(), &StopFlag::new()).unwrap();
    pairs.into_iter().map(|pair| pair.prediction).collect()
}

/// The masks that prediction writes for the same files.
pub(crate) fn predicted(session: &Session, config: &RunConfig) -> Vec<Mask> {
    let (data, _) = prepared(config);
    let one = |case: &medseg_train::data::Case| {
        let image =
            decode_image(&case.sample.image.paths()[0], &Limits::default(), &session.preprocessing().reading).unwrap();
        session.segment(&[image]).unwrap().remove(0).remove(0).mask
    };
    data.test.iter().map(one).collect()
}

pub(crate) fn open(place: &Path) -> Session {
    Session::open(place.to_str().unwrap(), &cpu(), &SessionOptions::default()).unwrap()
}

#[test]
fn an_image_has_one_mask_whoever_asks() {
    let images = shapes();
    let salt = AdapterConfig::salt(8, 2).with_include(["qkv", "lin1"]).with_train(["norm", "prompt"]);
    let full = AdapterConfig { method: Method::Full, ..AdapterConfig::default() };
    let lora = config(images.path()).adapter.unwrap();
    for (protocol, size, adapter, basis) in [
        (Protocol::Default, 64, &salt, BasisStorage::Basis),
        (Protocol::Paper, 64, &salt, BasisStorage::Recompute),
        (Protocol::Default, 96, &lora, BasisStorage::Delta),
        (Protocol::Paper, 48, &full, BasisStorage::Basis),
        (Protocol::Sam2, 64, &salt, BasisStorage::Delta),
        (Protocol::MedSam, 64, &lora, BasisStorage::Basis),
    ] {
        let mut config = config(images.path());
        config.data.protocol = protocol;
        config.data.image_size = size;
        config.adapter = Some(adapter.clone());
        config.training.epochs = 2;
        config.training.basis = basis;
        let place = tempfile::tempdir().unwrap();
        let run = place.path().join("run");
        trained(&config, &run);

        let (data, base) = prepared(&config);
        let best = merged(&load_best(&config, &base, &run, &cpu()).unwrap());
        let evaluation = EvaluationConfig { batch_size: 1, ..config.evaluation.clone() };
        let expected: Vec<Mask> = predict(&best, &data, &data.test, &evaluation, &cpu(), &StopFlag::new())
            .unwrap()
            .into_iter()
            .map(|pair| pair.prediction)
            .collect();
        assert!(expected.iter().any(|mask| mask.count() > 0) && expected.len() == 4, "{protocol:?} {size}");

        let of_run = open(&run);
        let whole = place.path().join("merged");
        let content = BundleContent {
            labels: of_run.labels().to_vec(),
            preprocessing: of_run.preprocessing().clone(),
            provenance: None,
        };
        write_weights(&whole, of_run.segmenter(), content).unwrap();
        for session in [of_run, open(&run.join("bundle")), open(&whole)] {
            assert_eq!(session.labels(), ["vessel"]);
            assert!(scored(&session, &config) == expected, "scores, {protocol:?} {size}");
            assert!(predicted(&session, &config) == expected, "predictions, {protocol:?} {size}");
        }
    }
}

/// A finished run's bundle, copied so that it can be damaged.
fn bundle() -> (TempDir, std::path::PathBuf) {
    let images = shapes();
    let mut config = config(images.path());
    config.training.epochs = 1;
    let place = tempfile::tempdir().unwrap();
    trained(&config, &place.path().join("run"));
    let bundle = place.path().join("run/bundle");
    (place, bundle)
}

fn failure(bundle: &Path) -> String {
    let error = Session::open(bundle.to_str().unwrap(), &cpu(), &SessionOptions::default()).unwrap_err();
    let mut text = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        text.push_str(&format!("\n{cause}"));
        source = cause.source();
    }
    text
}

#[test]
fn what_is_wrong_with_a_bundle_is_named() {
    let (_place, bundle) = bundle();
    let manifest = bundle.join("bundle.json");
    let weights = bundle.join("adapter_model.safetensors");
    let (text, numbers) = (std::fs::read_to_string(&manifest).unwrap(), std::fs::read(&weights).unwrap());
    let restore = || {
        std::fs::write(&manifest, &text).unwrap();
        std::fs::write(&weights, &numbers).unwrap();
    };

    std::fs::write(&weights, &numbers[..numbers.len() - 8]).unwrap();
    let message = failure(&bundle);
    assert!(message.contains("adapter_model.safetensors") && message.contains("expected"), "{message}");
    let mut flipped = numbers.clone();
    flipped[numbers.len() - 2] ^= 1;
    std::fs::write(&weights, &flipped).unwrap();
    assert!(failure(&bundle).contains("damaged or of another bundle"));
    std::fs::remove_file(&weights).unwrap();
    assert!(failure(&bundle).contains("adapter_model.safetensors"));
    restore();

    std::fs::write(&manifest, text.replacen("\"version\": 1", "\"version\": 7", 1)).unwrap();
    let message = failure(&bundle);
    assert!(message.contains("version 7") && message.contains("up to 3"), "{message}");
    std::fs::write(&manifest, text.replacen("salt-bundle", "other", 1)).unwrap();
    assert!(failure(&bundle).contains("\"other\""));
    std::fs::write(&manifest, text.replacen("\"labels\"", "\"lables\"", 1)).unwrap();
    assert!(failure(&bundle).contains("lables"));
    std::fs::write(&manifest, &text[..text.len() / 2]).unwrap();
    assert!(failure(&bundle).contains("bundle.json"));
    restore();

    // The prompt of another bundle, with a manifest that agrees: the labels still have to.
    Bundle::open(&bundle).unwrap();
    std::fs::remove_file(&manifest).unwrap();
    let message = failure(&bundle);
    assert!(message.contains("adapter") || message.contains("bundle.json"), "{message}");
    let empty = tempfile::tempdir().unwrap();
    let message = failure(empty.path());
    assert!(message.contains("bundle.json") && message.contains("an empty folder"), "{message}");
}

#[test]
fn a_base_that_moved_or_changed_is_named() {
    let images = shapes();
    let place = tempfile::tempdir().unwrap();
    let mut config = config(images.path());
    config.training.epochs = 1;
    let weights = |name: &str, seed: u64| {
        let path = place.path().join(name);
        crate::support::tiny().init_seeded(seed, &cpu()).unwrap().save(&path).unwrap();
        path
    };
    let base = weights("base.safetensors", 1);
    config.model.base = base.display().to_string();
    let run = place.path().join("run");
    trained(&config, &run);
    let bundle = run.join("bundle");
    let expected = predicted(&open(&bundle), &config);

    let moved = place.path().join("elsewhere.safetensors");
    std::fs::rename(&base, &moved).unwrap();
    let message = failure(&bundle);
    assert!(message.contains("base.safetensors") && message.contains("--base"), "{message}");
    let options = SessionOptions { base: Some(moved.display().to_string()), ..SessionOptions::default() };
    let session = Session::open(bundle.to_str().unwrap(), &cpu(), &options).unwrap();
    config.model.base = moved.display().to_string();
    assert!(predicted(&session, &config) == expected);

    weights("base.safetensors", 2);
    let message = failure(&bundle);
    assert!(message.contains("SHA-256") && message.contains("base.safetensors"), "{message}");
}

#[test]
fn a_bundle_replaces_nothing() {
    let (_place, bundle) = bundle();
    let session = open(&bundle);
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("notes.txt"), "mine").unwrap();
    let content = BundleContent {
        labels: session.labels().to_vec(),
        preprocessing: session.preprocessing().clone(),
        provenance: None,
    };
    let message = write_weights(folder.path(), session.segmenter(), content).unwrap_err().to_string();
    assert!(message.contains("there is something here already"), "{message}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}
