//! Norms with PyTorch's arithmetic and parameter names.

use burn::module::{Flag, Module, Param, RunningState};
use burn::nn::Initializer;
use burn::tensor::{Device, Tensor};
use burn_kernels::{batch_norm, batch_norm_train, layer_norm};

const EPSILON: f64 = 1e-5;
const MOMENTUM: f64 = 0.1;

/// Batch norm over `[batch, channels, height, width]` as PyTorch computes it.
///
/// On an autodiff device the statistics are those of the batch, and the running statistics move by a tenth towards them;
/// elsewhere, and where the layer is frozen, the running statistics are used. It differs from Burn's layer in one point:
/// the running variance takes up the unbiased variance, as in PyTorch (a factor of 2 where a channel has two values),
/// and is up to date as soon as the forward pass is over, so that a checkpoint taken between two steps holds it.
#[derive(Module, Debug)]
pub struct BatchNorm {
    /// Scale, `[channels]`, initially 1.
    pub weight: Param<Tensor<1>>,
    /// Shift, `[channels]`, initially 0.
    pub bias: Param<Tensor<1>>,
    /// Running mean, `[channels]`, initially 0; not trained.
    pub running_mean: RunningState<Tensor<1>>,
    /// Running variance, `[channels]`, initially 1; not trained.
    pub running_var: RunningState<Tensor<1>>,
    /// Off where the layer is frozen.
    pub training: Param<Flag>,
}

impl BatchNorm {
    /// A norm over `channels` channels.
    pub fn new(channels: usize, device: &Device) -> Self {
        Self {
            weight: Initializer::Ones.init([channels], device),
            bias: Initializer::Zeros.init([channels], device),
            running_mean: RunningState::new(Tensor::zeros([channels], device)),
            running_var: RunningState::new(Tensor::ones([channels], device)),
            training: Param::from_bool(true),
        }
    }

    /// `[batch, channels, height, width]` to the same shape.
    pub fn forward(&self, map: Tensor<4>) -> Tensor<4> {
        let device = map.device();
        let (weight, bias) = (self.weight.val(), self.bias.val());
        let mean = self.running_mean.value_sync().to_device(&device);
        let variance = self.running_var.value_sync().to_device(&device);
        if !(device.is_autodiff() && self.training.is_enabled()) {
            return batch_norm(map, weight, bias, [mean, variance], EPSILON);
        }
        let [batch, _, height, width] = map.dims();
        let values = (batch * height * width) as f64;
        let result = batch_norm_train(map, weight, bias, EPSILON);
        // The networks refuse single values; the maximum only keeps the quotient finite.
        let unbiased = result.variance * (values / (values - 1.0).max(1.0));
        advance(&self.running_mean, mean, result.mean);
        advance(&self.running_var, variance, unbiased);
        result.output
    }
}

/// Moves a running statistic by the momentum, visible at once.
fn advance(state: &RunningState<Tensor<1>>, old: Tensor<1>, new: Tensor<1>) {
    state.update((old * (1.0 - MOMENTUM) + new * MOMENTUM).detach());
    state.value_sync();
}

/// The norm of a convolution block: [`BatchNorm`], or an instance norm, which has no parameters.
#[derive(Module, Debug)]
pub(crate) struct ChannelNorm {
    pub(crate) batch: Option<BatchNorm>,
}

impl ChannelNorm {
    pub(crate) fn batch(channels: usize, device: &Device) -> Self {
        Self { batch: Some(BatchNorm::new(channels, device)) }
    }

    pub(crate) fn instance() -> Self {
        Self { batch: None }
    }

    pub(crate) fn forward(&self, map: Tensor<4>) -> Tensor<4> {
        match &self.batch {
            Some(norm) => norm.forward(map),
            None => instance_norm(map),
        }
    }
}

/// Every channel of every image to mean 0 and variance 1, in both modes, without parameters.
pub(crate) fn instance_norm(map: Tensor<4>) -> Tensor<4> {
    let dims @ [batch, channels, height, width] = map.dims();
    let device = map.device();
    let (planes, unit) = (batch * channels, Tensor::ones([batch * channels], &device));
    let flat = map.reshape([1, planes, height, width]);
    batch_norm_train(flat, unit, Tensor::zeros([planes], &device), EPSILON).output.reshape(dims)
}

/// `y = (x - mean) / sqrt(variance + epsilon) * weight + bias` over the last axis.
#[derive(Module, Debug)]
pub(crate) struct LayerNorm {
    pub(crate) weight: Param<Tensor<1>>,
    pub(crate) bias: Param<Tensor<1>>,
    epsilon: f64,
}

impl LayerNorm {
    pub(crate) fn new(width: usize, epsilon: f64, device: &Device) -> Self {
        Self {
            weight: Initializer::Ones.init([width], device),
            bias: Initializer::Zeros.init([width], device),
            epsilon,
        }
    }

    pub(crate) fn forward<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        layer_norm(input, self.weight.val(), self.bias.val(), self.epsilon)
    }
}
