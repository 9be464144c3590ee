//! The operations as an extension of Burn's backends.

use crate::ops::AdamW;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, backend_extension};

/// The operations, as a model calls them.
#[backend_extension(Flex, Autodiff)]
pub(crate) trait KernelBackend: Backend {
    #[allow(clippy::too_many_arguments, reason = "the terms of one sum")]
    fn kernel_linear(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        left: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        right: FloatTensor<Self>,
        first: FloatTensor<Self>,
        second: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        gelu: bool,
    ) -> FloatTensor<Self>;

    /// A convolution or a transposed one.
    fn kernel_conv2d(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        geometry: Geometry,
    ) -> FloatTensor<Self>;

    /// The output, and mean and variance of each channel.
    fn kernel_batch_norm(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        epsilon: f64,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);

    /// With given statistics; nothing is differentiated through it.
    fn kernel_batch_norm_by(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        mean: FloatTensor<Self>,
        variance: FloatTensor<Self>,
        epsilon: f64,
    ) -> FloatTensor<Self>;

    fn kernel_prelu(x: FloatTensor<Self>, slope: FloatTensor<Self>) -> FloatTensor<Self>;

    /// With the axes in another order, one element after the other.
    fn kernel_permute(x: FloatTensor<Self>, axes: Vec<usize>) -> FloatTensor<Self>;

    fn kernel_halve_by_maximum(map: FloatTensor<Self>) -> FloatTensor<Self>;

    fn kernel_gelu(x: FloatTensor<Self>) -> FloatTensor<Self>;

    fn kernel_layer_norm(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        epsilon: f64,
    ) -> FloatTensor<Self>;

    fn kernel_self_attention(
        qkv: FloatTensor<Self>,
        by_row: FloatTensor<Self>,
        by_column: FloatTensor<Self>,
        heads: usize,
    ) -> FloatTensor<Self>;

    fn kernel_cross_attention(
        query: FloatTensor<Self>,
        key: FloatTensor<Self>,
        value: FloatTensor<Self>,
        heads: usize,
    ) -> FloatTensor<Self>;

    /// The parameter and its two moments after a step.
    fn kernel_adamw(
        parameter: FloatTensor<Self>,
        first: FloatTensor<Self>,
        second: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        step: AdamW,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
}

/// How a convolution without groups goes over its input, along the height and along the width.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Geometry {
    pub(crate) stride: [usize; 2],
    pub(crate) padding: [(usize, usize); 2],
    pub(crate) dilation: [usize; 2],
    /// Each channel has a kernel of its own.
    pub(crate) is_depthwise: bool,
    /// Height and width of the maps that a transposed convolution makes, if it is one.
    pub(crate) transposed_to: Option<[usize; 2]>,
}

/// What the backward pass of a convolution reads.
#[derive(Clone, Debug)]
pub(crate) struct ConvolutionState<B: Backend> {
    /// The input, where the weight has a gradient.
    pub(crate) x: Option<FloatTensor<B>>,
    pub(crate) input: [usize; 4],
    pub(crate) weight: FloatTensor<B>,
    pub(crate) geometry: Geometry,
}

/// The tensors of a linear layer but its input.
#[derive(Clone, Debug)]
pub(crate) struct Terms<B: Backend> {
    pub(crate) weight: FloatTensor<B>,
    pub(crate) left: FloatTensor<B>,
    pub(crate) scale: FloatTensor<B>,
    pub(crate) right: FloatTensor<B>,
    pub(crate) first: FloatTensor<B>,
    pub(crate) second: FloatTensor<B>,
    pub(crate) bias: FloatTensor<B>,
}

/// What a linear layer makes of its sum, apart from a residual connection.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Activation {
    None,
    Gelu,
    /// With the sum beside it, which its gradient needs.
    GeluBesideSum,
}

/// A linear layer's output with the products inside it.
pub(crate) struct LinearOutput<B: Backend> {
    pub(crate) y: FloatTensor<B>,
    /// The sum, where the output is its GELU and it was to be kept.
    pub(crate) sum: Option<FloatTensor<B>>,
    /// `x L`.
    pub(crate) coordinates: Option<FloatTensor<B>>,
    /// `x A`.
    pub(crate) inner: Option<FloatTensor<B>>,
}

