//! Initial weights: by seed, with the distributions of the reference packages.

use burn::tensor::Device;
use seg_baselines::{
    Architecture, NetworkConfig, ResNetConfig, SegFormerConfig, SegFormerFlavour, SegFormerResNetConfig,
};

use crate::support::{NAMES, Reference, Tensors, pattern, stored, values};

fn built(architecture: Architecture, seed: u64) -> Tensors {
    let config = NetworkConfig::new(architecture, 3, 1, [64, 64]).unwrap();
    stored(&config.build(&Device::default(), seed).unwrap())
}

fn deviation(values: &[f32]) -> f32 {
    (values.iter().map(|value| value * value).sum::<f32>() / values.len() as f32).sqrt()
}

fn bound(values: &[f32]) -> f32 {
    values.iter().fold(0.0, |most, value| f32::max(most, value.abs()))
}

#[test]
fn weights_are_a_function_of_the_seed() {
    for name in NAMES {
        let config = Reference::read(name).config();
        let device = Device::default();
        let first = stored(&config.build(&device, 5).unwrap());
        assert_eq!(first, stored(&config.build(&device.clone().autodiff(), 5).unwrap()), "{name}");
        let other = stored(&config.build(&device, 6).unwrap());
        for (key, tensor) in first.iter().filter(|(_, (shape, _))| shape.len() > 1) {
            assert_ne!(&other[key], tensor, "{name}: {key}");
        }
        let [height, width] = config.image_size;
        let logits = config.build(&device, 5).unwrap().forward(pattern([1, 3, height, width], &device)).unwrap();
        let logits = values(logits);
        assert!(logits.iter().all(|value| value.is_finite()), "{name}");
    }
}

#[test]
fn distributions_are_those_of_the_references() {
    let unet = built(Architecture::preset("unet").unwrap(), 1);
    let key = "model.1.submodule.0.conv.unit1.conv.weight";
    // Uniform within 1 / sqrt(64 * 9).
    assert!((bound(&unet[key].1) * 24.0 - 1.0).abs() < 1e-3);
    assert!((deviation(&unet[key].1) * 24.0 - 3f32.sqrt().recip()).abs() < 1e-2);
    assert_eq!(unet["model.0.conv.unit0.adn.A.weight"].1, [0.25]);
    assert_eq!(unet["model.0.conv.unit0.adn.N.running_var"].1, vec![1.0; 32]);
    // Of a transposed convolution PyTorch takes the outputs for inputs: 128 * 9.
    let transposed = &unet["model.1.submodule.1.submodule.2.0.conv.weight"];
    assert_eq!(transposed.0, [256, 64, 3, 3]);
    assert!((bound(&transposed.1) * 24.0 - 1.0).abs() < 1e-3);

    let regunet = built(Architecture::preset("regunet-decoder").unwrap(), 1);
    let he = |fan: usize| (2.0 / fan as f32).sqrt();
    let relative = |found: f32, expected: f32| (found / expected - 1.0).abs();
    assert!(relative(deviation(&regunet["encode_convs.2.0.conv.weight"].1), he(64 * 9)) < 0.02);
    assert!(relative(bound(&regunet["encode_convs.2.1.layers.0.conv.weight"].1), (128f32 * 9.0).sqrt().recip()) < 0.01);

    let segnet = built(Architecture::preset("segnet").unwrap(), 1);
    assert!(relative(deviation(&segnet["conv31.weight"].1), he(128 * 9)) < 0.02);
    assert_eq!(bound(&segnet["conv31.bias"].1), 0.0);

    let on_resnet = SegFormerResNetConfig {
        encoder: ResNetConfig { layers: [1; 4], ..ResNetConfig::default() },
        ..Default::default()
    };
    let on_resnet = built(Architecture::SegFormerResNet(on_resnet), 1);
    assert!(relative(deviation(&on_resnet["encoder.layer2.0.conv2.weight"].1), he(128 * 9)) < 0.02);
    assert!(relative(deviation(&on_resnet["encoder.layer2.0.conv3.weight"].1), he(512)) < 0.02);
    assert!(
        relative(bound(&on_resnet["decoder.mlp_stage.0.linear.weight"].1), (6f32 / (2048.0 + 256.0)).sqrt()) < 0.01
    );
    assert!(relative(bound(&on_resnet["decoder.fuse_stage.0.weight"].1), (6f32 / 1280.0).sqrt()) < 0.01);
    assert_eq!(bound(&on_resnet["decoder.mlp_stage.0.linear.bias"].1), 0.0);

    let segformer = built(Architecture::SegFormer(SegFormerConfig::mit_b0()), 1);
    for key in ["segformer.encoder.block.3.1.mlp.dense1.weight", "segformer.encoder.patch_embeddings.3.proj.weight"] {
        assert!(relative(deviation(&segformer[key].1), 0.02) < 0.02, "{key}");
    }
    let smp = SegFormerConfig { flavour: SegFormerFlavour::Smp, ..SegFormerConfig::mit_b0() };
    let smp = built(Architecture::SegFormer(smp), 1);
    assert!(relative(deviation(&smp["encoder.patch_embed4.proj.weight"].1), he(256 * 9)) < 0.02);
    assert!(relative(deviation(&smp["encoder.block4.0.mlp.dwconv.dwconv.weight"].1), he(9)) < 0.02);
}
