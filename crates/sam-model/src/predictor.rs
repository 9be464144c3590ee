//! Set an image once, prompt it many times.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use image::{DynamicImage, GrayImage, Luma, Rgb, RgbImage};

use crate::{AutomaticPrompt, Frame, PointLabel, Prompts, Sam, SamError, prepare_image};

/// An embedded image: what the encoder made of it, and where it lies in the input.
#[derive(Debug, Clone)]
pub struct ImageEmbedding {
    /// `[1, C, h, w]`.
    pub embedding: Tensor<4>,
    /// From the original image to the network's input and back.
    pub frame: Frame,
}

/// A prompt in pixels of the original image.
#[derive(Debug, Clone, Default)]
pub struct ImagePrompt {
    /// Points (x, y) and what they say.
    pub points: Vec<([f32; 2], PointLabel)>,
    /// A box (x0, y0, x1, y1).
    pub bounding_box: Option<[f32; 4]>,
    /// Low-resolution logits of an earlier answer, `[4h, 4w]`, to be refined ([`MaskAnswer::low_resolution`]).
    pub mask: Option<Tensor<2>>,
}

/// One mask in the original image's size.
#[derive(Debug, Clone)]
pub struct MaskAnswer {
    /// Logits, `[height, width]`; above zero is foreground.
    pub logits: Tensor<2>,
    /// Logits at the decoder's resolution, `[4h, 4w]`, for the next prompt.
    pub low_resolution: Tensor<2>,
    /// The model's own estimate of the mask's intersection over union; absent in automatic segmentation.
    pub iou: Option<f32>,
}

/// A model in evaluation form with the image that was set last.
///
/// ```
/// # use sam_model::{ImagePrompt, PointLabel, SamConfig, SamPredictor};
/// # fn main() -> Result<(), sam_model::SamError> {
/// let device = burn::tensor::Device::default();
/// let sam = SamConfig { image_size: 64, ..SamConfig::mini() }.init_seeded(1, &device)?;
/// let mut predictor = SamPredictor::new(sam);
/// predictor.set_image(&image::DynamicImage::new_rgb8(60, 40))?;
/// let prompt = ImagePrompt { points: vec![([30.0, 20.0], PointLabel::Foreground)], ..ImagePrompt::default() };
/// let answers = predictor.predict(&[prompt], true)?;
/// assert_eq!(answers[0].len(), 3);
/// assert_eq!(answers[0][0].to_mask().dimensions(), (60, 40));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct SamPredictor {
    sam: Sam,
    device: Device,
    input: usize,
    current: Option<ImageEmbedding>,
    cache: VecDeque<(u64, ImageEmbedding)>,
    cache_capacity: usize,
}

impl SamPredictor {
    /// Takes the model out of training, with inputs of its native size and room for 8 embeddings in the cache.
    pub fn new(sam: Sam) -> Self {
        let sam = sam.valid();
        let device = sam.image_encoder.pos_embed.lazy_device();
        let input = sam.config().image_size;
        Self { sam, device, input, current: None, cache: VecDeque::new(), cache_capacity: 8 }
    }

    /// Uses inputs of `input` pixels instead of the native size. The image has to be set again.
    ///
    /// # Errors
    /// [`SamError::Value`] if `input` is no positive multiple of the patch size.
    pub fn with_input_size(mut self, input: usize) -> Result<Self, SamError> {
        let patch = self.sam.config().patch_size;
        if input == 0 || !input.is_multiple_of(patch) {
            return Err(SamError::value("input size", format!("a positive multiple of {patch}"), input));
        }
        self.input = input;
        self.current = None;
        self.cache.clear();
        Ok(self)
    }

    /// Keeps the embeddings of the last `capacity` images that were set; an image that is set again is not encoded again.
    pub fn with_cache(mut self, capacity: usize) -> Self {
        self.cache_capacity = capacity;
        self.cache.truncate(capacity);
        self
    }

    /// Side of the network's input in pixels.
    pub fn input_size(&self) -> usize {
        self.input
    }

    /// The model.
    pub fn model(&self) -> &Sam {
        &self.sam
    }

    /// Embeds one image without setting it.
    ///
    /// # Errors
    /// As [`prepare_image`].
    pub fn embed(&self, image: &DynamicImage) -> Result<ImageEmbedding, SamError> {
        let (input, frame) = prepare_image(image, self.input, &self.device)?;
        Ok(ImageEmbedding { embedding: self.sam.encode_image(input)?, frame })
    }

