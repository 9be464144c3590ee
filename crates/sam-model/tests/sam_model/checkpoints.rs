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

use crate::support::{FixtureSet, fixture, tiny_config};

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

/// The folder that transformers opens: its own names, shapes, bits and configuration.
#[test]
fn a_hugging_face_folder_is_what_transformers_writes() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("new/folder");
    let device = Device::default();
    let (sam, _) = load(&fixture("sam_tiny.pth")).unwrap();
    sam.save_huggingface(&folder).unwrap();
    assert_eq!(read(&folder.join("model.safetensors")), read(&fixture("hf_sam_tiny/model.safetensors")));
    let config = |path: PathBuf| serde_json::from_slice::<serde_json::Value>(&fs::read(path).unwrap()).unwrap();
    let (ours, theirs) = (config(folder.join("config.json")), config(fixture("hf_sam_tiny/config.json")));
    for part in
        ["vision_config", "prompt_encoder_config", "mask_decoder_config", "model_type", "architectures", "dtype"]
    {
        assert_eq!(ours[part], theirs[part], "{part}");
    }
    // The way back needs nothing else, unlike bare weights: the configuration tells the decoder's heads.
    let (again, report) = Sam::from_checkpoint(folder.join("model.safetensors"), &device).unwrap();
    assert_eq!((again.config(), report.loaded), (&tiny_config(), 202));
    let saved = folder.join("meta.safetensors");
    again.save(&saved).unwrap();
    assert_eq!(read(&saved), original());
    // Saved once more, the same bytes.
    let first = fs::read(folder.join("model.safetensors")).unwrap();
    again.save_huggingface(&folder).unwrap();
    assert_eq!(fs::read(folder.join("model.safetensors")).unwrap(), first);
    // A configuration that is there must be readable; one of another kind of model says nothing.
    fs::write(folder.join("config.json"), "{").unwrap();
    let error = Sam::from_checkpoint(folder.join("model.safetensors"), &device).unwrap_err().to_string();
    assert!(error.contains("config.json"), "{error}");
    fs::write(folder.join("config.json"), r#"{"model_type": "bert"}"#).unwrap();
    let guessed = Checkpoint::open(folder.join("model.safetensors")).unwrap().config().unwrap();
    assert_eq!(guessed.decoder_heads, 8);
    let paper = SamConfig::mini().paper(64).init_seeded(1, &device).unwrap();
    assert!(matches!(paper.save_huggingface(&folder), Err(SamError::Config { field: "variant", .. })));
}

#[test]
fn saving_where_nothing_can_be_written_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let (sam, _) = load(&fixture("sam_tiny.safetensors")).unwrap();
    assert!(matches!(sam.save(folder.path().join("absent/file.safetensors")), Err(SamError::Io { .. })));
}

