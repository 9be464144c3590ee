//! Set an image once, prompt it many times.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use image::{GrayImage, Luma, Rgb, RgbImage};
use medseg_metrics::Mask;
use rayon::prelude::*;
use sam_preprocess::{Image, NetworkInput, Preprocess, ResizeGeometry, RestoredMask};

use crate::{AutomaticPrompt, ImageFeatures, MaskChoice, PointLabel, Prompts, Sam, SamError, restore_masks};

/// An embedded image: what the encoder made of it, and where it lies in the input.
#[derive(Debug, Clone)]
pub struct ImageEmbedding {
    /// `[1, C, h, w]`.
    pub embedding: Tensor<4>,
    /// The two finer maps of a SAM 2, see [`ImageFeatures`].
    pub high_resolution: Option<[Tensor<4>; 2]>,
    /// From the original image to the network's input and back.
    pub geometry: ResizeGeometry,
}

impl ImageEmbedding {
    fn new(features: ImageFeatures, geometry: ResizeGeometry) -> Self {
        let ImageFeatures { embedding, high_resolution } = features;
        Self { embedding, high_resolution, geometry }
    }

    /// What the decoder needs of it.
    pub fn features(&self) -> ImageFeatures {
        ImageFeatures { embedding: self.embedding.clone(), high_resolution: self.high_resolution.clone() }
    }
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
    /// The foreground.
    pub mask: Mask,
    /// Logits, `[height, width]`; above zero is foreground (at least zero under [`Protocol::Paper`](crate::Protocol::Paper)).
    pub logits: Vec<f32>,
    /// Logits at the decoder's resolution, `[4h, 4w]`, for the next prompt; of a SAM 2 within -32 and 32, as its own predictor
    /// returns them.
    pub low_resolution: Tensor<2>,
    /// The model's own estimate of the mask's intersection over union; absent in automatic segmentation.
    pub iou: Option<f32>,
    /// SAM 2's logit of whether the object is in the image at all; above zero it is. The mask does not depend on it. Absent in SAM
    /// and in automatic segmentation.
    pub object_score: Option<f32>,
}

/// The largest magnitude of the low-resolution logits that SAM 2's predictor returns.
const SAM2_LOGIT_LIMIT: f32 = 32.0;

/// A model in evaluation form with the image that was set last.
///
/// ```
/// # use sam_model::{ImagePrompt, PointLabel, SamConfig, SamPredictor};
/// # fn main() -> Result<(), sam_model::SamError> {
/// let device = burn::tensor::Device::default();
/// let sam = SamConfig { image_size: 64, ..SamConfig::mini() }.init_seeded(1, &device)?;
/// let mut predictor = SamPredictor::new(sam)?;
/// predictor.set_image(&image::DynamicImage::new_rgb8(60, 40).try_into()?)?;
/// let prompt = ImagePrompt { points: vec![([30.0, 20.0], PointLabel::Foreground)], ..ImagePrompt::default() };
/// let answers = predictor.predict(&[prompt], true)?;
/// assert_eq!(answers[0].len(), 3);
/// let mask = &answers[0][0].mask;
/// assert_eq!((mask.height(), mask.width()), (40, 60));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct SamPredictor {
    sam: Sam,
    device: Device,
    preprocess: Preprocess,
    current: Option<ImageEmbedding>,
    cache: VecDeque<(u64, ImageEmbedding)>,
    cache_capacity: usize,
}

impl SamPredictor {
    /// Takes the model out of training, with its own way of preparing images ([`Protocol::Default`](crate::Protocol::Default) for SAM, [`Protocol::Sam2`](crate::Protocol::Sam2) for
    /// SAM 2), inputs of its native size and room for 8 embeddings in the cache.
    ///
    /// # Errors
    /// [`SamError::Preprocess`] for a model whose native size no input has; a valid configuration has none such.
    pub fn new(sam: Sam) -> Result<Self, SamError> {
        let sam = sam.valid();
        let device = sam.device();
        let preprocess = Preprocess::new(sam.config().native_protocol(), sam.config().image_size)?;
        Ok(Self { sam, device, preprocess, current: None, cache: VecDeque::new(), cache_capacity: 8 })
    }

