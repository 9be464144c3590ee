//! The paper's arithmetic, and inputs of any size.

use burn::module::Param;
use burn::tensor::{Device, Tensor, TensorData};
use sam_model::image_encoder::ImageEncoder;
use sam_model::{AutomaticPrompt, Checkpoint, PositionResize, Prompts, SamConfig, SamError, SamVariant};

use crate::support::{FixtureSet, close, normal, tiny_config, tiny_sam};

/// `sam_paper.py` runs the original's classes with the paper's changes on the same weights.
#[test]
fn the_paper_variant_is_the_papers_arithmetic() {
    let set = FixtureSet::with(&["sam_paper.safetensors"]);
    let bytes = std::fs::read(set.path("sam_paper.safetensors")).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let device = Device::default();
    let data = |name: &str| {
        let view = file.tensor(name).unwrap();
        let values: Vec<f32> = view.data().chunks_exact(4).map(|c| f32::from_le_bytes(c.try_into().unwrap())).collect();
        TensorData::new(values, view.shape().to_vec())
    };
    let config = set.config().paper(80);
    let checkpoint = Checkpoint::open(set.path("sam_tiny.safetensors")).unwrap();
    let (sam, report) = checkpoint.load(&config, &device).unwrap();
    assert_eq!(report.resampled, ["image_encoder.pos_embed"]);
    assert_eq!(report.dropped.len(), 8, "two tables in each of four blocks");

    let embedding = sam.encode_image(Tensor::from_data(data("image"), &device)).unwrap();
    close(embedding.clone(), Tensor::from_data(data("neck"), &device), 1e-4);
    let token = Param::from_tensor(Tensor::<2>::from_data(data("token"), &device));
    let prompt = AutomaticPrompt { token, text_affine: None };
    let logits = sam.decode_automatic(embedding.clone(), &prompt).unwrap();
    close(logits.clone(), Tensor::from_data(data("low_res"), &device), 1e-4);
    assert!(logits.min().into_scalar::<f32>() < 0.0, "logits, not probabilities");

    // The positions are part of the difference to SAM, not an accident of the numbers.
    let faithful = set.model(&device);
    let image = Tensor::from_data(data("image"), &device);
    let other = faithful.encode_image(image).unwrap();
    assert!((other - embedding).abs().max().into_scalar::<f32>() > 1e-2);
}

/// Grids that are no multiple of the window, lower than it, of one row, and not square: the batch must not matter.
#[test]
fn any_multiple_of_the_patch_is_an_input() {
    let device = Device::default();
    let sam = tiny_sam(&device);
    for [height, width] in [[160, 160], [96, 96], [16, 16], [16, 176], [112, 48], [208, 272]] {
        let images = normal([3, 3, height, width], 1, &device);
        let together = sam.encode_image(images.clone()).unwrap();
        assert_eq!(together.dims(), [3, 32, height / 16, width / 16]);
        let alone = sam.encode_image(images.narrow(0, 2, 1)).unwrap();
        close(together.clone().narrow(0, 2, 1), alone.clone(), 1e-5);
        let logits = sam.decode(alone, &Prompts::none(1), true).unwrap().low_resolution;
        assert_eq!(logits.dims(), [1, 3, height / 4, width / 4]);
        assert!(!logits.is_nan().any().into_scalar::<bool>());
    }
}

#[test]
fn other_inputs_are_refused() {
    let device = Device::default();
    let sam = tiny_sam(&device);
    for dims in [[1, 3, 100, 96], [1, 1, 96, 96], [1, 3, 0, 96], [1, 3, 96, 1]] {
        let result = sam.encode_image(Tensor::zeros(dims, &device));
        assert!(matches!(result, Err(SamError::Shape { what: "image", .. })), "{dims:?}");
    }
    let embedding = Tensor::zeros([2, 32, 6, 6], &device);
    assert!(sam.decode(embedding.clone(), &Prompts::none(3), false).is_err(), "two images, three prompts");
    let mask = Prompts::none(2).with_masks(Tensor::zeros([2, 1, 20, 24], &device)).unwrap();
    assert!(matches!(sam.decode(embedding, &mask, false), Err(SamError::Shape { what: "mask prompts", .. })));
}

/// A prompt that fills up a batch must not change the answers of the others.
#[test]
fn prompts_in_a_batch_are_answered_as_if_alone() {
    let device = Device::default();
    let sam = tiny_sam(&device);
    let embedding = sam.encode_image(normal([1, 3, 96, 96], 2, &device)).unwrap();
    let boxes = [[3.0, 4.0, 50.0, 60.0], [10.0, 0.0, 90.0, 30.0]];
    let batch = Prompts::none(2).with_boxes(&boxes, &device).unwrap();
    let together = sam.decode(embedding.clone(), &batch, true).unwrap();
    for (index, rectangle) in boxes.into_iter().enumerate() {
        let alone = Prompts::none(1).with_boxes(&[rectangle], &device).unwrap();
        let alone = sam.decode(embedding.clone(), &alone, true).unwrap();
        close(together.low_resolution.clone().narrow(0, index, 1), alone.low_resolution, 1e-5);
        close(together.iou.clone().narrow(0, index, 1), alone.iou, 1e-5);
    }
}

#[test]
fn prompts_that_are_none_are_refused() {
    use sam_model::PointLabel::Foreground;
    let device = Device::default();
    let point = |x: f32| vec![([x, 1.0], Foreground)];
    assert!(Prompts::none(1).with_points(&[point(f32::NAN)], &device).is_err());
    assert!(Prompts::none(2).with_points(&[point(1.0)], &device).is_err());
    assert!(Prompts::none(1).with_boxes(&[[5.0, 5.0, 4.0, 9.0]], &device).is_err());
    assert!(Prompts::none(1).with_boxes(&[[0.0, 0.0, f32::INFINITY, 9.0]], &device).is_err());
    assert!(Prompts::none(1).with_masks(Tensor::zeros([1, 2, 8, 8], &device)).is_err());
}

/// Half the size by pooling is the mean of four; every resampling keeps a constant.
#[test]
fn positions_follow_the_grid() {
    let device = Device::default();
    for resize in [PositionResize::Pool, PositionResize::Bilinear, PositionResize::Bicubic] {
        let config =
            SamConfig { depth: 1, global_attention_blocks: vec![], position_resize: resize, ..SamConfig::mini() };
        let ImageEncoder::Vit(mut encoder) = config.init_seeded(2, &device).unwrap().image_encoder else {
            panic!("expected the encoder of a SAM")
        };
        let table = normal([1, 32, 32, 192], 3, &device);
        encoder.pos_embed = Param::from_tensor(table.clone());
        let stages = encoder.forward_stages(Tensor::zeros([1, 3, 128, 128], &device));
        let added = stages.positions - stages.patch_embed;
        if resize == PositionResize::Pool {
            let mean = table.reshape([16, 2, 16, 2, 192]).mean_dim(1).mean_dim(3).reshape([1, 16, 16, 192]);
            close(added, mean, 1e-6);
        }
        encoder.pos_embed = Param::from_tensor(Tensor::full([1, 32, 32, 192], 0.25, &device));
        for size in [72, 400] {
            let stages = encoder.forward_stages(Tensor::zeros([1, 3, size, 64], &device));
            let added = stages.positions - stages.patch_embed;
            close(added.clone(), added.zeros_like() + 0.25, 1e-6);
        }
    }
    assert_eq!(tiny_config().paper(80).variant, SamVariant::Paper);
}
