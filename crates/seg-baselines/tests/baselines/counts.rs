//! Parameter counts from the module tree.

use seg_baselines::{
    Architecture, DeepLabV3PlusConfig, NetworkConfig, RegUNetConfig, ResNetConfig, SegFormerConfig, UNetConfig,
    UNetNorm, UnetrConfig,
};

fn count(architecture: Architecture, channels: usize) -> usize {
    NetworkConfig::new(architecture, channels, 1, [512, 512]).unwrap().num_parameters().unwrap()
}

#[test]
fn every_preset_has_its_integer() {
    for (name, three, one) in [
        ("unet", 6_500_734, 6_499_582),
        ("unetr", 91_815_137, 91_421_281),
        ("regunet", 7_863_456, 7_862_880),
        ("regunet-decoder", 11_784_384, 11_784_384 - 576),
        ("segnet", 29_443_585, 29_442_433),
        ("deeplabv3plus", 45_669_713, 45_663_441),
        ("segformer-resnet101", 43_829_313, 43_823_041),
        ("segformer-mit-b3", 44_598_209, 44_598_209 - 2 * 49 * 64),
    ] {
        let preset = Architecture::preset(name).unwrap();
        assert_eq!((count(preset.clone(), 3), count(preset, 1)), (three, one), "{name}");
    }
    assert_eq!(Architecture::presets().len(), 8);
}

#[test]
fn other_configurations_have_theirs() {
    let unet = UNetConfig { norm: UNetNorm::Instance, ..UNetConfig::default() };
    assert_eq!(count(Architecture::UNet(unet), 3), 6_495_868);
    let unetr = UnetrConfig { feature_size: 16, ..UnetrConfig::default() };
    assert_eq!(count(Architecture::Unetr(unetr), 3), 88_298_737);
    let regunet = |channels, depth, extract_levels| {
        count(Architecture::RegUNet(RegUNetConfig { channels, depth, extract_levels }), 3)
    };
    assert_eq!(regunet(16, 5, vec![5]), 7_872_336);
    assert_eq!(regunet(64, 3, vec![3]), 7_827_264);
    assert_eq!(regunet(32, 4, vec![0, 1, 2, 3, 4]), 11_788_416);
    let deeplab = DeepLabV3PlusConfig { encoder: ResNetConfig::resnet50(), ..DeepLabV3PlusConfig::default() };
    assert_eq!(count(Architecture::DeepLabV3Plus(deeplab.clone()), 3), 26_677_585);
    // The stride changes no shape.
    let finer = DeepLabV3PlusConfig { output_stride: 8, ..deeplab };
    assert_eq!(count(Architecture::DeepLabV3Plus(finer), 3), 26_677_585);
    let wide = SegFormerConfig { decoder_channels: 768, ..SegFormerConfig::mit_b3() };
    assert_eq!(count(Architecture::SegFormer(wide), 3), 47_223_233);
    assert_eq!(count(Architecture::SegFormer(SegFormerConfig::mit_b2()), 3), 24_722_369);
}

#[test]
fn classes_add_to_the_last_layer() {
    let preset = Architecture::preset("segnet").unwrap();
    let three = NetworkConfig::new(preset, 3, 3, [512, 512]).unwrap().num_parameters().unwrap();
    assert_eq!(three, 29_443_585 + 2 * (9 * 64 + 1));
}
