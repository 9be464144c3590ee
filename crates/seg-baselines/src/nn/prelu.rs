//! A rectifier with one learned slope.

use burn::module::{Module, Param};
use burn::nn::Initializer;
use burn::tensor::{Device, Tensor};
use burn_kernels::prelu;

/// `max(0, x) + weight * min(0, x)`.
#[derive(Module, Debug)]
pub(crate) struct PRelu {
    /// One slope for all channels, `[1]`, initially a quarter.
    pub(crate) weight: Param<Tensor<1>>,
}

impl PRelu {
    pub(crate) fn new(device: &Device) -> Self {
        Self { weight: Initializer::Constant { value: 0.25 }.init([1], device) }
    }

    pub(crate) fn forward(&self, map: Tensor<4>) -> Tensor<4> {
        prelu(map, self.weight.val())
    }
}
