//! What acts on single values or single rows.

use burn::tensor::Tensor;

/// `x Phi(x)` with the exact error function: the GELU of Hendrycks and Gimpel (2016), not its approximation by a hyperbolic tangent.
pub fn gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    #[cfg(feature = "cpu")]
    if super::is_fused(&x) {
        return crate::fused::gelu(x);
    }
    crate::plain::gelu(x)
}

/// `(x - mean) / sqrt(variance + epsilon) * weight + bias` over the last dimension, `[..., width]`; `weight` and `bias` are `[width]`.
pub fn layer_norm<const D: usize>(x: Tensor<D>, weight: Tensor<1>, bias: Tensor<1>, epsilon: f64) -> Tensor<D> {
    #[cfg(feature = "cpu")]
    if super::is_fused(&x) {
        return crate::fused::layer_norm(x, weight, bias, epsilon);
    }
    crate::plain::layer_norm(x, weight, bias, epsilon)
}
