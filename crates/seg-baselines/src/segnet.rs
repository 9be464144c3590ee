//! SegNet (Badrinarayanan et al., 2017): VGG16's convolutions, and their mirror image on maps that are unpooled with the
//! places of the maxima.
//!
//! There is no reference package. The network follows the paper: batch norm and ReLU after every convolution but the last,
//! biases throughout. Keys are those of the usual ports (`conv11.weight`, `bn11.running_mean`, `conv53d.bias`). Maps are
//! unpooled to the size that they had, so sides need not be multiples of anything.
//!
//! Where two values of a window are equal up to rounding, which of them is the maximum depends on the order of additions: at
//! such places two backends (or two builds of PyTorch) give visibly different logits, and both are right.

use burn::module::Module;
use burn::nn::conv::Conv2d;
use burn::tensor::activation::relu;
use burn::tensor::module::max_pool2d_with_indices;
use burn::tensor::ops::MaxPoolOptions;
use burn::tensor::{Device, IndexingUpdateOp, Int, Tensor};
use burn_kernels::layer::conv2d;
use serde::{Deserialize, Serialize};

use crate::BaselineError;
use crate::checkpoint::Key;
use crate::config::{positive, statistics};
use crate::init::Rule;
use crate::nn::{BatchNorm, Conv, conv};

/// Convolutions per stage, as in VGG16.
const LAYERS: [usize; 5] = [2, 2, 3, 3, 3];
/// Five halvings have to leave a pixel.
pub(crate) const SMALLEST_SIDE: usize = 32;

/// The shape of a SegNet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SegNetConfig {
    /// Channels of the five stages. Default: 64, 128, 256, 512, 512.
    pub widths: [usize; 5],
}

impl Default for SegNetConfig {
    fn default() -> Self {
        Self { widths: [64, 128, 256, 512, 512] }
    }
}

impl SegNetConfig {
    pub(crate) fn validate(&self) -> Result<(), BaselineError> {
        self.widths.iter().try_for_each(|&width| positive("widths", width))
    }

    pub(crate) fn check(&self, batch: usize, size: [usize; 2], training: bool) -> Result<(), BaselineError> {
        let deepest = size.map(|side| side >> 4);
        if training { statistics("segnet", "batch norm of the fifth stage", batch, deepest, size) } else { Ok(()) }
    }

    /// `conv{stage}{layer}` and `bn{stage}{layer}`, counted from 1, with a `d` in the decoder.
    pub(crate) fn key(&self, path: &[&str]) -> Option<Key> {
        let [part, stage, index, layer, end] = path else { return None };
        let (stage, index) = (stage.parse::<usize>().ok()?, index.parse::<usize>().ok()?);
        let (number, suffix) = match *part {
            "encoder" => (index + 1, ""),
            // The decoder runs backwards.
            "decoder" => (LAYERS.get(stage)?.checked_sub(index)?, "d"),
            _ => return None,
        };
        let layer = if *layer == "norm" { "bn" } else { "conv" };
        Some(Key::plain(format!("{layer}{}{number}{suffix}.{end}", stage + 1)))
    }

    /// He's normal weights, as in the paper; biases start at zero.
    pub(crate) fn rule(&self, path: &[&str]) -> Rule {
        if path.last() == Some(&"bias") { Rule::Zero } else { Rule::KaimingNormalIn }
    }
}

#[derive(Module, Debug)]
struct Layer {
    conv: Conv2d,
    norm: Option<BatchNorm>,
}

impl Layer {
    fn new(from: usize, to: usize, is_last: bool, device: &Device) -> Self {
        let norm = (!is_last).then(|| BatchNorm::new(to, device));
        Self { conv: conv(Conv::k3(from, to), device), norm }
    }

    fn forward(&self, map: Tensor<4>) -> Tensor<4> {
        let map = conv2d(&self.conv, map);
        match &self.norm {
            Some(norm) => relu(norm.forward(map)),
            None => map,
        }
    }
}

/// The network: `[N, C, H, W]` to `[N, classes, H, W]`, any sides of at least 32.
#[derive(Module, Debug)]
pub(crate) struct SegNet {
    encoder: Vec<Vec<Layer>>,
    /// Stages as in the encoder, the layers of each in the order in which they run.
    decoder: Vec<Vec<Layer>>,
}

impl SegNet {
    pub(crate) fn new(config: &SegNetConfig, channels: usize, classes: usize, device: &Device) -> Self {
        let widths = config.widths;
        let encoder = |stage: usize| {
            let first = if stage == 0 { channels } else { widths[stage - 1] };
            let from = |layer| if layer == 0 { first } else { widths[stage] };
            (0..LAYERS[stage]).map(|layer| Layer::new(from(layer), widths[stage], false, device)).collect()
        };
        let decoder = |stage: usize| {
            let below = if stage == 0 { classes } else { widths[stage - 1] };
            let layer = |layer: usize| {
                let is_last = layer + 1 == LAYERS[stage];
                let to = if is_last { below } else { widths[stage] };
                Layer::new(widths[stage], to, is_last && stage == 0, device)
            };
            (0..LAYERS[stage]).map(layer).collect()
        };
        Self { encoder: (0..5).map(encoder).collect(), decoder: (0..5).map(decoder).collect() }
    }

    pub(crate) fn forward(&self, images: Tensor<4>) -> Tensor<4> {
        let mut pooled = Vec::with_capacity(self.encoder.len());
        let mut map = images;
        for stage in &self.encoder {
            map = stage.iter().fold(map, |map, layer| layer.forward(map));
            let [_, _, height, width] = map.dims();
            let (maxima, places) = max_pool2d_with_indices(map, MaxPoolOptions::new([2, 2]));
            pooled.push((places, [height, width]));
            map = maxima;
        }
        for (stage, (places, size)) in self.decoder.iter().zip(pooled).rev() {
            map = stage.iter().fold(unpool(map, places, size), |map, layer| layer.forward(map));
        }
        map
    }
}

/// Puts every value at its place (row * width + column) in a plane of zeros.
fn unpool(map: Tensor<4>, places: Tensor<4, Int>, [height, width]: [usize; 2]) -> Tensor<4> {
    let [batch, channels, rows, columns] = map.dims();
    let device = map.device();
    let flat = [batch, channels, rows * columns];
    // Windows do not overlap, so no place occurs twice and adding is writing.
    Tensor::<3>::zeros([batch, channels, height * width], &device)
        .scatter(2, places.reshape(flat), map.reshape(flat), IndexingUpdateOp::Add)
        .reshape([batch, channels, height, width])
}
