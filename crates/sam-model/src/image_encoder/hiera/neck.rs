//! The neck: a feature pyramid.

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::tensor::{Device, Tensor};
use burn_kernels::permute;

use crate::SamConfig;
use crate::nn::pointwise_convolution;

/// A 1x1 convolution for each stage's end, the deepest first; the deepest map is also added to the one above it.
#[derive(Module, Debug)]
pub struct FpnNeck {
    /// The convolutions, deepest first.
    pub convs: Vec<FpnConv>,
}

/// One convolution of the pyramid (a level of its own in the checkpoints' names).
#[derive(Module, Debug)]
pub struct FpnConv {
    /// 1x1, with bias.
    pub conv: Conv2d,
}

impl FpnNeck {
    pub(super) fn new(config: &SamConfig, device: &Device) -> Self {
        let conv = |stage: usize| FpnConv {
            conv: Conv2dConfig::new([config.embed_dim << stage, config.output_channels], [1, 1]).init(device),
        };
        Self { convs: (0..4).rev().map(conv).collect() }
    }

    /// The ends of the stages, channels last and finest first, to maps `[N, C, h, w]` of their sizes.
    pub fn forward(&self, [first, second, third, fourth]: [Tensor<4>; 4]) -> [Tensor<4>; 4] {
        let deepest = self.convs[0].forward(fourth);
        let embedding = self.convs[1].forward(third) + double_nearest(deepest.clone());
        [self.convs[3].forward(first), self.convs[2].forward(second), embedding, deepest]
            .map(|map| permute(map, [0, 3, 1, 2]))
    }
}

impl FpnConv {
    /// `[N, h, w, in]` to `[N, h, w, out]`.
    fn forward(&self, map: Tensor<4>) -> Tensor<4> {
        let [n, height, width, channels] = map.dims();
        let out = pointwise_convolution(&self.conv, map.reshape([n * height * width, channels]));
        let [_, channels] = out.dims();
        out.reshape([n, height, width, channels])
    }
}

/// Every cell twice in both directions: `[N, h, w, C]` to `[N, 2h, 2w, C]`.
fn double_nearest(map: Tensor<4>) -> Tensor<4> {
    let [n, height, width, channels] = map.dims();
    map.reshape([n, height, 1, width, 1, channels]).expand([n, height, 2, width, 2, channels]).reshape([
        n,
        2 * height,
        2 * width,
        channels,
    ])
}
