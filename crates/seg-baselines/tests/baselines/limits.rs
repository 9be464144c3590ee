//! Sizes and batches: right, or an error that says what would be.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use seg_baselines::{Architecture, BaselineError, NetworkConfig, UNetConfig, UNetNorm};

use crate::support::{NAMES, Reference, pattern, values};

/// The network of a reference run, for images of other sizes where it takes them.
fn config(name: &str) -> NetworkConfig {
    Reference::read(name).config()
}

fn output(config: &NetworkConfig, dims: [usize; 4], device: &Device) -> Result<Tensor<4>, BaselineError> {
    config.build(device, 1).unwrap().forward(pattern(dims, device))
}

#[test]
fn outputs_are_as_large_as_images_of_any_fitting_size() {
    let device = Device::default();
    for (name, sizes) in [
        ("unet", vec![[16, 16], [48, 16], [16, 80]]),
        ("unetr", vec![[64, 32]]),
        ("regunet", vec![[8, 8], [40, 16]]),
        ("regunet_decoder", vec![[4, 4], [20, 36]]),
        ("segnet", vec![[32, 32], [33, 47], [61, 35]]),
        ("deeplabv3plus", vec![[16, 16], [48, 80]]),
        ("segformer", vec![[32, 32], [33, 47], [50, 37]]),
        ("segformer_resnet", vec![[32, 32], [64, 96]]),
        ("segformer_smp", vec![[32, 32], [64, 96]]),
    ] {
        let config = config(name);
        for [height, width] in sizes {
            let logits = output(&config, [1, 3, height, width], &device).unwrap();
            assert_eq!(logits.dims(), [1, 1, height, width], "{name}");
            assert!(values(logits).iter().all(|value| value.is_finite()), "{name} {height}x{width}");
        }
    }
}

#[test]
fn any_number_of_channels_and_classes() {
    let device = Device::default().autodiff();
    for name in NAMES {
        for (channels, classes) in [(1, 2), (4, 3)] {
            let config = NetworkConfig { in_channels: channels, classes, ..config(name) };
            let [height, width] = config.image_size;
            for device in [device.clone(), Device::default()] {
                let logits = output(&config, [2, channels, height, width], &device).unwrap();
                assert_eq!(logits.dims(), [2, classes, height, width], "{name}");
            }
        }
    }
}

#[test]
fn other_sizes_are_refused_with_what_would_fit() {
    let device = Device::default();
    for (name, dims, expected) in [
        ("unet", [1, 3, 24, 32], "multiples of 16"),
        ("unet", [1, 3, 0, 32], "multiples of 16"),
        ("unetr", [1, 3, 32, 64], "[64, 32]"),
        ("regunet", [1, 3, 12, 16], "multiples of 8"),
        ("segnet", [1, 3, 31, 64], "sides of 32"),
        ("deeplabv3plus", [1, 3, 40, 32], "multiples of 16"),
        ("segformer", [1, 3, 64, 31], "sides of 32"),
        ("segformer_resnet", [1, 3, 48, 64], "multiples of 32"),
        ("segformer_smp", [1, 3, 64, 33], "multiples of 32"),
        ("unet", [0, 3, 32, 32], "[N, 3, H, W]"),
        ("unet", [1, 1, 32, 32], "[N, 3, H, W]"),
    ] {
        match output(&config(name), dims, &device) {
            Err(error @ BaselineError::Shape { .. }) => {
                let text = error.to_string();
                assert!(text.contains(expected) && text.contains(&format!("{dims:?}")), "{name}: {text}");
            }
            other => panic!("{name} {dims:?}: {other:?}"),
        }
    }
}

/// A channel with one value has no variance: an error in training, where two values will do, and no matter in evaluation.
#[test]
fn norms_over_single_values_are_refused_in_training_only() {
    let training = Device::default().autodiff();
    for (name, [height, width]) in
        [("unet", [16, 16]), ("regunet", [8, 8]), ("deeplabv3plus", [64, 64]), ("segformer_resnet", [32, 32])]
    {
        let config = config(name);
        match output(&config, [1, 3, height, width], &training) {
            Err(BaselineError::TooFewValues { batch: 1, height: h, width: w, .. }) => {
                assert_eq!([h, w], [height, width], "{name}");
            }
            other => panic!("{name}: {other:?}"),
        }
        for (batch, device) in [(2, &training), (1, &Device::default())] {
            let logits = output(&config, [batch, 3, height, width], device).unwrap();
            assert!(values(logits).iter().all(|value| value.is_finite()), "{name}, batch {batch}");
        }
        config.check_images([2, 3, height, width], true).unwrap();
    }
    // Larger images have more values, and two networks no single ones.
    for (name, size) in [("unet", [32, 16]), ("segnet", [32, 32]), ("segformer", [32, 32]), ("unetr", [64, 32])] {
        output(&config(name), [1, 3, size[0], size[1]], &training).unwrap();
    }
}

/// Instance norms take statistics in both modes.
#[test]
fn instance_norms_refuse_single_pixels_in_both_modes() {
    let unet = UNetConfig { channels: vec![2, 2, 2], norm: UNetNorm::Instance };
    let config = NetworkConfig::new(Architecture::UNet(unet), 3, 1, [16, 16]).unwrap();
    for device in [Device::default(), Device::default().autodiff()] {
        let error = output(&config, [5, 3, 4, 4], &device).unwrap_err();
        assert!(matches!(error, BaselineError::TooFewValues { .. }), "{error}");
        output(&config, [1, 3, 4, 8], &device).unwrap();
    }
}

/// Frozen norms use running statistics, so they need no batch and change nothing.
#[test]
fn a_frozen_network_evaluates_on_a_training_device() {
    let reference = Reference::read("deeplabv3plus");
    let device = Device::default().autodiff();
    let network = reference.network(&device).freeze();
    let logits = values(network.forward(reference.tensor("input", &device).narrow(0, 0, 1)).unwrap().inner());
    let expected = &reference.tensors["output_eval"].1[..logits.len()];
    let far = logits.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(far < 1e-4, "{far}");
}

/// An image's logits do not depend on its neighbours in the batch.
#[test]
fn evaluation_treats_images_one_by_one() {
    let device = Device::default();
    for name in NAMES {
        let reference = Reference::read(name);
        let network = reference.network(&device);
        let images = reference.tensor("input", &device);
        let together = network.forward(images.clone()).unwrap().narrow(0, 1, 1);
        let alone = network.forward(images.narrow(0, 1, 1)).unwrap();
        let far = (together - alone).abs().max().into_scalar::<f32>();
        assert!(far < 1e-4, "{name}: {far}");
    }
}