    /// Prepares images as `preprocess` says: with another protocol, or in another size than the native one. The image has to be set
    /// again.
    ///
    /// # Errors
    /// [`SamError::Value`] if its size is no multiple of [`SamConfig::input_multiple`](crate::SamConfig::input_multiple).
    pub fn with_preprocess(mut self, preprocess: Preprocess) -> Result<Self, SamError> {
        let (multiple, size) = (self.sam.config().input_multiple(), preprocess.size());
        if !size.is_multiple_of(multiple) {
            return Err(SamError::value("input size", format!("a positive multiple of {multiple}"), size));
        }
        self.preprocess = preprocess;
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

    /// How images are prepared and masks decided.
    pub fn preprocess(&self) -> Preprocess {
        self.preprocess
    }

    /// The model.
    pub fn model(&self) -> &Sam {
        &self.sam
    }

    /// Embeds one image without setting it.
    ///
    /// # Errors
    /// As [`Sam::encode`].
    pub fn embed(&self, image: &Image) -> Result<ImageEmbedding, SamError> {
        let (inputs, geometries) = self.inputs(std::slice::from_ref(image));
        Ok(ImageEmbedding::new(self.sam.encode(inputs)?, geometries[0]))
    }

    /// Embeds several images in one encoder pass, without setting any.
    ///
    /// # Errors
    /// As [`Sam::encode`]. No images give no embeddings.
    pub fn embed_batch(&self, images: &[Image]) -> Result<Vec<ImageEmbedding>, SamError> {
        if images.is_empty() {
            return Ok(Vec::new());
        }
        let (inputs, geometries) = self.inputs(images);
        let features = self.sam.encode(inputs)?;
        let part = |(index, geometry)| ImageEmbedding::new(features.image(index), geometry);
        Ok(geometries.into_iter().enumerate().map(part).collect())
    }

    /// Segments every label of an automatic prompt in several images, in one pass of the network: for each image one mask per
    /// label. These are the bits that an evaluation of the same images in the same batches gets. An image alone in its
    /// batch gives the same masks as [`predict_automatic`](Self::predict_automatic); in a larger one the last bits of its
    /// logits may differ, because matrix products of other sizes add in another order.
    ///
    /// # Errors
    /// As [`Sam::forward_automatic`] and [`restore_masks`]. No images give no answers.
    pub fn predict_automatic_batch(
        &self,
        images: &[Image],
        prompt: &AutomaticPrompt,
    ) -> Result<Vec<Vec<MaskAnswer>>, SamError> {
        if images.is_empty() {
            return Ok(Vec::new());
        }
        let (inputs, geometries) = self.inputs(images);
        let logits = self.sam.forward_automatic(inputs, &prompt.valid())?;
        self.answers(logits, &geometries, None, None)
    }

    /// Images as the network's input, `[N, 3, size, size]`, and where each lies in it.
    fn inputs(&self, images: &[Image]) -> (Tensor<4>, Vec<ResizeGeometry>) {
        let size = self.preprocess.size();
        let prepared: Vec<NetworkInput> = images.par_iter().map(|image| self.preprocess.prepare(image)).collect();
        let geometries = prepared.iter().map(|input| input.geometry).collect();
        let values: Vec<f32> = prepared.into_iter().flat_map(|input| input.values).collect();
        let shape = [images.len(), 3, size, size];
        (Tensor::from_data(TensorData::new(values, shape), &self.device), geometries)
    }

    /// Sets the image that the following prompts are about. An image in the cache is not encoded again.
    ///
    /// # Errors
    /// As [`Sam::encode`].
    pub fn set_image(&mut self, image: &Image) -> Result<(), SamError> {
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
    /// [`SamError::Shape`] if it is not that of one image of this predictor's input size; [`SamError::Value`] for the embedding of
    /// a SAM in a SAM 2, and the reverse.
    pub fn set_embedding(&mut self, embedding: ImageEmbedding) -> Result<(), SamError> {
        let config = self.sam.config();
        let grid = self.preprocess.size() / config.patch_size;
        let expected = [1, config.output_channels, grid, grid];
        if embedding.embedding.dims() != expected || embedding.geometry.side != self.preprocess.size() {
            return Err(SamError::shape("image embedding", format!("{expected:?}"), &embedding.embedding.dims()));
        }
        self.sam.check_features(&embedding.features())?;
        self.current = Some(embedding);
        Ok(())
    }

    /// The embedding of the image that is set.
    pub fn embedding(&self) -> Option<&ImageEmbedding> {
        self.current.as_ref()
    }

    /// Answers prompts about the image that is set, all in one pass of the decoder: for each prompt one mask, or with
    /// `multimask` three. A SAM 2 that is asked for one mask answers with [`MaskChoice::Stable`].
    ///
    /// # Errors
    /// [`SamError::NoImage`]; [`SamError::Value`] and [`SamError::Shape`] for prompts that are none, or if only some of the
    /// prompts have a box or a mask.
    pub fn predict(&self, prompts: &[ImagePrompt], multimask: bool) -> Result<Vec<Vec<MaskAnswer>>, SamError> {
        let image = self.current.as_ref().ok_or(SamError::NoImage)?;
        if prompts.is_empty() {
            return Ok(Vec::new());
        }
        let batch = self.batch(prompts, &image.geometry)?;
        let choice = match (multimask, self.sam.config().uses_sam2_heads()) {
            (false, true) => MaskChoice::Stable,
            (multimask, _) => multimask.into(),
        };
        let answer = self.sam.decode(image.features(), &batch, choice)?;
        let values = |tensor: Tensor<2>| tensor.into_data().convert::<f32>().iter::<f32>().collect::<Vec<f32>>();
        let (iou, object_score) = (values(answer.iou), answer.object_score.map(values));
        let geometries = vec![image.geometry; prompts.len()];
        self.answers(answer.low_resolution, &geometries, Some(&iou), object_score.as_deref())
    }

    /// Segments every label of an automatic prompt in the image that is set: one mask per label.
    ///
    /// # Errors
    /// [`SamError::NoImage`]; [`SamError::Shape`] for a prompt of another model.
    pub fn predict_automatic(&self, prompt: &AutomaticPrompt) -> Result<Vec<MaskAnswer>, SamError> {
        let image = self.current.as_ref().ok_or(SamError::NoImage)?;
        let logits = self.sam.decode_automatic(image.features(), &prompt.valid())?;
        Ok(self.answers(logits, &[image.geometry], None, None)?.into_iter().flatten().collect())
    }

    fn batch(&self, prompts: &[ImagePrompt], geometry: &ResizeGeometry) -> Result<Prompts, SamError> {
        let mut batch = Prompts::none(prompts.len());
        let to_input = |point| geometry.to_resized(point);
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
            let side = 4 * self.preprocess.size() / self.sam.config().patch_size;
            if let Some(mask) = masks.iter().find(|mask| mask.dims() != [1, side, side]) {
                return Err(SamError::shape("mask prompt", format!("[{side}, {side}]"), &mask.dims()[1..]));
            }
            batch = batch.with_masks(Tensor::stack(masks, 0))?;
        }
        Ok(batch)
    }

    /// `[prompts or images, masks, 4h, 4w]` to one list of masks for each.
    fn answers(
        &self,
        low_resolution: Tensor<4>,
        geometries: &[ResizeGeometry],
        iou: Option<&[f32]>,
        object_score: Option<&[f32]>,
    ) -> Result<Vec<Vec<MaskAnswer>>, SamError> {
        let [_, masks, height, width] = low_resolution.dims();
        let restored = restore_masks(low_resolution.clone(), &self.preprocess, geometries)?;
        let low_resolution = match self.sam.config().is_sam2() {
            true => low_resolution.clamp(-SAM2_LOGIT_LIMIT, SAM2_LOGIT_LIMIT),
            false => low_resolution,
        };
        let answer = |entry: usize, (mask, RestoredMask { logits, mask: foreground }): (usize, RestoredMask)| {
            let place = low_resolution.clone().slice([entry..entry + 1, mask..mask + 1]);
            MaskAnswer {
                mask: foreground,
                logits,
                low_resolution: place.reshape([height, width]),
                iou: iou.and_then(|iou| iou.get(entry * masks + mask)).copied(),
                object_score: object_score.and_then(|scores| scores.get(entry)).copied(),
            }
        };
        let entries = restored.into_iter().enumerate();
        Ok(entries.map(|(entry, list)| list.into_iter().enumerate().map(|m| answer(entry, m)).collect()).collect())
    }
}

impl MaskAnswer {
    /// The mask as an image: 255 for foreground, 0 elsewhere.
    pub fn to_image(&self) -> GrayImage {
        self.grey(self.mask.to_bytes().into_iter().map(|bit| bit * 255))
    }

