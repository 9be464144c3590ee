//! Every kind of file that holds a SAM, and what happens when it does not quite.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use burn::module::Param;
use burn::tensor::{Device, Tensor};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use sam_model::{Checkpoint, Mismatch, Sam, SamConfig, SamError};
use tempfile::TempDir;

use crate::support::{fixture, tiny_config};

type Tensors = BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)>;

fn read(path: &Path) -> Tensors {
    let bytes = fs::read(path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    file.tensors()
        .into_iter()
        .map(|(name, view)| (name, (view.dtype(), view.shape().to_vec(), view.data().to_vec())))
        .collect()
}

fn write(folder: &TempDir, tensors: &Tensors) -> PathBuf {
    let path = folder.path().join("written.safetensors");
    let views = tensors
        .iter()
        .map(|(name, (dtype, shape, data))| (name.as_str(), TensorView::new(*dtype, shape.clone(), data).unwrap()));
    safetensors::serialize_to_file(views, None, &path).unwrap();
    path
}

fn load(path: &Path) -> Result<(Sam, sam_model::LoadReport), SamError> {
    Checkpoint::open(path)?.load(&tiny_config(), &Device::default())
}

fn original() -> Tensors {
    read(&fixture("sam_tiny.safetensors"))
}

fn mismatch(tensors: &Tensors) -> Mismatch {
    let folder = tempfile::tempdir().unwrap();
    match load(&write(&folder, tensors)) {
        Err(SamError::Mismatch { mismatch, .. }) => mismatch,
        other => panic!("expected a mismatch, found {:?}", other.map(|(_, report)| report)),
    }
}

#[test]
fn a_round_trip_keeps_every_bit_name_and_layout() {
    let folder = tempfile::tempdir().unwrap();
    let saved = folder.path().join("saved.safetensors");
    for source in ["sam_tiny.pth", "sam_tiny.safetensors", "hf_sam_tiny/model.safetensors"] {
        let (sam, _) = load(&fixture(source)).unwrap();
        sam.save(&saved).unwrap();
        assert_eq!(read(&saved), original(), "{source}");
        let first = fs::read(&saved).unwrap();
        let (again, report) = Sam::from_checkpoint(&saved, &Device::default()).unwrap();
        assert_eq!((again.config(), report.loaded), (sam.config(), 202));
        again.save(&saved).unwrap();
        assert_eq!(fs::read(&saved).unwrap(), first, "the same weights, the same bytes");
    }
    let leftovers = fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(leftovers, 1, "no temporary file stays behind");
}

#[test]
fn saving_where_nothing_can_be_written_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let (sam, _) = load(&fixture("sam_tiny.safetensors")).unwrap();
    assert!(matches!(sam.save(folder.path().join("absent/file.safetensors")), Err(SamError::Io { .. })));
}

