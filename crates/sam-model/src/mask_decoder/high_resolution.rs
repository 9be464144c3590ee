//! SAM 2's finer maps in the order in which the decoder keeps its pixels.

use burn::tensor::Tensor;
use burn_kernels::permute;

/// The maps as rows of pixels, cell of the embedding by cell, and within a cell as the doublings lay its pixels out.
#[derive(Debug, Clone)]
pub(crate) struct HighResolutionRows {
    /// `[1 or N, h * w * 4, C / 4]`.
    pub(crate) finer: Tensor<3>,
    /// `[1 or N, h * w * 16, C / 8]`.
    pub(crate) finest: Tensor<3>,
}

impl HighResolutionRows {
    /// From the maps `[N, C / 8, 4h, 4w]` and `[N, C / 4, 2h, 2w]`.
    pub(crate) fn new([finest, finer]: [Tensor<4>; 2], [height, width]: [usize; 2]) -> Self {
        let [n, channels, ..] = finer.dims();
        let finer = permute(finer.reshape([n, channels, height, 2, width, 2]), [0, 2, 4, 3, 5, 1]);
        let finer = finer.reshape([n, height * width * 4, channels]);
        let [n, channels, ..] = finest.dims();
        let finest = permute(finest.reshape([n, channels, height, 2, 2, width, 2, 2]), [0, 2, 5, 3, 6, 4, 7, 1]);
        let finest = finest.reshape([n, height * width * 16, channels]);
        Self { finer, finest }
    }
}
