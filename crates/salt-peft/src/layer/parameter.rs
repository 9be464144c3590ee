//! Parameters of adapters: trained or frozen from the start.

use burn::module::{Param, ParamId};
use burn::tensor::Tensor;

/// A parameter that is never trained.
pub(crate) fn frozen<const D: usize>(id: ParamId, value: Tensor<D>) -> Param<Tensor<D>> {
    Param::initialized(id, value).set_require_grad(false)
}

/// A parameter that is trained as soon as the module is on an autodiff device.
pub(crate) fn trained<const D: usize>(id: ParamId, value: Tensor<D>) -> Param<Tensor<D>> {
    Param::initialized(id, value).set_require_grad(true)
}
