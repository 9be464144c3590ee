//! The network against transformers and OpenAI's class, which agree with each other.

use burn::tensor::{Device, Tensor};
use clip_text::{Checkpoint, ClipError, ClipText, ClipTextConfig};

use crate::support::{fixture, floats, read, tiny_config, token_rows};

const TOLERANCE: f32 = 1e-5;

fn towers(device: &Device) -> [ClipText; 2] {
    ["clip_text_tiny.safetensors", "hf_clip_text_tiny/model.safetensors"]
        .map(|name| Checkpoint::open(fixture(name)).unwrap().load(&tiny_config(), device).unwrap().0)
}

fn values(tensor: Tensor<2>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

#[test]
fn features_are_those_of_the_references() {
    let expected = floats(&read(&fixture("clip_text_tiny_io.safetensors"))["features"]);
    let largest = expected.iter().fold(0f32, |most, value| most.max(value.abs()));
    for device in [Device::default(), Device::default().autodiff()] {
        for tower in towers(&device) {
            for padding in ["tiny_ids", "tiny_ids_eos_padded"] {
                let found = values(tower.encode(&token_rows(padding)).unwrap());
                assert_eq!(found.len(), expected.len());
                let far = found.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                eprintln!("{padding}: {:.1e}", far / largest);
                assert!(far <= TOLERANCE * largest, "{far} of {largest}");
            }
        }
    }
}

/// A text has the same features alone, without padding, as among longer ones.
#[test]
fn neighbours_and_padding_change_nothing() {
    let [tower, _] = towers(&Device::default());
    let rows = token_rows("tiny_ids");
    let together = values(tower.encode(&rows).unwrap());
    let width = tower.config().embed;
    for (row, expected) in rows.iter().zip(together.chunks(width)) {
        let end = row.iter().position(|&id| id == tower.config().end_of_text()).unwrap();
        let alone = values(tower.encode(&[row[..=end].to_vec()]).unwrap());
        let far = alone.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(far < 1e-4, "{far}");
    }
}

#[test]
fn tokens_that_no_text_has_are_refused() {
    let [tower, _] = towers(&Device::default());
    let end = tower.config().end_of_text();
    for tokens in [
        vec![],
        vec![vec![1, 2]],
        vec![vec![end], vec![]],
        vec![vec![end + 1, end]],
        vec![[vec![0; 77], vec![end]].concat()],
    ] {
        assert!(matches!(tower.encode(&tokens), Err(ClipError::Value { .. })), "{tokens:?}");
    }
}

#[test]
fn parameters_of_the_published_tower() {
    assert_eq!(ClipTextConfig::vit_b32().num_parameters().unwrap(), 63_428_096);
}
