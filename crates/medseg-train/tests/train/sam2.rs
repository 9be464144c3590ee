//! The engine on a tiny SAM 2: trained, bundled, merged, opened again, prompted.

use crate::support::{config, images, prepared, tiny_sam2};
use burn::tensor::Device;
use medseg_data::Protocol;
use medseg_data::decode::{Limits, decode_image};
use medseg_train::bundle::{BundleContent, write_weights};
use medseg_train::config::{Architecture, ModelConfig};
use medseg_train::evaluate::predict;
use medseg_train::model::BaseModel;
use medseg_train::session::{Session, SessionOptions};
use medseg_train::train::{Silent, train, write_bundle};
use medseg_train::{StopFlag, device};
use salt_peft::AdapterConfig;
use sam_model::{ImagePrompt, PointLabel};
use std::path::Path;

fn cpu() -> Device {
    device::open("cpu").unwrap()
}

fn open(place: &Path) -> Session {
    Session::open(place.to_str().unwrap(), &cpu(), &SessionOptions::default()).unwrap()
}

#[test]
fn a_sam2_is_trained_bundled_merged_and_opened() {
    let images = images([6, 2, 3]);
    let place = tempfile::tempdir().unwrap();
    // The base is a file, as a user has one.
    let base_file = place.path().join("base.safetensors");
    tiny_sam2().init_seeded(4, &cpu()).unwrap().save(&base_file).unwrap();
    let mut config = config(images.path());
    config.model = ModelConfig { base: base_file.to_str().unwrap().into(), ..ModelConfig::default() };
    let adapter = AdapterConfig::salt(2, 2).with_include([r"trunk\..*attn\.qkv\.weight$", r"mlp\.layers\.0\.weight$"]);
    config.adapter = Some(adapter.with_train(["norm", r"prompt\.", "pos_embed"]));
    config.training.epochs = 4;
    // Stretched to the square as SAM 2 has it; the run, its bundle and the merged model remember that.
    config.data.protocol = Protocol::Sam2;
    let (data, base) = prepared(&config);
    assert!(base.config().unwrap().is_sam2() && base.card.pretrained);

    let run = place.path().join("run");
    let outcome = train(&config, &data, &base, &run, &StopFlag::new(), &Silent).unwrap();
    assert_eq!(outcome.failure, None);
    write_bundle(&run.join("bundle"), &config, &data, &base, &run, &outcome).unwrap();

    let session = open(&run);
    assert!(session.is_automatic() && session.adapted().is_some());
    assert_eq!(session.preprocessing().preprocess.protocol(), Protocol::Sam2);
    let masks = |session: &Session| {
        let pairs = predict(session.segmenter(), &data, &data.test, &config.evaluation, &cpu(), &StopFlag::new());
        pairs.unwrap().into_iter().map(|pair| pair.prediction).collect::<Vec<_>>()
    };
    let whole = place.path().join("merged");
    let content = BundleContent {
        labels: session.labels().to_vec(),
        preprocessing: session.preprocessing().clone(),
        provenance: None,
    };
    write_weights(&whole, session.segmenter(), content).unwrap();
    let merged = open(&whole);
    assert_eq!(merged.segmenter().sam().unwrap().sam.config(), &tiny_sam2());
    assert_eq!(merged.preprocessing(), session.preprocessing());
    assert!(masks(&session) == masks(&merged));

    // The plain checkpoint answers a point, with its own way of preparing images and several masks.
    let plain = open(&base_file);
    assert!(!plain.is_automatic());
    assert_eq!(plain.preprocessing().preprocess.protocol(), Protocol::Sam2);
    let file = &data.test[0].sample.image.paths()[0];
    let image = decode_image(file, &Limits::default(), &plain.preprocessing().reading).unwrap();
    let prompt = ImagePrompt { points: vec![([20.0, 30.0], PointLabel::Foreground)], ..ImagePrompt::default() };
    let several = plain.prompted(&image, &prompt, true).unwrap();
    assert_eq!(several.len(), 3);
    assert!(several.iter().all(|answer| answer.object_score.is_some()));
    assert_eq!(plain.prompted(&image, &prompt, false).unwrap().len(), 1);
}

#[test]
fn what_does_not_fit_a_sam2_is_named() {
    let model = |base: &str| ModelConfig {
        base: base.into(),
        architecture: Architecture::Custom(Box::new(tiny_sam2())),
        ..ModelConfig::default()
    };
    let error = BaseModel::load(&model("random"), 48, &cpu()).unwrap_err().to_string();
    for part in ["image-size", "32", "48"] {
        assert!(error.contains(part), "{error}");
    }
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("sam.safetensors");
    crate::support::tiny().init_seeded(1, &cpu()).unwrap().save(&file).unwrap();
    let error = BaseModel::load(&model(file.to_str().unwrap()), 64, &cpu()).unwrap_err().to_string();
    for part in ["sam.safetensors", "a SAM 2", "a SAM ("] {
        assert!(error.contains(part), "{error}");
    }
}
