//! Adapters: of this project and of Hugging Face PEFT.

use super::sha256;
use crate::parts::divided;
use crate::scratch::with_files;
use burn::module::{Module, ModuleMapper, Param};
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{LayerNorm, LayerNormConfig, Linear, LinearConfig};
use burn::tensor::{Device, Tensor, TensorData};
use salt_peft::{CONFIG_FILE, LoadOptions, WEIGHTS_FILE, load_adapter};
use serde_json::Value;

/// What adapters meet in a network: linear layers, a normalisation, a convolution.
#[derive(Module, Debug)]
pub(crate) struct Layers {
    first: Linear,
    norm: LayerNorm,
    second: Linear,
    neck: Conv2d,
}

impl Layers {
    pub(crate) fn new() -> Self {
        let device = Device::default();
        let layers = Self {
            first: LinearConfig::new(4, 6).init(&device),
            norm: LayerNormConfig::new(6).init(&device),
            second: LinearConfig::new(6, 3).init(&device),
            neck: Conv2dConfig::new([3, 2], [3, 3]).init(&device),
        };
        layers.map(&mut Fixed { next: 0 })
    }

    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        self.second.forward(self.norm.forward(self.first.forward(x)))
    }
}

/// Numbers that are the same in every process: an adapter of this project knows its base by them.
struct Fixed {
    next: u32,
}

impl ModuleMapper for Fixed {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|tensor| {
            let values: Vec<f32> = (0..tensor.shape().num_elements())
                .map(|_| {
                    self.next = self.next.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    (self.next >> 8) as f32 / (1 << 24) as f32 - 0.5
                })
                .collect();
            Tensor::from_data(TensorData::new(values, tensor.shape()), &tensor.device())
        })
    }
}

/// The configuration with the checksum of the weights that came with it: every change of the weights would end there otherwise.
pub(crate) fn with_checksum(config: &[u8], weights: &[u8]) -> Vec<u8> {
    let Ok(mut value) = serde_json::from_slice::<Value>(config) else { return config.to_vec() };
    let Some(section) = value.get_mut("salt_peft").and_then(Value::as_object_mut) else { return config.to_vec() };
    section.insert("weights_sha256".into(), sha256(weights).into());
    value.to_string().into_bytes()
}

pub(crate) fn adapter(bytes: &[u8]) {
    let [config, weights] = divided(bytes);
    let config = with_checksum(config, weights);
    with_files(&[(CONFIG_FILE, &config), (WEIGHTS_FILE, weights)], |folder| {
        match load_adapter(Layers::new(), folder, &LoadOptions::default()) {
            Err(error) => assert!(!error.to_string().is_empty()),
            Ok((model, report)) => {
                assert!(
                    !report.adapted.is_empty() || !report.trained.is_empty(),
                    "nothing was loaded, without an error"
                );
                let input =
                    Tensor::from_data(TensorData::new(vec![0.5f32, -0.25, 1.0, 0.0], [1, 4]), &Device::default());
                assert_eq!(model.forward(input).dims(), [1, 3]);
            }
        }
    });
}
