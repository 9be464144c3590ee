//! Layers of modules, which an adapter may answer.

use crate::ops::{self, Ending, LinearTerms, gelu, is_fused, linear as linear_terms};
use burn::module::Param;
use burn::nn::conv::{Conv2d, ConvTranspose2d};
use burn::nn::{Linear, PaddingConfig2d};
use burn::tensor::Tensor;
use burn::tensor::ops::{ConvOptions, ConvTransposeOptions};
use std::sync::OnceLock;

/// How reparameterised weights compute their layers. Each function declines where it has nothing to do with the layer's weight, or where
/// the ordinary way is the cheapest.
#[derive(Clone, Copy, Debug)]
pub struct Answers {
    /// `layer(x)` for `x [rows, in]`, or what is made of it: `[rows, out]`.
    pub linear: fn(&Linear, &Tensor<2>, &Ending) -> Option<Tensor<2>>,
    /// `layer(x)` for `x [batch, in, height, width]`.
    pub conv2d: fn(&Conv2d, &Tensor<4>) -> Option<Tensor<4>>,
}

static ANSWERS: OnceLock<Answers> = OnceLock::new();

/// Lets `answers` compute layers, for the rest of the process. Only the first caller is heard; it must answer by what hangs on the weight
/// alone, so that a layer without it stays as it is.
///
/// Burn gives out what reparameterises a weight only to code that can name its type. A model crate cannot name an adapter's, so the crate
/// that attaches adapters registers here.
pub fn answer(answers: Answers) {
    ANSWERS.get_or_init(|| answers);
}

/// `layer.forward(x)` for `x [..., in]`: `[..., out]`, in the cheapest form that whoever answers for the weight knows.
pub fn linear<const D: usize>(layer: &Linear, x: Tensor<D>) -> Tensor<D> {
    ended(layer, x, Ending::Sum)
}

/// [`gelu`] of [`linear`], on a CPU as one operation.
pub fn linear_gelu<const D: usize>(layer: &Linear, x: Tensor<D>) -> Tensor<D> {
    if !is_fused(&x) {
        return gelu(linear(layer, x));
    }
    ended(layer, x, Ending::Gelu)
}

/// `residual [..., out]` plus [`linear`], on a CPU as one operation.
pub fn linear_onto<const D: usize>(layer: &Linear, x: Tensor<D>, residual: Tensor<D>) -> Tensor<D> {
    if !is_fused(&x) {
        // Not by way of rows: one operation more would sum the gradients of the residual connection in another order.
        return residual + linear(layer, x);
    }
    let [_, outputs] = layer.weight.dims();
    let rows = residual.shape().num_elements() / outputs.max(1);
    ended(layer, x, Ending::Residual(residual.reshape([rows, outputs])))
}

fn ended<const D: usize>(layer: &Linear, x: Tensor<D>, ending: Ending) -> Tensor<D> {
    let mut shape = x.shape();
    let [inputs, outputs] = layer.weight.dims();
    let rows: Tensor<2> = x.reshape([shape.num_elements() / inputs.max(1), inputs]);
    let answered = ANSWERS.get().and_then(|answers| (answers.linear)(layer, &rows, &ending));
    let y = answered.unwrap_or_else(|| {
        let bias = layer.bias.as_ref().map(Param::val);
        linear_terms(rows, LinearTerms { weight: Some(layer.weight.val()), bias, ending, ..LinearTerms::default() })
    });
    shape.as_mut_slice()[D - 1] = outputs;
    y.reshape(shape)
}

/// `layer.forward(x)` for `x [batch, in, height, width]`, in the cheapest form that whoever answers for the weight knows.
pub fn conv2d(layer: &Conv2d, x: Tensor<4>) -> Tensor<4> {
    if let Some(answer) = ANSWERS.get().and_then(|answers| (answers.conv2d)(layer, &x)) {
        return answer;
    }
    let padding = match layer.padding {
        PaddingConfig2d::Valid => [(0, 0), (0, 0)],
        PaddingConfig2d::Explicit(top, left, bottom, right) => [(top, bottom), (left, right)],
        // It follows from the size of the input, and no model here asks for it.
        PaddingConfig2d::Same => return layer.forward(x),
    };
    let options = ConvOptions::new_with_padding(layer.stride, padding, layer.dilation, layer.groups);
    ops::conv2d(x, layer.weight.val(), layer.bias.as_ref().map(Param::val), options)
}

/// `layer.forward(x)` for `x [batch, in, height, width]`.
pub fn conv_transpose2d(layer: &ConvTranspose2d, x: Tensor<4>) -> Tensor<4> {
    let ConvTranspose2d { stride, padding, padding_out, dilation, groups, .. } = *layer;
    let options = ConvTransposeOptions::new(stride, padding, padding_out, dilation, groups);
    ops::conv_transpose2d(x, layer.weight.val(), layer.bias.as_ref().map(Param::val), options)
}