/// What the shapes show; the four decoder heads of the reference model are the one thing that they do not, but Hugging Face's
/// configuration beside its weights does.
#[test]
fn the_configuration_is_read_off_the_shapes() {
    for (source, decoder_heads) in [("sam_tiny.pth", 8), ("hf_sam_tiny/model.safetensors", tiny_config().decoder_heads)]
    {
        let config = Checkpoint::open(fixture(source)).unwrap().config().unwrap();
        assert_eq!(config, SamConfig { decoder_heads, ..tiny_config() });
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
    for part in [
        "missing (2)",
        "unexpected (1)",
        "the file holds 201 tensors",
        "mis-shaped (2)",
        "expected [144, 48], found [48, 144]",
    ] {
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

/// The shapes of the files that other tools write around the same tensors: what stands before every name, and what beside them.
#[test]
fn wrapped_checkpoints_of_other_tools_load() {
    let folder = tempfile::tempdir().unwrap();
    let small = || (Dtype::F32, vec![3, 1, 1], vec![0u8; 12]);
    let cases: [(&str, &[&str]); 14] = [
        // MedSAM's trainer, plain and data-parallel.
        ("model.", &["optimizer.state.0.exp_avg"]),
        ("model.module.", &["optimizer.state.0.exp_avg"]),
        // micro-sam's (torch_em's) trainer.
        ("model_state.sam.", &["optimizer_state.state.1.exp_avg", "scaler_state.scale", "decoder_state.base.weight"]),
        // A SAM inside a training module, with the image statistics that some exporters add.
        ("sam.", &[]),
        // PyTorch Lightning, plain and compiled.
        ("state_dict.", &["lr_schedulers.last", "callbacks.EarlyStopping.best_score", "loops.fit.x"]),
        (
            "state_dict.model.",
            &["optimizer_states.0.state.0.exp_avg", "state_dict.criterion.pos_weight", "hyper_parameters.w"],
        ),
        ("state_dict.net._orig_mod.", &["state_dict.val_dice_metric.total"]),
        // torch.compile and data-parallel training, bare.
        ("_orig_mod.", &["loss", "epoch"]),
        ("module.", &["rng_state"]),
        ("module._orig_mod.", &["best_loss", "train_losses"]),
        ("_orig_mod.module.", &[]),
        // Names of one's own.
        ("model_state_dict.", &["optimizer_state_dict.state.0.exp_avg", "torch_rng_state", "global_step"]),
        ("checkpoint.network.", &["args.weights", "ema.image_encoder.pos_embed", "ema.n_averaged"]),
        ("best_model.", &["best_score", "historyOfLoss"]),
    ];
    let reference = load(&fixture("sam_tiny.pth")).unwrap().0;
    let image = Tensor::<4>::ones([1, 3, 64, 64], &Device::default());
    let expected = reference.encode_image(image.clone()).unwrap().into_data();
    for (prefix, companions) in cases {
        let mut tensors: Tensors =
            original().into_iter().map(|(name, tensor)| (format!("{prefix}{name}"), tensor)).collect();
        tensors.extend(companions.iter().map(|name| (name.to_string(), small())));
        tensors.insert(format!("{prefix}pixel_mean"), small());
        let (sam, report) = load(&write(&folder, &tensors)).unwrap();
        assert_eq!(report.ignored.len(), companions.len() + 1, "{prefix}");
        assert_eq!(sam.encode_image(image.clone()).unwrap().into_data(), expected, "{prefix}");
        // What is neither SAM's nor known to be harmless is not passed over.
        tensors.insert("head.weight".to_owned(), small());
        assert_eq!(mismatch(&tensors).unexpected, ["head.weight"], "{prefix}");
    }
    // A part of the model that was compiled alone.
    let tensors: Tensors = original()
        .into_iter()
        .map(|(name, tensor)| (name.replace("image_encoder.", "image_encoder._orig_mod."), tensor))
        .collect();
    assert_eq!(load(&write(&folder, &tensors)).unwrap().1.loaded, 202);
    // Hugging Face's names inside wrappers.
    let tensors: Tensors = read(&fixture("hf_sam_tiny/model.safetensors"))
        .into_iter()
        .map(|(name, tensor)| (format!("state_dict.model._orig_mod.{name}"), tensor))
        .collect();
    assert_eq!(load(&write(&folder, &tensors)).unwrap().1.loaded, 202);
}

/// A PyTorch Lightning file of a compiled model, as `sam_wrapped.py` writes it: nested dictionaries, plain values, objects, random
/// states, losses, an optimizer, an averaged copy.
#[test]
fn a_trainers_file_loads_whole() {
    let name = "sam_wrapped.ckpt";
    let (sam, report) = Sam::from_checkpoint(FixtureSet::with(&[name]).path(name), &Device::default()).unwrap();
    assert_eq!((sam.config().depth, sam.config().decoder_depth, sam.config().image_size), (1, 1, 16));
    let beside =
        ["criterion.pos_weight", "val_dice_metric.total", "best_model_score", "rng_state", "loss", "model_ema"];
    for part in beside {
        assert!(report.ignored.iter().any(|name| name.contains(part)), "{part}: {:?}", report.ignored);
    }
    // Every weight holds its index in the state dict.
    let folder = tempfile::tempdir().unwrap();
    let saved = folder.path().join("saved.safetensors");
    sam.save(&saved).unwrap();
    let tensors = read(&saved);
    assert_eq!(report.loaded, tensors.len());
    let mut indices: Vec<usize> = tensors
        .values()
        .map(|(_, _, data)| {
            let values: Vec<f32> = data.chunks_exact(4).map(|c| f32::from_le_bytes(c.try_into().unwrap())).collect();
            assert!(values.iter().all(|value| *value == values[0]));
            values[0] as usize
        })
        .collect();
    indices.sort();
    assert_eq!(indices, (0..tensors.len()).collect::<Vec<_>>());
}

#[test]
fn several_models_in_one_file_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let mut tensors = Tensors::new();
    for prefix in ["student.", "teacher."] {
        tensors.extend(original().into_iter().map(|(name, tensor)| (format!("{prefix}{name}"), tensor)));
    }
    let error = Checkpoint::open(write(&folder, &tensors)).unwrap_err().to_string();
    for part in ["written.safetensors", "`student.` (202 tensors)", "`teacher.` (202 tensors)"] {
        assert!(error.contains(part), "{error}");
    }
}

/// A refusal names the file, what it holds and what was expected, whether a configuration is asked for or given.
#[test]
fn a_file_without_a_model_says_what_it_holds() {
    let folder = tempfile::tempdir().unwrap();
    let names = ["fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias", "fc3.weight", "fc3.bias"];
    let tensors: Tensors = names.iter().map(|name| (name.to_string(), (Dtype::F32, vec![1], vec![0; 4]))).collect();
    let path = write(&folder, &tensors);
    let error = Checkpoint::open(&path).unwrap().config().unwrap_err().to_string();
    for part in ["written.safetensors", "image_encoder.pos_embed", "6 tensors", "fc1.bias", "fc3.bias", "and 1 more"] {
        assert!(error.contains(part), "{error}");
    }
    assert!(!error.contains("fc3.weight"), "five are enough: {error}");
    let error = load(&path).unwrap_err().to_string();
    for part in ["written.safetensors", "missing (202)", "image_encoder", "unexpected (6)", "fc1.bias", "and 1 more"] {
        assert!(error.contains(part), "{error}");
    }
    assert!(error.lines().count() < 8, "{error}");
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
fn half_precision_widens_exactly_and_integers_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let convert = |dtype: Dtype, bytes: fn(f32) -> Vec<u8>| {
        let mut tensors = original();
        for (kind, _, data) in tensors.values_mut() {
            *data = data.chunks_exact(4).flat_map(|c| bytes(f32::from_le_bytes(c.try_into().unwrap()))).collect();
            *kind = dtype;
        }
        load(&write(&folder, &tensors))
    };
    let weight =
        |sam: &Sam| sam.image_encoder.as_vit().unwrap().blocks[0].mlp.lin1.bias.as_ref().unwrap().val().into_data();
    let full = weight(&load(&fixture("sam_tiny.pth")).unwrap().0);
    let (sam, _) = convert(Dtype::F16, |v| half::f16::from_f32(v).to_le_bytes().to_vec()).unwrap();
    let expected: Vec<f32> = full.iter::<f32>().map(|v| half::f16::from_f32(v).to_f32()).collect();
    assert_eq!(weight(&sam).iter::<f32>().collect::<Vec<_>>(), expected);
    let (sam, _) = convert(Dtype::BF16, |v| half::bf16::from_f32(v).to_le_bytes().to_vec()).unwrap();
    let expected: Vec<f32> = full.iter::<f32>().map(|v| half::bf16::from_f32(v).to_f32()).collect();
    assert_eq!(weight(&sam).iter::<f32>().collect::<Vec<_>>(), expected);
    let error = convert(Dtype::I32, |v| (v as i32).to_le_bytes().to_vec()).unwrap_err().to_string();
    assert!(error.contains("expected f64, f32, f16 or bf16, found I32"), "{error}");
}

/// 64-bit weights are rounded, which the report says; a number that f32 cannot hold is no weight.
#[test]
fn double_precision_is_rounded_and_said() {
    let folder = tempfile::tempdir().unwrap();
    let mut tensors = original();
    for (kind, _, data) in tensors.values_mut() {
        let doubles =
            data.chunks_exact(4).map(|c| f64::from(f32::from_le_bytes(c.try_into().unwrap())) * (1.0 + 1e-12));
        *data = doubles.flat_map(f64::to_le_bytes).collect();
        *kind = Dtype::F64;
    }
    let (sam, report) = load(&write(&folder, &tensors)).unwrap();
    assert_eq!(report.converted.len(), 202);
    let saved = folder.path().join("saved.safetensors");
    sam.save(&saved).unwrap();
    assert_eq!(read(&saved), original());
    assert!(load(&fixture("sam_tiny.pth")).unwrap().1.converted.is_empty());
    let bias = tensors.get_mut("mask_decoder.transformer.norm_final_attn.bias").unwrap();
    bias.2[8..16].copy_from_slice(&1e300f64.to_le_bytes());
    let error = load(&write(&folder, &tensors)).unwrap_err().to_string();
    for part in ["written.safetensors", "norm_final_attn.bias", "inf at index 1"] {
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn weights_that_are_no_numbers_are_named() {
    let folder = tempfile::tempdir().unwrap();
    for (value, shown) in
        [(f32::NAN, "NaN at index 2"), (f32::INFINITY, "inf at index 2"), (f32::NEG_INFINITY, "-inf at index 2")]
    {
        let mut tensors = original();
        let bias = tensors.get_mut("image_encoder.blocks.1.norm2.bias").unwrap();
        bias.2[8..12].copy_from_slice(&value.to_le_bytes());
        let error = load(&write(&folder, &tensors)).unwrap_err().to_string();
        for part in ["written.safetensors", "image_encoder.blocks.1.norm2.bias", shown] {
            assert!(error.contains(part), "{error}");
        }
    }
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
    assert!(sam.image_encoder.as_vit().unwrap().pos_embed.val().grad(&gradients).is_some());
}
