//! Adapter-aware layers for module authors who opt in: the same output as the layer's own `forward`, in its cheapest exact form.
//!
//! Burn's reparameterization can only rewrite a weight, so a layer that knows nothing of adapters pays for building `W'` and, in training,
//! for the gradient of the whole `W'`. These functions see the adapter and can leave both out.

use crate::config::{Layout, SaltForm};
use crate::cost::{LinearForm, LinearShape, linear_form};
use crate::layer::{Adapter, AdapterSlot, Kind, Lora, Projector, Salt, Tail, Top};
use burn::module::Param;
use burn::nn::conv::Conv2d;
use burn::nn::{Linear, PaddingConfig2d};
use burn::tensor::Tensor;
use burn::tensor::activation::relu;
use burn::tensor::module::conv2d as convolve;
use burn::tensor::ops::ConvOptions;

/// `layer.forward(x)` for `x [..., in]`, in the form that the [cost model](crate::linear_cost) finds cheapest.
///
/// Layers without an adapter, with adapted ranges of outputs or with DoRA take the ordinary way.
pub fn linear<const D: usize>(layer: &Linear, x: Tensor<D>) -> Tensor<D> {
    let Some((kind, _)) = whole(&layer.weight) else { return layer.forward(x) };
    let [inputs, outputs] = layer.weight.dims();
    let tokens = x.shape().num_elements() / inputs.max(1);
    let shape = LinearShape { tokens, inputs, outputs, training: x.is_autodiff() };
    linear_by(layer, x.clone(), linear_form(&kind, shape)).unwrap_or_else(|| layer.forward(x))
}

/// The single active adapter that covers a whole weight.
fn whole<const D: usize>(weight: &Param<Tensor<D>>) -> Option<(Kind, &Adapter)> {
    let (spec, parts) = weight.reparameterization::<AdapterSlot>()?.active()?;
    match (spec.parts.as_slice(), parts) {
        ([part], [adapter]) if part.len == crate::layer::outputs_inputs(spec.layout, weight.dims().as_slice())[0] => {
            Some((part.kind, adapter))
        }
        _ => None,
    }
}

/// `layer.forward(x)` in a given form; none where that form does not exist for the attached adapter.
pub fn linear_by<const D: usize>(layer: &Linear, x: Tensor<D>, form: LinearForm) -> Option<Tensor<D>> {
    if form == LinearForm::Weight {
        return Some(layer.forward(x));
    }
    let (_, adapter) = whole(&layer.weight)?;
    let shape = x.shape();
    let [inputs, outputs] = layer.weight.dims();
    let rows = shape.num_elements() / inputs.max(1);
    let flat: Tensor<2> = x.reshape([rows, inputs]);
    let mut y = match (form, adapter) {
        (LinearForm::Activation, adapter) => activation_update(adapter, flat.clone()).map(|update| {
            let base = flat.matmul(layer.weight.base());
            update.into_iter().fold(base, |sum, term| sum + term)
        }),
        (LinearForm::Spectral, adapter) => spectral_output(adapter, flat),
        (LinearForm::Weight, _) => None,
    }?;

    if let Some(bias) = &layer.bias {
        y = y + bias.val().reshape([1, outputs]);
    }
    let mut out = shape;
    out.as_mut_slice()[D - 1] = outputs;
    Some(y.reshape(out))
}

/// The terms that the adapter adds to `x W`; a `Linear` is stored `[in, out]`, so `left` is `V` and `right` is `U^T`.
fn activation_update(adapter: &Adapter, x: Tensor<2>) -> Option<Vec<Tensor<2>>> {
    Some(match adapter {
        Adapter::Lora(lora) => vec![low_rank(lora, x)],
        Adapter::Svd(svd) => vec![diagonal(&svd.top, svd.top.change(svd.relu), x)],
        Adapter::Salt(Salt { top, tail, form }) => {
            let mut terms = Vec::new();
            if let Some(top) = top {
                terms.push(diagonal(top, top.change(*form != SaltForm::Linear), x.clone()));
            }
            if let Some(tail) = tail {
                terms.push(tail_update(tail, *form, x));
            }
            terms
        }
        Adapter::Projector(projector) => projector_terms(projector, x),
        Adapter::Dora(_) | Adapter::Full(_) | Adapter::Delta(_) => return None,
    })
}

fn low_rank(lora: &Lora, x: Tensor<2>) -> Tensor<2> {
    let small = x.matmul(lora.a.val().transpose());
    let small = if lora.scale == 1.0 { small } else { small * lora.scale };
    small.matmul(lora.b.val().transpose())
}

fn diagonal(top: &Top, change: Tensor<1>, x: Tensor<2>) -> Tensor<2> {
    let r = top.basis.len();
    (x.matmul(top.basis.left.val()) * change.reshape([1, r])).matmul(top.basis.right.val())
}

