//! Random weights that depend on nothing but a number and the parameters' names.

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Tensor, TensorData};
use keyed_random::Stream;

use crate::network::{Network, body_path};
use crate::{Architecture, NetworkConfig};

/// How the values of a parameter are drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Rule {
    /// PyTorch's own: weights and biases uniform within `1 / sqrt(fan_in)`.
    TorchDefault,
    /// Zeros.
    Zero,
    /// Normal with this standard deviation.
    Normal(f64),
    /// He's normal for ReLU, by the number of inputs. This and what follows is for weights alone.
    KaimingNormalIn,
    /// He's normal for ReLU, by the number of outputs.
    KaimingNormalOut,
    /// He's uniform for ReLU, by the number of inputs.
    KaimingUniformIn,
    /// Glorot's uniform.
    Xavier,
}

/// A distribution with its numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Draw {
    Constant(f32),
    Uniform(f64),
    Normal(f64),
}

/// Gives every parameter of a network its own stream.
pub(crate) fn seed(network: Network, config: &NetworkConfig, seed: u64) -> Network {
    let architecture = &config.architecture;
    network.map(&mut Seeder { seed, architecture, path: Vec::new(), container: Vec::new(), fan_in: 1 })
}

struct Seeder<'a> {
    seed: u64,
    architecture: &'a Architecture,
    path: Vec<String>,
    container: Vec<String>,
    /// Of the layer whose weight was seen last; its bias comes next.
    fan_in: usize,
}

impl Seeder<'_> {
    fn draw(&mut self, path: &[&str], shape: &[usize]) -> Draw {
        let name = path.last().copied().unwrap_or_default();
        let container = self.container.last().map_or("", String::as_str);
        match container.strip_prefix("Struct:").unwrap_or(container) {
            "BatchNorm" | "LayerNorm" => {
                return Draw::Constant(if matches!(name, "weight" | "running_var") { 1.0 } else { 0.0 });
            }
            "PRelu" => return Draw::Constant(0.25),
            _ => {}
        }
        // A linear weight is [in, out]; a convolution's fan-in is its second axis times the kernel, in PyTorch also for the
        // transposed one.
        let field: usize = shape.iter().skip(2).product();
        let (inputs, outputs) = match shape {
            [inputs, outputs] => (*inputs, *outputs),
            [outputs, inputs, ..] => (inputs * field, outputs * field),
            _ => (self.fan_in, 1),
        };
        if name == "weight" {
            self.fan_in = inputs;
        }
        match self.architecture.rule(path) {
            Rule::TorchDefault => Draw::Uniform((self.fan_in as f64).sqrt().recip()),
            Rule::Zero => Draw::Constant(0.0),
            Rule::Normal(deviation) => Draw::Normal(deviation),
            Rule::KaimingNormalIn => Draw::Normal((2.0 / inputs as f64).sqrt()),
            Rule::KaimingNormalOut => Draw::Normal((2.0 / outputs as f64).sqrt()),
            Rule::KaimingUniformIn => Draw::Uniform((6.0 / inputs as f64).sqrt()),
            Rule::Xavier => Draw::Uniform((6.0 / (inputs + outputs) as f64).sqrt()),
        }
    }
}

impl ModuleMapper for Seeder<'_> {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.path.push(name.to_owned());
        self.container.push(container_type.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
        self.container.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let shape = param.lazy_shape().dims::<D>();
        let count: usize = shape.iter().product();
        let path = self.path.clone();
        let path = body_path(&path);
        let draw = self.draw(&path, &shape);
        let mut stream = Stream::seeded(self.seed, &path.join("."));
        let values: Vec<f32> = match draw {
            Draw::Constant(value) => vec![value; count],
            Draw::Uniform(bound) => (0..count).map(|_| stream.range(-bound, bound) as f32).collect(),
            Draw::Normal(deviation) => (0..count).map(|_| (stream.normal() * deviation) as f32).collect(),
        };
        let device = param.lazy_device();
        let id = param.id;
        param.transform_for_load(Tensor::from_data(TensorData::new(values, shape), &device), id)
    }
}
