//! The protocols, from a sample to a normalised tensor.

use super::rotate::rotation;
use super::warp::{Field, Warp};
use super::{
    Augmentation, Jitter, Preprocess, Protocol, ResizeGeometry, adjust_brightness, adjust_contrast, flip_horizontal,
    flip_vertical, resize_plane, resize_soft,
};
use crate::dataset::{Loaded, Sample};
use crate::decode::{Limits, MaskPolicy, MaskRule};
use crate::error::{DataError, Result};
use crate::random::Stream;
use crate::raster::{Image, mask_of, plane_of};
use medseg_metrics::Mask;
use std::borrow::Cow;

/// A sample after the steps that are the same in every epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prepared {
    planes: Planes,
    geometry: ResizeGeometry,
}

/// What goes through the transforms together, all of one size; masks as zeros and ones.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Planes {
    image: Image,
    mask: Image,
    ignored: Option<Image>,
}

impl Planes {
    /// The same step for image and masks.
    fn map(&self, step: impl Fn(&Image) -> Image) -> Self {
        Self { image: step(&self.image), mask: step(&self.mask), ignored: self.ignored.as_ref().map(step) }
    }

    fn warp(&self, warp: &Warp) -> Self {
        let (image, mask) = warp.apply(&self.image, &self.mask);
        Self { image, mask, ignored: self.ignored.as_ref().map(|ignored| warp.apply(ignored, ignored).1) }
    }
}

