//! Convolutions whose stride is their kernel, and their transposes, as matrix products.

use burn::nn::conv::{Conv2d, ConvTranspose2d};
use burn::tensor::Tensor;
use burn_kernels::{LinearTerms, linear, permute};

/// A non-overlapping convolution of a channels-first map: `[N, C, H, W]` to `[N, H / k, W / k, out]` (channels last).
pub(crate) fn patch_convolution(conv: &Conv2d, map: Tensor<4>) -> Tensor<4> {
    let [n, channels, height, width] = map.dims();
    let weight = conv.weight.val();
    let [out, _, kernel, _] = weight.dims();
    let (rows, columns, inputs) = (height / kernel, width / kernel, channels * kernel * kernel);
    let patches = permute(map.reshape([n, channels, rows, kernel, columns, kernel]), [0, 2, 4, 1, 3, 5]);
    let patches = patches.reshape([n * rows * columns, inputs]);
    let weight = weight.reshape([out, inputs]).transpose();
    let bias = conv.bias.as_ref().map(|bias| bias.val());
    product(patches, weight, bias).reshape([n, rows, columns, out])
}

/// A 1x1 convolution of rows: `[rows, in]` to `[rows, out]`.
pub(crate) fn pointwise_convolution(conv: &Conv2d, rows: Tensor<2>) -> Tensor<2> {
    let weight = conv.weight.val();
    let [out, inputs, _, _] = weight.dims();
    product(rows, weight.reshape([out, inputs]).transpose(), conv.bias.as_ref().map(|bias| bias.val()))
}

/// A 1x1 convolution of a channels-first map: `[N, in, h, w]` to `[N, out, h, w]`.
pub(crate) fn pointwise_map(conv: &Conv2d, map: Tensor<4>) -> Tensor<4> {
    let [n, channels, height, width] = map.dims();
    let rows = pointwise_convolution(conv, permute(map, [0, 2, 3, 1]).reshape([n * height * width, channels]));
    let [_, out] = rows.dims();
    permute(rows.reshape([n, height, width, out]), [0, 3, 1, 2])
}

/// A transposed convolution with kernel and stride 2, without its pixel shuffle: `[rows, in]` to `[rows * 4, out]`, the four
/// output pixels of a row in the order (top left, top right, bottom left, bottom right).
pub(crate) fn double_pixels(conv: &ConvTranspose2d, rows: Tensor<2>) -> Tensor<2> {
    let [count, _] = rows.dims();
    let weight = conv.weight.val();
    let [inputs, out, _, _] = weight.dims();
    let weight = permute(weight, [0, 2, 3, 1]).reshape([inputs, 4 * out]);
    let bias = conv.bias.as_ref().map(|bias| bias.val().repeat_dim(0, 4));
    product(rows, weight, bias).reshape([count * 4, out])
}

/// `rows weight + bias`.
fn product(rows: Tensor<2>, weight: Tensor<2>, bias: Option<Tensor<1>>) -> Tensor<2> {
    linear(rows, LinearTerms { weight: Some(weight), bias, ..LinearTerms::default() })
}
