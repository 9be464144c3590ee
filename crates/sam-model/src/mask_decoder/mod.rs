//! The mask decoder: prompt tokens and image embedding to mask logits and quality estimates.

mod attention;
mod choice;
mod high_resolution;
mod transformer;

pub use attention::DecoderAttention;
pub use choice::MaskChoice;
pub use transformer::{DecoderMlp, TwoWayBlock, TwoWayMlp, TwoWayTransformer};

use std::ops::Range;

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig, ConvTranspose2d, ConvTranspose2dConfig};
use burn::nn::{Embedding, EmbeddingConfig, Gelu};
use burn::tensor::activation::sigmoid;
use burn::tensor::{Device, Tensor};
use burn_kernels::{gelu, permute};

use crate::image_encoder::ImageFeatures;
use crate::nn::{LayerNorm, Mlp, double_pixels};
use crate::{SamConfig, SamVariant};
pub(crate) use high_resolution::HighResolutionRows;

/// Doubling, norm, GELU, doubling, GELU; the places in the tuple are the indices of the checkpoint's keys.
pub type OutputUpscaling = (ConvTranspose2d, LayerNorm, Gelu, ConvTranspose2d, Gelu);

/// Two-way transformer, upscaling and the heads of the mask and IoU tokens. What SAM 2 has beside them is absent in SAM and in
/// [`SamVariant::Paper`].
#[derive(Module, Debug)]
pub struct MaskDecoder {
    /// Attention between tokens and image.
    pub transformer: TwoWayTransformer,
    /// The token that estimates the masks' quality, `[1, C]`.
    pub iou_token: Embedding,
    /// One token per mask, `[masks, C]`: the single answer first, then the multimask ones.
    pub mask_tokens: Embedding,
    /// SAM 2: the token that tells whether the object is in the image, `[1, C]`.
    pub obj_score_token: Option<Embedding>,
    /// From the embedding's grid to four times its resolution.
    pub output_upscaling: OutputUpscaling,
    /// SAM 2: the encoder's finest map, `C -> C / 8`. Runs with the encoder, once per image.
    pub conv_s0: Option<Conv2d>,
    /// SAM 2: the encoder's second map, `C -> C / 4`.
    pub conv_s1: Option<Conv2d>,
    /// Per mask, from its token to the weights of its pixel classifier.
    pub output_hypernetworks_mlps: Vec<Mlp>,
    /// From the IoU token to one estimate per mask.
    pub iou_prediction_head: Mlp,
    /// SAM 2: from the object token to a logit.
    pub pred_obj_score_head: Option<Mlp>,
    /// Whether the dense embedding is added to the image's: everywhere but in the paper's SAM.
    adds_dense: bool,
    /// Whether estimates go through a sigmoid, as in SAM 2.
    squashes_iou: bool,
}

/// The decoder's answer to a batch of prompts.
#[derive(Debug, Clone)]
pub struct MaskPrediction {
    /// Mask logits at four times the embedding's grid, `[N, masks, 4h, 4w]`; above zero is foreground.
    pub low_resolution: Tensor<4>,
    /// Estimated intersection over union of each mask, `[N, masks]`.
    pub iou: Tensor<2>,
    /// SAM 2: whether the object is in the image, a logit, `[N, 1]`; above zero it is. The masks do not depend on it.
    pub object_score: Option<Tensor<2>>,
}

impl MaskDecoder {
    pub(crate) fn new(config: &SamConfig, device: &Device) -> Self {
        let channels = config.output_channels;
        let masks = config.num_multimask_outputs + 1;
        let doubling = |from, to| ConvTranspose2dConfig::new([from, to], [2, 2]).with_stride([2, 2]).init(device);
        let sam2 = config.uses_sam2_heads();
        let pointwise = |to| sam2.then(|| Conv2dConfig::new([channels, to], [1, 1]).init(device));
        Self {
            transformer: TwoWayTransformer::new(config, device),
            iou_token: EmbeddingConfig::new(1, channels).init(device),
            mask_tokens: EmbeddingConfig::new(masks, channels).init(device),
            obj_score_token: sam2.then(|| EmbeddingConfig::new(1, channels).init(device)),
            output_upscaling: (
                doubling(channels, channels / 4),
                LayerNorm::new(channels / 4, 1e-6, device),
                Gelu::new(),
                doubling(channels / 4, channels / 8),
                Gelu::new(),
            ),
            conv_s0: pointwise(channels / 8),
            conv_s1: pointwise(channels / 4),
            output_hypernetworks_mlps: (0..masks)
                .map(|_| Mlp::new(channels, channels, channels / 8, 3, device))
                .collect(),
            iou_prediction_head: Mlp::new(channels, config.iou_head_hidden_dim, masks, config.iou_head_depth, device),
            pred_obj_score_head: sam2.then(|| Mlp::new(channels, channels, 1, 3, device)),
            adds_dense: config.is_sam2() || config.variant == SamVariant::Sam,
            squashes_iou: sam2,
        }
    }

