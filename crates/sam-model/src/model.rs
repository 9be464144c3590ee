//! The whole model.

mod names;

pub(crate) use names::{NO_MEMORY, part_names};

use burn::module::Param;
use burn::nn::Initializer;
use burn::tensor::{Device, Tensor};

use crate::image_encoder::{ImageEncoder, ImageFeatures};
use crate::mask_decoder::{MaskChoice, MaskDecoder, MaskPrediction};
use crate::nn::{bilinear_resize, pointwise_map};
use crate::prompt_encoder::{PromptEncoder, Prompts};
use crate::{AutomaticPrompt, SamConfig, SamError};

/// Segment Anything, or the image path of Segment Anything 2: image encoder, prompt encoder, mask decoder.
///
/// A parameter's path in this module is its key in the published checkpoints (`image_encoder.blocks.0.attn.qkv.weight`; in SAM 2
/// `image_encoder.trunk.blocks.0.attn.qkv.weight`, and the other parts are `sam_prompt_encoder` and `sam_mask_decoder`); the
/// weights of linear layers are stored `[in, out]`, the transpose of the files' `[out, in]`.
#[derive(Debug, Clone)]
pub struct Sam {
    /// Image to embedding.
    pub image_encoder: ImageEncoder,
    /// Prompts to embeddings.
    pub prompt_encoder: PromptEncoder,
    /// Embeddings to masks.
    pub mask_decoder: MaskDecoder,
    /// SAM 2: added to every pixel of the embedding where there is no earlier frame, `[1, 1, C]`; initially zero.
    pub no_mem_embed: Option<Param<Tensor<3>>>,
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
            no_mem_embed: self.uses_sam2_heads().then(|| Initializer::Zeros.init([1, 1, self.output_channels], device)),
            config: self.clone(),
        })
    }
}

impl Sam {
    /// The model's configuration.
    pub fn config(&self) -> &SamConfig {
        &self.config
    }

    /// The device of the parameters.
    pub fn device(&self) -> Device {
        self.image_encoder.device()
    }

    /// The embedding of normalised images alone: `[N, 3, H, W]` to `[N, C, H / patch, W / patch]`. It is all that SAM's decoder
    /// needs; SAM 2's needs everything that [`encode`](Self::encode) gives.
    ///
    /// # Errors
    /// As [`encode`](Self::encode).
    pub fn encode_image(&self, images: Tensor<4>) -> Result<Tensor<4>, SamError> {
        Ok(self.encode(images)?.embedding)
    }

    /// Embeds normalised images `[N, 3, H, W]`: all that the decoder needs to know of them.
    ///
    /// # Errors
    /// [`SamError::Shape`] if there are not three channels or if `H` or `W` is not a positive multiple of
    /// [`SamConfig::input_multiple`].
    pub fn encode(&self, images: Tensor<4>) -> Result<ImageFeatures, SamError> {
        self.check_images(&images)?;
        Ok(match &self.image_encoder {
            ImageEncoder::Vit(encoder) => encoder.forward(images).into(),
            ImageEncoder::Hiera(encoder) => self.finish_pyramid(encoder.forward(images)),
        })
    }

    /// What SAM 2 does to the three finest maps of its pyramid once per image, the last step of [`encode`](Self::encode).
    pub fn finish_pyramid(&self, [finest, finer, embedding]: [Tensor<4>; 3]) -> ImageFeatures {
        let embedding = match &self.no_mem_embed {
            None => embedding,
            Some(vector) => {
                let vector = vector.val();
                let [_, _, channels] = vector.dims();
                embedding + vector.reshape([1, channels, 1, 1])
            }
        };
        let high_resolution = match (&self.mask_decoder.conv_s0, &self.mask_decoder.conv_s1) {
            (Some(first), Some(second)) => Some([pointwise_map(first, finest), pointwise_map(second, finer)]),
            _ => None,
        };
        ImageFeatures { embedding, high_resolution }
    }

    /// Refuses images that [`encode`](Self::encode) does not take.
    ///
    /// # Errors
    /// As [`encode`](Self::encode).
    pub fn check_images(&self, images: &Tensor<4>) -> Result<(), SamError> {
        let multiple = self.config.input_multiple();
        let [n, channels, height, width] = images.dims();
        let fits = |side: usize| side > 0 && side.is_multiple_of(multiple);
        if n == 0 || channels != 3 || !fits(height) || !fits(width) {
            let expected = format!("[N, 3, H, W] with H and W positive multiples of {multiple}");
            return Err(SamError::shape("image", expected, &images.dims()));
        }
        Ok(())
    }

