//! The operations on Burn's CPU backend, each with its own backward pass.
//!
//! [`backend`] declares them as an extension of Burn's backends, [`flex`] computes them with `cpu-kernels`, [`autodiff`] records what their
//! backward passes need. An absent tensor is one without elements: an operation has a fixed number of parents.

mod autodiff;
mod backend;
mod flex;
pub(crate) mod packed;

use crate::ops::{AdamW, Ending, Heads, LinearTerms, Moments, RelativeTables};
use backend::{Geometry, KernelBackend};
use burn::backend::{Dispatch, DispatchTensor};
use burn::tensor::module::BatchNormTrainOutput;
use burn::tensor::ops::{ConvOptions, ConvTransposeOptions};
use burn::tensor::{Device, Tensor};

pub(crate) fn linear(x: Tensor<2>, terms: LinearTerms) -> Tensor<2> {
    let device = x.device();
    let LinearTerms { weight, scaled, factors, bias, ending } = terms;
    let [rows, inputs] = x.dims();
    let mut outputs = None;
    let mut check = |name: &str, tensor: &Tensor<2>, first: Option<usize>| {
        let [height, width] = tensor.dims();
        let expected = [first.unwrap_or(height), outputs.unwrap_or(width)];
        assert!([height, width] == expected, "{name}: expected {expected:?}, found {:?}", [height, width]);
        outputs = Some(width);
    };
    if let Some(weight) = &weight {
        check("weight", weight, Some(inputs));
    }
    if let Some(scaled) = &scaled {
        check("right", &scaled.right, scaled.scale.dims().first().copied());
        let expected = [inputs, scaled.scale.dims()[0]];
        assert!(scaled.left.dims() == expected, "left: expected {expected:?}, found {:?}", scaled.left.dims());
    }
    if let Some((first, second)) = &factors {
        check("second factor", second, Some(first.dims()[1]));
        assert!(first.dims()[0] == inputs, "first factor: expected {inputs} rows, found {}", first.dims()[0]);
    }
    let outputs = outputs.expect("a linear layer has a weight, singular triplets or factors");
    if let Some(bias) = &bias {
        assert!(bias.dims() == [outputs], "bias: expected {outputs} values, found {:?}", bias.dims());
    }
    debug_assert!(rows > 0);
    let (gelu, residual) = match ending {
        Ending::Sum => (false, None),
        Ending::Gelu => (true, None),
        Ending::Residual(residual) => (false, Some(residual)),
    };
    if let Some(residual) = &residual {
        let expected = [rows, outputs];
        assert!(residual.dims() == expected, "residual: expected {expected:?}, found {:?}", residual.dims());
    }

    let (left, scale, right) = match scaled {
        Some(scaled) => (Some(scaled.left), Some(scaled.scale), Some(scaled.right)),
        None => (None, None, None),
    };
    let (first, second) = factors.unzip();
    Tensor::from_dispatch(<Dispatch as KernelBackend>::kernel_linear(
        x.into_dispatch(),
        present(weight, &device),
        present(left, &device),
        present(scale, &device),
        present(right, &device),
        present(first, &device),
        present(second, &device),
        present(bias, &device),
        present(residual, &device),
        gelu,
    ))
}

pub(crate) fn conv2d(x: Tensor<4>, weight: Tensor<4>, bias: Option<Tensor<1>>, options: ConvOptions<2>) -> Tensor<4> {
    let device = x.device();
    let ([_, inputs, height, width], [outputs, read, rows, columns]) = (x.dims(), weight.dims());
    let is_depthwise = options.groups > 1;
    let inputs = if is_depthwise { 1 } else { inputs };
    assert!(read == inputs, "weight: expected {inputs} channels of input, found {read}");
    if let Some(bias) = &bias {
        assert!(bias.dims() == [outputs], "bias: expected {outputs} values, found {:?}", bias.dims());
    }
    for (axis, side, kernel) in [(0, height, rows), (1, width, columns)] {
        let (before, behind) = options.padding[axis];
        let covered = options.dilation[axis] * (kernel - 1) + 1;
        let padded = side + before + behind;
        assert!(covered <= padded, "the kernel covers {covered} px, more than the {padded} px of the padded input");
    }
    let ConvOptions { stride, padding, dilation, .. } = options;
    let geometry = Geometry { stride, padding, dilation, is_depthwise, transposed_to: None };
    Tensor::from_dispatch(<Dispatch as KernelBackend>::kernel_conv2d(
        x.into_dispatch(),
        weight.into_dispatch(),
        present(bias, &device),
        geometry,
    ))
}

pub(crate) fn conv_transpose2d(
    x: Tensor<4>,
    weight: Tensor<4>,
    bias: Option<Tensor<1>>,
    options: ConvTransposeOptions<2>,
) -> Tensor<4> {
    let device = x.device();
    let ([_, inputs, height, width], [read, outputs, rows, columns]) = (x.dims(), weight.dims());
    assert!(read == inputs, "weight: expected {inputs} channels of input, found {read}");
    if let Some(bias) = &bias {
        assert!(bias.dims() == [outputs], "bias: expected {outputs} values, found {:?}", bias.dims());
    }
    let sides = [(height, rows), (width, columns)];
    let output = std::array::from_fn(|axis| {
        let (side, kernel) = sides[axis];
        let (stride, padding) = (options.stride[axis], options.padding[axis]);
        let padded = (side - 1) * stride + options.dilation[axis] * (kernel - 1) + 1 + options.padding_out[axis];
        assert!(padded > 2 * padding, "padding: {padding} px on both sides leave nothing of {padded}");
        padded - 2 * padding
    });
    let padding = options.padding.map(|padding| (padding, padding));
    let geometry = Geometry {
        stride: options.stride,
        padding,
        dilation: options.dilation,
        is_depthwise: false,
        transposed_to: Some(output),
    };
    Tensor::from_dispatch(<Dispatch as KernelBackend>::kernel_conv2d(
        x.into_dispatch(),
        weight.into_dispatch(),
        present(bias, &device),
        geometry,
    ))
}

