//! Every kind of file that holds a SAM 2, and what happens when it does not quite.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor};
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use sam_model::{Checkpoint, Sam, SamConfig, SamError};
use tempfile::TempDir;

use crate::support::{fixture, sam2_fixture, tiny_config, tiny_sam2_config};

type Tensors = BTreeMap<String, (Vec<usize>, Vec<u8>)>;

/// How the names of the image path begin.
const IMAGE_PATH: [&str; 4] = ["image_encoder.", "sam_prompt_encoder.", "sam_mask_decoder.", "no_mem_embed"];

fn read(path: &Path) -> Tensors {
    let bytes = std::fs::read(path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let tensors = file.tensors().into_iter();
    tensors.map(|(name, view)| (name, (view.shape().to_vec(), view.data().to_vec()))).collect()
}

fn write(folder: &TempDir, tensors: &Tensors) -> PathBuf {
    let path = folder.path().join("written.safetensors");
    let views = tensors
        .iter()
        .map(|(name, (shape, data))| (name.as_str(), TensorView::new(Dtype::F32, shape.clone(), data).unwrap()));
    safetensors::serialize_to_file(views, None, &path).unwrap();
    path
}

fn image_path() -> Tensors {
    let all = read(&sam2_fixture("sam2_tiny.safetensors")).into_iter();
    all.filter(|(name, _)| IMAGE_PATH.iter().any(|part| name.starts_with(part))).collect()
}

fn load(path: &Path) -> Result<(Sam, sam_model::LoadReport), SamError> {
    Checkpoint::open(path)?.load(&tiny_sam2_config(), &Device::default())
}

/// Every parameter's shape in the layout of files, by its path.
#[derive(Default)]
struct Shapes {
    path: Vec<(String, String)>,
    found: BTreeMap<String, Vec<usize>>,
}

impl ModuleVisitor for Shapes {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.push((name.to_owned(), container.to_owned()));
    }
    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let mut shape = param.lazy_shape().dims::<D>().to_vec();
        if D == 2 && self.path.last().is_some_and(|(_, container)| container == "Struct:Linear") {
            shape.reverse();
        }
        let name = self.path.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(".");
        self.found.insert(name, shape);
    }
}

fn shapes(config: &SamConfig) -> BTreeMap<String, Vec<usize>> {
    let mut shapes = Shapes::default();
    config.init(&Device::default()).unwrap().visit(&mut shapes);
    shapes.found
}

/// The image path of every preset: its tensors and its numbers (a buffer is a tensor, but no parameter).
#[test]
fn presets_have_the_published_sizes() {
    for (config, parameters, tensors) in [
        (SamConfig::sam2_tiny(), 31_440_721, 311),
        (SamConfig::sam2_small(), 38_538_577, 359),
        (SamConfig::sam2_base_plus(), 73_328_401, 455),
        (SamConfig::sam2_large(), 216_924_865, 743),
    ] {
        let sam = config.init(&Device::default()).unwrap();
        let buffer = config.output_channels;
        assert_eq!((sam.num_params() - buffer, shapes(&config).len()), (parameters, tensors));
    }
    // Hiera-B+ as the paper's code runs it, at 512.
    let paper = shapes(&SamConfig::sam2_base_plus().paper(512));
    let numbers = |part: &str| -> usize {
        paper.iter().filter(|(name, _)| name.starts_with(part)).map(|(_, shape)| shape.iter().product::<usize>()).sum()
    };
    assert_eq!(numbers("image_encoder."), 69_106_816);
    assert_eq!(numbers("sam_mask_decoder."), 4_058_340);
    assert_eq!(numbers("sam_prompt_encoder.") - 256, 6_220);
}

/// The key list of the released base+ file, without its video part: the same names and shapes, so the original opens what is saved.
#[test]
fn names_and_shapes_are_those_of_the_original() {
    let listed = include_str!("../fixtures/sam2_hiera_bplus_keys.txt").lines().filter_map(|line| {
        let (name, shape) = line.split_once(" (")?;
        let axes = shape.trim_end_matches(')').split(',').map(str::trim).filter(|axis| !axis.is_empty());
        Some((name.to_owned(), axes.map(|axis| axis.parse().unwrap()).collect::<Vec<usize>>()))
    });
    let expected: BTreeMap<_, _> =
        listed.filter(|(name, _)| IMAGE_PATH.iter().any(|part| name.starts_with(part))).collect();
    assert_eq!(expected.len(), 455);
    assert_eq!(shapes(&SamConfig::sam2_base_plus()), expected);
}