    /// Embeds several images in one encoder pass, without setting any.
    ///
    /// # Errors
    /// As [`prepare_image`]. No images give no embeddings.
    pub fn embed_batch(&self, images: &[DynamicImage]) -> Result<Vec<ImageEmbedding>, SamError> {
        if images.is_empty() {
            return Ok(Vec::new());
        }
        let prepared: Vec<_> =
            images.iter().map(|image| prepare_image(image, self.input, &self.device)).collect::<Result<_, _>>()?;
        let (inputs, frames): (Vec<_>, Vec<_>) = prepared.into_iter().unzip();
        let embeddings = self.sam.encode_image(Tensor::cat(inputs, 0))?;
        let part = |(index, frame)| ImageEmbedding { embedding: embeddings.clone().narrow(0, index, 1), frame };
        Ok(frames.into_iter().enumerate().map(part).collect())
    }

    /// Sets the image that the following prompts are about. An image in the cache is not encoded again.
    ///
    /// # Errors
    /// As [`prepare_image`].
    pub fn set_image(&mut self, image: &DynamicImage) -> Result<(), SamError> {
        let key = fingerprint(image);
        let known = self.cache.iter().position(|(cached, _)| *cached == key);
        let embedding = match known.and_then(|index| self.cache.remove(index)) {
            Some((_, embedding)) => embedding,
            None => self.embed(image)?,
        };
        self.cache.push_front((key, embedding.clone()));
        self.cache.truncate(self.cache_capacity);
        self.current = Some(embedding);
        Ok(())
    }

    /// Sets an embedding that was made earlier by a predictor with the same model and input size.
    ///
    /// # Errors
    /// [`SamError::Shape`] if it is not that of one image of this predictor's input size.
    pub fn set_embedding(&mut self, embedding: ImageEmbedding) -> Result<(), SamError> {
        let config = self.sam.config();
        let grid = self.input / config.patch_size;
        let expected = [1, config.output_channels, grid, grid];
        if embedding.embedding.dims() != expected || embedding.frame.input != self.input {
            return Err(SamError::shape("image embedding", format!("{expected:?}"), &embedding.embedding.dims()));
        }
        self.current = Some(embedding);
        Ok(())
    }

    /// The embedding of the image that is set.
    pub fn embedding(&self) -> Option<&ImageEmbedding> {
        self.current.as_ref()
    }

    /// Answers prompts about the image that is set, all in one pass of the decoder: for each prompt one mask, or with
    /// `multimask` three.
    ///
    /// # Errors
    /// [`SamError::NoImage`]; [`SamError::Value`] and [`SamError::Shape`] for prompts that are none, or if only some of the
    /// prompts have a box or a mask.
    pub fn predict(&self, prompts: &[ImagePrompt], multimask: bool) -> Result<Vec<Vec<MaskAnswer>>, SamError> {
        let image = self.current.as_ref().ok_or(SamError::NoImage)?;
        if prompts.is_empty() {
            return Ok(Vec::new());
        }
        let batch = self.batch(prompts, &image.frame)?;
        let answer = self.sam.decode(image.embedding.clone(), &batch, multimask)?;
        let iou: Vec<f32> = answer.iou.into_data().convert::<f32>().iter::<f32>().collect();
        Ok(self.answers(answer.low_resolution, &image.frame, Some(&iou)))
    }

    /// Segments every label of an automatic prompt in the image that is set: one mask per label.
    ///
    /// # Errors
    /// [`SamError::NoImage`]; [`SamError::Shape`] for a prompt of another model.
    pub fn predict_automatic(&self, prompt: &AutomaticPrompt) -> Result<Vec<MaskAnswer>, SamError> {
        let image = self.current.as_ref().ok_or(SamError::NoImage)?;
        let logits = self.sam.decode_automatic(image.embedding.clone(), &prompt.valid())?;
        Ok(self.answers(logits, &image.frame, None).into_iter().flatten().collect())
    }

