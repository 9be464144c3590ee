//! Writes adapters of the toy of `tests/fixtures/hf_peft.py` with the outputs that they give, for `benches/peers/hf_exchange.py`, which
//! loads them into Hugging Face PEFT and compares.
//!
//! `cargo run -p salt-peft --example exchange -- OUT`

use burn::module::{Module, ModuleMapper, Param};
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{Linear, LinearConfig, PaddingConfig2d};
use burn::tensor::activation::sigmoid;
use burn::tensor::{Device, Distribution, Tensor, TensorData};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use salt_peft::{AdapterConfig, AttachOptions, Method, Rank, SaveOptions, Slices, attach, save_adapter, to_lora};
use std::collections::BTreeMap;
use std::error::Error;
use std::path::PathBuf;

#[derive(Module, Debug)]
struct Block {
    qkv: Linear,
    proj: Linear,
}

#[derive(Module, Debug)]
struct Base {
    blocks: Vec<Block>,
    neck: Conv2d,
}

impl Base {
    fn read(file: &SafeTensors<'_>, device: &Device) -> Result<Self, Box<dyn Error>> {
        let data = |key: &str| -> Result<TensorData, Box<dyn Error>> {
            let view = file.tensor(key)?;
            let values: Vec<f32> =
                view.data().as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
            Ok(TensorData::new(values, view.shape().to_vec()))
        };
        let linear = |name: String| -> Result<Linear, Box<dyn Error>> {
            let mut layer = LinearConfig::new(1, 1).init(device);
            layer.weight =
                Param::from_tensor(Tensor::<2>::from_data(data(&format!("{name}.weight"))?, device).transpose());
            layer.bias = Some(Param::from_data(data(&format!("{name}.bias"))?, device));
            Ok(layer)
        };
        let blocks = (0..2)
            .map(|i| Ok(Block { qkv: linear(format!("blocks.{i}.qkv"))?, proj: linear(format!("blocks.{i}.proj"))? }))
            .collect::<Result<_, Box<dyn Error>>>()?;
        let padding = PaddingConfig2d::Explicit(1, 1, 1, 1);
        let mut neck = Conv2dConfig::new([12, 8], [3, 3]).with_padding(padding).with_bias(false).init(device);
        neck.weight = Param::from_data(data("neck.weight")?, device);
        Ok(Self { blocks, neck })
    }

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

/// Moves every factor away from its start, as training would.
struct Perturb {
    path: Vec<String>,
}

impl ModuleMapper for Perturb {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let path = self.path.join(".");
        if !path.contains(".peft.") || path.contains(".basis.") {
            return param;
        }
        param.map(|tensor| tensor.clone() + tensor.random_like(Distribution::Normal(0.0, 0.2)))
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let out = PathBuf::from(std::env::args().nth(1).ok_or("usage: exchange OUT")?);
    let device = Device::default();
    device.seed(5);
    let bytes = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/hf_peft/base.safetensors"))?;
    let base = Base::read(&SafeTensors::deserialize(&bytes)?, &device)?;
    let x = Tensor::<4>::random([2, 12, 5, 4], Distribution::Normal(0.0, 1.0), &device);
    let slices = BTreeMap::from([("qkv".to_owned(), Slices { parts: 3, adapt: vec![0, 2] })]);
    let ranks = BTreeMap::from([("blocks.1.qkv".to_owned(), 5)]);
    let configs = [
        ("lora", AdapterConfig::lora(3, 6.0)),
        ("rslora", AdapterConfig { rank_stabilized: true, ..AdapterConfig::lora(5, 7.0) }),
        ("biases", AdapterConfig::lora(3, 6.0).with_include(["qkv", "proj"]).with_train([r"qkv\.bias"])),
        ("dora", AdapterConfig::dora(3, 3.0).with_include(["qkv", "proj"])),
        ("dora_conv", AdapterConfig::dora(3, 4.0)),
        ("slices", AdapterConfig { slices: slices.clone(), ..AdapterConfig::lora(2, 3.0) }),
        ("dora_slices", AdapterConfig { slices, ..AdapterConfig::dora(2, 3.0) }.with_include(["qkv"])),
        (
            "pattern",
            AdapterConfig { lora_rank_pattern: ranks, ..AdapterConfig::lora(2, 4.0) }
                .with_include(["blocks"])
                .with_train(["neck"]),
        ),
        (
            "from_salt",
            AdapterConfig { svd_rank: Rank::Fixed(4), lora_rank: 2, method: Method::Salt, ..AdapterConfig::default() },
        ),
    ];
    let mut outputs = vec![("x".to_owned(), x.clone())];
    for (name, config) in configs {
        let (model, _) = attach(base.clone(), &config, &AttachOptions::default())?;
        let mut model = model.map(&mut Perturb { path: Vec::new() });
        if config.method == Method::Salt {
            model = to_lora(model, 12, "converted")?.0;
        }
        save_adapter(&model, out.join(name), &SaveOptions::default())?;
        outputs.push((format!("y_{name}"), model.forward(x.clone())));
    }
    let tensors = outputs
        .into_iter()
        .map(|(name, tensor)| {
            let shape = tensor.dims().to_vec();
            let values = tensor.into_data().try_into_vec::<f32>().map_err(|error| format!("{error:?}"))?;
            Ok((name, shape, values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>()))
        })
        .collect::<Result<Vec<_>, String>>()?;
    let views =
        tensors.iter().map(|(name, shape, bytes)| Ok((name, TensorView::new(Dtype::F32, shape.clone(), bytes)?)));
    let views = views.collect::<Result<Vec<_>, safetensors::SafeTensorError>>()?;
    std::fs::write(out.join("io.safetensors"), safetensors::serialize(views, None)?)?;
    Ok(())
}
