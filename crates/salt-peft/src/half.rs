//! Frozen weights in half precision, for devices that multiply in it.

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{DType, Tensor};

/// Rounds what a training reads and does not change to f16: the frozen weights of `Linear` layers, and the singular vectors of SALT and SVD
/// tuning. Returns the module and the bytes that this saves.
///
/// For layers that are called through `burn_kernels::layer` while its precision is `f16`: they round both factors of a product in any case,
/// so that their output is that of the same weights in `f32`. Everything trained, singular values, norms, biases, convolutions and
/// embeddings stay as they are. Effective weights (merging) come out in `f32`, with the rounding of their base in them: what a model
/// is used or saved with should be made of the exact base.
pub fn store_frozen_in_half<M: Module>(module: M) -> (M, usize) {
    let mut halver = Halver { path: Vec::new(), saved: 0 };
    let module = module.map(&mut halver);
    (module, halver.saved)
}

struct Halver {
    /// Names with the kind of module that they are a part of.
    path: Vec<(String, String)>,
    saved: usize,
}

impl Halver {
    fn is_factor(&self) -> bool {
        let Some((name, container)) = self.path.last() else { return false };
        let container = container.rsplit(':').next().unwrap_or(container);
        matches!((container, name.as_str()), ("Linear", "weight") | ("Basis", "left" | "right"))
    }
}

impl ModuleMapper for Halver {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.path.push((name.to_owned(), container_type.to_owned()));
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if !self.is_factor() || param.is_require_grad() || param.base().dtype() != DType::F32 {
            return param;
        }
        self.saved += 2 * param.base().shape().num_elements();
        param.map(|tensor| tensor.cast(DType::F16))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AdapterConfig, AttachOptions, attach};
    use burn::nn::{LayerNorm, LayerNormConfig, Linear, LinearConfig};
    use burn::tensor::Device;

    #[derive(Module, Debug)]
    struct Net {
        adapted: Linear,
        plain: Linear,
        norm: LayerNorm,
    }

    fn dtypes(net: &Net) -> [DType; 3] {
        [net.adapted.weight.base().dtype(), net.plain.weight.base().dtype(), net.norm.gamma.base().dtype()]
    }

    #[test]
    fn frozen_weights_and_singular_vectors_are_rounded_and_nothing_else() {
        let device = Device::flex();
        let net = || Net {
            adapted: LinearConfig::new(12, 8).init(&device),
            plain: LinearConfig::new(8, 8).init(&device),
            norm: LayerNormConfig::new(8).init(&device),
        };
        for config in [AdapterConfig::salt(3, 2), AdapterConfig::svd(), AdapterConfig::lora(2, 2.0)] {
            let with_vectors = config.method != crate::Method::Lora;
            let config = config.with_include(["adapted.weight$"]).with_train(["norm"]);
            let (exact, _) = attach(net(), &config, &AttachOptions::default()).unwrap();
            let (half, saved) = store_frozen_in_half(exact.clone());
            assert_eq!(dtypes(&half), [DType::F16, DType::F16, DType::F32]);
            assert_eq!(saved, 2 * (12 * 8 + 8 * 8 + if with_vectors { 8 * (12 + 8) } else { 0 }));
            assert_eq!(dtypes(&exact), [DType::F32; 3]);
            // What the two weigh together: the base rounded, and an update that changes nothing yet.
            let (found, expected) = (half.adapted.weight.val(), exact.adapted.weight.val());
            assert_eq!(found.dtype(), DType::F32);
            let apart = (found - expected.clone()).abs().max().into_scalar::<f32>();
            let largest = expected.abs().max().into_scalar::<f32>();
            assert!(apart > 0.0 && apart < 1e-3 * largest, "{config:?}: {apart} of {largest}");
        }
    }
}
