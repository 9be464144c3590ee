//! Prompts that need no user.

use burn::tensor::{Device, Tensor};
use sam_model::{AutomaticPrompt, Preprocess, Prompts, Protocol, Sam, SamError, restore_masks, upsample_logits};

use crate::support::{automatic_prompt, close, normal, tiny_sam};

fn image(n: usize, height: usize, width: usize, device: &Device) -> Tensor<4> {
    normal([n, 3, height, width], 2, device)
}

fn prompt(sam: &Sam, labels: usize, device: &Device) -> AutomaticPrompt {
    automatic_prompt(labels, sam.config().output_channels, device)
}

#[test]
fn many_labels_equal_one_label_at_a_time() {
    let device = Device::default();
    let sam = tiny_sam(&device);
    let together = prompt(&sam, 3, &device);
    let images = image(2, 96, 64, &device);
    let all = sam.forward_automatic(images.clone(), &together).unwrap();
    assert_eq!(all.dims(), [2, 3, 24, 16]);
    let embedding = sam.encode_image(images).unwrap();
    for label in 0..3 {
        let token = burn::module::Param::from_tensor(together.token.val().narrow(0, label, 1));
        let single = AutomaticPrompt { token, text_affine: None };
        let one = sam.decode_automatic(embedding.clone(), &single).unwrap();
        close(all.clone().narrow(1, label, 1), one, 1e-5);
    }
}

#[test]
fn logits_are_upsampled_as_post_processing_does() {
    let device = Device::default();
    let sam = tiny_sam(&device);
    let embedding = sam.encode_image(image(1, 160, 160, &device)).unwrap();
    let answer = sam.decode(embedding, &Prompts::none(1), false).unwrap();
    // An image that fills the input needs no second interpolation.
    let preprocess = Preprocess::new(Protocol::Default, 160).unwrap();
    let square =
        upsample_logits(answer.low_resolution.clone(), [160, 160]).into_data().iter::<f32>().collect::<Vec<_>>();
    let restored = restore_masks(answer.low_resolution, &preprocess, &[preprocess.geometry((160, 160))]).unwrap();
    assert_eq!(restored[0][0].logits, square);
}

#[test]
fn a_prompt_of_another_width_is_refused() {
    let device = Device::default();
    let sam = tiny_sam(&device);
    let wrong = AutomaticPrompt::learned(1, 64, &device);
    let result = sam.forward_automatic(image(1, 96, 96, &device), &wrong);
    assert!(matches!(result, Err(SamError::Shape { what: "automatic prompt", .. })));
}

#[test]
fn prompts_survive_their_files() {
    let device = Device::default();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("prompt.safetensors");
    let names = vec!["artery".to_owned(), "vein".to_owned()];
    let features = normal([2, 5], 3, &device);
    for original in [AutomaticPrompt::learned(2, 8, &device), AutomaticPrompt::from_text(features, 8, &device)] {
        original.save(&path, &names).unwrap();
        let (read, labels) = AutomaticPrompt::load(&path, &device).unwrap();
        assert_eq!(labels, names);
        assert_eq!(read.tokens().into_data(), original.tokens().into_data());
        assert!(matches!(original.save(&path, &names[..1]), Err(SamError::Shape { .. })));
    }
}

#[test]
fn text_features_come_from_a_file() {
    let device = Device::default();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("text.safetensors");
    let values: Vec<u8> = [1f32, 2.0, 3.0, 4.0, 5.0, 6.0].iter().flat_map(|v| v.to_le_bytes()).collect();
    let write = |name: &str| {
        let view = safetensors::tensor::TensorView::new(safetensors::Dtype::F32, vec![2, 3], &values).unwrap();
        safetensors::serialize_to_file([(name, view)], None, &path).unwrap();
    };
    write("text_features");
    let prompt = AutomaticPrompt::from_text_file(&path, 8, &device).unwrap();
    assert_eq!((prompt.labels(), prompt.tokens().dims()), (2, [2, 8]));
    assert!(!prompt.token.is_require_grad(), "text features are not trained");
    write("features");
    let error = AutomaticPrompt::from_text_file(&path, 8, &device).unwrap_err().to_string();
    assert!(error.contains("text_features"), "{error}");
}

/// Equal texts give equal tokens, unequal ones do not, and one text alone is enough: unlike with batch statistics.
#[test]
fn the_text_reaches_the_token() {
    let device = Device::default();
    let features = Tensor::<2>::from_floats([[1.0, 0.0, 2.0], [0.0, 3.0, 1.0], [1.0, 0.0, 2.0]], &device);
    let prompt = AutomaticPrompt::from_text(features.clone(), 8, &device);
    let rows: Vec<Vec<f32>> = (0..3).map(|i| prompt.tokens().narrow(0, i, 1).into_data().iter().collect()).collect();
    assert_eq!(rows[0], rows[2]);
    assert_ne!(rows[0], rows[1]);
}