/// What the backward pass of a linear layer reads.
#[derive(Clone, Debug)]
pub(crate) struct LinearState<B: Backend> {
    /// The input, where a gradient is a product with it.
    pub(crate) x: Option<FloatTensor<B>>,
    /// The sum, where the output is its GELU.
    pub(crate) sum: Option<FloatTensor<B>>,
    pub(crate) terms: Terms<B>,
    pub(crate) coordinates: Option<FloatTensor<B>>,
    pub(crate) inner: Option<FloatTensor<B>>,
}

/// One value for each tensor of a linear layer that may have a gradient.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Each<T> {
    pub(crate) x: T,
    pub(crate) weight: T,
    pub(crate) scale: T,
    pub(crate) first: T,
    pub(crate) second: T,
    pub(crate) bias: T,
    pub(crate) residual: T,
}

/// The forward passes with what their backward passes need, and those.
pub(crate) trait KernelGradients: KernelBackend {
    fn linear_forward(
        x: FloatTensor<Self>,
        terms: &Terms<Self>,
        residual: FloatTensor<Self>,
        activation: Activation,
    ) -> LinearOutput<Self>;
    fn linear_gradients(
        state: LinearState<Self>,
        dy: FloatTensor<Self>,
        wanted: Each<bool>,
    ) -> Each<Option<FloatTensor<Self>>>;

    /// Gradients of the input, the weight and the bias, those that are wanted.
    fn conv2d_gradients(
        state: ConvolutionState<Self>,
        dy: FloatTensor<Self>,
        wanted: [bool; 3],
    ) -> [Option<FloatTensor<Self>>; 3];

    /// Gradients of the input, the weight and the bias.
    fn batch_norm_gradients(
        x: FloatTensor<Self>,
        statistics: [FloatTensor<Self>; 2],
        weight: FloatTensor<Self>,
        dy: FloatTensor<Self>,
        epsilon: f64,
    ) -> [FloatTensor<Self>; 3];

    /// Gradients of the input and the slope.
    fn prelu_gradients(x: FloatTensor<Self>, slope: FloatTensor<Self>, dy: FloatTensor<Self>)
    -> [FloatTensor<Self>; 2];

    fn halve_gradient(map: FloatTensor<Self>, dy: FloatTensor<Self>) -> FloatTensor<Self>;

    fn gelu_gradient(x: FloatTensor<Self>, dy: FloatTensor<Self>) -> FloatTensor<Self>;

    /// Gradients of the input, the weight and the bias.
    fn layer_norm_gradients(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        dy: FloatTensor<Self>,
        epsilon: f64,
        parameters: bool,
    ) -> (FloatTensor<Self>, Option<[FloatTensor<Self>; 2]>);

    /// The output and the logarithms of the sums of exponentials.
    fn self_attention_forward(
        qkv: FloatTensor<Self>,
        tables: [FloatTensor<Self>; 2],
        heads: usize,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);

    /// Gradients of `qkv` and of the two tables.
    fn self_attention_gradients(
        state: AttentionState<Self>,
        dy: FloatTensor<Self>,
        tables: bool,
    ) -> (FloatTensor<Self>, Option<[FloatTensor<Self>; 2]>);

    fn cross_attention_forward(qkv: [FloatTensor<Self>; 3], heads: usize) -> (FloatTensor<Self>, FloatTensor<Self>);

    /// Gradients of query, key and value.
    fn cross_attention_gradients(state: AttentionState<Self>, dy: FloatTensor<Self>) -> [FloatTensor<Self>; 3];
}

/// What the backward pass of an attention reads.
#[derive(Clone, Debug)]
pub(crate) struct AttentionState<B: Backend> {
    pub(crate) inputs: [FloatTensor<B>; 3],
    pub(crate) output: FloatTensor<B>,
    pub(crate) log_sum_exp: FloatTensor<B>,
    pub(crate) heads: usize,
}
