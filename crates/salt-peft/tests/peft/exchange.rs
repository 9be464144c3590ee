//! Adapters that Hugging Face PEFT wrote: outputs, merged weights, and the way back through our own files.

use crate::support::{doubles, fixtures, relative_error, state};
use burn::module::{Module, Param};
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{Linear, LinearConfig, PaddingConfig2d};
use burn::tensor::{Device, Tensor, TensorData, activation::sigmoid};
use safetensors::SafeTensors;
use salt_peft::{LoadOptions, PeftError, SaveOptions, load_adapter, merge, save_adapter, trainable_report};
use std::collections::BTreeMap;
use std::path::Path;

#[derive(Module, Debug)]
struct Block {
    qkv: Linear,
    proj: Linear,
}

/// The toy of `hf_peft.py`.
#[derive(Module, Debug)]
struct Base {
    blocks: Vec<Block>,
    neck: Conv2d,
}

impl Base {
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let [batch, channels, height, width] = x.dims();
        let mut tokens: Tensor<3> = x.reshape([batch, channels, height * width]).swap_dims(1, 2);
        for block in &self.blocks {
            let parts = block.qkv.forward(tokens.clone()).chunk(3, 2);
            let mixed = parts[0].clone() * sigmoid(parts[1].clone()) + parts[2].clone();
            tokens = tokens + block.proj.forward(mixed);
        }
        self.neck.forward(tokens.swap_dims(1, 2).reshape([batch, channels, height, width]))
    }
}