#[test]
fn a_round_trip_keeps_every_bit_name_and_layout() {
    let folder = tempfile::tempdir().unwrap();
    let saved = folder.path().join("saved.safetensors");
    let expected = image_path();
    for source in ["sam2_tiny.pt", "sam2_tiny.safetensors", "hf_sam2_tiny/model.safetensors"] {
        let (sam, report) = load(&sam2_fixture(source)).unwrap();
        let ballast =
            if source.starts_with("hf") { 0 } else { read(&sam2_fixture("sam2_tiny.safetensors")).len() - 263 };
        assert_eq!((report.loaded, report.video.len()), (263, ballast), "{source}");
        assert!(report.ignored.is_empty() && report.dropped.is_empty(), "{source}");
        sam.save(&saved).unwrap();
        assert_eq!(read(&saved), expected, "{source}");
        let (again, report) = Sam::from_checkpoint(&saved, &Device::default()).unwrap();
        assert_eq!((again.config(), report.loaded), (sam.config(), 263));
    }
}

/// What MedSAM2's trainer (Meta's own) saves: the model with its video part, beside the state of the optimiser, the losses, the scaler and
/// the meters. Its released files hold `model` alone.
#[test]
fn a_fine_tuned_sam2_opens_from_its_trainers_file() {
    let folder = tempfile::tempdir().unwrap();
    let all = read(&sam2_fixture("sam2_tiny.safetensors"));
    assert!(all.contains_key("no_obj_embed_spatial") && all.contains_key("obj_ptr_tpos_proj.weight"), "a SAM 2.1");
    let mut tensors: Tensors = all.iter().map(|(name, tensor)| (format!("model.{name}"), tensor.clone())).collect();
    let plain = load(&write(&folder, &tensors)).unwrap();
    assert!(plain.1.ignored.is_empty());
    let own = folder.path().join("own.safetensors");
    plain.0.save(&own).unwrap();
    assert_eq!(read(&own), image_path());
    let companions = ["optimizer.state.0.exp_avg", "loss.all.weight", "scaler.scale", "best_meter_values.val"];
    for name in companions {
        tensors.insert(name.to_owned(), (vec![1], vec![0; 4]));
    }
    let (_, report) = load(&write(&folder, &tensors)).unwrap();
    assert_eq!((report.loaded, report.video.len()), (263, plain.1.video.len()));
    let mut set_aside = report.ignored.clone();
    set_aside.sort();
    let mut expected = companions.map(str::to_owned);
    expected.sort();
    assert_eq!(set_aside, expected);
}

/// The folder that transformers opens: its own names, shapes, bits and configuration.
#[test]
fn a_hugging_face_folder_is_what_transformers_writes() {
    let folder = tempfile::tempdir().unwrap();
    let (sam, _) = load(&sam2_fixture("sam2_tiny.pt")).unwrap();
    sam.save_huggingface(folder.path()).unwrap();
    let weights = folder.path().join("model.safetensors");
    assert_eq!(read(&weights), read(&sam2_fixture("hf_sam2_tiny/model.safetensors")));
    let config = |path: PathBuf| serde_json::from_slice::<serde_json::Value>(&std::fs::read(path).unwrap()).unwrap();
    let (ours, theirs) = (config(folder.path().join("config.json")), config(sam2_fixture("hf_sam2_tiny/config.json")));
    agree("", &ours, &theirs);
    let (again, _) = Sam::from_checkpoint(&weights, &Device::default()).unwrap();
    assert_eq!(again.config(), &tiny_sam2_config());
    let paper = tiny_sam2_config().paper(64).init(&Device::default()).unwrap();
    assert!(matches!(paper.save_huggingface(folder.path()), Err(SamError::Config { field: "variant", .. })));
}

/// Every entry that is written must be theirs; they write more, which is of every model and has its default.
fn agree(place: &str, ours: &serde_json::Value, theirs: &serde_json::Value) {
    match ours.as_object() {
        Some(entries) => entries.iter().for_each(|(key, value)| agree(&format!("{place}.{key}"), value, &theirs[key])),
        None => assert_eq!(ours, theirs, "{place}"),
    }
}

