//! A checkpoint of MedSAM's kind: prepared in its own way, by whoever asks, and remembered where it was trained on.

use crate::support::{config, images, prepared, tiny};
use burn::tensor::Device;
use medseg_data::Protocol;
use medseg_data::decode::{Limits, decode_image};
use medseg_train::config::{EvaluationConfig, EvaluationGrid, ModelConfig};
use medseg_train::data::Case;
use medseg_train::prompted::{Asked, ReferencePrompt, evaluate_prompted};
use medseg_train::session::{Session, SessionOptions};
use medseg_train::train::{Silent, train, write_bundle};
use medseg_train::{StopFlag, device};
use sam_model::{ImagePrompt, MaskChoice, Prompts, logits_at};
use std::path::Path;

fn cpu() -> Device {
    device::open("cpu").unwrap()
}

/// A checkpoint file without prompt tokens.
fn checkpoint(folder: &Path) -> String {
    let file = folder.join("medsam_vit_b.safetensors");
    tiny().init_seeded(6, &cpu()).unwrap().save(&file).unwrap();
    file.to_str().unwrap().into()
}

fn open(place: &str, protocol: Option<Protocol>) -> medseg_train::Result<Session> {
    Session::open(place, &cpu(), &SessionOptions { protocol, ..SessionOptions::default() })
}

fn picture(case: &Case, session: &Session) -> sam_model::Image {
    let file = &case.sample.image.paths()[0];
    decode_image(file, &Limits::default(), &session.preprocessing().reading).unwrap()
}

#[test]
fn a_box_has_one_mask_whoever_asks() {
    let images = images([4, 2, 3]);
    let place = tempfile::tempdir().unwrap();
    let file = checkpoint(place.path());
    let mut config = config(images.path());
    config.model = ModelConfig { base: file.clone(), ..ModelConfig::default() };
    // The other rows see images at 96 px; this one at the model's own size.
    config.data.image_size = 96;
    let (data, _) = prepared(&config);
    let session = open(&file, Some(Protocol::MedSam)).unwrap();
    let size = session.preprocessing().preprocess.size();
    assert_eq!((session.preprocessing().preprocess.protocol(), size), (Protocol::MedSam, tiny().image_size));
    assert_ne!(size, 96);
    let own = data.test_prepared_as(&config.data, Protocol::MedSam, size).unwrap();
    let sam = &session.segmenter().sam().unwrap().sam;
    let evaluate = |grid| {
        let metrics = EvaluationConfig { batch_size: 2, grid, ..EvaluationConfig::default() };
        let prompt = (ReferencePrompt::Box, 0);
        evaluate_prompted(sam, prompt, &own, &own.test, &metrics, &cpu(), &StopFlag::new()).unwrap()
    };
    let (found, on_grid) = (evaluate(EvaluationGrid::Original), evaluate(EvaluationGrid::Network));
    let mut other_way = 0;
    for ((case, pair), grid_pair) in own.test.iter().zip(&found.pairs).zip(&on_grid.pairs) {
        let image = picture(case, &session);
        let Some(Asked::Box(corners)) = ReferencePrompt::Box.of(&case.reference, None, &case.id, 0) else {
            unreachable!("a reference has pixels")
        };
        let prompt = ImagePrompt { bounding_box: Some(corners), ..ImagePrompt::default() };
        let answer = session.prompted(&image, &prompt, false).unwrap().remove(0);
        assert!(answer.mask == pair.prediction, "{}", case.id);
        // By the steps of MedSAM's script.
        let input = session.preprocessing().preprocess.prepare(&image);
        let values = burn::tensor::TensorData::new(input.values, [1, 3, size, size]);
        let features = sam.encode(burn::tensor::Tensor::from_data(values, &cpu())).unwrap();
        let (w, h) = image.size();
        let scaled = [0, 1, 2, 3].map(|at| corners[at] / [w as f32, h as f32][at % 2] * size as f32);
        let prompts = Prompts::none(1).with_boxes(&[scaled], &cpu()).unwrap();
        let logits = sam.decode(features, &prompts, MaskChoice::First).unwrap().low_resolution;
        let step_by_step = logits_at(logits, Protocol::MedSam, [h, w]).unwrap();
        let largest = step_by_step.iter().zip(&answer.logits).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(largest < 1e-4, "{}: {largest}", case.id);
        // The grid is that of the other rows, so that a distance in pixels means the same.
        assert_eq!((grid_pair.prediction.width(), grid_pair.reference.height()), (96, 96));
        let plain = open(&file, None).unwrap().prompted(&image, &prompt, false).unwrap().remove(0);
        other_way += usize::from(plain.mask != answer.mask);
    }
    assert!(other_way > 0, "SAM's own preparation gives other masks");
}

#[test]
fn a_run_remembers_the_preparation_and_no_option_changes_it() {
    let images = images([4, 2, 2]);
    let place = tempfile::tempdir().unwrap();
    let mut config = config(images.path());
    config.model = ModelConfig { base: checkpoint(place.path()), ..ModelConfig::default() };
    config.data.protocol = Protocol::MedSam;
    config.training.epochs = 1;
    let (data, base) = prepared(&config);
    let run = place.path().join("run");
    let outcome = train(&config, &data, &base, &run, &StopFlag::new(), &Silent).unwrap();
    write_bundle(&run.join("bundle"), &config, &data, &base, &run, &outcome).unwrap();
    let session = open(run.to_str().unwrap(), None).unwrap();
    assert_eq!(session.preprocessing().preprocess.protocol(), Protocol::MedSam);
    let text = std::fs::read_to_string(run.join("bundle/bundle.json")).unwrap();
    for part in ["\"version\": 3", "\"protocol\": \"medsam\"", "from its least to its largest"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(open(run.to_str().unwrap(), Some(Protocol::MedSam)).is_ok());
    let error = open(run.to_str().unwrap(), Some(Protocol::Default)).unwrap_err().to_string();
    assert!(error.contains("protocol") && error.contains("MedSam"), "{error}");
}
