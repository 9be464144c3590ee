//! Training steps: every network learns, and dropout belongs to (seed, step).

use burn::module::Module;
use burn::optim::{AdamWConfig, GradientsParams};
use burn::tensor::{Device, Tensor, TensorData};
use seg_baselines::{Architecture, BaselineError, DeepLabV3PlusConfig, Draws, NetworkConfig};

use crate::support::{NAMES, Reference, stored, values};

#[test]
fn every_network_learns() {
    let device = Device::default().autodiff();
    for name in NAMES {
        let reference = Reference::read(name);
        let mut network = reference.config().build(&device, 3).unwrap();
        let before = stored(&network);
        let images = reference.tensor("input", &device);
        // Follow the brightness of the first channel, which every network can.
        let target = images.clone().narrow(1, 0, 1).mean_dim(2).mean_dim(3).sign();
        let mut optimizer = AdamWConfig::new().init();
        let mut losses = Vec::new();
        for step in 0..25 {
            let logits = network.forward_training(images.clone(), &Draws::new(3, step)).unwrap();
            let loss = (logits - target.clone()).powf_scalar(2.0).mean();
            losses.push(loss.clone().into_scalar::<f32>());
            let gradients = GradientsParams::from_grads(loss.backward(), &network);
            network = optimizer.step(1e-2, network, gradients);
        }
        assert!(losses[24] < 0.8 * losses[0], "{name}: {losses:?}");
        let after = stored(&network);
        let moved = after.iter().filter(|(key, value)| before[*key] != **value).count();
        assert!(moved * 10 >= after.len() * 9, "{name}: {moved} of {} tensors moved", after.len());
    }
}

#[test]
fn dropout_belongs_to_seed_and_step() {
    let device = Device::default().autodiff();
    for name in ["deeplabv3plus", "segformer"] {
        let reference = Reference::read(name);
        let mut config = reference.config();
        if let Architecture::DeepLabV3Plus(config) = &mut config.architecture {
            *config = DeepLabV3PlusConfig { dropout: 0.5, ..config.clone() };
        }
        let network = config.build(&device, 1).unwrap();
        let images = reference.tensor("input", &device);
        let run = |draws: &Draws| values(network.forward_training(images.clone(), draws).unwrap().inner());
        let first = run(&Draws::new(1, 1));
        assert_eq!(first, run(&Draws::new(1, 1)), "{name}");
        assert_ne!(first, run(&Draws::new(1, 2)), "{name}");
        assert_ne!(first, run(&Draws::new(2, 1)), "{name}");
        assert_ne!(first, values(network.forward(images.clone()).unwrap().inner()), "{name}");
    }
}

#[test]
fn training_needs_a_device_that_records_gradients() {
    let config = NetworkConfig::new(Architecture::preset("unet").unwrap(), 1, 1, [16, 32]).unwrap();
    let device = Device::default();
    let network = config.build(&device, 1).unwrap();
    let images = Tensor::<4>::ones([1, 1, 16, 32], &device);
    let error = network.forward_training(images, &Draws::new(0, 0)).unwrap_err();
    assert!(matches!(error, BaselineError::Value { .. }), "{error}");
}

/// A run that is taken up again goes on with the bits of one that was not stopped: parameters, statistics, dropout.
#[test]
fn statistics_are_part_of_a_checkpoint() {
    let device = Device::default().autodiff();
    for name in NAMES {
        let reference = Reference::read(name);
        let images = reference.tensor("input", &device);
        let network = reference.network(&device);
        let before = network.statistics();
        assert_eq!(before.is_empty(), name == "unetr");
        network.forward(images.clone()).unwrap();
        let after = network.statistics();
        assert!(before.iter().all(|(key, value)| after[key] != *value), "{name}");

        let other = reference.network(&device).with_statistics(&after).unwrap();
        assert_eq!(stored(&other), stored(&network), "{name}");
        network.forward(images.clone()).unwrap();
        other.forward(images).unwrap();
        assert_eq!(other.statistics(), network.statistics(), "{name}");
    }
}

#[test]
fn statistics_of_another_network_are_refused() {
    let network = |name| Reference::read(name).network(&Device::default());
    let error = network("unet").with_statistics(&network("segnet").statistics()).unwrap_err();
    assert!(error.to_string().contains("running_mean"), "{error}");
    let mut statistics = network("unet").statistics();
    statistics.insert("surprise".to_owned(), TensorData::from([1.0f32]));
    let error = network("unet").with_statistics(&statistics).unwrap_err();
    assert!(error.to_string().contains("also `surprise`"), "{error}");
}

/// As in Burn's own layer a clone shares them; what `valid` gives is a copy.
#[test]
fn a_valid_network_keeps_its_statistics_while_training_goes_on() {
    let device = Device::default().autodiff();
    let reference = Reference::read("regunet");
    let network = reference.network(&device);
    let selected = network.valid();
    network.forward(reference.tensor("input", &device)).unwrap();
    assert_eq!(stored(&selected), reference.weights());
    assert_ne!(stored(&network), reference.weights());
}
