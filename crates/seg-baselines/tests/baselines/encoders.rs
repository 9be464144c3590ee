//! Pre-trained encoders alone.

use burn::tensor::Device;
use seg_baselines::{BaselineError, Checkpoint, LoadReport, Network, NetworkConfig};

use crate::support::{Reference, Tensors, stored, write};

fn load(config: &NetworkConfig, tensors: &Tensors) -> Result<(Network, LoadReport), BaselineError> {
    let (_folder, path) = write(tensors);
    Checkpoint::open(path)?.load_encoder(config, &Device::default(), 9)
}

/// The tensors of an encoder, under other names.
fn renamed(weights: &Tensors, prefix: &str, to: &str) -> Tensors {
    let rename =
        |(key, tensor): (&String, &_)| Some((format!("{to}{}", key.strip_prefix(prefix)?), Clone::clone(tensor)));
    weights.iter().filter_map(rename).collect()
}

fn add(tensors: &mut Tensors, names: &[&str]) {
    for name in names {
        tensors.insert((*name).to_owned(), (vec![2], vec![1.0; 2]));
    }
}

/// A ResNet as torchvision stores it, one with its network around it, and one inside a trainer's file: all are the same encoder, and
/// the rest is that of the seed.
#[test]
fn a_resnet_of_any_file_goes_into_both_networks_on_one() {
    for name in ["deeplabv3plus", "segformer_resnet"] {
        let reference = Reference::read(name);
        let (config, weights) = (reference.config(), reference.weights());
        let seeded = stored(&config.build(&Device::default(), 9).unwrap());
        let mut torchvision = renamed(&weights, "encoder.", "");
        let count = torchvision.len();
        add(&mut torchvision, &["fc.weight", "fc.bias", "bn1.num_batches_tracked"]);
        let mut trainer = renamed(&weights, "encoder.", "state_dict.encoder.");
        add(&mut trainer, &["state_dict.decoder.aspp.0.weight", "optimizer.state.0.step"]);
        for (file, ignored) in [(torchvision, 3), (trainer, 2), (weights.clone(), weights.len() - count)] {
            let (network, report) = load(&config, &file).unwrap();
            assert_eq!((report.loaded, report.ignored.len()), (count, ignored), "{name}: {report:?}");
            for (key, tensor) in stored(&network) {
                let expected = if key.starts_with("encoder.") { &weights[&key] } else { &seeded[&key] };
                assert_eq!(&tensor, expected, "{name}: {key}");
            }
        }
    }
}

#[test]
fn a_mit_with_its_classifier() {
    let reference = Reference::read("segformer");
    let weights = reference.weights();
    for to in ["segformer.encoder.", "encoder."] {
        let mut file = renamed(&weights, "segformer.encoder.", to);
        let count = file.len();
        add(&mut file, &["classifier.weight", "classifier.bias"]);
        let (network, report) = load(&reference.config(), &file).unwrap();
        assert_eq!((report.loaded, report.ignored.len()), (count, 2), "{report:?}");
        let stored = stored(&network);
        assert!(
            stored.iter().filter(|(key, _)| key.contains(".encoder.")).all(|(key, tensor)| *tensor == weights[key])
        );
    }
}

#[test]
fn encoders_are_complete_or_nothing() {
    let reference = Reference::read("deeplabv3plus");
    let mut file = renamed(&reference.weights(), "encoder.", "");
    file.remove("layer2.0.conv2.weight").unwrap();
    add(&mut file, &["layer5.0.conv1.weight"]);
    match load(&reference.config(), &file) {
        Err(BaselineError::Mismatch { mismatch, .. }) => {
            assert_eq!(mismatch.missing, ["layer2.0.conv2.weight"]);
            assert_eq!(mismatch.unexpected, ["layer5.0.conv1.weight"]);
        }
        other => panic!("{:?}", other.map(|(_, report)| report)),
    }
    let unet = Reference::read("unet");
    assert!(matches!(load(&unet.config(), &unet.weights()), Err(BaselineError::Config { field: "architecture", .. })));
}

/// Grey images have the answer that the encoder gave to the same grey in three channels.
#[test]
fn the_first_convolution_follows_the_number_of_channels() {
    for name in ["deeplabv3plus", "segformer"] {
        let reference = Reference::read(name);
        for channels in [1, 2, 5] {
            let config = NetworkConfig { in_channels: channels, ..reference.config() };
            let (network, report) = load(&config, &reference.weights()).unwrap();
            assert_eq!(report.adapted.len(), 1, "{name}");
            let stored = stored(&network);
            let (adapted, original) = (&stored[&report.adapted[0]], &reference.weights()[&report.adapted[0]]);
            assert_eq!(adapted.0[1], channels);
            let sums = |(shape, values): &(Vec<usize>, Vec<f32>)| -> Vec<f32> {
                let filter: usize = shape[1..].iter().product();
                values.chunks(filter).map(|filter| filter.iter().sum()).collect()
            };
            if channels == 1 {
                for (a, b) in sums(adapted).into_iter().zip(sums(original)) {
                    assert!((a - b).abs() < 1e-4, "{name}: {a} {b}");
                }
            }
        }
        // A whole network has to have the file's channels.
        let config = NetworkConfig { in_channels: 1, ..reference.config() };
        let (_folder, path) = write(&reference.weights());
        let error = Checkpoint::open(path).unwrap().load(&config, &Device::default()).unwrap_err();
        assert!(matches!(error, BaselineError::Mismatch { .. }), "{error}");
    }
}