    fn batch(&self, prompts: &[ImagePrompt], frame: &Frame) -> Result<Prompts, SamError> {
        let mut batch = Prompts::none(prompts.len());
        let to_input = |point| frame.to_input(point);
        let points: Vec<Vec<_>> = prompts
            .iter()
            .map(|prompt| prompt.points.iter().map(|(point, label)| (to_input(*point), *label)).collect())
            .collect();
        batch = batch.with_points(&points, &self.device)?;
        let all = |what: &'static str, count: usize| match count {
            0 => Ok(false),
            count if count == prompts.len() => Ok(true),
            count => Err(SamError::value(what, "in all prompts of a batch or in none", format!("in {count}"))),
        };
        let boxes: Vec<[f32; 4]> = prompts
            .iter()
            .filter_map(|prompt| prompt.bounding_box)
            .map(|[x0, y0, x1, y1]| {
                let ([x0, y0], [x1, y1]) = (to_input([x0, y0]), to_input([x1, y1]));
                [x0, y0, x1, y1]
            })
            .collect();
        if all("box", boxes.len())? {
            batch = batch.with_boxes(&boxes, &self.device)?;
        }
        let masks: Vec<Tensor<3>> =
            prompts.iter().filter_map(|prompt| prompt.mask.clone()).map(|mask| mask.unsqueeze::<3>()).collect();
        if all("mask prompt", masks.len())? {
            let side = 4 * self.input / self.sam.config().patch_size;
            if let Some(mask) = masks.iter().find(|mask| mask.dims() != [1, side, side]) {
                return Err(SamError::shape("mask prompt", format!("[{side}, {side}]"), &mask.dims()[1..]));
            }
            batch = batch.with_masks(Tensor::stack(masks, 0))?;
        }
        Ok(batch)
    }

    /// `[prompts, masks, 4h, 4w]` to one list of masks per prompt.
    fn answers(&self, low_resolution: Tensor<4>, frame: &Frame, iou: Option<&[f32]>) -> Vec<Vec<MaskAnswer>> {
        let [prompts, masks, height, width] = low_resolution.dims();
        let full = frame.to_original(low_resolution.clone());
        let [original_height, original_width] = frame.original;
        let answer = |prompt: usize, mask: usize| MaskAnswer {
            logits: full.clone().slice([prompt..prompt + 1, mask..mask + 1]).reshape([original_height, original_width]),
            low_resolution: low_resolution.clone().slice([prompt..prompt + 1, mask..mask + 1]).reshape([height, width]),
            iou: iou.and_then(|iou| iou.get(prompt * masks + mask)).copied(),
        };
        (0..prompts).map(|prompt| (0..masks).map(|mask| answer(prompt, mask)).collect()).collect()
    }
}

impl MaskAnswer {
    /// The mask: 255 where the logit is above zero (where [`probabilities`](Self::to_probabilities) pass one half).
    pub fn to_mask(&self) -> GrayImage {
        self.to_image(|logit| if logit > 0.0 { 255 } else { 0 })
    }

    /// Probabilities, `sigmoid(logit)`, in 255 grey levels, rounded.
    pub fn to_probabilities(&self) -> GrayImage {
        self.to_image(|logit| (255.0 / (1.0 + (-logit).exp())).round() as u8)
    }

    fn to_image(&self, level: impl Fn(f32) -> u8) -> GrayImage {
        let [height, width] = self.logits.dims();
        let mut image = GrayImage::new(width as u32, height as u32);
        let values = self.logits.clone().into_data().convert::<f32>();
        for (pixel, value) in image.pixels_mut().zip(values.iter::<f32>()) {
            *pixel = Luma([level(value)]);
        }
        image
    }
}

/// The image with the mask in translucent green and its outline in full: what a person looks at first.
///
/// Where the mask is smaller than the image, the rest of the image stays as it is.
pub fn draw_overlay(image: &RgbImage, mask: &GrayImage) -> RgbImage {
    const COLOUR: [u8; 3] = [0, 230, 90];
    let inside = |x: u32, y: u32| mask.get_pixel_checked(x, y).is_some_and(|pixel| pixel[0] > 127);
    let mut overlay = image.clone();
    for (x, y, pixel) in overlay.enumerate_pixels_mut() {
        if !inside(x, y) {
            continue;
        }
        let neighbours = [(x.wrapping_sub(1), y), (x + 1, y), (x, y.wrapping_sub(1)), (x, y + 1)];
        let on_outline = neighbours.iter().any(|&(x, y)| !inside(x, y));
        let share = if on_outline { 1.0 } else { 0.35 };
        let blend = |old: u8, new: u8| (f32::from(old) * (1.0 - share) + f32::from(new) * share).round() as u8;
        *pixel = Rgb(std::array::from_fn(|channel| blend(pixel[channel], COLOUR[channel])));
    }
    overlay
}

/// A hash of the pixels, the size and the colour type.
fn fingerprint(image: &DynamicImage) -> u64 {
    let mut hasher = DefaultHasher::new();
    (image.width(), image.height(), image.color()).hash(&mut hasher);
    image.as_bytes().hash(&mut hasher);
    hasher.finish()
}