    /// Decodes `N` prompts.
    ///
    /// - `features`: of one image for all prompts, or of `N` images; the embedding is `[1 or N, C, h, w]`;
    /// - `positions`: the grid's positional encoding, `[1, h * w, C]`;
    /// - `sparse`: `[N, tokens, C]`, `None` for no tokens beside the decoder's own;
    /// - `dense`: `[N, C, h, w]` or `[1, C, 1, 1]`, ignored by [`SamVariant::Paper`] of a SAM;
    /// - `choice`: which masks are asked for.
    pub fn forward(
        &self,
        features: ImageFeatures,
        positions: Tensor<3>,
        sparse: Option<Tensor<3>>,
        dense: Tensor<4>,
        count: usize,
        choice: MaskChoice,
    ) -> MaskPrediction {
        let ImageFeatures { embedding, high_resolution } = features;
        let [_, channels, height, width] = embedding.dims();
        let Attended { tokens, source, .. } = self.attend(embedding, positions, sparse, dense, count);
        let token = |index: usize| tokens.clone().narrow(1, index, 1);
        let first = self.iou_index();

        let chosen = choice.decoded(self.output_hypernetworks_mlps.len());
        let classifiers = self.classifiers(&tokens, chosen.clone());
        let high_resolution = high_resolution.map(|maps| HighResolutionRows::new(maps, [height, width]));
        let low_resolution = self.masks(source, high_resolution, classifiers, [height, width]);
        let iou = self.iou_prediction_head.forward(token(first).reshape([count, channels]));
        let iou = if self.squashes_iou { sigmoid(iou) } else { iou };
        let iou = iou.narrow(1, chosen.start, chosen.len());
        let object_score =
            self.pred_obj_score_head.as_ref().map(|head| head.forward(token(0).reshape([count, channels])));
        choice.choose(MaskPrediction { low_resolution, iou, object_score })
    }

    /// Where the IoU token is among the decoder's own; the mask tokens follow it.
    fn iou_index(&self) -> usize {
        usize::from(self.obj_score_token.is_some())
    }

    /// The two-way transformer on the decoder's own tokens, the prompts and the image.
    pub(crate) fn attend(
        &self,
        embedding: Tensor<4>,
        positions: Tensor<3>,
        sparse: Option<Tensor<3>>,
        dense: Tensor<4>,
        count: usize,
    ) -> Attended {
        let [_, channels, height, width] = embedding.dims();
        let source = if self.adds_dense { embedding + dense } else { embedding };
        let [batch, ..] = source.dims();
        let source = permute(source, [0, 2, 3, 1]).reshape([batch, height * width, channels]);
        let source = if batch == count { source } else { source.expand([count, height * width, channels]) };

        let object = self.obj_score_token.as_ref().map(|token| token.weight.val());
        let own = object.into_iter().chain([self.iou_token.weight.val(), self.mask_tokens.weight.val()]).collect();
        let own = Tensor::cat(own, 0);
        let [own_count, _] = own.dims();
        let own = own.unsqueeze::<3>().expand([count, own_count, channels]);
        let given = match sparse {
            Some(sparse) => Tensor::cat(vec![own, sparse], 1),
            None => own,
        };
        let (tokens, attended) = self.transformer.forward(source.clone(), positions, given.clone());
        Attended { given, image: source, tokens, source: attended }
    }

    /// The pixel classifiers of some masks, `[N, masks, C / 8]`, from the attended tokens.
    pub(crate) fn classifiers(&self, tokens: &Tensor<3>, masks: Range<usize>) -> Tensor<3> {
        let first = self.iou_index() + 1;
        let classifier =
            |mask: usize| self.output_hypernetworks_mlps[mask].forward(tokens.clone().narrow(1, first + mask, 1));
        Tensor::cat(masks.map(classifier).collect(), 1)
    }

    /// `[N, h * w, C]` and classifiers `[N, masks, C / 8]` to `[N, masks, 4h, 4w]`.
    ///
    /// Both doublings, the norm and the GELUs work pixel by pixel, so the pixels are put in their places once, at the
    /// end, when only one channel per mask is left.
    fn masks(
        &self,
        source: Tensor<3>,
        high_resolution: Option<HighResolutionRows>,
        classifiers: Tensor<3>,
        [height, width]: [usize; 2],
    ) -> Tensor<4> {
        let [count, cells, _] = source.dims();
        let [_, masks, features] = classifiers.dims();
        let [_, x] = self.upscale(source, high_resolution);
        let pixels = x.reshape([count, cells * 16, features]);
        let cells = classifiers.matmul(pixels.swap_dims(1, 2)).reshape([count, masks, height, width, 2, 2, 2, 2]);
        permute(cells, [0, 1, 2, 4, 6, 3, 5, 7]).reshape([count, masks, 4 * height, 4 * width])
    }

    /// `[N, h * w, C]` to its pixels after the first and the second doubling: `[N * h * w * 4, C / 4]` and `[N * h * w * 16, C / 8]`,
    /// cell by cell.
    pub(crate) fn upscale(&self, source: Tensor<3>, high_resolution: Option<HighResolutionRows>) -> [Tensor<2>; 2] {
        let [count, cells, channels] = source.dims();
        let layers = &self.output_upscaling;
        let (finer, finest) = high_resolution.map_or((None, None), |rows| (Some(rows.finer), Some(rows.finest)));
        let x = double_pixels(&layers.0, source.reshape([count * cells, channels]));
        let once = gelu(layers.1.forward(add_rows(x, finer, count)));
        let twice = gelu(add_rows(double_pixels(&layers.3, once.clone()), finest, count));
        [once, twice]
    }
}

/// What the two-way transformer was given and what it made of that.
#[derive(Debug, Clone)]
pub(crate) struct Attended {
    /// The tokens before, `[N, T, C]`.
    pub(crate) given: Tensor<3>,
    /// The image before, `[N, h * w, C]`.
    pub(crate) image: Tensor<3>,
    /// The tokens after.
    pub(crate) tokens: Tensor<3>,
    /// The image after.
    pub(crate) source: Tensor<3>,
}

/// Adds an image's rows, `[1 or N, rows, C]`, to those of every prompt, `[N * rows, C]`.
fn add_rows(x: Tensor<2>, rows: Option<Tensor<3>>, count: usize) -> Tensor<2> {
    let Some(rows) = rows else { return x };
    let [all, channels] = x.dims();
    (x.reshape([count, all / count, channels]) + rows).reshape([all, channels])
}