pub(crate) fn batch_norm_train(
    x: Tensor<4>,
    weight: Tensor<1>,
    bias: Tensor<1>,
    epsilon: f64,
) -> BatchNormTrainOutput<4> {
    let channels = x.dims()[1];
    assert!(weight.dims() == [channels], "weight: expected {channels} values, found {:?}", weight.dims());
    assert!(bias.dims() == [channels], "bias: expected {channels} values, found {:?}", bias.dims());
    let (weight, bias) = (weight.into_dispatch(), bias.into_dispatch());
    let (output, mean, variance) =
        <Dispatch as KernelBackend>::kernel_batch_norm(x.into_dispatch(), weight, bias, epsilon);
    BatchNormTrainOutput {
        output: Tensor::from_dispatch(output),
        mean: Tensor::from_dispatch(mean),
        variance: Tensor::from_dispatch(variance),
    }
}

pub(crate) fn batch_norm(
    x: Tensor<4>,
    weight: Tensor<1>,
    bias: Tensor<1>,
    [mean, variance]: [Tensor<1>; 2],
    epsilon: f64,
) -> Tensor<4> {
    let channels = x.dims()[1];
    for (name, tensor) in [("weight", &weight), ("bias", &bias), ("mean", &mean), ("variance", &variance)] {
        assert!(tensor.dims() == [channels], "{name}: expected {channels} values, found {:?}", tensor.dims());
    }
    Tensor::from_dispatch(<Dispatch as KernelBackend>::kernel_batch_norm_by(
        x.into_dispatch(),
        weight.into_dispatch(),
        bias.into_dispatch(),
        mean.into_dispatch(),
        variance.into_dispatch(),
        epsilon,
    ))
}

pub(crate) fn prelu<const D: usize>(x: Tensor<D>, slope: Tensor<1>) -> Tensor<D> {
    Tensor::from_dispatch(<Dispatch as KernelBackend>::kernel_prelu(x.into_dispatch(), slope.into_dispatch()))
}

pub(crate) fn permute<const D: usize>(x: Tensor<D>, axes: [usize; D]) -> Tensor<D> {
    Tensor::from_dispatch(<Dispatch as KernelBackend>::kernel_permute(x.into_dispatch(), axes.to_vec()))
}

pub(crate) fn halve_by_maximum(map: Tensor<4>) -> Tensor<4> {
    Tensor::from_dispatch(<Dispatch as KernelBackend>::kernel_halve_by_maximum(map.into_dispatch()))
}

pub(crate) fn gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    Tensor::from_dispatch(<Dispatch as KernelBackend>::kernel_gelu(x.into_dispatch()))
}

pub(crate) fn layer_norm<const D: usize>(x: Tensor<D>, weight: Tensor<1>, bias: Tensor<1>, epsilon: f64) -> Tensor<D> {
    let width = x.dims()[D - 1];
    assert!(weight.dims() == [width], "weight: expected {width} values, found {:?}", weight.dims());
    assert!(bias.dims() == [width], "bias: expected {width} values, found {:?}", bias.dims());
    let (weight, bias) = (weight.into_dispatch(), bias.into_dispatch());
    Tensor::from_dispatch(<Dispatch as KernelBackend>::kernel_layer_norm(x.into_dispatch(), weight, bias, epsilon))
}

pub(crate) fn self_attention(qkv: Tensor<3>, heads: Heads, relative: Option<RelativeTables>) -> Tensor<3> {
    let device = qkv.device();
    let (by_row, by_column) = relative.map(|tables| (tables.by_row, tables.by_column)).unzip();
    Tensor::from_dispatch(<Dispatch as KernelBackend>::kernel_self_attention(
        qkv.into_dispatch(),
        present(by_row, &device),
        present(by_column, &device),
        heads.count,
    ))
}

pub(crate) fn cross_attention(query: Tensor<3>, key: Tensor<3>, value: Tensor<3>, heads: usize) -> Tensor<3> {
    let [batch, _, channels] = query.dims();
    let [_, keys, _] = key.dims();
    assert!(heads > 0 && channels % heads == 0, "heads: expected a divisor of {channels}, found {heads}");
    for (name, tensor) in [("key", &key), ("value", &value)] {
        let expected = [batch, keys, channels];
        assert!(tensor.dims() == expected, "{name}: expected {expected:?}, found {:?}", tensor.dims());
    }
    let (key, value) = (key.into_dispatch(), value.into_dispatch());
    Tensor::from_dispatch(<Dispatch as KernelBackend>::kernel_cross_attention(query.into_dispatch(), key, value, heads))
}

pub(crate) fn adamw<const D: usize>(step: &AdamW, moments: Moments<D>, gradient: Tensor<D>) -> Moments<D> {
    let Moments { parameter, first, second } = moments;
    let (parameter, first, second) = <Dispatch as KernelBackend>::kernel_adamw(
        parameter.into_dispatch(),
        first.into_dispatch(),
        second.into_dispatch(),
        gradient.into_dispatch(),
        *step,
    );
    let [parameter, first, second] = [parameter, first, second].map(Tensor::from_dispatch);
    Moments { parameter, first, second }
}

/// The tensor, or one without elements.
fn present<const D: usize>(tensor: Option<Tensor<D>>, device: &Device) -> DispatchTensor {
    match tensor {
        Some(tensor) => tensor.into_dispatch(),
        None => Tensor::<1>::zeros([0], device).into_dispatch(),
    }
}
