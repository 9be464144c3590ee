//! The prompt encoder: points, boxes and masks become embeddings.

mod position_encoding;
mod prompts;

pub use position_encoding::PositionEncoding;
pub use prompts::{PointLabel, Prompts};

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{Embedding, EmbeddingConfig, Gelu};
use burn::tensor::{Device, Int, Tensor};
use burn_kernels::{gelu, permute};

use crate::SamConfig;
use crate::nn::{LayerNorm, patch_convolution, pointwise_convolution};

/// Two halving convolutions and a pointwise one; the places in the tuple are the indices of the checkpoint's keys.
pub type MaskDownscaling = (Conv2d, LayerNorm, Gelu, Conv2d, LayerNorm, Gelu, Conv2d);

/// Prompts to sparse and dense embeddings.
#[derive(Module, Debug)]
pub struct PromptEncoder {
    /// Random Fourier features of a position.
    pub pe_layer: PositionEncoding,
    /// Background point, foreground point, top left corner, bottom right corner: four embeddings `[1, C]`.
    pub point_embeddings: Vec<Embedding>,
    /// Stands for a padding point, `[1, C]`.
    pub not_a_point_embed: Embedding,
    /// Mask prompt to dense embedding.
    pub mask_downscaling: MaskDownscaling,
    /// Dense embedding of "no mask prompt", `[1, C]`.
    pub no_mask_embed: Embedding,
    #[module(skip)]
    sparse_order: SparseOrder,
}

/// How points and boxes become a list of tokens. The decoder does not see the order, but it sees the padding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SparseOrder {
    /// SAM: points, then a padding point unless there is a box, then the box.
    PointsFirst,
    /// SAM 2: a box is two points before the others, and a padding point ends every list.
    CornersFirst,
}

/// What the decoder needs to know about the prompts.
#[derive(Debug, Clone)]
pub struct PromptEmbeddings {
    /// One row per point or box corner, `[N, tokens, C]`; `None` when there is neither.
    pub sparse: Option<Tensor<3>>,
    /// `[N, C, h, w]` from mask prompts, or `[1, C, 1, 1]` (to be broadcast) without them.
    pub dense: Tensor<4>,
}

impl PromptEncoder {
    pub(crate) fn new(config: &SamConfig, device: &Device) -> Self {
        let channels = config.output_channels;
        let hidden = config.mask_input_channels;
        let embedding = || EmbeddingConfig::new(1, channels).init(device);
        let halving = |from, to| Conv2dConfig::new([from, to], [2, 2]).with_stride([2, 2]).init(device);
        Self {
            pe_layer: PositionEncoding::new(channels, device),
            point_embeddings: (0..4).map(|_| embedding()).collect(),
            not_a_point_embed: embedding(),
            mask_downscaling: (
                halving(1, hidden / 4),
                LayerNorm::new(hidden / 4, 1e-6, device),
                Gelu::new(),
                halving(hidden / 4, hidden),
                LayerNorm::new(hidden, 1e-6, device),
                Gelu::new(),
                Conv2dConfig::new([hidden, channels], [1, 1]).init(device),
            ),
            no_mask_embed: embedding(),
            sparse_order: if config.is_sam2() { SparseOrder::CornersFirst } else { SparseOrder::PointsFirst },
        }
    }

    /// Embeds `prompts`, whose coordinates are pixels of an input of `input_size` (height, width).
    pub fn forward(&self, prompts: &Prompts, input_size: [usize; 2]) -> PromptEmbeddings {
        PromptEmbeddings {
            sparse: self.sparse(prompts, input_size),
            dense: match prompts.masks() {
                Some(masks) => self.embed_masks(masks.clone()),
                None => {
                    let weight = self.no_mask_embed.weight.val();
                    let [_, channels] = weight.dims();
                    weight.reshape([1, channels, 1, 1])
                }
            },
        }
    }

