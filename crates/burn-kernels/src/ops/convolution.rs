//! Convolutions.

use burn::tensor::Tensor;
use burn::tensor::ops::{ConvOptions, ConvTransposeOptions};

/// The convolution of `x [batch, in, height, width]` with `weight [out, in / groups, kernel height, kernel width]`, plus `bias [out]`:
/// `[batch, out, height', width']`.
///
/// On a CPU it is computed as a product whose right factor is gathered from `x` on the way, and so are its gradients. Where each channel is a
/// group of its own (a depthwise convolution) rows are added to rows; other groups are Burn's.
///
/// # Panics
/// If shapes do not fit.
pub fn conv2d(x: Tensor<4>, weight: Tensor<4>, bias: Option<Tensor<1>>, options: ConvOptions<2>) -> Tensor<4> {
    #[cfg(feature = "cpu")]
    if super::is_fused(&x) {
        let channels = [x.dims()[1], weight.dims()[0]];
        if options.groups == 1 || channels == [options.groups; 2] {
            return crate::fused::conv2d(x, weight, bias, options);
        }
    }
    burn::tensor::module::conv2d(x, weight, bias, options)
}

/// The transposed convolution of `x [batch, in, height, width]` with `weight [in, out / groups, kernel height, kernel width]`, plus
/// `bias [out]`: `[batch, out, height', width']`. On a CPU as [`conv2d`].
///
/// # Panics
/// If shapes do not fit.
pub fn conv_transpose2d(
    x: Tensor<4>,
    weight: Tensor<4>,
    bias: Option<Tensor<1>>,
    options: ConvTransposeOptions<2>,
) -> Tensor<4> {
    // Pixels behind the last whole step are Burn's alone.
    #[cfg(feature = "cpu")]
    if super::is_fused(&x)
        && options.groups == 1
        && options.padding_out.iter().zip(&options.stride).all(|(out, stride)| out < stride)
    {
        return crate::fused::conv_transpose2d(x, weight, bias, options);
    }
    burn::tensor::module::conv_transpose2d(x, weight, bias, options)
}
