//! Layers answered by their adapters: the same output as the layer's own `forward`, in its cheapest exact form.
//!
//! Burn's reparameterization can only rewrite a weight, so a layer that knows nothing of adapters pays for building `W'` and, in training,
//! for the gradient of the whole `W'`. Models that call their layers through `burn_kernels::layer` are answered here, where the adapter is
//! known and both can be left out.

use crate::config::{Layout, SaltForm};
use crate::cost::{LinearForm, LinearShape, linear_form};
use crate::layer::{Adapter, AdapterSlot, Kind, Projector, Salt, Tail, Top, are_dismantled, diagonal_matrix};
use burn::module::Param;
use burn::nn::conv::Conv2d;
use burn::nn::{Linear, PaddingConfig2d};
use burn::tensor::Tensor;
use burn::tensor::activation::relu;
use burn::tensor::module::conv2d as convolve;
use burn::tensor::ops::ConvOptions;
use burn_kernels::layer::Answers;
use burn_kernels::{Ending, LinearTerms, Scaled};

/// The layers of this process are computed by their adapters from now on. Whoever makes a slot calls this.
pub(crate) fn answer_layers() {
    burn_kernels::layer::answer(Answers { linear: answer_linear, conv2d: answer_conv2d });
}

/// `layer(x)` in the form that the [cost model](crate::linear_cost) finds cheapest; none where that is the ordinary one.
///
/// Layers without an adapter, with adapted ranges of outputs or with DoRA take the ordinary way.
fn answer_linear(layer: &Linear, x: &Tensor<2>, ending: &Ending) -> Option<Tensor<2>> {
    let (kind, _) = whole(&layer.weight)?;
    let [inputs, outputs] = layer.weight.dims();
    let shape = LinearShape { tokens: x.dims()[0], inputs, outputs, training: x.is_autodiff() };
    match linear_form(&kind, shape) {
        LinearForm::Weight => None,
        form => adapted(layer, x.clone(), form, ending.clone()),
    }
}

