//! Classic networks through the same engine: the same bits after a stop, running statistics included, bundles, masks, mistakes.

use crate::bundle::{open, predicted, scored, shapes, trained};
use crate::resume::{ending, whole};
use crate::support::{config, images, prepared};
use burn::tensor::Device;
use medseg_data::decode::{Limits, decode_image};
use medseg_metrics::Mask;
use medseg_train::bundle::{Bundle, BundleContent, Content, write_weights};
use medseg_train::checkpoint::tensors::from_bytes;
use medseg_train::config::{EvaluationConfig, ModelConfig, RunConfig};
use medseg_train::evaluate::{merged, predict};
use medseg_train::losses::{LossTermKind, WeightedLoss};
use medseg_train::model::BaseModel;
use medseg_train::network::NetworkChoice;
use medseg_train::train::{Silent, check_directory, load_best, train};
use medseg_train::{StopFlag, device};
use salt_peft::{AdapterConfig, Method};
use sam_model::ImagePrompt;
use seg_baselines::{
    Architecture, DeepLabV3PlusConfig, Network, ResNetConfig, SegFormerConfig, UNetConfig, UnetrConfig,
};
use std::path::Path;

fn cpu() -> Device {
    device::open("cpu").unwrap()
}

fn unet() -> Architecture {
    Architecture::UNet(UNetConfig { channels: vec![4, 6, 8], ..UNetConfig::default() })
}

/// With dropout and dropped paths that no run gets past without noticing.
fn segformer() -> Architecture {
    Architecture::SegFormer(SegFormerConfig {
        widths: [8, 8, 12, 16],
        depths: [1, 1, 2, 1],
        heads: [1, 1, 2, 2],
        decoder_channels: 8,
        drop_path: 0.4,
        dropout: 0.3,
        ..SegFormerConfig::mit_b0()
    })
}

fn unetr() -> Architecture {
    Architecture::Unetr(UnetrConfig { feature_size: 2, hidden_size: 8, mlp_dim: 16, num_heads: 2 })
}

fn deeplab() -> Architecture {
    Architecture::DeepLabV3Plus(DeepLabV3PlusConfig {
        encoder: ResNetConfig { stem: 4, planes: [2, 2, 3, 3], layers: [1; 4] },
        decoder_channels: 8,
        atrous_rates: [1, 2, 3],
        ..DeepLabV3PlusConfig::default()
    })
}

/// A run that trains everything of a network from random weights.
fn of(network: Architecture, data: &Path) -> RunConfig {
    let mut config = config(data);
    let network = Some(NetworkChoice::Sizes(Box::new(network)));
    config.model = ModelConfig { base: "random".into(), network, seed: 3, ..ModelConfig::default() };
    config.adapter = Some(AdapterConfig { method: Method::Full, ..AdapterConfig::default() });
    config
}

#[test]
fn a_network_stopped_after_any_step_ends_with_the_same_bits() {
    let folder = images([9, 2, 2]);
    for (network, statistics) in [(unet(), true), (segformer(), true), (unetr(), false), (deeplab(), true)] {
        let name = network.name();
        let config = of(network, folder.path());
        let (data, base) = prepared(&config);
        let before = base.segmenter().network().unwrap().statistics();
        let expected = whole(&config, &data, &base);
        // Training moved nothing of the base that runs share.
        assert_eq!(base.segmenter().network().unwrap().statistics(), before, "{name}");
        let best = from_bytes(&expected.0).unwrap();
        let running: Vec<_> = best.iter().filter(|(path, _)| path.starts_with("statistics.")).collect();
        assert_eq!(running.len(), before.len(), "{name}");
        assert_eq!(!running.is_empty(), statistics, "{name}");
        for (path, data) in running {
            assert_ne!(data, &before[path.trim_start_matches("statistics.")], "{name}: {path} did not move");
        }
        // Nine images in groups of four: three steps an epoch, the last a single image.
        for stops in [vec![1, 2], vec![4], vec![8]] {
            let run = tempfile::tempdir().unwrap();
            for steps in &stops {
                train(&config, &data, &base, run.path(), &StopFlag::after_steps(*steps), &Silent).unwrap_err();
            }
            let outcome = train(&config, &data, &base, run.path(), &StopFlag::new(), &Silent).unwrap();
            assert_eq!((outcome.steps, outcome.failure.as_deref()), (9, None), "{name}");
            assert!(ending(&outcome, run.path()) == expected, "{name} stopped after {stops:?}");
        }
    }
}

