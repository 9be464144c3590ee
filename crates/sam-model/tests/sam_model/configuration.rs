//! Presets, counts, validation, seeds.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor};
use sam_model::{SamConfig, SamError, SamVariant};

/// Every parameter's path and element count, without initialising any.
#[derive(Default)]
struct Counts {
    path: Vec<String>,
    counts: BTreeMap<String, usize>,
    initialised: usize,
}

impl ModuleVisitor for Counts {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }
    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.counts.insert(self.path.join("."), param.lazy_shape().num_elements());
        self.initialised += usize::from(param.is_initialized());
    }
}

fn counts(config: &SamConfig) -> Counts {
    let mut visitor = Counts::default();
    config.init(&Device::default()).unwrap().visit(&mut visitor);
    visitor
}

fn total(counts: &Counts, prefix: &str) -> usize {
    counts.counts.iter().filter(|(name, _)| name.starts_with(prefix)).map(|(_, count)| count).sum()
}

/// The published key list, name by name: `sam_vit_b_keys.txt` holds 314 tensors.
#[test]
fn vit_b_has_the_published_names_and_counts() {
    let found = counts(&SamConfig::vit_b());
    assert_eq!(found.counts.len(), 314);
    assert_eq!(total(&found, "image_encoder."), 89_670_912);
    // 6,220 parameters and the buffer of 256 frequencies.
    assert_eq!(total(&found, "prompt_encoder."), 6_220 + 256);
    assert_eq!(total(&found, "mask_decoder."), 4_058_340);
    assert_eq!(total(&found, ""), 93_735_728);
    assert_eq!(found.initialised, 0, "a model made for its shapes must not draw weights");
    for name in [
        "image_encoder.pos_embed",
        "image_encoder.patch_embed.proj.bias",
        "image_encoder.blocks.11.attn.rel_pos_w",
        "image_encoder.blocks.0.mlp.lin2.weight",
        "image_encoder.neck.0.weight",
        "image_encoder.neck.3.bias",
        "prompt_encoder.pe_layer.positional_encoding_gaussian_matrix",
        "prompt_encoder.point_embeddings.3.weight",
        "prompt_encoder.mask_downscaling.6.bias",
        "mask_decoder.transformer.layers.1.cross_attn_image_to_token.out_proj.weight",
        "mask_decoder.output_upscaling.3.weight",
        "mask_decoder.output_hypernetworks_mlps.3.layers.2.bias",
        "mask_decoder.iou_prediction_head.layers.2.weight",
    ] {
        assert!(found.counts.contains_key(name), "{name}");
    }
}

/// The encoder of the paper's accounting: no relative positions, positions of the 512 grid.
#[test]
fn the_paper_variant_has_the_papers_counts() {
    let found = counts(&SamConfig::vit_b().paper(512));
    assert_eq!(total(&found, "image_encoder."), 87_218_944);
    assert_eq!(total(&found, "image_encoder.pos_embed"), 786_432);
    assert!(found.counts.keys().all(|name| !name.contains("rel_pos")));
}

#[test]
fn every_preset_is_valid_and_has_its_size() {
    for (config, millions) in
        [(SamConfig::vit_b(), 93.7), (SamConfig::vit_l(), 312.3), (SamConfig::vit_h(), 641.1), (SamConfig::mini(), 4.0)]
    {
        config.validate().unwrap();
        let found = total(&counts(&config), "") as f64 / 1e6;
        assert!((found - millions).abs() < 0.5, "{found} million, expected about {millions}");
    }
}

#[test]
fn a_configuration_survives_serialisation_and_unknown_keys_do_not() {
    for config in [SamConfig::vit_h(), SamConfig::mini().paper(128)] {
        let json = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<SamConfig>(&json).unwrap(), config);
        let wrong = json.replacen('{', "{\"window\": 3,", 1);
        let message = serde_json::from_str::<SamConfig>(&wrong).unwrap_err().to_string();
        assert!(message.contains("unknown field `window`"), "{message}");
    }
    assert_eq!(crate::support::tiny_config().variant, SamVariant::Sam);
}

