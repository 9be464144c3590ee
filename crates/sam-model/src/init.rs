//! Random weights that depend on nothing but a number.

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, Tensor, TensorData};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use rand_distr::{Distribution, StandardNormal, Uniform};

use crate::{Sam, SamConfig, SamError, TextAffine};

impl SamConfig {
    /// A model whose random weights depend only on `seed` and the parameters' names: the same bits on every machine, in
    /// every order of use, and a parameter of the same name and shape in a deeper model gets the same weights.
    ///
    /// Distributions are those of the original (PyTorch's defaults): linear and convolution weights and biases uniform in
    /// plus or minus `1 / sqrt(fan_in)`, embeddings and position frequencies standard normal, norms one and zero, positions
    /// zero.
    ///
    /// # Errors
    /// As [`init`](Self::init).
    pub fn init_seeded(&self, seed: u64, device: &Device) -> Result<Sam, SamError> {
        let model = self.init(device)?;
        Ok(model.map(&mut Seeder { seed, path: Vec::new(), containers: Vec::new(), fan_in: 1 }))
    }
}

impl TextAffine {
    /// The same layer with initial values that depend only on `seed`, as [`SamConfig::init_seeded`] draws them.
    #[must_use]
    pub fn seeded(self, seed: u64) -> Self {
        let path = vec!["prompt".to_owned(), "text_affine".to_owned()];
        self.map(&mut Seeder { seed, path, containers: Vec::new(), fan_in: 1 })
    }
}

struct Seeder {
    seed: u64,
    path: Vec<String>,
    containers: Vec<String>,
    /// Of the layer whose weight was seen last; its bias comes next.
    fan_in: usize,
}

/// How a parameter is drawn.
#[derive(Debug, Clone, Copy)]
enum Draw {
    Constant(f32),
    Uniform(f32),
    Normal,
}

impl Seeder {
    fn draw(&mut self, shape: &[usize]) -> Draw {
        let container = self.containers.last().map_or("", String::as_str);
        let name = self.path.last().map_or("", String::as_str);
        match container.strip_prefix("Struct:").unwrap_or(container) {
            "LayerNorm" | "TextNorm" => {
                Draw::Constant(if matches!(name, "weight" | "running_var") { 1.0 } else { 0.0 })
            }
            "Linear" | "Conv2d" | "ConvTranspose2d" => {
                if name == "weight" {
                    // A linear weight is [in, out]; a convolution's fan-in is its second axis times the kernel, in PyTorch
                    // also for the transposed one.
                    self.fan_in = if shape.len() == 2 { shape[0] } else { shape[1..].iter().product() };
                }
                Draw::Uniform((self.fan_in as f32).sqrt().recip())
            }
            "Embedding" | "PositionEncoding" => Draw::Normal,
            _ => Draw::Constant(0.0),
        }
    }

    /// The stream of one parameter.
    fn generator(&self) -> ChaCha8Rng {
        // FNV-1a over the path: short, and the same everywhere.
        let mut hash = 0xcbf2_9ce4_8422_2325u64;
        for byte in self.path.join(".").bytes() {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        let mut generator = ChaCha8Rng::seed_from_u64(self.seed);
        generator.set_stream(hash);
        generator
    }
}

impl ModuleMapper for Seeder {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.path.push(name.to_owned());
        self.containers.push(container_type.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
        self.containers.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let shape = param.lazy_shape().dims::<D>();
        let count: usize = shape.iter().product();
        let draw = self.draw(&shape);
        let mut generator = self.generator();
        let values: Vec<f32> = match draw {
            Draw::Constant(value) => vec![value; count],
            Draw::Uniform(bound) => match Uniform::new_inclusive(-bound, bound) {
                Ok(uniform) => uniform.sample_iter(&mut generator).take(count).collect(),
                Err(_) => vec![0.0; count],
            },
            Draw::Normal => StandardNormal.sample_iter(&mut generator).take(count).collect(),
        };
        let device = param.lazy_device();
        let id = param.id;
        param.transform_for_load(Tensor::from_data(TensorData::new(values, shape), &device), id)
    }
}
