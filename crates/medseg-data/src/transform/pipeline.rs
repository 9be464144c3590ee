//! The two protocols, from a sample to a normalised tensor.

use super::resize::resize_image_rounded_once;
use super::rotate::rotate_both;
use super::warp::{Field, Warp};
use super::{
    Augmentation, Jitter, ResizeGeometry, adjust_brightness, adjust_contrast, flip_horizontal, flip_horizontal_mask,
    flip_vertical, flip_vertical_mask, resize_image, resize_mask, resize_soft,
};
use crate::dataset::{Loaded, Sample};
use crate::decode::{Limits, MaskPolicy};
use crate::error::{DataError, Result};
use crate::random::Stream;
use crate::raster::{Image, Mask};
use serde::{Deserialize, Serialize};

/// Mean of red, green, blue under which Segment Anything was trained.
const MEAN: [f32; 3] = [123.675, 116.28, 103.53];
/// Standard deviations that go with it.
const STD: [f32; 3] = [58.395, 57.12, 57.375];
/// The same with the released SALT code's slip in the first digit pair.
const STD_PAPER: [f32; 3] = [53.395, 57.12, 57.375];

/// How images become tensors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    /// Segment Anything's own: longest side resized with antialiasing, normalised, then padded with zeros; masks stay binary;
    /// augmentation after resizing, all geometry in one interpolation.
    #[default]
    Default,
    /// The released SALT code's: augmentation first (rotation to the nearest pixel), shortest side to `size - 1`, masks
    /// resized with the image and left soft, padding before a stretch of each image to 0..255, first standard deviation
    /// 53.395. For checking the paper's numbers.
    Paper,
}

/// A sample after the steps that are the same in every epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prepared {
    image: Image,
    mask: Mask,
    geometry: ResizeGeometry,
}

impl Prepared {
    /// Memory taken, in bytes.
    pub fn bytes(&self) -> usize {
        self.image.data().len() + self.mask.data().len()
    }
}

/// A sample as the network sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// The sample's id.
    pub id: String,
    /// Normalised image, `[3, size, size]`.
    pub image: Vec<f32>,
    /// Mask, `[size, size]`: 0 or 1 ([`Protocol::Default`]) or a share of 0 to 1 ([`Protocol::Paper`]); 0 in the padding.
    pub mask: Vec<f32>,
    /// Side in pixels.
    pub size: usize,
    /// The way back to the original pixels. Augmentation is not part of it: meaningful for evaluation only.
    pub geometry: ResizeGeometry,
}

/// A protocol with its settings.
#[derive(Debug, Clone, PartialEq)]
pub struct Pipeline {
    protocol: Protocol,
    size: usize,
    augmentation: Augmentation,
    limits: Limits,
    masks: MaskPolicy,
}

impl Pipeline {
    /// A pipeline to squares of `size` pixels.
    ///
    /// # Errors
    /// [`DataError::Config`] for a size outside 8 to 4096, an augmentation out of range, or one that the paper's protocol does
    /// not have.
    pub fn new(protocol: Protocol, size: usize, augmentation: Augmentation) -> Result<Self> {
        if !(8..=4096).contains(&size) {
            return Err(DataError::config("size", "8 to 4096 pixels", size));
        }
        augmentation.validate()?;
        if protocol == Protocol::Paper {
            let a = &augmentation;
            let foreign = [
                ("vertical_flip", a.vertical_flip),
                ("contrast", a.contrast.probability),
                ("scale", a.scale.probability),
                ("crop", a.crop.probability),
                ("elastic", a.elastic.probability),
            ];
            if let Some((field, p)) = foreign.into_iter().find(|(_, p)| *p > 0.0) {
                return Err(DataError::config(field, "probability 0 under the paper's protocol", p));
            }
        }
        let masks = if protocol == Protocol::Paper { MaskPolicy::any_positive() } else { MaskPolicy::default() };
        Ok(Self { protocol, size, augmentation, limits: Limits::default(), masks })
    }

    /// The protocol with its own augmentation.
    ///
    /// # Errors
    /// As [`new`](Pipeline::new).
    pub fn training(protocol: Protocol, size: usize) -> Result<Self> {
        let own = if protocol == Protocol::Paper { Augmentation::paper() } else { Augmentation::default() };
        Self::new(protocol, size, own)
    }

    /// The protocol without augmentation.
    ///
    /// # Errors
    /// As [`new`](Pipeline::new).
    pub fn evaluation(protocol: Protocol, size: usize) -> Result<Self> {
        Self::new(protocol, size, Augmentation::none())
    }