/// Our own fields and Meta's argument names, of either model.
#[test]
fn a_file_in_either_vocabulary_is_read() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("config.json");
    let read = |text: &str| {
        std::fs::write(&path, text).unwrap();
        SamConfig::read(&path)
    };
    for config in [SamConfig::mini(), SamConfig::sam2_mini(), SamConfig::sam2_large().paper(512)] {
        assert_eq!(read(&serde_json::to_string(&config).unwrap()).unwrap(), config);
    }
    let base_plus = r#"{"image_size": 1024, "embed_dim": 112, "num_heads": 2, "stages": [2, 3, 16, 3], "window_spec": [8, 4, 14, 7],
        "global_att_blocks": [12, 16, 20], "window_pos_embed_bkg_spatial_size": [14, 14]}"#;
    assert_eq!(read(base_plus).unwrap(), SamConfig::sam2_base_plus());
    let tiny = std::fs::read_to_string(crate::support::sam2_fixture("sam2_tiny.json")).unwrap();
    assert_eq!(read(&tiny).unwrap().hiera.unwrap().stages, [1, 2, 3, 2]);
    for (from, to, parts) in [
        ("\"q_pool\": 3", "\"q_pool\": 2", ["q_pool", "expected 3, found 2"]),
        ("\"scalp\"", "\"sculp\"", ["config.json", "sculp"]),
        ("\"d_model\": 24", "\"d_model\": 25", ["output_channels", "25"]),
        ("{", "[", ["config.json", "no configuration"]),
    ] {
        let message = read(&tiny.replacen(from, to, 1)).unwrap_err().to_string();
        assert!(parts.iter().all(|part| message.contains(part)), "{message}");
    }
}

#[test]
fn an_impossible_configuration_names_its_field() {
    let good = SamConfig::mini();
    let cases = [
        ("depth", SamConfig { depth: 0, ..good.clone() }),
        ("embed_dim", SamConfig { num_heads: 5, ..good.clone() }),
        ("embed_dim", SamConfig { embed_dim: usize::MAX, ..good.clone() }),
        ("image_size", SamConfig { image_size: 250, ..good.clone() }),
        ("global_attention_blocks", SamConfig { global_attention_blocks: vec![6], ..good.clone() }),
        ("mlp_ratio", SamConfig { mlp_ratio: f64::NAN, ..good.clone() }),
        ("mlp_ratio", SamConfig { mlp_ratio: -1.0, ..good.clone() }),
        ("output_channels", SamConfig { output_channels: 36, ..good.clone() }),
        ("mask_input_channels", SamConfig { mask_input_channels: 6, ..good.clone() }),
        // Each size is one that a model may have, all together are 10^12 numbers.
        ("(all sizes together)", SamConfig { embed_dim: 1 << 14, num_heads: 1 << 8, depth: 1 << 10, ..good.clone() }),
        ("(all sizes together)", SamConfig { image_size: 1 << 14, patch_size: 1, ..good.clone() }),
    ];
    for (field, config) in cases {
        match config.init(&Device::default()) {
            Err(SamError::Config { field: found, .. }) => assert_eq!(found, field),
            other => panic!("{field}: expected an error, found {:?}", other.map(|_| "a model")),
        }
    }
}

/// The generator is keyed by name: the same weights in any order of use, other weights for another seed.
#[test]
fn a_seed_decides_every_weight() {
    let device = Device::default();
    let config = SamConfig { depth: 2, image_size: 64, global_attention_blocks: vec![1], ..SamConfig::mini() };
    let image = Tensor::<4>::ones([1, 3, 64, 64], &device);
    let run = |config: &SamConfig, seed| {
        let sam = config.init_seeded(seed, &device).unwrap();
        sam.encode_image(image.clone()).unwrap().into_data()
    };
    assert_eq!(run(&config, 3), run(&config, 3));
    assert_ne!(run(&config, 3), run(&config, 4));
    let deeper = SamConfig { depth: 3, ..config.clone() };
    let weight = |config: &SamConfig| {
        config.init_seeded(3, &device).unwrap().image_encoder.as_vit().unwrap().blocks[1]
            .attn
            .qkv
            .weight
            .val()
            .into_data()
    };
    assert_eq!(weight(&config), weight(&deeper));
}

/// The bounds of the drawn weights are PyTorch's.
#[test]
fn seeded_weights_have_the_originals_distributions() {
    let sam = SamConfig::mini().init_seeded(1, &Device::default()).unwrap();
    let spread = |values: Vec<f32>| {
        let largest = values.iter().fold(0f32, |a, b| a.max(b.abs()));
        let variance = values.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>() / values.len() as f64;
        (largest, variance.sqrt())
    };
    let values = |data: burn::tensor::TensorData| data.iter::<f32>().collect::<Vec<_>>();
    let bound = (192f32).sqrt().recip();
    let (largest, deviation) =
        spread(values(sam.image_encoder.as_vit().unwrap().blocks[0].attn.qkv.weight.val().into_data()));
    assert!(largest <= bound && largest > 0.99 * bound);
    assert!((deviation - f64::from(bound) / 3f64.sqrt()).abs() < 1e-3);
    let matrix = &sam.prompt_encoder.pe_layer.positional_encoding_gaussian_matrix;
    assert!(!matrix.is_require_grad(), "the frequencies are a buffer");
    let (_, deviation) = spread(values(matrix.val().into_data()));
    assert!((deviation - 1.0).abs() < 0.3, "{deviation}");
    assert_eq!(spread(values(sam.image_encoder.as_vit().unwrap().pos_embed.val().into_data())), (0.0, 0.0));
}
