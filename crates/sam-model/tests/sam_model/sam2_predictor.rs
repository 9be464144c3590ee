//! SAM 2's predictor against Meta's, from the pixels of an image to masks in them.

use burn::tensor::{Device, Tensor};
use safetensors::SafeTensors;
use sam_model::{
    Image, ImagePrompt, MaskAnswer, PointLabel, Preprocess, Prompts, Protocol, SamConfig, SamError, SamPredictor,
};

use crate::gradients::Reference;
use crate::support::{normal, sam2_fixture, tiny_sam, tiny_sam2, tiny_sam2_config};

const IO: &str = "sam2_tiny_io.safetensors";

fn image(name: &str) -> Image {
    let bytes = std::fs::read(sam2_fixture(IO)).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let view = file.tensor(name).unwrap();
    let [height, width, channels] = view.shape() else { panic!("{name}") };
    Image::new(*width, *height, *channels, view.data().to_vec()).unwrap()
}

fn largest(found: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(found.len(), expected.len());
    found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

fn check(answers: &[MaskAnswer], reference: &Reference, name: &str) {
    let values = |part: &str| reference.0[&format!("e2e.{name}.{part}")].1.as_slice();
    let logits: Vec<f32> = answers.iter().flat_map(|answer| answer.logits.clone()).collect();
    let low: Vec<f32> =
        answers.iter().flat_map(|a| a.low_resolution.clone().into_data().iter::<f32>().collect::<Vec<_>>()).collect();
    let iou: Vec<f32> = answers.iter().map(|answer| answer.iou.unwrap()).collect();
    for (part, found) in [("masks", &logits), ("low_res", &low), ("iou", &iou)] {
        let difference = largest(found, values(part));
        eprintln!("{name} {part}: {difference:.2e}");
        assert!(difference <= 1e-4, "{name} {part}: {difference}");
    }
    for answer in answers {
        assert!(answer.object_score.is_some());
        assert_eq!(answer.mask.count(), answer.logits.iter().filter(|logit| **logit > 0.0).count() as u64);
    }
}

#[test]
fn answers_are_those_of_the_original_predictor() {
    let reference = Reference::from(&sam2_fixture(IO));
    let mut predictor = SamPredictor::new(tiny_sam2(&Device::default())).unwrap();
    assert_eq!(predictor.preprocess().protocol(), Protocol::Sam2);
    predictor.set_image(&image("e2e.up.image")).unwrap();
    let coordinates = &reference.0["e2e.up.coords"].1;
    let points = vec![
        ([coordinates[0], coordinates[1]], PointLabel::Foreground),
        ([coordinates[2], coordinates[3]], PointLabel::Background),
    ];
    let prompt = ImagePrompt { points, ..ImagePrompt::default() };
    check(&predictor.predict(&[prompt], true).unwrap()[0], &reference, "up");

    let down = image("e2e.down.image");
    let input = predictor.preprocess().prepare(&down);
    let difference = largest(&input.values, &reference.0["e2e.down.input"].1);
    eprintln!("down input: {difference:.2e}");
    assert!(difference <= 1e-4, "the input: {difference}");
    predictor.set_image(&down).unwrap();
    let corners: [f32; 4] = reference.0["e2e.down.box"].1.clone().try_into().unwrap();
    let prompt = ImagePrompt { bounding_box: Some(corners), ..ImagePrompt::default() };
    check(&predictor.predict(std::slice::from_ref(&prompt), false).unwrap()[0], &reference, "down");
    // The answer refines itself, and an automatic prompt has one mask per label.
    let first = predictor.predict(std::slice::from_ref(&prompt), false).unwrap().remove(0).remove(0);
    let refined = ImagePrompt { mask: Some(first.low_resolution), ..prompt };
    assert_eq!(predictor.predict(&[refined], true).unwrap()[0].len(), 3);
    let automatic = crate::support::automatic_prompt(2, 24, &Device::default());
    let alone = predictor.predict_automatic(&automatic).unwrap();
    assert_eq!(alone.len(), 2);
    let batch = predictor.predict_automatic_batch(&[down.clone(), down], &automatic).unwrap();
    for (a, b) in alone.iter().zip(&batch[1]) {
        assert!(largest(&a.logits, &b.logits) <= 1e-4);
        assert_eq!(a.object_score, None);
    }
}

#[test]
fn inputs_that_are_no_multiple_of_the_strides_are_refused() {
    let device = Device::default();
    let sam = tiny_sam2(&device);
    assert_eq!((sam.config().input_multiple(), SamConfig::sam2_large().input_multiple()), (32, 32));
    for dims in [[1, 3, 48, 64], [1, 3, 64, 0], [1, 1, 64, 64], [1, 3, 64, 80]] {
        let error = sam.encode(Tensor::zeros(dims, &device)).unwrap_err();
        assert!(matches!(error, SamError::Shape { what: "image", .. }), "{error}");
        assert!(error.to_string().contains("multiples of 32"), "{error}");
    }
    let predictor = SamPredictor::new(sam).unwrap();
    let error = predictor.with_preprocess(Preprocess::new(Protocol::Sam2, 80).unwrap()).unwrap_err().to_string();
    for part in ["input size", "32", "80"] {
        assert!(error.contains(part), "{error}");
    }
}

/// A SAM's embedding is no features of a SAM 2, and the reverse.
#[test]
fn features_of_the_other_model_are_refused() {
    let device = Device::default();
    let (sam, sam2) = (tiny_sam(&device), tiny_sam2(&device));
    let embedding = normal([1, 24, 8, 8], 1, &device);
    let error = sam2.decode(embedding, &Prompts::none(1), false).unwrap_err();
    assert!(matches!(error, SamError::Value { what: "high-resolution features", .. }), "{error}");
    let mut features = sam2.encode(normal([1, 3, 64, 64], 2, &device)).unwrap();
    features.embedding = normal([1, 32, 4, 4], 3, &device);
    assert!(sam.decode(features.clone(), &Prompts::none(1), false).is_err());
    features.embedding = normal([1, 24, 8, 8], 3, &device);
    let error = sam2.decode(features, &Prompts::none(1), false).unwrap_err();
    assert!(error.to_string().contains("[1, 3, 32, 32]"), "{error}");
}

#[test]
fn a_configuration_that_no_sam2_has_names_its_field() {
    let valid = tiny_sam2_config;
    let hiera = |change: fn(&mut sam_model::HieraConfig)| {
        let mut config = valid();
        change(config.hiera.as_mut().unwrap());
        config
    };
    let cases = [
        ("hiera.stages", hiera(|hiera| hiera.stages[2] = 0)),
        ("depth", SamConfig { depth: 9, ..valid() }),
        ("hiera.windows", hiera(|hiera| hiera.windows[1] = 3)),
        ("hiera.windows", hiera(|hiera| hiera.windows[3] = 0)),
        ("window_size", SamConfig { window_size: 8, ..valid() }),
        ("hiera.background_grid", hiera(|hiera| hiera.background_grid[0] = 0)),
        ("patch_size", SamConfig { patch_size: 8, ..valid() }),
        ("position_resize", SamConfig { position_resize: sam_model::PositionResize::Pool, ..valid() }),
        ("image_size", SamConfig { image_size: 144, ..valid() }),
        ("global_attention_blocks", SamConfig { global_attention_blocks: vec![8], ..valid() }),
    ];
    for (expected, config) in cases {
        match config.init(&Device::default()) {
            Err(SamError::Config { field, .. }) => assert_eq!(field, expected),
            other => panic!("{expected}: expected an error, found {:?}", other.is_ok()),
        }
    }
    for preset in
        [SamConfig::sam2_tiny(), SamConfig::sam2_small(), SamConfig::sam2_base_plus(), SamConfig::sam2_large(), valid()]
    {
        preset.validate().unwrap();
        let json = serde_json::to_string(&preset).unwrap();
        assert_eq!(serde_json::from_str::<SamConfig>(&json).unwrap(), preset);
    }
}
