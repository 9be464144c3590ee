//! The shape of a model: presets, serialisation, validation.

mod hiera;
mod original;

pub(crate) use hiera::PATCH_STRIDE;
pub use hiera::{HieraBlockShape, HieraConfig};

use serde::{Deserialize, Serialize};

use crate::SamError;

/// Which arithmetic the model runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SamVariant {
    /// Segment Anything as its authors published it. The default.
    #[default]
    Sam,
    /// The encoder and decoder as the SALT paper's released code runs them:
    ///
    /// - every encoder block attends globally, no windows, no relative positions (the tables do not exist in the model);
    /// - encoder layer norms use epsilon 1e-5 instead of 1e-6;
    /// - the absolute positions have the size of the training image's own grid (average-pooled from the checkpoint's);
    /// - the decoder's attentions get no positional encodings, except the query of the last one, and the dense
    ///   "no mask" embedding is not added.
    ///
    /// Of a SAM 2, the released code keeps the encoder and runs a decoder without high-resolution features, object score, IoU
    /// sigmoid and "no memory" vector; the dense "no mask" embedding is added there, and every automatic token stands twice.
    ///
    /// The released code returns probabilities; this crate returns logits in both variants. Its parameter counts and
    /// published results belong to this variant.
    Paper,
}

/// How absolute positions follow an input whose grid differs from the stored one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PositionResize {
    /// Adaptive average pooling towards a smaller grid (at half the size: the exact 2x2 mean, as the SALT paper does),
    /// bilinear interpolation towards a larger one.
    #[default]
    Pool,
    /// Bilinear interpolation, pixel centres aligned, no antialiasing.
    Bilinear,
    /// Bicubic interpolation (a = -0.75), pixel centres aligned, no antialiasing.
    Bicubic,
}

/// Every size of a SAM or SAM 2. Presets: [`vit_b`](Self::vit_b), [`vit_l`](Self::vit_l), [`vit_h`](Self::vit_h) and
/// [`mini`](Self::mini); [`sam2_tiny`](Self::sam2_tiny), [`sam2_small`](Self::sam2_small), [`sam2_base_plus`](Self::sam2_base_plus),
/// [`sam2_large`](Self::sam2_large) and [`sam2_mini`](Self::sam2_mini); any configuration in between is a struct update away.
///
/// The serialised form also understands the argument names of the original code (`img_size`, `out_chans`,
/// `global_attn_indexes`, `mask_in_chans`). Unknown keys are errors.
///
/// ```
/// let config = sam_model::SamConfig { depth: 4, global_attention_blocks: vec![3], ..sam_model::SamConfig::mini() };
/// config.validate()?;
/// # Ok::<(), sam_model::SamError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SamConfig {
    /// Side of the native square input in pixels; it fixes the size of the stored positions. Other input sizes are
    /// accepted at run time.
    #[serde(alias = "img_size")]
    pub image_size: usize,
    /// Side of a patch in pixels.
    pub patch_size: usize,
    /// Width of the encoder.
    pub embed_dim: usize,
    /// Number of encoder blocks.
    pub depth: usize,
    /// Attention heads of the encoder.
    pub num_heads: usize,
    /// Hidden width of an encoder block's MLP, as a multiple of `embed_dim`.
    #[serde(default = "default_mlp_ratio")]
    pub mlp_ratio: f64,
    /// Channels of the image embedding; also the width of the prompt encoder and of the decoder.
    #[serde(alias = "out_chans")]
    pub output_channels: usize,
    /// Side of an attention window in patches; 0 means that every block attends globally.
    pub window_size: usize,
    /// Indices of the blocks that attend globally.
    #[serde(alias = "global_attn_indexes")]
    pub global_attention_blocks: Vec<usize>,
    /// Hidden channels of the mask prompt's embedding.
    #[serde(alias = "mask_in_chans", default = "default_mask_input_channels")]
    pub mask_input_channels: usize,
    /// Layers of the two-way transformer.
    #[serde(default = "default_decoder_depth")]
    pub decoder_depth: usize,
    /// Attention heads of the two-way transformer.
    pub decoder_heads: usize,
    /// Hidden width of the two-way transformer's MLP.
    pub decoder_mlp_dim: usize,
    /// By how much the cross-attentions of the decoder are narrower than `output_channels`.
    #[serde(default = "default_attention_downsample_rate")]
    pub attention_downsample_rate: usize,
    /// Linear layers of the IoU head.
    #[serde(default = "default_iou_head_depth")]
    pub iou_head_depth: usize,
    /// Hidden width of the IoU head.
    pub iou_head_hidden_dim: usize,
    /// Masks that a multimask answer has (the model holds one mask token more).
    #[serde(default = "default_num_multimask_outputs")]
    pub num_multimask_outputs: usize,
    /// Faithful SAM or the SALT paper's arithmetic.
    #[serde(default)]
    pub variant: SamVariant,
    /// How absolute positions follow the input size.
    #[serde(default)]
    pub position_resize: PositionResize,
    /// The stages of SAM 2's encoder; none for SAM, whose encoder is a plain vision transformer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hiera: Option<HieraConfig>,
}