    /// The same pipeline with other decoding limits.
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// The same pipeline with another rule for mask files. Each protocol starts with its own: at least 128 (default), above 0
    /// (paper).
    pub fn with_mask_policy(mut self, policy: MaskPolicy) -> Self {
        self.masks = policy;
        self
    }

    /// The protocol.
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// The side of the squares in pixels.
    pub fn size(&self) -> usize {
        self.size
    }

    /// The augmentation.
    pub fn augmentation(&self) -> &Augmentation {
        &self.augmentation
    }

    /// The decoding limits.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The rule for mask files.
    pub fn mask_policy(&self) -> MaskPolicy {
        self.masks
    }

    /// Decodes a sample and runs all steps; `seed` and `epoch` choose the augmentation and nothing else.
    ///
    /// # Errors
    /// As [`Sample::load_with`].
    pub fn apply(&self, sample: &Sample, seed: u64, epoch: u64) -> Result<Item> {
        Ok(self.finish(&self.load(sample)?, &sample.id, seed, epoch))
    }

    /// Decodes a sample and runs the steps that are the same in every epoch.
    ///
    /// # Errors
    /// As [`Sample::load_with`].
    pub fn load(&self, sample: &Sample) -> Result<Prepared> {
        let Loaded { image, mask } = sample.load_with(&self.limits, self.masks)?;
        Ok(self.prepare(image, mask))
    }

    /// The steps that are the same in every epoch. Image and mask must have the same size.
    pub fn prepare(&self, image: Image, mask: Mask) -> Prepared {
        debug_assert_eq!(image.size(), mask.size());
        if self.protocol == Protocol::Paper {
            return Prepared { geometry: ResizeGeometry::paper(image.size(), self.size), image, mask };
        }
        let geometry = ResizeGeometry::longest_side(image.size(), self.size);
        let (width, height) = geometry.resized;
        if geometry.original == geometry.resized {
            return Prepared { image, mask, geometry };
        }
        Prepared { image: resize_image(&image, width, height), mask: resize_mask(&mask, width, height), geometry }
    }

    /// An image alone, without augmentation, as a network for prediction sees it: `[3, size, size]` and the way back.
    pub fn image_only(&self, image: &Image) -> (Vec<f32>, ResizeGeometry) {
        let prepared = self.prepare(image.clone(), Mask::empty(image.width(), image.height()));
        let geometry = prepared.geometry;
        (self.normalise(&prepared.image, geometry), geometry)
    }

    /// The steps that vary: augmentation, then normalisation. Draws depend on (`seed`, `epoch`, `id`) and the name of the
    /// transform only.
    pub fn finish(&self, prepared: &Prepared, id: &str, seed: u64, epoch: u64) -> Item {
        let augmented = self.augment(prepared, id, seed, epoch);
        let (image, mask) = augmented.as_ref().map_or((&prepared.image, &prepared.mask), |(i, m)| (i, m));
        let geometry = prepared.geometry;
        let (width, height) = geometry.resized;
        let soft = match self.protocol {
            Protocol::Default => mask.data().iter().map(|&v| f32::from(v)).collect(),
            Protocol::Paper => resize_soft(mask, width, height),
        };
        let mut padded = vec![0f32; self.size * self.size];
        for (target, source) in padded.chunks_exact_mut(self.size).zip(soft.chunks_exact(width)) {
            target[..width].copy_from_slice(source);
        }
        Item { id: id.to_owned(), image: self.normalise(image, geometry), mask: padded, size: self.size, geometry }
    }

    /// The image and mask that [`finish`](Pipeline::finish) would normalise, for looking at; under the paper's protocol before
    /// resizing.
    pub fn augmented(&self, prepared: &Prepared, id: &str, seed: u64, epoch: u64) -> (Image, Mask) {
        self.augment(prepared, id, seed, epoch).unwrap_or_else(|| (prepared.image.clone(), prepared.mask.clone()))
    }

