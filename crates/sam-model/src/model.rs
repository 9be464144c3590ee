//! The whole model.

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use crate::image_encoder::ImageEncoder;
use crate::mask_decoder::{MaskDecoder, MaskPrediction};
use crate::nn::bilinear_resize;
use crate::prompt_encoder::{PromptEncoder, Prompts};
use crate::{AutomaticPrompt, SamConfig, SamError};

/// Segment Anything: image encoder, prompt encoder, mask decoder.
///
/// A parameter's path in this module is its key in the published checkpoints (`image_encoder.blocks.0.attn.qkv.weight`);
/// the weights of linear layers are stored `[in, out]`, the transpose of the files' `[out, in]`.
#[derive(Module, Debug)]
pub struct Sam {
    /// Image to embedding.
    pub image_encoder: ImageEncoder,
    /// Prompts to embeddings.
    pub prompt_encoder: PromptEncoder,
    /// Embeddings to masks.
    pub mask_decoder: MaskDecoder,
    #[module(skip)]
    config: SamConfig,
}

impl SamConfig {
    /// A model with random weights on `device`.
    ///
    /// Parameters come into being when they are first used, so a model made only to look at its shapes, or to be filled
    /// from a checkpoint, costs next to nothing. Random draws follow the device's generator in the order of first use; for
    /// weights that depend on nothing but a number, see [`init_seeded`](Self::init_seeded).
    ///
    /// # Errors
    /// [`SamError::Config`] if the configuration is not [valid](Self::validate).
    pub fn init(&self, device: &Device) -> Result<Sam, SamError> {
        self.validate()?;
        Ok(Sam {
            image_encoder: ImageEncoder::new(self, device),
            prompt_encoder: PromptEncoder::new(self, device),
            mask_decoder: MaskDecoder::new(self, device),
            config: self.clone(),
        })
    }
}

impl Sam {
    /// The model's configuration.
    pub fn config(&self) -> &SamConfig {
        &self.config
    }

    /// Embeds normalised images: `[N, 3, H, W]` to `[N, C, H / patch, W / patch]`.
    ///
    /// # Errors
    /// [`SamError::Shape`] if there are not three channels or if `H` or `W` is not a positive multiple of the patch size.
    pub fn encode_image(&self, images: Tensor<4>) -> Result<Tensor<4>, SamError> {
        self.check_images(&images)?;
        Ok(self.image_encoder.forward(images))
    }

    pub(crate) fn check_images(&self, images: &Tensor<4>) -> Result<(), SamError> {
        let patch = self.config.patch_size;
        let [n, channels, height, width] = images.dims();
        let fits = |side: usize| side > 0 && side.is_multiple_of(patch);
        if n == 0 || channels != 3 || !fits(height) || !fits(width) {
            let expected = format!("[N, 3, H, W] with H and W positive multiples of {patch}");
            return Err(SamError::shape("image", expected, &images.dims()));
        }
        Ok(())
    }

    /// Answers prompts about embedded images.
    ///
    /// `embedding` is `[1, C, h, w]` (one image, any number of prompts) or has one image per prompt. Prompt coordinates are
    /// pixels of the network's input, `h * patch` by `w * patch`. With `multimask`, the answer has the three masks of
    /// an ambiguous prompt (part, whole, larger whole), otherwise one.
    ///
    /// # Errors
    /// [`SamError::Shape`] if the embedding or a mask prompt does not fit.
    pub fn decode(&self, embedding: Tensor<4>, prompts: &Prompts, multimask: bool) -> Result<MaskPrediction, SamError> {
        let [batch, channels, height, width] = embedding.dims();
        let count = prompts.count();
        if channels != self.config.output_channels || count == 0 || (batch != 1 && batch != count) {
            let expected = format!("[1 or {count}, {}, h, w] for {count} prompts", self.config.output_channels);
            return Err(SamError::shape("image embedding", expected, &embedding.dims()));
        }
        if let Some(masks) = prompts.masks()
            && masks.dims() != [count, 1, 4 * height, 4 * width]
        {
            let expected = format!("[{count}, 1, {}, {}]", 4 * height, 4 * width);
            return Err(SamError::shape("mask prompts", expected, &masks.dims()));
        }
        let patch = self.config.patch_size;
        let embedded = self.prompt_encoder.forward(prompts, [height * patch, width * patch]);
        let positions = self.prompt_encoder.grid_positions([height, width]);
        Ok(self.mask_decoder.forward(embedding, positions, embedded.sparse, embedded.dense, count, multimask))
    }

    /// Segments every label of `prompt` in every embedded image: `[N, C, h, w]` to logits `[N, labels, 4h, 4w]`.
    ///
    /// # Errors
    /// [`SamError::Shape`] if the embedding or the prompt's width does not fit the model.
    pub fn decode_automatic(&self, embedding: Tensor<4>, prompt: &AutomaticPrompt) -> Result<Tensor<4>, SamError> {
        let [images, channels, height, width] = embedding.dims();
        let tokens = prompt.tokens();
        let [labels, token_width] = tokens.dims();
        if channels != self.config.output_channels {
            let expected = format!("[N, {}, h, w]", self.config.output_channels);
            return Err(SamError::shape("image embedding", expected, &embedding.dims()));
        }
        if token_width != channels || labels == 0 {
            return Err(SamError::shape("automatic prompt", format!("[labels, {channels}]"), &tokens.dims()));
        }
        let count = images * labels;
        let sparse = tokens
            .unsqueeze::<4>()
            .reshape([1, labels, 1, channels])
            .expand([images, labels, 1, channels])
            .reshape([count, 1, channels]);
        let embedding = if labels == 1 {
            embedding
        } else {
            embedding
                .unsqueeze_dim::<5>(1)
                .expand([images, labels, channels, height, width])
                .reshape([count, channels, height, width])
        };
        let dense = self.prompt_encoder.forward(&Prompts::none(count), [height, width]).dense;
        let positions = self.prompt_encoder.grid_positions([height, width]);
        let answer = self.mask_decoder.forward(embedding, positions, Some(sparse), dense, count, false);
        Ok(answer.low_resolution.reshape([images, labels, 4 * height, 4 * width]))
    }

    /// Encoder and automatic decoder in one: normalised images `[N, 3, H, W]` to logits `[N, labels, H', W']` at four
    /// times the patch grid (see [`upsample_logits`] for the input's size). One encoder pass, whatever the number of labels.
    ///
    /// # Errors
    /// As [`encode_image`](Self::encode_image) and [`decode_automatic`](Self::decode_automatic).
    pub fn forward_automatic(&self, images: Tensor<4>, prompt: &AutomaticPrompt) -> Result<Tensor<4>, SamError> {
        self.decode_automatic(self.encode_image(images)?, prompt)
    }
}

/// Bilinear upsampling (or downsampling) of mask logits `[N, masks, h, w]` to `[N, masks, height, width]`, with the
/// conventions of the original's post-processing (pixel centres aligned, no antialiasing). Differentiable.
pub fn upsample_logits(logits: Tensor<4>, size: [usize; 2]) -> Tensor<4> {
    bilinear_resize(logits, size)
}