fn tensors(file: &Path) -> BTreeMap<String, TensorData> {
    let bytes = std::fs::read(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let file = SafeTensors::deserialize(&bytes).expect("a golden file");
    file.iter()
        .map(|(key, view)| {
            let values: Vec<f32> =
                view.data().as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
            (key.to_owned(), TensorData::new(values, view.shape().to_vec()))
        })
        .collect()
}

fn matrix(data: &TensorData, device: &Device) -> Tensor<2> {
    Tensor::<2>::from_data(data.clone(), device).transpose()
}

fn base(device: &Device) -> Base {
    let golden = tensors(&fixtures().join("hf_peft/base.safetensors"));
    let linear = |name: &str| {
        let mut layer: Linear = LinearConfig::new(1, 1).init(device);
        layer.weight = Param::from_tensor(matrix(&golden[&format!("{name}.weight")], device));
        layer.bias = Some(Param::from_data(golden[&format!("{name}.bias")].clone(), device));
        layer
    };
    let mut neck: Conv2d = Conv2dConfig::new([12, 8], [3, 3])
        .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
        .with_bias(false)
        .init(device);
    neck.weight = Param::from_data(golden["neck.weight"].clone(), device);
    let blocks = (0..2)
        .map(|i| Block { qkv: linear(&format!("blocks.{i}.qkv")), proj: linear(&format!("blocks.{i}.proj")) })
        .collect();
    Base { blocks, neck }
}

#[test]
fn adapters_written_by_peft_give_its_outputs_and_merged_weights_and_survive_our_own_file() {
    let device = Device::default();
    let io = tensors(&fixtures().join("hf_peft/io.safetensors"));
    let x = Tensor::<4>::from_data(io["x"].clone(), &device);
    let golden = |key: &str| doubles(io[key].clone());
    let plain = relative_error(&doubles(base(&device).forward(x.clone()).into_data()), &golden("y_base"));
    assert!(plain < 1e-5, "the base itself differs: {plain:e}");
    for name in ["lora", "rslora", "dora", "pattern"] {
        let folder = fixtures().join("hf_peft").join(name);
        let (model, report) = load_adapter(base(&device), &folder, &LoadOptions::default()).expect(name);
        assert_eq!(
            report.adapted.len() + report.trained.len(),
            if name == "lora" { 5 } else { 4 },
            "{name}: {report:?}"
        );
        let y = model.forward(x.clone());
        let error = relative_error(&doubles(y.clone().into_data()), &golden(&format!("y_{name}")));
        assert!(error < 1e-5, "{name}: {error:e}");

        // Into our own file and back: the same bits.
        let folder = tempfile::tempdir().expect("a temporary folder");
        save_adapter(&model, folder.path(), &SaveOptions::default()).expect(name);
        let (again, report) = load_adapter(base(&device), folder.path(), &LoadOptions::default()).expect(name);
        assert!(report.verified_base);
        again.forward(x.clone()).into_data().assert_eq(&y.into_data(), true);

        let merged = merge(model).expect(name);
        let weights = state(merged.module());
        for (key, expected) in
            io.iter().filter_map(|(key, data)| Some((key.strip_prefix(&format!("merged.{name}."))?, data)))
        {
            let found = &weights[key];
            let found = if found.shape().num_dims() == 2 {
                Tensor::<2>::from_data(found.clone(), &device).transpose().into_data()
            } else {
                found.clone()
            };
            let error = relative_error(&doubles(found), &doubles(expected.clone()));
            assert!(error < 1e-5, "{name} {key}: {error:e}");
        }
    }
}

#[test]
fn our_files_hold_pefts_keys_and_shapes() {
    let device = Device::default();
    for name in ["lora", "dora", "pattern"] {
        let golden = fixtures().join("hf_peft").join(name);
        let (model, _) = load_adapter(base(&device), &golden, &LoadOptions::default()).expect(name);
        let folder = tempfile::tempdir().expect("a temporary folder");
        save_adapter(&model, folder.path(), &SaveOptions::default()).expect(name);
        let (ours, theirs) = (
            tensors(&folder.path().join("adapter_model.safetensors")),
            tensors(&golden.join("adapter_model.safetensors")),
        );
        assert_eq!(ours, theirs, "{name}");
        let config: serde_json::Value =
            serde_json::from_slice(&std::fs::read(folder.path().join("adapter_config.json")).expect("written"))
                .expect("JSON");
        assert_eq!(config["peft_type"], "LORA");
        assert_eq!(config["use_dora"], name == "dora");
    }
}

#[test]
fn trained_parameters_of_the_pattern_adapter_are_counted_by_its_formula() {
    let device = Device::default();
    let (model, _) =
        load_adapter(base(&device), fixtures().join("hf_peft/pattern"), &LoadOptions::default()).expect("loads");
    let report = trainable_report(&model).expect("ours");
    assert_eq!(report.trainable, 2 * (12 + 12) * 2 + 5 * (12 + 36) + 8 * 12 * 9);
}

#[test]
fn a_damaged_or_foreign_folder_is_refused_with_the_reason() {
    let device = Device::default();
    let golden = fixtures().join("hf_peft/lora");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let copy = |file: &str| std::fs::copy(golden.join(file), folder.path().join(file)).expect("copied");
    copy("adapter_model.safetensors");

    let load = || load_adapter(base(&device), folder.path(), &LoadOptions::default()).map(|_| ());
    assert!(matches!(load(), Err(PeftError::Io { .. })), "no configuration");

    let text = std::fs::read_to_string(golden.join("adapter_config.json")).expect("golden");
    let write = |text: String| std::fs::write(folder.path().join("adapter_config.json"), text).expect("written");
    write(text.replace("\"use_qalora\": false", "\"use_qalora\": true"));
    assert!(load().expect_err("a variant that is not supported").to_string().contains("use_qalora"));
    write(text.replace("\"LORA\"", "\"VERA\""));
    assert!(load().expect_err("another method").to_string().contains("VERA"));
    write(text.replace("\"r\": 3", "\"r\": 4"));
    let Err(PeftError::Keys { mismatched, .. }) = load() else { panic!("a rank that is not that of the tensors") };
    assert_eq!(mismatched.len(), 10, "{mismatched:?}");
    write(text.clone());
    load().expect("intact");
    let mut bytes = std::fs::read(golden.join("adapter_model.safetensors")).expect("golden");
    bytes.truncate(bytes.len() - 3);
    std::fs::write(folder.path().join("adapter_model.safetensors"), bytes).expect("written");
    assert!(matches!(load(), Err(PeftError::Format { .. })), "truncated weights");
}