/// A published model is known by its width and stages; of another only the file beside it, or its own metadata, can tell the rest.
#[test]
fn the_configuration_is_read_off_the_shapes() {
    let beside = Checkpoint::open(sam2_fixture("hf_sam2_tiny/model.safetensors")).unwrap().config().unwrap();
    assert_eq!(beside, tiny_sam2_config());
    let error = Checkpoint::open(sam2_fixture("sam2_tiny.pt")).unwrap().config().unwrap_err().to_string();
    for part in ["sam2_tiny.pt", "width 6", "[1, 2, 3, 2]", "published"] {
        assert!(error.contains(part), "{error}");
    }
    // The shapes of the tiny model, in a file without numbers of its own.
    let folder = tempfile::tempdir().unwrap();
    let config =
        SamConfig { decoder_mlp_dim: 64, output_channels: 32, iou_head_hidden_dim: 16, ..SamConfig::sam2_tiny() };
    let zeros = shapes(&config).into_iter().map(|(name, shape)| {
        let bytes = vec![0; 4 * shape.iter().product::<usize>()];
        (format!("model.{name}"), (shape, bytes))
    });
    let path = write(&folder, &zeros.collect());
    assert_eq!(Checkpoint::open(path).unwrap().config().unwrap(), config);
}

#[test]
fn the_three_lists_are_complete_and_nothing_is_loaded() {
    let folder = tempfile::tempdir().unwrap();
    let mut tensors = image_path();
    tensors.remove("no_mem_embed").unwrap();
    let weight = tensors.remove("image_encoder.trunk.blocks.1.proj.weight").unwrap();
    tensors.insert("image_encoder.trunk.blocks.2.proj.weight".to_owned(), weight);
    tensors.get_mut("sam_mask_decoder.conv_s0.weight").unwrap().0 = vec![24, 3, 1, 1];
    match load(&write(&folder, &tensors)) {
        Err(SamError::Mismatch { path, mismatch }) => {
            assert!(path.ends_with("written.safetensors"));
            assert_eq!(mismatch.missing, ["image_encoder.trunk.blocks.1.proj.weight", "no_mem_embed"]);
            assert_eq!(mismatch.unexpected, ["image_encoder.trunk.blocks.2.proj.weight"]);
            let expected = ("sam_mask_decoder.conv_s0.weight".to_owned(), vec![3, 24, 1, 1], vec![24, 3, 1, 1]);
            assert_eq!(mismatch.misshaped, [expected]);
        }
        other => panic!("expected a mismatch, found {:?}", other.map(|(_, report)| report)),
    }
    // The wrong preset is a mismatch as well.
    let wrong =
        Checkpoint::open(sam2_fixture("sam2_tiny.pt")).unwrap().load(&SamConfig::sam2_small(), &Device::default());
    assert!(matches!(wrong, Err(SamError::Mismatch { .. })));
}

#[test]
fn a_file_of_the_other_model_is_named() {
    let device = Device::default();
    let sam = Checkpoint::open(fixture("sam_tiny.pth")).unwrap();
    let sam2 = Checkpoint::open(sam2_fixture("sam2_tiny.pt")).unwrap();
    for (result, file, expected, found) in [
        (sam.load(&tiny_sam2_config(), &device), "sam_tiny.pth", "expected a SAM 2", "found a SAM ("),
        (sam2.load(&tiny_config(), &device), "sam2_tiny.pt", "expected a SAM (", "found a SAM 2"),
    ] {
        let error = result.unwrap_err();
        assert!(matches!(error, SamError::OtherModel { .. }), "{error}");
        for part in [file, expected, found] {
            assert!(error.to_string().contains(part), "{error}");
        }
    }
}

#[test]
fn the_video_part_alone_is_no_model() {
    let folder = tempfile::tempdir().unwrap();
    let all = read(&sam2_fixture("sam2_tiny.safetensors")).into_iter();
    let video = all.filter(|(name, _)| !IMAGE_PATH.iter().any(|part| name.starts_with(part))).collect();
    let path = write(&folder, &video);
    let error = Checkpoint::open(&path).unwrap().config().unwrap_err();
    assert!(matches!(error, SamError::OtherModel { .. }), "{error}");
    for part in ["written.safetensors", "image encoder", "video part"] {
        assert!(error.to_string().contains(part), "{error}");
    }
    assert!(load(&path).is_err());
}
