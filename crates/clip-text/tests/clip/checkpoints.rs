//! Files of both packages, whole models, and what does not fit.

use burn::tensor::Device;
use clip_text::{Checkpoint, ClipError, ClipText, ClipTextConfig};
use safetensors::Dtype;

use crate::support::{Tensors, fixture, read, tiny_config, write};

fn load(tensors: &Tensors) -> Result<(ClipText, clip_text::LoadReport), ClipError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.safetensors");
    write(&path, tensors);
    Checkpoint::open(path)?.load(&tiny_config(), &Device::default())
}

#[test]
fn the_configuration_is_in_the_shapes_and_beside_the_file() {
    let config = |name: &str| Checkpoint::open(fixture(name)).unwrap().config().unwrap();
    assert_eq!(config("hf_clip_text_tiny/model.safetensors"), tiny_config());
    let heads = 1; // as narrow as half a head of OpenAI's models
    assert_eq!(config("clip_text_tiny.safetensors"), ClipTextConfig { heads, ..tiny_config() });
}

#[test]
fn whole_models_and_wrapped_ones_open() {
    let tower = read(&fixture("clip_text_tiny.safetensors"));
    let report = load(&tower).unwrap().1;
    assert_eq!((report.loaded, report.ignored), (tower.len() - 1, vec!["logit_scale".to_owned()]));
    for prefix in ["", "text.", "module."] {
        let mut whole: Tensors =
            tower.iter().map(|(name, tensor)| (format!("{prefix}{name}"), tensor.clone())).collect();
        for name in ["visual.conv1.weight", "visual.proj"] {
            whole.insert(name.to_owned(), (Dtype::F32, vec![1], vec![0; 4]));
        }
        assert_eq!(load(&whole).unwrap().1.ignored.len(), 3, "{prefix}");
    }
    let mut whole = read(&fixture("hf_clip_text_tiny/model.safetensors"));
    for name in ["text_model.embeddings.position_ids", "vision_model.post_layernorm.bias", "visual_projection.weight"] {
        whole.insert(name.to_owned(), (Dtype::I64, vec![1], vec![0; 8]));
    }
    assert_eq!(load(&whole).unwrap().1.ignored.len(), 3);
}

#[test]
fn the_three_lists_are_complete() {
    for name in ["clip_text_tiny.safetensors", "hf_clip_text_tiny/model.safetensors"] {
        let mut tensors = read(&fixture(name));
        let missing =
            tensors.keys().find(|name| name.contains("layers.1") || name.contains("resblocks.1")).unwrap().clone();
        tensors.remove(&missing);
        let shaped = tensors.keys().find(|name| name.contains("posit")).unwrap().clone();
        tensors.insert(shaped.clone(), (Dtype::F32, vec![2, 2], vec![0; 16]));
        tensors.insert("surprise".to_owned(), (Dtype::F32, vec![1], vec![0; 4]));
        match load(&tensors) {
            Err(ClipError::Mismatch { mismatch, .. }) => {
                assert_eq!(mismatch.missing, [missing]);
                assert_eq!(mismatch.unexpected, ["surprise"]);
                assert_eq!(mismatch.misshaped, [(shaped, vec![77, 32], vec![2, 2])]);
            }
            other => panic!("{:?}", other.map(|(_, report)| report)),
        }
    }
}

#[test]
fn files_without_a_tower_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ViT-B-32.pt");
    for bytes in [&b""[..], b"PK\x03\x04 a program", b"\xff\xff\xff\xff\xff\xff\xff\x7f{"] {
        std::fs::write(&path, bytes).unwrap();
        let error = Checkpoint::open(&path).unwrap_err();
        assert!(matches!(error, ClipError::Format { .. }) && error.to_string().contains("ViT-B-32.pt"), "{error}");
    }
    write(&path, &[("conv1.weight".to_owned(), (Dtype::F32, vec![1], vec![0; 4]))].into());
    let error = Checkpoint::open(&path).unwrap_err();
    assert!(error.to_string().contains("token_embedding.weight"), "{error}");
}