/// What the shapes show; the four decoder heads of the reference model are the one thing that they do not.
#[test]
fn the_configuration_is_read_off_the_shapes() {
    for source in ["sam_tiny.pth", "hf_sam_tiny/model.safetensors"] {
        let config = Checkpoint::open(fixture(source)).unwrap().config().unwrap();
        assert_eq!(config, SamConfig { decoder_heads: 8, ..tiny_config() });
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mini.safetensors");
    let global = SamConfig { window_size: 0, global_attention_blocks: vec![], ..SamConfig::mini() };
    for config in [SamConfig::mini(), global.clone().paper(64), global] {
        let device = Device::default();
        let sam = config.init_seeded(1, &device).unwrap();
        sam.save(&path).unwrap();
        let bare = write(&folder, &read(&path));
        assert_eq!(Checkpoint::open(bare).unwrap().config().unwrap(), config, "without the metadata");
        assert_eq!(Checkpoint::open(&path).unwrap().config().unwrap(), config, "with it");
    }
}

#[test]
fn the_three_lists_are_complete_and_nothing_is_loaded() {
    let mut tensors = original();
    tensors.remove("mask_decoder.iou_token.weight").unwrap();
    let bias = tensors.remove("image_encoder.neck.1.bias").unwrap();
    tensors.insert("image_encoder.neck.9.bias".to_owned(), bias);
    let pos_embed = tensors.get_mut("image_encoder.pos_embed").unwrap();
    pos_embed.1 = vec![1, 5, 20, 48];
    let square = tensors.get_mut("image_encoder.blocks.0.attn.qkv.weight").unwrap();
    square.1.reverse();
    let found = mismatch(&tensors);
    assert_eq!(found.missing, ["image_encoder.neck.1.bias", "mask_decoder.iou_token.weight"]);
    assert_eq!(found.unexpected, ["image_encoder.neck.9.bias"]);
    assert_eq!(
        found.misshaped,
        [
            ("image_encoder.blocks.0.attn.qkv.weight".to_owned(), vec![144, 48], vec![48, 144]),
            ("image_encoder.pos_embed".to_owned(), vec![1, 10, 10, 48], vec![1, 5, 20, 48]),
        ]
    );
    let text = found.to_string();
    for part in ["missing (2)", "unexpected (1)", "mis-shaped (2)", "expected [144, 48], found [48, 144]"] {
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn a_checkpoint_of_another_size_is_refused() {
    let checkpoint = Checkpoint::open(fixture("sam_tiny.pth")).unwrap();
    let wider = SamConfig { embed_dim: 96, ..tiny_config() };
    let deeper = SamConfig { depth: 5, ..tiny_config() };
    let shallower = SamConfig { depth: 3, global_attention_blocks: vec![1], ..tiny_config() };
    let larger = SamConfig { image_size: 320, ..tiny_config() };
    for config in [wider, deeper, shallower, larger] {
        let result = checkpoint.load(&config, &Device::default());
        assert!(matches!(result, Err(SamError::Mismatch { .. })));
    }
    assert!(Checkpoint::open(fixture("sam_tiny_io.safetensors")).unwrap().config().is_err(), "no SAM at all");
}

/// The shapes of the files that other tools write around the same tensors.
#[test]
fn wrapped_checkpoints_of_other_tools_load() {
    let folder = tempfile::tempdir().unwrap();
    let scalar = || (Dtype::F32, vec![3, 1, 1], vec![0u8; 12]);
    // MedSAM's trainer, plain and data-parallel; micro-sam's (torch_em's) trainer; a SAM inside a training module with the
    // image statistics that some exporters add; a PyTorch Lightning file.
    let cases: [(&str, &[&str]); 5] = [
        ("model.", &["optimizer.state.0.exp_avg"]),
        ("model.module.", &["optimizer.state.0.exp_avg"]),
        ("model_state.sam.", &["optimizer_state.state.1.exp_avg", "scaler_state.scale", "decoder_state.base.weight"]),
        ("sam.", &[]),
        ("state_dict.", &["lr_scheduler.last"]),
    ];
    let reference = load(&fixture("sam_tiny.pth")).unwrap().0;
    let image = Tensor::<4>::ones([1, 3, 64, 64], &Device::default());
    let expected = reference.encode_image(image.clone()).unwrap().into_data();
    for (prefix, companions) in cases {
        let mut tensors: Tensors =
            original().into_iter().map(|(name, tensor)| (format!("{prefix}{name}"), tensor)).collect();
        tensors.extend(companions.iter().map(|name| (name.to_string(), scalar())));
        tensors.insert(format!("{prefix}pixel_mean"), scalar());
        let (sam, report) = load(&write(&folder, &tensors)).unwrap();
        assert_eq!(report.ignored.len(), companions.len() + 1, "{prefix}");
        assert_eq!(sam.encode_image(image.clone()).unwrap().into_data(), expected, "{prefix}");
        // What is neither SAM's nor known to be harmless is not passed over.
        tensors.insert("head.weight".to_owned(), scalar());
        assert_eq!(mismatch(&tensors).unexpected, ["head.weight"]);
    }
}

/// Both of Hugging Face's copies of the frequencies may be there; they must agree.
#[test]
fn unequal_duplicates_are_an_error() {
    let mut tensors = read(&fixture("hf_sam_tiny/model.safetensors"));
    let copy = tensors["shared_image_embedding.positional_embedding"].clone();
    tensors.insert("prompt_encoder.shared_embedding.positional_embedding".to_owned(), copy);
    let folder = tempfile::tempdir().unwrap();
    load(&write(&folder, &tensors)).unwrap();
    let copy = tensors.get_mut("prompt_encoder.shared_embedding.positional_embedding").unwrap();
    copy.2[0] ^= 1;
    let error = load(&write(&folder, &tensors)).unwrap_err().to_string();
    assert!(error.contains("should be the same tensor"), "{error}");
}

#[test]
fn half_precision_widens_exactly_and_other_types_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let convert = |dtype: Dtype, bytes: fn(f32) -> Vec<u8>| {
        let mut tensors = original();
        for (kind, _, data) in tensors.values_mut() {
            *data = data.chunks_exact(4).flat_map(|c| bytes(f32::from_le_bytes(c.try_into().unwrap()))).collect();
            *kind = dtype;
        }
        load(&write(&folder, &tensors))
    };
    let weight = |sam: &Sam| sam.image_encoder.blocks[0].mlp.lin1.bias.as_ref().unwrap().val().into_data();
    let full = weight(&load(&fixture("sam_tiny.pth")).unwrap().0);
    let (sam, _) = convert(Dtype::F16, |v| half::f16::from_f32(v).to_le_bytes().to_vec()).unwrap();
    let expected: Vec<f32> = full.iter::<f32>().map(|v| half::f16::from_f32(v).to_f32()).collect();
    assert_eq!(weight(&sam).iter::<f32>().collect::<Vec<_>>(), expected);
    let (sam, _) = convert(Dtype::BF16, |v| half::bf16::from_f32(v).to_le_bytes().to_vec()).unwrap();
    let expected: Vec<f32> = full.iter::<f32>().map(|v| half::bf16::from_f32(v).to_f32()).collect();
    assert_eq!(weight(&sam).iter::<f32>().collect::<Vec<_>>(), expected);
    let error = convert(Dtype::F64, |v| f64::from(v).to_le_bytes().to_vec()).unwrap_err().to_string();
    assert!(error.contains("expected f32, f16 or bf16, found F64"), "{error}");
}

/// A loaded model trains: its parameters keep what they were made for.
#[test]
fn gradients_survive_loading() {
    let device = Device::default().autodiff();
    let (sam, _) = Checkpoint::open(fixture("sam_tiny.pth")).unwrap().load(&tiny_config(), &device).unwrap();
    let frequencies: &Param<Tensor<2>> = &sam.prompt_encoder.pe_layer.positional_encoding_gaussian_matrix;
    assert!(!frequencies.is_require_grad());
    let image = Tensor::<4>::ones([1, 3, 64, 64], &device);
    let gradients = sam.encode_image(image).unwrap().sum().backward();
    assert!(sam.image_encoder.pos_embed.val().grad(&gradients).is_some());
}