/// The single active adapter that covers a whole weight.
fn whole<const D: usize>(weight: &Param<Tensor<D>>) -> Option<(Kind, &Adapter)> {
    let (spec, parts) = weight.reparameterization::<AdapterSlot>()?.active()?;
    match (spec.parts.as_slice(), parts) {
        ([part], [adapter])
            if part.len == crate::layer::outputs_inputs(spec.layout, weight.dims().as_slice())[0]
                && !are_dismantled() =>
        {
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
    let mut shape = x.shape();
    let [inputs, outputs] = layer.weight.dims();
    let y = adapted(layer, x.reshape([shape.num_elements() / inputs.max(1), inputs]), form, Ending::Sum)?;
    shape.as_mut_slice()[D - 1] = outputs;
    Some(y.reshape(shape))
}

/// A `Linear` is stored `[in, out]`, so the `left` of a basis is `V` and its `right` is `U^T`.
fn adapted(layer: &Linear, x: Tensor<2>, form: LinearForm, ending: Ending) -> Option<Tensor<2>> {
    let (_, adapter) = whole(&layer.weight)?;
    let bias = layer.bias.as_ref().map(Param::val);
    let terms = match form {
        LinearForm::Weight => return None,
        LinearForm::Activation => LinearTerms { weight: Some(layer.weight.base()), ..update(adapter)? },
        LinearForm::Folded => folded(adapter)?,
        LinearForm::Spectral => return spectral(adapter, x, bias, ending),
    };
    Some(burn_kernels::linear(x, LinearTerms { bias, ending, ..terms }))
}

/// What the adapter adds to `x W`.
fn update(adapter: &Adapter) -> Option<LinearTerms> {
    Some(match adapter {
        Adapter::Lora(lora) => {
            let (a, b) = (lora.a.val().transpose(), lora.b.val().transpose());
            let b = if lora.scale == 1.0 { b } else { b * lora.scale };
            LinearTerms { factors: Some((a, b)), ..LinearTerms::default() }
        }
        Adapter::Svd(svd) => {
            LinearTerms { scaled: Some(scaled(&svd.top, svd.top.change(svd.relu))), ..LinearTerms::default() }
        }
        Adapter::Salt(Salt { top, tail, form }) => LinearTerms {
            scaled: top.as_ref().map(|top| scaled(top, top.change(*form != SaltForm::Linear))),
            factors: tail.as_ref().map(|tail| tail_update(tail, *form)),
            ..LinearTerms::default()
        },
        Adapter::Projector(projector) => projector_terms(projector),
        Adapter::Dora(_) | Adapter::Full(_) | Adapter::Delta(_) => return None,
    })
}

fn scaled(top: &Top, scale: Tensor<1>) -> Scaled {
    Scaled { left: top.basis.left.val(), scale, right: top.basis.right.val() }
}

fn tail_update(tail: &Tail, form: SaltForm) -> (Tensor<2>, Tensor<2>) {
    match form {
        SaltForm::Paper => fold(tail, tail.clipped_core(Layout::InOut)),
        _ => {
            let (first, second) = tail.stored_factors(Layout::InOut);
            (product(tail.basis.left(), first), product(second, tail.basis.right()))
        }
    }
}

fn projector_terms(projector: &Projector) -> LinearTerms {
    LinearTerms {
        scaled: projector.top.as_ref().map(|top| scaled(top, top.change(false))),
        factors: Some(projector.projected(Layout::InOut)),
        ..LinearTerms::default()
    }
}

/// `L core R` as two factors, the core multiplied into the smaller side.
fn fold(tail: &Tail, core: Tensor<2>) -> (Tensor<2>, Tensor<2>) {
    let (left, right) = (tail.basis.left(), tail.basis.right());
    if left.dims()[0] <= right.dims()[1] { (product(left, core), right) } else { (left, product(core, right)) }
}

/// `a b` as the layer's own products are computed: in the precision that was chosen for them.
fn product(a: Tensor<2>, b: Tensor<2>) -> Tensor<2> {
    burn_kernels::linear(a, LinearTerms { weight: Some(b), ..LinearTerms::default() })
}

/// `f(alpha sigma + beta)`.
fn singular_values(top: &Top, with_relu: bool) -> Tensor<1> {
    let scaled = top.alpha.val() * top.basis.sigma.val() + top.beta.val();
    if with_relu { relu(scaled) } else { scaled }
}

/// `relu(diag(sigma) + X Y)`, or the same without a ReLU, in storage order.
fn core(tail: &Tail, form: SaltForm) -> Tensor<2> {
    let (first, second) = tail.stored_factors(Layout::InOut);
    let core = product(first, second) + diagonal_matrix(tail.basis.sigma.val());
    if form == SaltForm::Paper { relu(core) } else { core }
}

/// The singular coordinates alone, without `W`: the top block by its singular values, the rest with its core folded into the smaller side.
fn folded(adapter: &Adapter) -> Option<LinearTerms> {
    let Adapter::Salt(Salt { top, tail: Some(tail), form }) = adapter else { return None };
    Some(LinearTerms {
        scaled: top.as_ref().map(|top| scaled(top, singular_values(top, *form != SaltForm::Linear))),
        factors: Some(fold(tail, core(tail, *form))),
        ..LinearTerms::default()
    })
}

/// `((x V) S') U^T`.
fn spectral(adapter: &Adapter, x: Tensor<2>, bias: Option<Tensor<1>>, ending: Ending) -> Option<Tensor<2>> {
    let whole_diagonal = |top: &Top, with_relu, bias, ending| LinearTerms {
        scaled: Some(scaled(top, singular_values(top, with_relu))),
        bias,
        ending,
        ..LinearTerms::default()
    };
    match adapter {
        Adapter::Svd(svd) => Some(burn_kernels::linear(x, whole_diagonal(&svd.top, svd.relu, bias, ending))),
        Adapter::Salt(Salt { top, tail: Some(tail), form }) => {
            let coordinates = product(x.clone(), tail.basis.left.val());
            let mixed = match form {
                SaltForm::Paper => product(coordinates, core(tail, *form)),
                _ => {
                    let t = tail.basis.len();
                    let sigma = tail.basis.sigma.val().reshape([1, t]);
                    let factors = Some(tail.stored_factors(Layout::InOut));
                    let ending = Ending::Residual(coordinates.clone() * sigma);
                    burn_kernels::linear(coordinates, LinearTerms { factors, ending, ..LinearTerms::default() })
                }
            };
            let rest =
                |ending| LinearTerms { weight: Some(tail.basis.right.val()), bias, ending, ..LinearTerms::default() };
            Some(match top {
                Some(top) => {
                    let rest = Ending::Residual(burn_kernels::linear(mixed, rest(Ending::Sum)));
                    let with_relu = *form != SaltForm::Linear;
                    ending.applied_to(burn_kernels::linear(x, whole_diagonal(top, with_relu, None, rest)))
                }
                None => burn_kernels::linear(mixed, rest(ending)),
            })
        }
        // Nothing remains after the top block: it is the whole weight.
        Adapter::Salt(Salt { top: Some(top), tail: None, form }) if is_whole(top) => {
            Some(burn_kernels::linear(x, whole_diagonal(top, *form != SaltForm::Linear, bias, ending)))
        }
        _ => None,
    }
}

fn is_whole(top: &Top) -> bool {
    let ([inputs, r], [_, outputs]) = (top.basis.left.dims(), top.basis.right.dims());
    r == inputs.min(outputs)
}

/// `layer(x)` for `x [batch, in, height, width]`, with a LoRA as two convolutions where that is cheaper than its weight: the
/// layer's kernel to `rank` channels, then a 1x1 convolution to the outputs. The equation of PEFT's convolutional LoRA.
fn answer_conv2d(layer: &Conv2d, x: &Tensor<4>) -> Option<Tensor<4>> {
    let (kind @ Kind::Lora { .. }, _) = whole(&layer.weight)? else { return None };
    let [outputs, inputs, height, width] = layer.weight.dims();
    let kernel = inputs * height * width;
    let [batch, _, rows, columns] = x.dims();
    let pixels = batch * (rows / layer.stride[0].max(1)) * (columns / layer.stride[1].max(1));
    let shape = LinearShape { tokens: pixels, inputs: kernel, outputs, training: x.is_autodiff() };
    match linear_form(&kind, shape) {
        LinearForm::Weight => None,
        form => conv2d_by(layer, x.clone(), form),
    }
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