/// A sample as the network sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// The sample's id.
    pub id: String,
    /// Normalised image, `[3, size, size]`.
    pub image: Vec<f32>,
    /// Mask, `[size, size]`: 0 or 1, or a share of 0 to 1 under [`Protocol::Paper`]; 0 in the padding and
    /// where a pixel is ignored.
    pub mask: Vec<f32>,
    /// Pixels that count neither in the loss nor in a metric, `[size, size]`: 1 there and 0 elsewhere; `None` where the sample
    /// has none.
    pub ignored: Option<Vec<f32>>,
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
        let rule = if protocol == Protocol::Paper { MaskRule::AnyPositive } else { MaskRule::Automatic };
        let masks = MaskPolicy { rule, allow_empty: false };
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

    /// The same pipeline with another rule for mask files. Each protocol starts with its own: [`MaskRule::Automatic`] (default),
    /// [`MaskRule::AnyPositive`] (paper).
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
    pub fn mask_policy(&self) -> &MaskPolicy {
        &self.masks
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
        Ok(self.prepare(sample.load_with(&self.limits, &self.masks)?))
    }

    /// The steps that are the same in every epoch.
    pub fn prepare(&self, loaded: Loaded) -> Prepared {
        let Loaded { image, mask, ignored } = loaded;
        let geometry = self.preprocess.geometry(image.size());
        let (width, height) = geometry.resized;
        let planes = Planes { image, mask: plane_of(&mask), ignored: ignored.as_ref().map(plane_of) };
        if augments_first(self.protocol()) {
            return Prepared { planes, geometry };
        }
        let resized = match self.preprocess.resize(&planes.image) {
            Cow::Borrowed(_) => None,
            Cow::Owned(resized) => Some(resized),
        };
        let fit = |plane: &Image| resize_plane(plane, width, height);
        let (mask, ignored) = (fit(&planes.mask), planes.ignored.as_ref().map(fit));
        Prepared { planes: Planes { image: resized.unwrap_or(planes.image), mask, ignored }, geometry }
    }

    /// The steps that vary: augmentation, then normalisation. Draws depend on (`seed`, `epoch`, `id`) and the name of the
    /// transform only.
    pub fn finish(&self, prepared: &Prepared, id: &str, seed: u64, epoch: u64) -> Item {
        let augmented = self.augment(prepared, id, seed, epoch);
        let planes = augmented.as_ref().unwrap_or(&prepared.planes);
        let geometry = prepared.geometry;
        let (width, height) = geometry.resized;
        let floats = |plane: &Image| plane.data().iter().map(|&v| f32::from(v)).collect::<Vec<f32>>();
        let fit = |plane: &Image| floats(&resize_plane(plane, width, height));
        let (image, mask, ignored) = match self.protocol() {
            Protocol::Default => {
                let image = self.preprocess.normalise(&planes.image);
                (image, floats(&planes.mask), planes.ignored.as_ref().map(floats))
            }
            Protocol::Paper => {
                let mask = resize_soft(&planes.mask, width, height);
                (self.preprocess.prepare(&planes.image).values, mask, planes.ignored.as_ref().map(fit))
            }
            Protocol::Sam2 | Protocol::MedSam => {
                (self.preprocess.prepare(&planes.image).values, fit(&planes.mask), planes.ignored.as_ref().map(fit))
            }
        };
        let size = self.size();
        let pad = |values: Vec<f32>| {
            let mut padded = vec![0f32; size * size];
            for (target, source) in padded.chunks_exact_mut(size).zip(values.chunks_exact(width)) {
                target[..width].copy_from_slice(source);
            }
            padded
        };
        let (mut mask, ignored) = (pad(mask), ignored.map(pad));
        if let Some(ignored) = &ignored {
            // Along the border of the ignored region a resized mask may reach into it.
            mask.iter_mut().zip(ignored).filter(|(_, ignored)| **ignored > 0.0).for_each(|(mask, _)| *mask = 0.0);
        }
        Item { id: id.to_owned(), image, mask, ignored, size, geometry }
    }

    /// The image and mask that [`finish`](Pipeline::finish) would normalise, for looking at; under all protocols but the default one
    /// before resizing.
    pub fn augmented(&self, prepared: &Prepared, id: &str, seed: u64, epoch: u64) -> (Image, Mask) {
        let planes = self.augment(prepared, id, seed, epoch).unwrap_or_else(|| prepared.planes.clone());
        let mask = mask_of(&planes.mask);
        (planes.image, mask)
    }

    /// `None` when nothing was drawn.
    fn augment(&self, prepared: &Prepared, id: &str, seed: u64, epoch: u64) -> Option<Planes> {
        let a = &self.augmentation;
        if a.is_none() {
            return None;
        }
        let stream = |transform: &str| Stream::new(seed, epoch, id, transform);
        let chance = |transform: &str, p: f64| p > 0.0 && stream(transform).chance(p);
        let mut planes = prepared.planes.clone();
        if chance("horizontal flip", a.horizontal_flip) {
            planes = planes.map(flip_horizontal);
        }
        if chance("vertical flip", a.vertical_flip) {
            planes = planes.map(flip_vertical);
        }
        if self.protocol() == Protocol::Paper {
            return Some(paper_draws(a, planes, stream));
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
            let mut warp = Warp::new(
                planes.image.size(),
                rotation.unwrap_or(0.0),
                scale.unwrap_or(1.0),
                crop.unwrap_or(1.0),
                place,
            );
            if elastic {
                let amplitude = a.elastic.amplitude * planes.image.width().max(planes.image.height()) as f64;
                warp = warp.with_field(Field::new(a.elastic.cells, amplitude, &mut stream("elastic field")));
            }
            planes = planes.warp(&warp);
        }
        if let Some(factor) = draw("brightness", &a.brightness) {
            planes.image = adjust_brightness(planes.image, factor);
        }
        if let Some(factor) = draw("contrast", &a.contrast) {
            planes.image = adjust_contrast(planes.image, factor);
        }
        Some(planes)
    }
}

/// Whether an image is varied in its own pixels, before it is resized: in the released code of the paper, for SAM 2, whose inputs are
/// never rounded to the grey levels that augmentation works on, and for MedSAM, whose inputs are stretched like SAM 2's.
fn augments_first(protocol: Protocol) -> bool {
    matches!(protocol, Protocol::Paper | Protocol::Sam2 | Protocol::MedSam)
}

/// Rotation by whole degrees and brightness as the released code draws them.
fn paper_draws(a: &Augmentation, planes: Planes, stream: impl Fn(&str) -> Stream) -> Planes {
    let mut planes = planes;
    let mut draws = stream("rotation");
    if draws.chance(a.rotation.probability) {
        let steps = (a.rotation.high - a.rotation.low).floor().max(0.0) as u32 + 1;
        let degrees = a.rotation.low + f64::from(draws.below(steps));
        planes = planes.map(rotation(planes.image.size(), degrees));
    }
    let mut draws = stream("brightness");
    if draws.chance(a.brightness.probability) {
        planes.image = adjust_brightness(planes.image, (a.brightness.high * draws.uniform()).max(a.brightness.low));
    }
    planes
}