#[test]
fn threads_and_other_runs_beside_it_do_not_change_a_bit_of_a_network() {
    let folder = images([4, 2, 2]);
    let config = of(unet(), folder.path());
    let (data, base) = prepared(&config);
    let on = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| whole(&config, &data, &base))
    };
    let one = on(1);
    assert!(one == on(3));
    std::thread::scope(|scope| {
        let beside: Vec<_> = (0..2).map(|_| scope.spawn(|| whole(&config, &data, &base))).collect();
        assert!(beside.into_iter().all(|run| run.join().unwrap() == one), "two runs that share a base");
    });
    let other = RunConfig { seed: 1, ..config.clone() };
    assert!(whole(&other, &data, &base) != one, "the seed changes nothing");
}

#[test]
fn a_network_learns_and_has_one_mask_whoever_asks() {
    let images = shapes();
    for (network, size) in [(unet(), 64), (segformer(), 96), (unetr(), 48)] {
        let name = network.name();
        let mut config = of(network.clone(), images.path());
        config.data.image_size = size;
        config.training.epochs = 30;
        config.training.accumulate = 1;
        let place = tempfile::tempdir().unwrap();
        let run = place.path().join("run");
        trained(&config, &run);

        let (data, base) = prepared(&config);
        let best = merged(&load_best(&config, &base, &run, &cpu()).unwrap());
        let evaluation = EvaluationConfig { batch_size: 1, ..config.evaluation.clone() };
        let pairs = predict(&best, &data, &data.test, &evaluation, &cpu(), &StopFlag::new()).unwrap();
        let dice = |pair: &medseg_metrics::MaskPair| {
            let shared = pair.prediction.intersection(&pair.reference).unwrap().count() as f64;
            2.0 * shared / (pair.prediction.count() + pair.reference.count()) as f64
        };
        let mean = pairs.iter().map(dice).sum::<f64>() / pairs.len() as f64;
        assert!(name != "unet" || mean > 0.5, "a bright bar should be found: {mean}");
        let expected: Vec<Mask> = pairs.into_iter().map(|pair| pair.prediction).collect();

        let of_run = open(&run);
        assert!(of_run.is_automatic() && of_run.adapted().is_none() && of_run.base().is_none());
        let bundle = Bundle::open(&run.join("bundle")).unwrap();
        assert_eq!(bundle.manifest.version, 2);
        assert!(
            matches!(&bundle.manifest.content, Content::Network { architecture } if architecture.architecture == network)
        );
        let copy = place.path().join("copy");
        let content = BundleContent {
            labels: of_run.labels().to_vec(),
            preprocessing: of_run.preprocessing().clone(),
            provenance: None,
        };
        write_weights(&copy, of_run.segmenter(), content).unwrap();
        for session in [of_run, open(&copy)] {
            assert_eq!(session.labels(), ["vessel"]);
            assert!(scored(&session, &config) == expected, "scores of {name}");
            assert!(predicted(&session, &config) == expected, "predictions of {name}");
        }

        // What is in the bundle is a state dict of the reference package, and a base for another run.
        let file = copy.join("model.safetensors");
        let (plain, _) = Network::from_checkpoint(&file, &cpu()).unwrap();
        assert_eq!(plain.statistics(), best.network().unwrap().statistics());
        let session = open(&file);
        assert_eq!(session.labels(), ["foreground"]);
        assert!(predicted(&session, &config) == expected, "predictions of the plain file of {name}");
        let mut further = config.clone();
        further.model.base = file.display().to_string();
        if name == "segformer" {
            // The file says itself what it is.
            further.model.network = None;
        }
        let base = BaseModel::load(&further.model, size, &cpu()).unwrap();
        assert!(base.card.pretrained);
        let pairs = predict(&merged(&base.segmenter()), &data, &data.test, &evaluation, &cpu(), &StopFlag::new());
        assert!(pairs.unwrap().into_iter().map(|pair| pair.prediction).collect::<Vec<_>>() == expected);
    }
}

#[test]
fn a_last_image_alone_is_joined_by_the_epochs_first_where_norms_need_two() {
    let folder = images([5, 2, 2]);
    let mut config = of(deeplab(), folder.path());
    config.training.accumulate = 1;
    let (data, base) = prepared(&config);
    let run = tempfile::tempdir().unwrap();
    let outcome = train(&config, &data, &base, run.path(), &StopFlag::new(), &Silent).unwrap();
    assert_eq!((outcome.steps, outcome.failure), (9, None));

    config.training.batch_size = 1;
    let run = tempfile::tempdir().unwrap();
    let check = check_directory(&config, &data, &base, 1, run.path()).unwrap_err().to_string();
    let error = train(&config, &data, &base, run.path(), &StopFlag::new(), &Silent).unwrap_err().to_string();
    for part in ["training.batch-size", "image pooling", "deeplabv3plus", "at least 2"] {
        assert!(check.contains(part) && error.contains(part), "{check}\n{error}");
    }
}

