//! What the tests share.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::tensor::{Device, Tensor, TensorData};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use seg_baselines::{
    Architecture, Checkpoint, DeepLabV3PlusConfig, Network, NetworkConfig, RegUNetConfig, ResNetConfig,
    SegFormerConfig, SegFormerFlavour, SegFormerResNetConfig, SegNetConfig, UNetConfig, UNetNorm, UnetrConfig,
};
use serde_json::Value;
use tempfile::TempDir;

/// Every network of which there is a reference run.
pub(crate) const NAMES: [&str; 8] =
    ["unet", "unetr", "regunet", "regunet_decoder", "segnet", "deeplabv3plus", "segformer", "segformer_resnet"];

/// Named tensors: shape and values.
pub(crate) type Tensors = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

/// A reference run: a tiny network with random weights, and what the reference package computes from it. Both of its files are from
/// one folder: `baselines` in `SALT_PARITY_DIR` if that has them, else the copies beside the tests.
pub(crate) struct Reference {
    pub(crate) info: Value,
    pub(crate) tensors: Tensors,
}

impl Reference {
    pub(crate) fn read(name: &str) -> Self {
        let given = std::env::var_os("SALT_PARITY_DIR").map(|folder| PathBuf::from(folder).join("baselines"));
        match given {
            Some(given) if Self::files(&given, name).iter().all(|file| file.is_file()) => Self::open(&given, name),
            _ => Self::committed(name),
        }
    }

    /// The reference run beside the tests.
    pub(crate) fn committed(name: &str) -> Self {
        Self::open(&PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures"), name)
    }

    fn files(folder: &Path, name: &str) -> [PathBuf; 2] {
        ["json", "safetensors"].map(|kind| folder.join(format!("{name}.{kind}")))
    }

    fn open(folder: &Path, name: &str) -> Self {
        let [info, tensors] = Self::files(folder, name);
        Self { info: serde_json::from_slice(&std::fs::read(info).unwrap()).unwrap(), tensors: read(&tensors) }
    }

    /// The tiny network's configuration.
    pub(crate) fn config(&self) -> NetworkConfig {
        let info = &self.info["config"];
        let number = |key: &str| info[key].as_u64().unwrap() as usize;
        let resnet = || ResNetConfig {
            stem: info["resnet"]["stem"].as_u64().unwrap() as usize,
            planes: numbers(&info["resnet"]["planes"]).try_into().unwrap(),
            layers: numbers(&info["resnet"]["layers"]).try_into().unwrap(),
        };
        let four = |key: &str| numbers(&info[key]).try_into().unwrap();
        let architecture = match self.info["network"].as_str().unwrap() {
            "unet" => Architecture::UNet(UNetConfig {
                channels: numbers(&info["channels"]),
                norm: if info["norm"] == "BATCH" { UNetNorm::Batch } else { UNetNorm::Instance },
            }),
            "unetr" => Architecture::Unetr(UnetrConfig {
                feature_size: number("feature_size"),
                hidden_size: number("hidden_size"),
                mlp_dim: number("mlp_dim"),
                num_heads: number("num_heads"),
            }),
            "regunet" | "regunet_decoder" => Architecture::RegUNet(RegUNetConfig {
                channels: number("num_channel_initial"),
                depth: number("depth"),
                extract_levels: match &info["extract_levels"] {
                    Value::Null => vec![number("depth")],
                    levels => numbers(levels),
                },
            }),
            "segnet" => Architecture::SegNet(SegNetConfig { widths: numbers(&info["widths"]).try_into().unwrap() }),
            "deeplabv3plus" => Architecture::DeepLabV3Plus(DeepLabV3PlusConfig {
                encoder: resnet(),
                output_stride: number("encoder_output_stride"),
                decoder_channels: number("decoder_channels"),
                atrous_rates: numbers(&info["decoder_atrous_rates"]).try_into().unwrap(),
                dropout: 0.0,
            }),
            network @ ("segformer" | "segformer_smp") => Architecture::SegFormer(SegFormerConfig {
                widths: four("hidden_sizes"),
                depths: four("depths"),
                heads: four("num_attention_heads"),
                mlp_ratio: numbers(&info["mlp_ratios"])[0],
                reductions: four("sr_ratios"),
                decoder_channels: number("decoder_hidden_size"),
                flavour: match network {
                    "segformer" => SegFormerFlavour::Transformers,
                    _ => SegFormerFlavour::Smp,
                },
                ..SegFormerConfig::mit_b3()
            }),
            "segformer_resnet" => Architecture::SegFormerResNet(SegFormerResNetConfig {
                encoder: resnet(),
                decoder_channels: number("decoder_segmentation_channels"),
            }),
            other => panic!("no network {other}"),
        };
        let shape = numbers(&self.info["input_shape"]);
        NetworkConfig::new(architecture, shape[1], 1, [shape[2], shape[3]]).unwrap()
    }

    /// The tensors below a prefix, without it.
    pub(crate) fn group(&self, prefix: &str) -> Tensors {
        let inner = |(name, tensor): (&String, &_)| Some((name.strip_prefix(prefix)?.to_owned(), Clone::clone(tensor)));
        self.tensors.iter().filter_map(inner).collect()
    }

    pub(crate) fn weights(&self) -> Tensors {
        self.group("weights.")
    }

    pub(crate) fn tensor(&self, name: &str, device: &Device) -> Tensor<4> {
        let (shape, values) = &self.tensors[name];
        Tensor::from_data(TensorData::new(values.clone(), shape.clone()), device)
    }

    /// The tiny network, through a checkpoint file.
    pub(crate) fn network(&self, device: &Device) -> Network {
        let (_folder, path) = write(&self.weights());
        Checkpoint::open(path).unwrap().load(&self.config(), device).unwrap().0
    }
}

fn numbers(value: &Value) -> Vec<usize> {
    value.as_array().unwrap().iter().map(|number| number.as_u64().unwrap() as usize).collect()
}

/// The f32 tensors of a safetensors file.
pub(crate) fn read(path: &Path) -> Tensors {
    let bytes = std::fs::read(path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let tensors = file.tensors().into_iter().filter(|(_, view)| view.dtype() == Dtype::F32);
    tensors
        .map(|(name, view)| {
            let values = view.data().chunks_exact(4).map(|c| f32::from_le_bytes(c.try_into().unwrap())).collect();
            (name, (view.shape().to_vec(), values))
        })
        .collect()
}

/// Tensors as a file in a new folder.
pub(crate) fn write(tensors: &Tensors) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.safetensors");
    let bytes: Vec<(&String, &Vec<usize>, Vec<u8>)> = tensors
        .iter()
        .map(|(name, (shape, values))| (name, shape, values.iter().flat_map(|v| v.to_le_bytes()).collect()))
        .collect();
    let views = bytes
        .iter()
        .map(|(name, shape, data)| (name.as_str(), TensorView::new(Dtype::F32, shape.to_vec(), data).unwrap()));
    safetensors::serialize_to_file(views, None, &path).unwrap();
    (folder, path)
}

/// Everything that a network stores, by the reference package's names.
pub(crate) fn stored(network: &Network) -> Tensors {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("network.safetensors");
    network.save(&path).unwrap();
    read(&path)
}

/// A waving pattern, the same in every run.
pub(crate) fn pattern(dims: [usize; 4], device: &Device) -> Tensor<4> {
    let values: Vec<f32> =
        (0..dims.iter().product()).map(|i| (i as f32 * 0.37).sin() + (i as f32 * 0.011).cos()).collect();
    Tensor::from_data(TensorData::new(values, dims), device)
}

pub(crate) fn values(tensor: Tensor<4>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}
