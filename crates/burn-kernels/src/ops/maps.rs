//! What acts on the channels of maps.

use burn::tensor::Tensor;
use burn::tensor::module::{
    BatchNormTrainOutput, batch_norm as burn_batch_norm, batch_norm_train as burn_batch_norm_train,
};

/// Batch normalisation of `x [batch, channels, height, width]` with the statistics of the batch itself, and those, which have no gradient:
/// the variance is divided by the number of values. `weight` and `bias` are `[channels]`.
pub fn batch_norm_train(x: Tensor<4>, weight: Tensor<1>, bias: Tensor<1>, epsilon: f64) -> BatchNormTrainOutput<4> {
    #[cfg(feature = "cpu")]
    if super::is_fused(&x) {
        return crate::fused::batch_norm_train(x, weight, bias, epsilon);
    }
    burn_batch_norm_train(x, weight, bias, epsilon)
}

/// Batch normalisation of `x [batch, channels, height, width]` with given statistics; `weight`, `bias`, `mean` and `variance` are
/// `[channels]`. On a CPU it is one operation where no gradient is recorded.
pub fn batch_norm(
    x: Tensor<4>,
    weight: Tensor<1>,
    bias: Tensor<1>,
    [mean, variance]: [Tensor<1>; 2],
    epsilon: f64,
) -> Tensor<4> {
    #[cfg(feature = "cpu")]
    if super::is_fused(&x) && !x.is_autodiff() {
        return crate::fused::batch_norm(x, weight, bias, [mean, variance], epsilon);
    }
    burn_batch_norm(x, weight, bias, mean, variance, epsilon)
}

/// `x` where it is positive, `slope x` elsewhere; `slope` is `[1]`.
///
/// # Panics
/// If there is more than one slope.
pub fn prelu<const D: usize>(x: Tensor<D>, slope: Tensor<1>) -> Tensor<D> {
    assert!(slope.dims() == [1], "slope: expected 1 value, found {:?}", slope.dims());
    #[cfg(feature = "cpu")]
    if super::is_fused(&x) {
        return crate::fused::prelu(x, slope);
    }
    burn::tensor::activation::prelu(x, slope)
}

/// The largest of every 2 x 2 cells, by channel: `map [batch, height, width, channels]` to `[batch, height / 2, width / 2, channels]`. The
/// gradient goes to the first of equal cells, row by row.
///
/// # Panics
/// If a side is odd.
pub fn halve_by_maximum(map: Tensor<4>) -> Tensor<4> {
    let [n, height, width, channels] = map.dims();
    assert!(height % 2 == 0 && width % 2 == 0, "expected even sides, found {height} x {width}");
    #[cfg(feature = "cpu")]
    if super::is_fused(&map) {
        return crate::fused::halve_by_maximum(map);
    }
    let [rows, columns] = [height / 2, width / 2];
    let cells = map.reshape([n, rows, 2, columns, 2, channels]);
    cells.max_dim(4).max_dim(2).reshape([n, rows, columns, channels])
}