/// An adapter on a network: what it does not train keeps its bits, and so do the running statistics of frozen norms.
#[test]
fn an_adapter_on_a_network_freezes_the_norms_that_it_does_not_train() {
    let folder = images([4, 2, 2]);
    let adapters = |train: &[&str]| {
        AdapterConfig::lora(2, 2.0).with_include([r"query\.weight$", r"dense1\.weight$"]).with_train(train.to_vec())
    };
    for (train_too, moves) in [(&[][..], false), (&["norm"][..], true)] {
        let mut config = of(segformer(), folder.path());
        config.adapter = Some(adapters(train_too));
        let (data, base) = prepared(&config);
        let (trainable, total) = base.counts(config.adapter.as_ref(), &cpu()).unwrap();
        assert!(trainable < total / 2 && total > base.card.parameters);
        let place = tempfile::tempdir().unwrap();
        let run = place.path().join("run");
        trained(&config, &run);
        let best = merged(&load_best(&config, &base, &run, &cpu()).unwrap());
        let (own, before) = (best.network().unwrap().statistics(), base.segmenter().network().unwrap().statistics());
        assert_eq!(own != before, moves, "train = {train_too:?}");
        // The bundle is whole and gives the masks of the run.
        let evaluation = EvaluationConfig { batch_size: 1, ..config.evaluation.clone() };
        let pairs = predict(&best, &data, &data.test, &evaluation, &cpu(), &StopFlag::new()).unwrap();
        let expected: Vec<Mask> = pairs.into_iter().map(|pair| pair.prediction).collect();
        assert!(scored(&open(&run), &config) == expected);
    }
    let mut config = of(unet(), folder.path());
    config.adapter = Some(AdapterConfig::lora(2, 2.0).with_include(["qkv"]));
    let (data, base) = prepared(&config);
    let run = tempfile::tempdir().unwrap();
    let error = train(&config, &data, &base, run.path(), &StopFlag::new(), &Silent).unwrap_err().to_string();
    assert!(error.contains("qkv") && error.contains("conv"), "{error}");
}

#[test]
fn what_a_network_cannot_do_is_named() {
    let folder = images([4, 2, 2]);
    let place = tempfile::tempdir().unwrap();
    let run = place.path().join("run");
    let mut config = of(unet(), folder.path());
    config.training.epochs = 1;
    trained(&config, &run);
    let session = open(&run);
    let (data, base) = prepared(&config);
    let image = decode_image(&data.test[0].sample.image.paths()[0], &Limits::default(), &Default::default()).unwrap();
    let message = session.prompted(&image, &ImagePrompt::default(), false).unwrap_err().to_string();
    assert!(message.contains("points") && message.contains("unet"), "{message}");
    assert!(base.config().unwrap_err().to_string().contains("expected a SAM"));
    assert!(session.segment(&[]).unwrap().is_empty());

    let several = RunConfig { devices: vec!["cpu".into(); 2], ..config.clone() };
    let error = train(&several, &data, &base, &place.path().join("two"), &StopFlag::new(), &Silent).unwrap_err();
    assert!(error.to_string().contains("devices") && error.to_string().contains("batch norms"), "{error}");
    // A UNETR has none, and shares its batches.
    let loss = WeightedLoss::new([LossTermKind::CrossEntropy {}]);
    let unetr = RunConfig { devices: vec!["cpu".into(); 2], loss, ..of(unetr(), folder.path()) };
    let (data, base) = prepared(&unetr);
    let one = RunConfig { devices: vec!["cpu".into()], ..unetr.clone() };
    let losses = |config: &RunConfig| {
        let run = tempfile::tempdir().unwrap();
        let outcome = train(config, &data, &base, run.path(), &StopFlag::new(), &Silent).unwrap();
        outcome.curve.iter().map(|epoch| epoch.loss).collect::<Vec<f64>>()
    };
    for (a, b) in losses(&one).iter().zip(&losses(&unetr)) {
        assert!((a - b).abs() < 1e-4 * a.abs(), "{a} against {b}");
    }

    // Weights of another network, and a size that the network does not take.
    let mut other = config.model.clone();
    other.base = run.join("bundle/model.safetensors").display().to_string();
    other.network = Some(NetworkChoice::Preset("segnet".into()));
    let message = BaseModel::load(&other, 64, &cpu()).unwrap_err().to_string();
    assert!(message.contains("model.safetensors") && message.contains("missing"), "{message}");
    let message = BaseModel::load(&config.model, 65, &cpu()).unwrap_err().to_string();
    assert!(message.contains("data.image-size") && message.contains("65"), "{message}");
}

#[test]
fn activation_checkpointing_is_refused_where_no_blocks_are() {
    let folder = images([2, 1, 1]);
    let mut config = of(unet(), folder.path());
    config.training.activation_checkpointing = true;
    let (data, base) = prepared(&config);
    let run = tempfile::tempdir().unwrap();
    let error = train(&config, &data, &base, run.path(), &StopFlag::new(), &Silent).unwrap_err().to_string();
    assert!(error.contains("training.activation-checkpointing"), "{error}");
}