fn tail_update(tail: &Tail, form: SaltForm, x: Tensor<2>) -> Tensor<2> {
    let (left, right) = (tail.basis.left.val(), tail.basis.right.val());
    match form {
        SaltForm::Paper => x.matmul(left).matmul(tail.clipped_core(Layout::InOut)).matmul(right),
        _ => {
            let (first, second) = tail.stored_factors(Layout::InOut);
            x.matmul(left.matmul(first)).matmul(second.matmul(right))
        }
    }
}

fn projector_terms(projector: &Projector, x: Tensor<2>) -> Vec<Tensor<2>> {
    let (first, second) = projector.projected(Layout::InOut);
    let mut terms = vec![x.clone().matmul(first).matmul(second)];
    if let Some(top) = &projector.top {
        terms.push(diagonal(top, top.change(false), x));
    }
    terms
}

/// `((x V) S') U^T`.
fn spectral_output(adapter: &Adapter, x: Tensor<2>) -> Option<Tensor<2>> {
    let singular_values = |top: &Top, with_relu: bool| {
        let scaled = top.alpha.val() * top.basis.sigma.val() + top.beta.val();
        if with_relu { relu(scaled) } else { scaled }
    };
    match adapter {
        Adapter::Svd(svd) => Some(diagonal(&svd.top, singular_values(&svd.top, svd.relu), x)),
        Adapter::Salt(Salt { top, tail: Some(tail), form }) => {
            let coordinates = x.clone().matmul(tail.basis.left.val());
            let t = tail.basis.len();
            let (first, second) = tail.stored_factors(Layout::InOut);
            let sigma = tail.basis.sigma.val();
            let mixed = match form {
                SaltForm::Paper => {
                    // The core of clipped_core, without taking the diagonal off again.
                    let diagonal = crate::layer::diagonal_matrix(sigma);
                    coordinates.matmul(relu(first.matmul(second) + diagonal))
                }
                _ => coordinates.clone() * sigma.reshape([1, t]) + coordinates.matmul(first).matmul(second),
            };
            let rest = mixed.matmul(tail.basis.right.val());
            Some(match top {
                Some(top) => diagonal(top, singular_values(top, *form != SaltForm::Linear), x) + rest,
                None => rest,
            })
        }
        // Nothing remains after the top block: it is the whole weight.
        Adapter::Salt(Salt { top: Some(top), tail: None, form }) if is_whole(top) => {
            Some(diagonal(top, singular_values(top, *form != SaltForm::Linear), x))
        }
        _ => None,
    }
}

fn is_whole(top: &Top) -> bool {
    let ([inputs, r], [_, outputs]) = (top.basis.left.dims(), top.basis.right.dims());
    r == inputs.min(outputs)
}

/// `layer.forward(x)` for `x [batch, in, height, width]`, with a LoRA as two convolutions where that is cheaper than its weight: the
/// layer's kernel to `rank` channels, then a 1x1 convolution to the outputs. The equation of PEFT's convolutional LoRA.
pub fn conv2d(layer: &Conv2d, x: Tensor<4>) -> Tensor<4> {
    let [outputs, inputs, height, width] = layer.weight.dims();
    let kernel = inputs * height * width;
    let Some((kind @ Kind::Lora { .. }, _)) = whole(&layer.weight) else { return layer.forward(x) };
    let [batch, _, rows, columns] = x.dims();
    let pixels = batch * (rows / layer.stride[0].max(1)) * (columns / layer.stride[1].max(1));
    let shape = LinearShape { tokens: pixels, inputs: kernel, outputs, training: x.is_autodiff() };
    conv2d_by(layer, x.clone(), linear_form(&kind, shape)).unwrap_or_else(|| layer.forward(x))
}

/// `layer.forward(x)` in a given form; none where that form does not exist for the attached adapter or layer.
pub fn conv2d_by(layer: &Conv2d, x: Tensor<4>, form: LinearForm) -> Option<Tensor<4>> {
    if form == LinearForm::Weight {
        return Some(layer.forward(x));
    }
    let (LinearForm::Activation, 1, Some((_, Adapter::Lora(lora)))) = (form, layer.groups, whole(&layer.weight)) else {
        return None;
    };
    let [outputs, inputs, kernel_height, kernel_width] = layer.weight.dims();
    let rank = lora.a.dims()[0];
    let (vertical, horizontal) = match layer.padding {
        PaddingConfig2d::Valid => ((0, 0), (0, 0)),
        PaddingConfig2d::Explicit(top, left, bottom, right) => ((top, bottom), (left, right)),
        PaddingConfig2d::Same => return None,
    };
    let options = ConvOptions::new_with_padding(layer.stride, [vertical, horizontal], layer.dilation, 1);
    let base = convolve(x.clone(), layer.weight.base(), layer.bias.as_ref().map(Param::val), options.clone());
    let down: Tensor<4> = lora.a.val().reshape([rank, inputs, kernel_height, kernel_width]);
    let up: Tensor<4> = lora.b.val().reshape([outputs, rank, 1, 1]);
    let small = convolve(x, down, None, options);
    let small = if lora.scale == 1.0 { small } else { small * lora.scale };
    Some(base + convolve(small, up, None, ConvOptions::new([1, 1], [0, 0], [1, 1], 1)))
}
