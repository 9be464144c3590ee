//! The two protocols, from a sample to a normalised tensor.

use super::rotate::rotate_both;
use super::warp::{Field, Warp};
use super::{
    Augmentation, Jitter, Preprocess, Protocol, ResizeGeometry, adjust_brightness, adjust_contrast, flip_horizontal,
    flip_horizontal_mask, flip_vertical, flip_vertical_mask, resize_mask, resize_soft,
};
use crate::dataset::{Loaded, Sample};
use crate::decode::{Limits, MaskPolicy};
use crate::error::{DataError, Result};
use crate::random::Stream;
use crate::raster::{Image, Mask};
use std::borrow::Cow;

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

/// An image's way to the network with what training adds: masks, augmentation, rules for files.
#[derive(Debug, Clone, PartialEq)]
pub struct Pipeline {
    preprocess: Preprocess,
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
        let wrong = || DataError::config("size", "8 to 4096 pixels", size);
        let preprocess = Preprocess::new(protocol, size).map_err(|_| wrong())?;
        if !(8..=4096).contains(&size) {
            return Err(wrong());
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
        Ok(Self { preprocess, augmentation, limits: Limits::default(), masks })
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

    /// The way from an image to the network and back, without augmentation: what prediction has to repeat.
    pub fn preprocess(&self) -> Preprocess {
        self.preprocess
    }

    /// The protocol.
    pub fn protocol(&self) -> Protocol {
        self.preprocess.protocol()
    }

    /// The side of the squares in pixels.
    pub fn size(&self) -> usize {
        self.preprocess.size()
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
        let geometry = self.preprocess.geometry(image.size());
        let (width, height) = geometry.resized;
        if self.protocol() == Protocol::Paper {
            // Augmentation comes before resizing there.
            return Prepared { image, mask, geometry };
        }
        let resized = match self.preprocess.resize(&image) {
            Cow::Borrowed(_) => None,
            Cow::Owned(resized) => Some(resized),
        };
        Prepared { image: resized.unwrap_or(image), mask: resize_mask(&mask, width, height), geometry }
    }

    /// The steps that vary: augmentation, then normalisation. Draws depend on (`seed`, `epoch`, `id`) and the name of the
    /// transform only.
    pub fn finish(&self, prepared: &Prepared, id: &str, seed: u64, epoch: u64) -> Item {
        let augmented = self.augment(prepared, id, seed, epoch);
        let (image, mask) = augmented.as_ref().map_or((&prepared.image, &prepared.mask), |(i, m)| (i, m));
        let geometry = prepared.geometry;
        let (width, height) = geometry.resized;
        let (values, soft) = match self.protocol() {
            Protocol::Default => {
                (self.preprocess.normalise(image), mask.data().iter().map(|&v| f32::from(v)).collect())
            }
            Protocol::Paper => (self.preprocess.prepare(image).values, resize_soft(mask, width, height)),
        };
        let size = self.size();
        let mut padded = vec![0f32; size * size];
        for (target, source) in padded.chunks_exact_mut(size).zip(soft.chunks_exact(width)) {
            target[..width].copy_from_slice(source);
        }
        Item { id: id.to_owned(), image: values, mask: padded, size, geometry }
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
        if self.protocol() == Protocol::Paper {
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
