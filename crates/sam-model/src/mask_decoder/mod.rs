//! The mask decoder: prompt tokens and image embedding to mask logits and quality estimates.

mod attention;
mod transformer;

pub use attention::DecoderAttention;
pub use transformer::{DecoderMlp, TwoWayBlock, TwoWayTransformer};

use burn::module::Module;
use burn::nn::conv::{ConvTranspose2d, ConvTranspose2dConfig};
use burn::nn::{Embedding, EmbeddingConfig, Gelu};
use burn::tensor::{Device, Tensor};
use burn_kernels::gelu;

use crate::nn::{LayerNorm, Mlp, double_pixels};
use crate::{SamConfig, SamVariant};

/// Doubling, norm, GELU, doubling, GELU; the places in the tuple are the indices of the checkpoint's keys.
pub type OutputUpscaling = (ConvTranspose2d, LayerNorm, Gelu, ConvTranspose2d, Gelu);

/// Two-way transformer, upscaling and the heads of the mask and IoU tokens.
#[derive(Module, Debug)]
pub struct MaskDecoder {
    /// Attention between tokens and image.
    pub transformer: TwoWayTransformer,
    /// The token that estimates the masks' quality, `[1, C]`.
    pub iou_token: Embedding,
    /// One token per mask, `[masks, C]`: the single answer first, then the multimask ones.
    pub mask_tokens: Embedding,
    /// From the embedding's grid to four times its resolution.
    pub output_upscaling: OutputUpscaling,
    /// Per mask, from its token to the weights of its pixel classifier.
    pub output_hypernetworks_mlps: Vec<Mlp>,
    /// From the IoU token to one estimate per mask.
    pub iou_prediction_head: Mlp,
    #[module(skip)]
    variant: SamVariant,
}

/// The decoder's answer to a batch of prompts.
#[derive(Debug, Clone)]
pub struct MaskPrediction {
    /// Mask logits at four times the embedding's grid, `[N, masks, 4h, 4w]`; above zero is foreground.
    pub low_resolution: Tensor<4>,
    /// Estimated intersection over union of each mask, `[N, masks]`.
    pub iou: Tensor<2>,
}

impl MaskDecoder {
    pub(crate) fn new(config: &SamConfig, device: &Device) -> Self {
        let channels = config.output_channels;
        let masks = config.num_multimask_outputs + 1;
        let doubling = |from, to| ConvTranspose2dConfig::new([from, to], [2, 2]).with_stride([2, 2]).init(device);
        Self {
            transformer: TwoWayTransformer::new(config, device),
            iou_token: EmbeddingConfig::new(1, channels).init(device),
            mask_tokens: EmbeddingConfig::new(masks, channels).init(device),
            output_upscaling: (
                doubling(channels, channels / 4),
                LayerNorm::new(channels / 4, 1e-6, device),
                Gelu::new(),
                doubling(channels / 4, channels / 8),
                Gelu::new(),
            ),
            output_hypernetworks_mlps: (0..masks)
                .map(|_| Mlp::new(channels, channels, channels / 8, 3, device))
                .collect(),
            iou_prediction_head: Mlp::new(channels, config.iou_head_hidden_dim, masks, config.iou_head_depth, device),
            variant: config.variant,
        }
    }

    /// Decodes `N` prompts.
    ///
    /// - `embedding`: `[1, C, h, w]` (one image for all prompts) or `[N, C, h, w]`;
    /// - `positions`: the grid's positional encoding, `[1, h * w, C]`;
    /// - `sparse`: `[N, tokens, C]`, `None` for no tokens beside the decoder's own;
    /// - `dense`: `[N, C, h, w]` or `[1, C, 1, 1]`, ignored by [`SamVariant::Paper`];
    /// - `multimask`: the multimask answers instead of the single one.
    pub fn forward(
        &self,
        embedding: Tensor<4>,
        positions: Tensor<3>,
        sparse: Option<Tensor<3>>,
        dense: Tensor<4>,
        count: usize,
        multimask: bool,
    ) -> MaskPrediction {
        let [_, channels, height, width] = embedding.dims();
        let source = match self.variant {
            SamVariant::Sam => embedding + dense,
            SamVariant::Paper => embedding,
        };
        let [batch, ..] = source.dims();
        let source = source.permute([0, 2, 3, 1]).reshape([batch, height * width, channels]);
        let source = if batch == count { source } else { source.expand([count, height * width, channels]) };

        let own = Tensor::cat(vec![self.iou_token.weight.val(), self.mask_tokens.weight.val()], 0);
        let [own_count, _] = own.dims();
        let own = own.unsqueeze::<3>().expand([count, own_count, channels]);
        let tokens = match sparse {
            Some(sparse) => Tensor::cat(vec![own, sparse], 1),
            None => own,
        };
        let (tokens, source) = self.transformer.forward(source, positions, tokens);

        let masks = self.output_hypernetworks_mlps.len();
        let chosen = if multimask { 1..masks } else { 0..1 };
        let classifiers: Vec<Tensor<3>> = chosen
            .clone()
            .map(|mask| self.output_hypernetworks_mlps[mask].forward(tokens.clone().narrow(1, 1 + mask, 1)))
            .collect();
        let classifiers = Tensor::cat(classifiers, 1);
        let low_resolution = self.masks(source, classifiers, [height, width]);
        let iou_token = tokens.narrow(1, 0, 1).reshape([count, channels]);
        let iou = self.iou_prediction_head.forward(iou_token).narrow(1, chosen.start, chosen.len());
        MaskPrediction { low_resolution, iou }
    }

    /// `[N, h * w, C]` and classifiers `[N, masks, C / 8]` to `[N, masks, 4h, 4w]`.
    ///
    /// Both doublings, the norm and the GELUs work pixel by pixel, so the pixels are put in their places once, at the
    /// end, when only one channel per mask is left.
    fn masks(&self, source: Tensor<3>, classifiers: Tensor<3>, [height, width]: [usize; 2]) -> Tensor<4> {
        let [count, cells, channels] = source.dims();
        let [_, masks, features] = classifiers.dims();
        let layers = &self.output_upscaling;
        let x = double_pixels(&layers.0, source.reshape([count * cells, channels]));
        let x = gelu(layers.1.forward(x));
        let x = gelu(double_pixels(&layers.3, x));
        let pixels = x.reshape([count, cells * 16, features]);
        classifiers
            .matmul(pixels.swap_dims(1, 2))
            .reshape([count, masks, height, width, 2, 2, 2, 2])
            .permute([0, 1, 2, 4, 6, 3, 5, 7])
            .reshape([count, masks, 4 * height, 4 * width])
    }
}
