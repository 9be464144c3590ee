//! Models, values and comparisons that the tests share.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{LayerNorm, LayerNormConfig, Linear, LinearConfig, PaddingConfig2d};
use burn::tensor::{DType, Device, Tensor, TensorData, activation::gelu};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The folder of golden files: `SALT_PARITY_DIR`, or the committed copy.
pub(crate) fn fixtures() -> PathBuf {
    std::env::var_os("SALT_PARITY_DIR").map_or_else(|| PathBuf::from(super::FIXTURES), PathBuf::from)
}

/// A model with everything that adapters meet: fused projections, a normalisation, a convolution.
#[derive(Module, Debug)]
pub(crate) struct Toy {
    pub(crate) qkv: Linear,
    pub(crate) norm: LayerNorm,
    pub(crate) proj: Linear,
    pub(crate) neck: Conv2d,
}

pub(crate) const WIDTH: usize = 8;

impl Toy {
    pub(crate) fn new(device: &Device) -> Self {
        let toy = Self {
            qkv: LinearConfig::new(WIDTH, 3 * WIDTH).init(device),
            norm: LayerNormConfig::new(WIDTH).init(device),
            proj: LinearConfig::new(WIDTH, WIDTH).init(device),
            neck: Conv2dConfig::new([WIDTH, 6], [3, 3])
                .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
                .init(device),
        };
        fill(toy, 3)
    }

    /// `x [batch, WIDTH, height, width]` to `[batch, 6, height, width]`.
    pub(crate) fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let [batch, channels, height, width] = x.dims();
        let tokens: Tensor<3> = x.reshape([batch, channels, height * width]).swap_dims(1, 2);
        let all = self.qkv.forward(tokens.clone());
        let parts = all.chunk(3, 2);
        let mixed = parts[0].clone() * burn::tensor::activation::sigmoid(parts[1].clone()) + parts[2].clone();
        let tokens = tokens + gelu(self.norm.forward(self.proj.forward(mixed)));
        self.neck.forward(tokens.swap_dims(1, 2).reshape([batch, channels, height, width]))
    }
}

/// A fixed batch.
pub(crate) fn batch(device: &Device) -> Tensor<4> {
    let values = values(2 * WIDTH * 5 * 4, 11, 1.0);
    Tensor::from_data(TensorData::new(values, [2, WIDTH, 5, 4]), device)
}

/// Fixed pseudo-random numbers in (-scale, scale).
pub(crate) fn values(count: usize, seed: u64, scale: f32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    (0..count)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            ((state >> 40) as f32 / (1u64 << 23) as f32 - 1.0) * scale
        })
        .collect()
}

/// Fills every parameter with fixed numbers, adapters included, so that no test depends on a random start.
pub(crate) fn fill<M: Module>(module: M, seed: u64) -> M {
    module.map(&mut Fill { path: Vec::new(), seed, only: "" })
}

/// Moves every adapter factor (never a basis) away from its start.
pub(crate) fn perturb<M: Module>(module: M, seed: u64) -> M {
    module.map(&mut Fill { path: Vec::new(), seed, only: ".peft." })
}

struct Fill {
    path: Vec<String>,
    seed: u64,
    only: &'static str,
}

impl ModuleMapper for Fill {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let path = self.path.join(".");
        if !path.contains(self.only) || path.contains(".basis.") {
            return param;
        }
        self.seed += 1;
        let seed = self.seed;
        let add = !self.only.is_empty();
        param.map(|tensor| {
            let (shape, device, tracked) = (tensor.shape(), tensor.device(), tensor.is_require_grad());
            let fixed = Tensor::from_data(
                TensorData::new(values(shape.num_elements(), seed, 0.4), shape),
                (&device, tensor.dtype()),
            );
            let value = if add { tensor.detach() + fixed } else { fixed };
            value.detach().set_require_grad(tracked)
        })
    }
}

/// The module in double precision.
pub(crate) fn in_doubles<M: Module>(module: M) -> M {
    struct Cast;
    impl ModuleMapper for Cast {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            param.map(|tensor| {
                let tracked = tensor.is_require_grad();
                tensor.detach().cast(DType::F64).detach().set_require_grad(tracked)
            })
        }
    }
    module.map(&mut Cast)
}

/// Every float value of a module by path.
pub(crate) fn state<M: Module>(module: &M) -> BTreeMap<String, TensorData> {
    struct Read {
        path: Vec<String>,
        out: BTreeMap<String, TensorData>,
    }
    impl ModuleVisitor for Read {
        fn enter_module(&mut self, name: &str, _: &str) {
            self.path.push(name.to_owned());
        }
        fn exit_module(&mut self, _: &str, _: &str) {
            self.path.pop();
        }
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.out.insert(self.path.join("."), param.base().into_data());
        }
    }
    let mut read = Read { path: Vec::new(), out: BTreeMap::new() };
    module.visit(&mut read);
    read.out
}

/// Sets values by path; every given path must exist.
pub(crate) fn set<M: Module>(module: M, values: BTreeMap<String, TensorData>) -> M {
    struct Write {
        path: Vec<String>,
        values: BTreeMap<String, TensorData>,
    }
    impl ModuleMapper for Write {
        fn enter_module(&mut self, name: &str, _: &str) {
            self.path.push(name.to_owned());
        }
        fn exit_module(&mut self, _: &str, _: &str) {
            self.path.pop();
        }
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            let Some(data) = self.values.remove(&self.path.join(".")) else { return param };
            param.map(|tensor| {
                assert_eq!(tensor.shape(), data.shape().clone(), "{}", self.path.join("."));
                let tracked = tensor.is_require_grad();
                Tensor::from_data(data, (&tensor.device(), tensor.dtype())).set_require_grad(tracked)
            })
        }
    }
    let mut write = Write { path: Vec::new(), values };
    let module = module.map(&mut write);
    assert!(write.values.is_empty(), "no such parameters: {:?}", write.values.keys());
    module
}

/// The gradient of every tracked parameter by path.
pub(crate) fn gradients<M: Module>(module: &M, grads: &burn::tensor::Gradients) -> BTreeMap<String, Vec<f64>> {
    struct Read<'a> {
        path: Vec<String>,
        grads: &'a burn::tensor::Gradients,
        out: BTreeMap<String, Vec<f64>>,
    }
    impl ModuleVisitor for Read<'_> {
        fn enter_module(&mut self, name: &str, _: &str) {
            self.path.push(name.to_owned());
        }
        fn exit_module(&mut self, _: &str, _: &str) {
            self.path.pop();
        }
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if let Some(grad) = param.base().grad(self.grads) {
                self.out.insert(self.path.join("."), doubles(grad.into_data()));
            }
        }
    }
    let mut read = Read { path: Vec::new(), grads, out: BTreeMap::new() };
    module.visit(&mut read);
    read.out
}

/// The values in double precision.
pub(crate) fn doubles(data: TensorData) -> Vec<f64> {
    data.convert::<f64>().try_into_vec::<f64>().expect("converted above")
}

/// `||a - b|| / ||b||`.
pub(crate) fn relative_error(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>().sqrt();
    let difference = norm(&mut a.iter().zip(b).map(|(a, b)| a - b));
    let size = norm(&mut b.iter().copied());
    if size == 0.0 { difference } else { difference / size }
}