fn default_mlp_ratio() -> f64 {
    4.0
}
fn default_mask_input_channels() -> usize {
    16
}
fn default_decoder_depth() -> usize {
    2
}
fn default_attention_downsample_rate() -> usize {
    2
}
fn default_iou_head_depth() -> usize {
    3
}
fn default_num_multimask_outputs() -> usize {
    3
}

/// Numbers of the largest model that is made: 8 GiB in single precision, three times ViT-H.
const LARGEST_MODEL: f64 = (1u64 << 31) as f64;

impl SamConfig {
    fn vit(embed_dim: usize, depth: usize, num_heads: usize, global_attention_blocks: Vec<usize>) -> Self {
        Self {
            image_size: 1024,
            patch_size: 16,
            embed_dim,
            depth,
            num_heads,
            mlp_ratio: default_mlp_ratio(),
            output_channels: 256,
            window_size: 14,
            global_attention_blocks,
            mask_input_channels: default_mask_input_channels(),
            decoder_depth: default_decoder_depth(),
            decoder_heads: 8,
            decoder_mlp_dim: 2048,
            attention_downsample_rate: default_attention_downsample_rate(),
            iou_head_depth: default_iou_head_depth(),
            iou_head_hidden_dim: 256,
            num_multimask_outputs: default_num_multimask_outputs(),
            variant: SamVariant::Sam,
            position_resize: PositionResize::Pool,
            hiera: None,
        }
    }

    /// SAM ViT-B: 93.7 million parameters.
    pub fn vit_b() -> Self {
        Self::vit(768, 12, 12, vec![2, 5, 8, 11])
    }

    /// SAM ViT-L: 312 million parameters.
    pub fn vit_l() -> Self {
        Self::vit(1024, 24, 16, vec![5, 11, 17, 23])
    }

    /// SAM ViT-H: 641 million parameters.
    pub fn vit_h() -> Self {
        Self::vit(1280, 32, 16, vec![7, 15, 23, 31])
    }

    /// A small SAM (3.7 million parameters) that two CPU cores can train: patch 8, width 192, depth 6, 3 heads,
    /// window 8, global blocks 2 and 5, embedding and decoder 128 wide, native input 256.
    pub fn mini() -> Self {
        Self {
            image_size: 256,
            patch_size: 8,
            embed_dim: 192,
            depth: 6,
            num_heads: 3,
            output_channels: 128,
            window_size: 8,
            global_attention_blocks: vec![2, 5],
            decoder_mlp_dim: 512,
            iou_head_hidden_dim: 128,
            ..Self::vit_b()
        }
    }

    /// This model in the [`SamVariant::Paper`] arithmetic for square inputs of `image_size` pixels (the paper: 512).
    pub fn paper(self, image_size: usize) -> Self {
        Self { variant: SamVariant::Paper, image_size, ..self }
    }

    /// Side of the native patch grid.
    pub fn grid_size(&self) -> usize {
        self.image_size / self.patch_size
    }

    /// Hidden width of an encoder block's MLP.
    pub fn mlp_dim(&self) -> usize {
        (self.embed_dim as f64 * self.mlp_ratio) as usize
    }

    /// Whether the blocks hold relative position tables.
    pub fn uses_relative_positions(&self) -> bool {
        self.variant == SamVariant::Sam && !self.is_sam2()
    }

    /// Window side of block `index`; 0 means global attention.
    pub fn block_window(&self, index: usize) -> usize {
        if let Some(hiera) = &self.hiera {
            return self.hiera_block(hiera, index).window;
        }
        match self.variant {
            SamVariant::Sam if !self.global_attention_blocks.contains(&index) => self.window_size,
            _ => 0,
        }
    }

    /// Epsilon of the encoder's layer norms.
    pub fn encoder_norm_epsilon(&self) -> f64 {
        match self.variant {
            SamVariant::Paper if !self.is_sam2() => 1e-5,
            _ => 1e-6,
        }
    }

