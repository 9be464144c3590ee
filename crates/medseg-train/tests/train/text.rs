//! A text prompt from its words to the mask: features, cache, run, bundle, another text.

use crate::clip::{fixture, wide_clip};
use crate::support::{config, images};
use burn::tensor::{Device, TensorData};
use medseg_data::Image;
use medseg_data::decode::{Limits, decode_image};
use medseg_train::config::RunConfig;
use medseg_train::data::prepare;
use medseg_train::model::{Assets, BaseModel};
use medseg_train::session::{Session, SessionOptions};
use medseg_train::text::{TextFeatures, TextFinder};
use medseg_train::train::{Outcome, Silent, load_best, train, write_bundle};
use medseg_train::{StopFlag, TrainError, device};
use safetensors::SafeTensors;
use salt_peft::{AdapterConfig, Method};
use sam_model::{SamVariant, TextNormKind};
use std::path::Path;

fn texts(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn values(features: &TextFeatures) -> Vec<f32> {
    features.tensor(&Device::default()).into_data().iter().collect()
}

fn message(result: medseg_train::Result<TextFeatures>) -> String {
    result.unwrap_err().to_string()
}

/// The reference's features of its first two prompts.
fn expected() -> Vec<f32> {
    let bytes = std::fs::read(fixture("clip_text_tiny_io.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let view = file.tensor("features").unwrap();
    let number = |c: &[u8]| f32::from_le_bytes(c.try_into().unwrap());
    view.data().chunks_exact(4).take(2 * view.shape()[1]).map(number).collect()
}

#[test]
fn features_are_the_references_and_are_kept() {
    let place = tempfile::tempdir().unwrap();
    let (clip, cache) = (wide_clip(&place.path().join("clip"), 1.0), place.path().join("cache"));
    let words = texts(&["Vein", "a photo of a blood vessel"]);
    let with_clip = TextFinder { clip: Some(&clip), cache: Some(&cache), known: None };
    let alone = TextFinder { clip: None, ..with_clip };
    assert!(message(alone.find(&words)).contains("\"Vein\""), "nothing is kept yet");
    let found = with_clip.find(&words).unwrap();
    let expected = expected();
    let largest = expected.iter().fold(0f32, |most, value| most.max(value.abs()));
    for (a, b) in values(&found).iter().zip(&expected) {
        assert!((a - b).abs() <= 1e-5 * largest, "{a} {b}");
    }
    // From the folder, without CLIP, in another order, and by another spelling of the same tokens.
    assert_eq!(alone.find(&words).unwrap(), found);
    let turned = alone.find(&texts(&["a  photo of a BLOOD vessel", "vein"])).unwrap();
    let row = found.width();
    assert_eq!(values(&turned)[..row], values(&found)[row..]);
    assert_eq!(values(&turned)[row..], values(&found)[..row]);

    // A damaged entry is not believed.
    let folder = std::fs::read_dir(cache.join("text")).unwrap().next().unwrap().unwrap().path();
    for entry in std::fs::read_dir(&folder).unwrap().flatten() {
        let mut bytes = std::fs::read(entry.path()).unwrap();
        let last = bytes.len() - 3;
        bytes[last] ^= 1;
        std::fs::write(entry.path(), bytes).unwrap();
    }
    assert!(message(alone.find(&words)).contains("--clip"));
    assert_eq!(with_clip.find(&words).unwrap(), found);
    assert_eq!(alone.find(&words).unwrap(), found);

    // Two CLIPs have other features, and then one has to be named.
    let other = wide_clip(&place.path().join("other"), 2.0);
    let doubled = TextFinder { clip: Some(&other), ..with_clip }.find(&words).unwrap();
    assert_ne!(values(&doubled), values(&found));
    assert!(message(alone.find(&words)).contains("2 different CLIPs"));
    let known = TextFinder { known: Some(&found), ..alone };
    assert_eq!(known.find(&words).unwrap(), found);
    let problem =
        message(TextFinder { clip: Some(&other), known: Some(&found), cache: None }.find(&texts(&["vessel"])));
    assert!(problem.contains(&found.source.encoder), "{problem}");
}

#[test]
fn texts_that_no_run_can_have_are_named() {
    let finder = TextFinder::default();
    for (words, expected) in [
        (&[][..], "at least one text"),
        (&["  "], "empty text"),
        (&["<|endoftext|>"], "marker"),
        (&["vessel"], "--clip FILE"),
    ] {
        let found = message(finder.find(&texts(words)));
        assert!(found.contains(expected), "{words:?}: {found}");
    }
    let long = message(finder.find(&["vessel ".repeat(80)]));
    assert!(long.contains("at most 77 tokens") && long.contains("82"), "{long}");
    let run = |keys: &str| {
        let text = format!("[data]\npath = \"x\"\n[model]\n{keys}\n");
        RunConfig::parse(&text, "run.toml".as_ref()).map(drop).unwrap_err().to_string()
    };
    assert!(run("text = [\"\"]").contains("empty text"));
    assert!(run("text = [\"artery\", \"vein\"]").contains("model.text: expected one text"));
    assert!(run("clip = \"x\"").contains("model.clip"));
    assert!(
        message(TextFinder { clip: Some(Path::new("/no/such/clip")), ..finder }.find(&texts(&["vein"])))
            .contains("/no/such")
    );
}

/// A run prompted with a text.
fn prompted(data: &Path, clip: &Path) -> RunConfig {
    let mut config = config(data);
    config.model.text = texts(&["vein"]);
    config.model.clip = Some(clip.to_path_buf());
    config
}

fn base_of(config: &RunConfig) -> BaseModel {
    let device = device::open("cpu").unwrap();
    BaseModel::load_with(&config.model, config.data.image_size, &device, &Assets::default()).unwrap()
}

fn trained(config: &RunConfig, base: &BaseModel, run: &Path) -> Outcome {
    let data = prepare(&config.data, "tiny").unwrap();
    let outcome = train(config, &data, base, run, &StopFlag::new(), &Silent).unwrap();
    write_bundle(&run.join("bundle"), config, &data, base, run, &outcome).unwrap();
    outcome
}

fn open(run: &Path) -> Session {
    let options = SessionOptions::default();
    Session::open(&run.display().to_string(), &device::open("cpu").unwrap(), &options).unwrap()
}

fn logits(session: &Session, image: &Image) -> Vec<f32> {
    session.segment(std::slice::from_ref(image)).unwrap().remove(0).remove(0).logits
}

#[test]
fn a_bundle_knows_its_text_and_asks_for_clip_only_for_another() {
    let (folder, place) = (images([4, 1, 2]), tempfile::tempdir().unwrap());
    let clip = wide_clip(&place.path().join("clip"), 1.0);
    let plain = config(folder.path());
    let full = AdapterConfig { method: Method::Full, ..AdapterConfig::default() };
    let image = prepare(&plain.data, "tiny").unwrap().test[0].sample.image.paths()[0].clone();
    for (name, adapter) in [("lora", plain.adapter.clone()), ("full", Some(full))] {
        let run = place.path().join(name);
        let config = RunConfig { adapter, ..prompted(folder.path(), &clip) };
        let base = base_of(&config);
        trained(&config, &base, &run);
        let features = base.segmenter().sam().unwrap().prompt.token.val().into_data();
        let best = load_best(&config, &base, &run, &device::open("cpu").unwrap()).unwrap();
        assert_eq!(best.sam().unwrap().prompt.token.val().into_data(), features, "features are not trained");
        let affine = |prompt: &sam_model::AutomaticPrompt| -> TensorData {
            let layer = prompt.text_affine.as_ref().unwrap();
            salt_peft::materialize(layer).linear.weight.val().into_data()
        };
        assert_ne!(
            affine(&best.sam().unwrap().prompt),
            affine(&base.segmenter().sam().unwrap().prompt),
            "the layer is"
        );

        // Without CLIP and without a folder of features.
        let hidden = place.path().join("hidden");
        std::fs::rename(&clip, &hidden).unwrap();
        let session = open(&run);
        assert_eq!(session.texts().unwrap(), ["vein"]);
        let image = decode_image(&image, &Limits::default(), &session.preprocessing().reading).unwrap();
        let own = logits(&session, &image);
        let again = session.with_texts(&texts(&["vein"]), None, None).unwrap();
        assert_eq!(logits(&again, &image), own);
        let error = open(&run).with_texts(&texts(&["background"]), None, None).unwrap_err().to_string();
        assert!(error.contains("\"background\"") && error.contains("--clip FILE"), "{error}");
        std::fs::rename(&hidden, &clip).unwrap();
        let other = open(&run).with_texts(&texts(&["background", "vein"]), Some(&clip), None).unwrap();
        assert_eq!(other.labels(), ["background", "vein"]);
        let answers = other.segment(std::slice::from_ref(&image)).unwrap().remove(0);
        assert_ne!(answers[0].logits, own);
        let far = answers[1].logits.iter().zip(&own).map(|(a, b)| (a - b).abs()).fold(0f32, f32::max);
        assert!(far < 1e-4, "{far}");
    }
    // Another CLIP is another space.
    let other = wide_clip(&place.path().join("other"), 2.0);
    let error = open(&place.path().join("lora")).with_texts(&texts(&["background"]), Some(&other), None);
    assert!(error.unwrap_err().to_string().contains("was trained with the features of a CLIP with SHA-256"));
    // A learned token has no text.
    let run = place.path().join("plain");
    let base = base_of(&plain);
    trained(&plain, &base, &run);
    let error = open(&run).with_texts(&texts(&["vein"]), Some(&clip), None).unwrap_err().to_string();
    assert!(error.contains("trained without text"), "{error}");
    // The text is part of what a run is, where CLIP lies is not.
    let data = prepare(&plain.data, "tiny").unwrap();
    let identity = |config: &RunConfig| medseg_train::train::identity(config, &data, &base_of(config)).unwrap();
    let moved = place.path().join("moved");
    let moved = prompted(folder.path(), &wide_clip(&moved, 1.0));
    assert_eq!(identity(&prompted(folder.path(), &clip)), identity(&moved));
    assert_ne!(identity(&moved), identity(&plain));
}

/// The paper's batch norm keeps running statistics, which a stop must not lose.
#[test]
fn the_papers_batch_norm_resumes_to_the_same_bits() {
    let (folder, place) = (images([5, 2, 2]), tempfile::tempdir().unwrap());
    let clip = wide_clip(&place.path().join("clip"), 1.0);
    let mut config = prompted(folder.path(), &clip);
    config.training.accumulate = 1;
    config.model.variant = SamVariant::Paper;
    let (base, data) = (base_of(&config), prepare(&config.data, "tiny").unwrap());
    let kind = |base: &BaseModel| base.segmenter().sam().unwrap().prompt.text_affine.clone().unwrap().norm_kind();
    assert_eq!(
        (kind(&base), kind(&base_of(&prompted(folder.path(), &clip)))),
        (TextNormKind::Batch, TextNormKind::PerText)
    );
    let ending = |stops: &[u64]| {
        let run = tempfile::tempdir().unwrap();
        for steps in stops {
            let error = train(&config, &data, &base, run.path(), &StopFlag::after_steps(*steps), &Silent).unwrap_err();
            assert!(matches!(error, TrainError::Stopped { .. }), "{error}");
        }
        let outcome = train(&config, &data, &base, run.path(), &StopFlag::new(), &Silent).unwrap();
        (std::fs::read(run.path().join("best.safetensors")).unwrap(), format!("{:?}", outcome.curve))
    };
    let whole = ending(&[]);
    assert!(ending(&[2, 3]) == whole);
    let file = SafeTensors::deserialize(&whole.0).unwrap();
    let variance = file.tensor("prompt.text_affine.norm.running_var").unwrap();
    let moved = variance.data().chunks_exact(4).all(|c| f32::from_le_bytes(c.try_into().unwrap()) < 1.0);
    assert!(moved, "the variance of one text shared by all images falls towards 0");
    // Nothing of a run reaches the base that other runs share.
    let statistic =
        base.segmenter().sam().unwrap().prompt.text_affine.clone().unwrap().norm.running_var.unwrap().value();
    assert!(statistic.into_data().iter::<f32>().all(|value| value == 1.0));
}