    fn sparse(&self, prompts: &Prompts, input_size: [usize; 2]) -> Option<Tensor<3>> {
        let points = prompts
            .points()
            .map(|(coordinates, labels)| self.embed_points(coordinates.clone(), labels.clone(), input_size));
        let boxes = prompts.boxes().map(|boxes| self.embed_boxes(boxes.clone(), input_size));
        let padding = || {
            let row = self.not_a_point_embed.weight.val();
            let [_, channels] = row.dims();
            row.unsqueeze::<3>().expand([prompts.count(), 1, channels])
        };
        let parts: Vec<Tensor<3>> = match (self.sparse_order, points, boxes) {
            (_, None, None) => return None,
            (SparseOrder::PointsFirst, Some(points), None) => vec![points, padding()],
            (SparseOrder::PointsFirst, points, boxes) => points.into_iter().chain(boxes).collect(),
            (SparseOrder::CornersFirst, points, boxes) => boxes.into_iter().chain(points).chain([padding()]).collect(),
        };
        Some(Tensor::cat(parts, 1))
    }

    /// `[N, P, 2]` pixel coordinates (x, y) and `[N, P]` labels to `[N, P, C]`.
    fn embed_points(&self, coordinates: Tensor<3>, labels: Tensor<2, Int>, input_size: [usize; 2]) -> Tensor<3> {
        // Half a pixel: coordinates name pixels, positions are their centres.
        let position = self.pe_layer.encode(coordinates + 0.5, input_size);
        let is = |label: i32| labels.clone().equal_elem(label).float().unsqueeze_dim::<3>(2);
        let row = |embedding: &Embedding| embedding.weight.val().unsqueeze::<3>();
        let padding = is(PointLabel::Padding.code());
        position * (padding.clone() * -1.0 + 1.0)
            + padding * row(&self.not_a_point_embed)
            + is(PointLabel::Background.code()) * row(&self.point_embeddings[0])
            + is(PointLabel::Foreground.code()) * row(&self.point_embeddings[1])
    }

    /// `[N, 4]` boxes (x0, y0, x1, y1) to `[N, 2, C]`.
    fn embed_boxes(&self, boxes: Tensor<2>, input_size: [usize; 2]) -> Tensor<3> {
        let [n, _] = boxes.dims();
        let corners = self.pe_layer.encode(boxes.reshape([n, 2, 2]) + 0.5, input_size);
        let labels = Tensor::cat(vec![self.point_embeddings[2].weight.val(), self.point_embeddings[3].weight.val()], 0);
        corners + labels.unsqueeze::<3>()
    }

    /// `[N, 1, 4h, 4w]` mask logits to `[N, C, h, w]`.
    fn embed_masks(&self, masks: Tensor<4>) -> Tensor<4> {
        let layers = &self.mask_downscaling;
        let x = gelu(layers.1.forward(patch_convolution(&layers.0, masks)));
        let x = patch_convolution(&layers.3, permute(x, [0, 3, 1, 2]));
        let x = gelu(layers.4.forward(x));
        let [n, height, width, hidden] = x.dims();
        let x = pointwise_convolution(&layers.6, x.reshape([n * height * width, hidden]));
        let [_, channels] = x.dims();
        permute(x.reshape([n, height, width, channels]), [0, 3, 1, 2])
    }

    /// The positional encoding of every cell of a `[height, width]` grid, channels last: `[1, height * width, C]`.
    pub(crate) fn grid_positions(&self, grid: [usize; 2]) -> Tensor<3> {
        self.pe_layer.grid(grid)
    }

    /// The positional encoding of every cell of a `[height, width]` grid: `[1, C, height, width]`.
    pub fn dense_positions(&self, grid: [usize; 2]) -> Tensor<4> {
        let positions = self.grid_positions(grid);
        let [_, _, channels] = positions.dims();
        permute(positions, [0, 2, 1]).reshape([1, channels, grid[0], grid[1]])
    }
}