    /// Checks every field, and that all of them together make a model of at most 2^31 numbers.
    ///
    /// # Errors
    /// [`SamError::Config`] names the first field that no model can have.
    pub fn validate(&self) -> Result<(), SamError> {
        let sizes = [
            ("image_size", self.image_size, 1 << 14),
            ("patch_size", self.patch_size, 1 << 10),
            ("embed_dim", self.embed_dim, 1 << 14),
            ("depth", self.depth, 1 << 10),
            ("num_heads", self.num_heads, 1 << 10),
            ("output_channels", self.output_channels, 1 << 14),
            ("mask_input_channels", self.mask_input_channels, 1 << 12),
            ("decoder_depth", self.decoder_depth, 1 << 8),
            ("decoder_heads", self.decoder_heads, 1 << 10),
            ("decoder_mlp_dim", self.decoder_mlp_dim, 1 << 16),
            ("attention_downsample_rate", self.attention_downsample_rate, 1 << 8),
            ("iou_head_depth", self.iou_head_depth, 1 << 6),
            ("iou_head_hidden_dim", self.iou_head_hidden_dim, 1 << 14),
            ("num_multimask_outputs", self.num_multimask_outputs, 1 << 6),
        ];
        for (field, value, limit) in sizes {
            if value == 0 || value > limit {
                return Err(SamError::config(field, format!("1 to {limit}"), value));
            }
        }
        let divides = [
            ("image_size", "patch_size", self.image_size, self.patch_size),
            ("embed_dim", "num_heads", self.embed_dim, self.num_heads),
            ("output_channels", "8", self.output_channels, 8),
            ("output_channels", "decoder_heads", self.output_channels, self.decoder_heads),
            ("output_channels", "attention_downsample_rate", self.output_channels, self.attention_downsample_rate),
            (
                "output_channels",
                "attention_downsample_rate * decoder_heads",
                self.output_channels,
                self.attention_downsample_rate * self.decoder_heads,
            ),
            ("mask_input_channels", "4", self.mask_input_channels, 4),
        ];
        for (field, divisor_name, value, divisor) in divides {
            if !value.is_multiple_of(divisor) {
                return Err(SamError::config(field, format!("a multiple of {divisor_name} = {divisor}"), value));
            }
        }
        if self.window_size > self.image_size {
            return Err(SamError::config("window_size", format!("0 to {}", self.image_size), self.window_size));
        }
        if !(self.mlp_ratio.is_finite() && self.mlp_ratio <= 64.0 && self.mlp_dim() >= 1) {
            return Err(SamError::config("mlp_ratio", "a positive number up to 64", self.mlp_ratio));
        }
        if let Some(&index) = self.global_attention_blocks.iter().find(|&&index| index >= self.depth) {
            return Err(SamError::config(
                "global_attention_blocks",
                format!("indices below depth = {}", self.depth),
                index,
            ));
        }
        if let Some(hiera) = &self.hiera {
            self.validate_hiera(hiera)?;
        }
        let numbers = self.approximate_numbers();
        if numbers > LARGEST_MODEL {
            let found =
                format!("about {numbers:.2e} numbers, from embed_dim = {} and depth = {}", self.embed_dim, self.depth);
            return Err(SamError::config(
                "(all sizes together)",
                format!("at most {LARGEST_MODEL:.2e} numbers"),
                found,
            ));
        }
        Ok(())
    }

    /// How many numbers the model has, up to a few percent: each size of a hostile file may be allowed and all of them together fill any
    /// memory.
    fn approximate_numbers(&self) -> f64 {
        let number = |value: usize| value as f64;
        let (width, grid) = (number(self.embed_dim), number(self.grid_size()));
        // Four products of attention and two of the MLP.
        let block = (4.0 + 2.0 * self.mlp_ratio) * width * width;
        let blocks = match &self.hiera {
            // The width doubles from stage to stage.
            Some(hiera) => hiera
                .stages
                .iter()
                .zip([1.0, 4.0, 16.0, 64.0])
                .map(|(&count, factor)| number(count) * factor * block)
                .sum(),
            None => number(self.depth) * block,
        };
        // Relative positions: two tables of heads' width, at most twice the grid long.
        let tables = 4.0 * number(self.depth) * grid * width / number(self.num_heads);
        let channels = number(self.output_channels);
        let patches = grid * grid * width + 3.0 * number(self.patch_size).powi(2) * width;
        let neck = channels * width + 9.0 * channels * channels;
        let mask_input = number(self.mask_input_channels) * (4.0 * number(self.mask_input_channels) + channels);
        // Four attentions and an MLP in each layer of the decoder.
        let decoder =
            number(self.decoder_depth) * (16.0 * channels * channels + 2.0 * channels * number(self.decoder_mlp_dim));
        let hidden = number(self.iou_head_hidden_dim);
        let heads = number(self.num_multimask_outputs + 1) * 3.0 * channels * channels
            + number(self.iou_head_depth) * hidden * hidden;
        blocks + tables + patches + neck + mask_input + decoder + heads
    }
}
