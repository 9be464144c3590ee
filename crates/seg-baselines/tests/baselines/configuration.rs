//! Configurations: presets, serialisation, refusals.

use seg_baselines::{
    Architecture, BaselineError, DeepLabV3PlusConfig, NetworkConfig, RegUNetConfig, ResNetConfig, SegFormerConfig,
    SegNetConfig, UNetConfig, UnetrConfig,
};

#[test]
fn presets_survive_serialisation_and_defaults_may_be_left_out() {
    for (name, architecture) in Architecture::presets() {
        let config = NetworkConfig::new(architecture, 1, 4, [64, 96]).unwrap();
        let text = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<NetworkConfig>(&text).unwrap(), config, "{name}");
        let short = format!(r#"{{"name": "{}"}}"#, config.architecture.name());
        let architecture: Architecture = serde_json::from_str(&short).unwrap();
        assert_eq!(architecture.name(), config.architecture.name());
    }
    let error = Architecture::preset("vnet").unwrap_err();
    assert!(error.to_string().contains("segformer-mit-b3"), "{error}");
}

#[test]
fn unknown_fields_are_errors() {
    for text in [
        r#"{"name": "unet", "chanels": [8, 16]}"#,
        r#"{"name": "vnet"}"#,
        r#"{"name": "deeplabv3plus", "encoder": {"stem": 8, "depth": 3}}"#,
    ] {
        assert!(serde_json::from_str::<Architecture>(text).is_err(), "{text}");
    }
}

#[test]
fn what_no_network_can_have_is_named() {
    let refused = |architecture: Architecture, size: [usize; 2]| match NetworkConfig::new(architecture, 3, 1, size) {
        Err(BaselineError::Config { field, .. }) => field,
        other => panic!("{other:?}"),
    };
    let size = [64, 64];
    let unet =
        |channels: &[usize]| Architecture::UNet(UNetConfig { channels: channels.to_vec(), ..UNetConfig::default() });
    assert_eq!(refused(unet(&[8]), size), "channels");
    assert_eq!(refused(unet(&[8, 0]), size), "channels");
    assert_eq!(refused(unet(&[8; 13]), size), "channels");
    assert_eq!(refused(unet(&[8, usize::MAX]), size), "channels");
    assert_eq!(refused(unet(&[8, 8, 8]), [64, 66]), "image_size");
    assert_eq!(refused(unet(&[8, 8, 8]), [0, 64]), "image_size");
    let unetr = UnetrConfig { num_heads: 7, ..UnetrConfig::default() };
    assert_eq!(refused(Architecture::Unetr(unetr), size), "num_heads");
    for levels in [vec![], vec![0], vec![4, 4], vec![5], vec![4, 5]] {
        let config = RegUNetConfig { extract_levels: levels, ..RegUNetConfig::default() };
        assert_eq!(refused(Architecture::RegUNet(config), size), "extract_levels");
    }
    let config = RegUNetConfig { depth: 64, extract_levels: vec![64], ..RegUNetConfig::default() };
    assert_eq!(refused(Architecture::RegUNet(config), size), "depth");
    let segnet = SegNetConfig { widths: [8, 8, 8, 8, 0] };
    assert_eq!(refused(Architecture::SegNet(segnet), size), "widths");
    let deeplab = |change: fn(&mut DeepLabV3PlusConfig)| {
        let mut config = DeepLabV3PlusConfig::default();
        change(&mut config);
        refused(Architecture::DeepLabV3Plus(config), size)
    };
    assert_eq!(deeplab(|c| c.output_stride = 32), "output_stride");
    assert_eq!(deeplab(|c| c.dropout = 1.0), "dropout");
    assert_eq!(deeplab(|c| c.dropout = f64::NAN), "dropout");
    assert_eq!(deeplab(|c| c.atrous_rates[1] = 0), "atrous_rates");
    assert_eq!(deeplab(|c| c.encoder = ResNetConfig { layers: [1, 1, 0, 1], ..ResNetConfig::default() }), "layers");
    let segformer = |change: fn(&mut SegFormerConfig)| {
        let mut config = SegFormerConfig::mit_b0();
        change(&mut config);
        refused(Architecture::SegFormer(config), size)
    };
    assert_eq!(segformer(|c| c.heads[2] = 7), "heads");
    assert_eq!(segformer(|c| c.reductions = [16, 4, 2, 1]), "reductions");
    assert_eq!(segformer(|c| c.depths[0] = 0), "depths");
    assert_eq!(segformer(|c| c.mlp_ratio = 0), "mlp_ratio");
    let unet = || Architecture::UNet(UNetConfig::default());
    assert!(matches!(NetworkConfig::new(unet(), 0, 1, size), Err(BaselineError::Config { field: "in_channels", .. })));
    assert!(matches!(NetworkConfig::new(unet(), 1, 0, size), Err(BaselineError::Config { field: "classes", .. })));
}