    /// Refuses features that another model made.
    pub(crate) fn check_features(&self, features: &ImageFeatures) -> Result<(), SamError> {
        let [n, channels, height, width] = features.embedding.dims();
        let expected = self.config.output_channels;
        if channels != expected {
            let expected = format!("[N, {expected}, h, w]");
            return Err(SamError::shape("image embedding", expected, &features.embedding.dims()));
        }
        let finest = [n, channels / 8, 4 * height, 4 * width];
        let finer = [n, channels / 4, 2 * height, 2 * width];
        match (&features.high_resolution, self.config.uses_sam2_heads()) {
            (None, false) => Ok(()),
            (Some([first, _]), true) if first.dims() != finest => {
                Err(SamError::shape("high-resolution features", format!("{finest:?}"), &first.dims()))
            }
            (Some([_, second]), true) if second.dims() != finer => {
                Err(SamError::shape("high-resolution features", format!("{finer:?}"), &second.dims()))
            }
            (Some(_), true) => Ok(()),
            (None, true) => Err(SamError::value(
                "high-resolution features",
                "two maps beside the embedding of a SAM 2 (as `Sam::encode` gives them)",
                "none",
            )),
            (Some(_), false) => Err(SamError::value("high-resolution features", "none in this model", "two maps")),
        }
    }

    /// Answers prompts about embedded images.
    ///
    /// `features` are those of one image (any number of prompts) or of one image per prompt; the embedding of a SAM converts
    /// into them. Prompt coordinates are pixels of the network's input, `h * patch` by `w * patch`. `choice` says which of the
    /// decoder's masks are asked for: `true` for the three masks of an ambiguous prompt (part, whole, larger whole), `false` for
    /// the first, or a [`MaskChoice`].
    ///
    /// # Errors
    /// [`SamError::Shape`] if the features or a mask prompt do not fit; [`SamError::Value`] for SAM's embedding in a SAM 2, which
    /// needs high-resolution features, and the reverse.
    pub fn decode(
        &self,
        features: impl Into<ImageFeatures>,
        prompts: &Prompts,
        choice: impl Into<MaskChoice>,
    ) -> Result<MaskPrediction, SamError> {
        let features = features.into();
        let [batch, _, height, width] = features.embedding.dims();
        let count = prompts.count();
        if count == 0 || (batch != 1 && batch != count) {
            let expected = format!("[1 or {count}, {}, h, w] for {count} prompts", self.config.output_channels);
            return Err(SamError::shape("image embedding", expected, &features.embedding.dims()));
        }
        self.check_features(&features)?;
        if let Some(masks) = prompts.masks()
            && masks.dims() != [count, 1, 4 * height, 4 * width]
        {
            let expected = format!("[{count}, 1, {}, {}]", 4 * height, 4 * width);
            return Err(SamError::shape("mask prompts", expected, &masks.dims()));
        }
        let patch = self.config.patch_size;
        let embedded = self.prompt_encoder.forward(prompts, [height * patch, width * patch]);
        let positions = self.prompt_encoder.grid_positions([height, width]);
        Ok(self.mask_decoder.forward(features, positions, embedded.sparse, embedded.dense, count, choice.into()))
    }

    /// Segments every label of `prompt` in every embedded image: features of `N` images, or SAM's embedding `[N, C, h, w]`, to logits
    /// `[N, labels, 4h, 4w]`, of the decoder's first mask.
    ///
    /// # Errors
    /// As [`decode`](Self::decode), and [`SamError::Shape`] if the prompt's width does not fit the model.
    pub fn decode_automatic(
        &self,
        features: impl Into<ImageFeatures>,
        prompt: &AutomaticPrompt,
    ) -> Result<Tensor<4>, SamError> {
        let features = features.into();
        self.check_features(&features)?;
        let [images, channels, height, width] = features.embedding.dims();
        let tokens = prompt.tokens_of(images);
        let [labels, token_width] = tokens.dims();
        if token_width != channels || labels == 0 {
            return Err(SamError::shape("automatic prompt", format!("[labels, {channels}]"), &tokens.dims()));
        }
        // The paper's SAM 2 hands every token over twice.
        let times = if self.config.is_sam2() && !self.config.uses_sam2_heads() { 2 } else { 1 };
        let count = images * labels;
        let sparse = tokens
            .unsqueeze::<4>()
            .reshape([1, labels, 1, channels])
            .expand([images, labels, times, channels])
            .reshape([count, times, channels]);
        let features = features.repeat_each(labels);
        let dense = self.prompt_encoder.forward(&Prompts::none(count), [height, width]).dense;
        let positions = self.prompt_encoder.grid_positions([height, width]);
        let answer = self.mask_decoder.forward(features, positions, Some(sparse), dense, count, MaskChoice::First);
        Ok(answer.low_resolution.reshape([images, labels, 4 * height, 4 * width]))
    }

    /// Encoder and automatic decoder in one: normalised images `[N, 3, H, W]` to logits `[N, labels, H', W']` at four
    /// times the patch grid (see [`upsample_logits`] for the input's size). One encoder pass, whatever the number of labels.
    ///
    /// # Errors
    /// As [`encode`](Self::encode) and [`decode_automatic`](Self::decode_automatic).
    pub fn forward_automatic(&self, images: Tensor<4>, prompt: &AutomaticPrompt) -> Result<Tensor<4>, SamError> {
        self.decode_automatic(self.encode(images)?, prompt)
    }
}

/// Bilinear upsampling (or downsampling) of mask logits `[N, masks, h, w]` to `[N, masks, height, width]`, with the
/// conventions of the original's post-processing (pixel centres aligned, no antialiasing). Differentiable.
pub fn upsample_logits(logits: Tensor<4>, size: [usize; 2]) -> Tensor<4> {
    bilinear_resize(logits, size)
}