    /// Probabilities, `sigmoid(logit)`, in 255 grey levels, rounded.
    pub fn to_probabilities(&self) -> GrayImage {
        self.grey(self.logits.iter().map(|&logit| probability_level(logit)))
    }

    fn grey(&self, levels: impl Iterator<Item = u8>) -> GrayImage {
        let mut image = GrayImage::new(self.mask.width() as u32, self.mask.height() as u32);
        for (pixel, level) in image.pixels_mut().zip(levels) {
            *pixel = Luma([level]);
        }
        image
    }
}

/// A logit's probability, `sigmoid(logit)`, as one of 255 grey levels above 0, rounded.
pub fn probability_level(logit: f32) -> u8 {
    (255.0 / (1.0 + (-logit).exp())).round() as u8
}

/// The image with the mask in translucent green and its outline in full: what a person looks at first.
///
/// Where the mask is smaller than the image, the rest of the image stays as it is.
pub fn draw_overlay(image: &RgbImage, mask: &Mask) -> RgbImage {
    paint_overlay(image.clone(), mask)
}

/// [`draw_overlay`] on an image that is not needed any more.
pub fn paint_overlay(image: RgbImage, mask: &Mask) -> RgbImage {
    const COLOUR: [u8; 3] = [0, 230, 90];
    let inside = |x: u32, y: u32| mask.get(y as usize, x as usize);
    let mut overlay = image;
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

/// A hash of the pixels, the size and the number of channels.
fn fingerprint(image: &Image) -> u64 {
    let mut hasher = DefaultHasher::new();
    image.hash(&mut hasher);
    hasher.finish()
}