    /// `None` when nothing was drawn.
    fn augment(&self, prepared: &Prepared, id: &str, seed: u64, epoch: u64) -> Option<(Image, Mask)> {
        let a = &self.augmentation;
        if a.is_none() {
            return None;
        }
        let stream = |transform: &str| Stream::new(seed, epoch, id, transform);
        let chance = |transform: &str, p: f64| p > 0.0 && stream(transform).chance(p);
        let (mut image, mut mask) = (prepared.image.clone(), prepared.mask.clone());
        if chance("horizontal flip", a.horizontal_flip) {
            (image, mask) = (flip_horizontal(&image), flip_horizontal_mask(&mask));
        }
        if chance("vertical flip", a.vertical_flip) {
            (image, mask) = (flip_vertical(&image), flip_vertical_mask(&mask));
        }
        if self.protocol == Protocol::Paper {
            return Some(paper_draws(a, image, mask, stream));
        }
        let draw = |transform: &str, jitter: &Jitter| {
            let mut stream = stream(transform);
            (jitter.probability > 0.0 && stream.chance(jitter.probability))
                .then(|| stream.range(jitter.low, jitter.high))
        };
        let (rotation, scale, crop) = (draw("rotation", &a.rotation), draw("scale", &a.scale), draw("crop", &a.crop));
        let elastic = chance("elastic", a.elastic.probability);
        if rotation.is_some() || scale.is_some() || crop.is_some() || elastic {
            let mut place = stream("crop place");
            let place = (place.uniform(), place.uniform());
            let mut warp =
                Warp::new(image.size(), rotation.unwrap_or(0.0), scale.unwrap_or(1.0), crop.unwrap_or(1.0), place);
            if elastic {
                let amplitude = a.elastic.amplitude * image.width().max(image.height()) as f64;
                warp = warp.with_field(Field::new(a.elastic.cells, amplitude, &mut stream("elastic field")));
            }
            (image, mask) = warp.apply(&image, &mask);
        }
        if let Some(factor) = draw("brightness", &a.brightness) {
            image = adjust_brightness(image, factor);
        }
        if let Some(factor) = draw("contrast", &a.contrast) {
            image = adjust_contrast(image, factor);
        }
        Some((image, mask))
    }

    /// Byte values to normalised values by table, padded to the square.
    fn normalise(&self, image: &Image, geometry: ResizeGeometry) -> Vec<f32> {
        let (width, height) = geometry.resized;
        let plane = self.size * self.size;
        let padded = width < self.size || height < self.size;
        let resized = match self.protocol {
            Protocol::Default => None,
            Protocol::Paper => Some(resize_image_rounded_once(image, width, height)),
        };
        let image = resized.as_ref().unwrap_or(image);
        let tables: [[f32; 256]; 3] = match self.protocol {
            Protocol::Default => std::array::from_fn(|c| std::array::from_fn(|v| (v as f32 - MEAN[c]) / STD[c])),
            Protocol::Paper => {
                let low = if padded { 0 } else { image.data().iter().copied().min().unwrap_or(0) };
                let high = image.data().iter().copied().max().unwrap_or(0);
                let span = f32::from(high) - f32::from(low);
                let stretch = |v: usize| {
                    // A black image has no span; the released code divides by zero there.
                    if span > 0.0 { ((v as f32 - f32::from(low)) / span * 255.0).clamp(0.0, 255.0) } else { 0.0 }
                };
                std::array::from_fn(|c| std::array::from_fn(|v| (stretch(v) - MEAN[c]) / STD_PAPER[c]))
            }
        };
        let mut out = vec![0f32; 3 * plane];
        let channels = image.channels();
        for (c, (target, table)) in out.chunks_exact_mut(plane).zip(&tables).enumerate() {
            if padded && self.protocol == Protocol::Paper {
                target.fill(table[0]);
            }
            let offset = if channels == 1 { 0 } else { c };
            for (target, source) in target.chunks_exact_mut(self.size).zip(image.data().chunks_exact(width * channels))
            {
                if channels == 1 {
                    target.iter_mut().zip(source).for_each(|(t, &v)| *t = table[v as usize]);
                } else {
                    let values = source.iter().skip(offset).step_by(channels);
                    target.iter_mut().zip(values).for_each(|(t, &v)| *t = table[v as usize]);
                }
            }
        }
        out
    }
}

/// Rotation by whole degrees and brightness as the released code draws them.
fn paper_draws(a: &Augmentation, image: Image, mask: Mask, stream: impl Fn(&str) -> Stream) -> (Image, Mask) {
    let (mut image, mut mask) = (image, mask);
    let mut draws = stream("rotation");
    if draws.chance(a.rotation.probability) {
        let steps = (a.rotation.high - a.rotation.low).floor().max(0.0) as u32 + 1;
        let degrees = a.rotation.low + f64::from(draws.below(steps));
        (image, mask) = rotate_both(&image, &mask, degrees);
    }
    let mut draws = stream("brightness");
    if draws.chance(a.brightness.probability) {
        image = adjust_brightness(image, (a.brightness.high * draws.uniform()).max(a.brightness.low));
    }
    (image, mask)
}
