//! The two protocols, from a sample to a normalised tensor.

use super::resize::resize_image_rounded_once;
use super::rotate::rotation;
use super::warp::{Field, Warp};
use super::{
    Augmentation, Jitter, ResizeGeometry, adjust_brightness, adjust_contrast, flip_horizontal, flip_vertical,
    resize_image, resize_plane, resize_soft,
};
use crate::dataset::{Loaded, Sample};
use crate::decode::{Limits, MaskPolicy, MaskRule};
use crate::error::{DataError, Result};
use crate::random::Stream;
use crate::raster::{Image, mask_of, plane_of};
use medseg_metrics::Mask;
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
    /// Mask, `[size, size]`: 0 or 1 ([`Protocol::Default`]) or a share of 0 to 1 ([`Protocol::Paper`]); 0 in the padding and
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
        let rule = if protocol == Protocol::Paper { MaskRule::AnyPositive } else { MaskRule::Automatic };
        let masks = MaskPolicy { rule, allow_empty: false };
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

    /// The same pipeline with another rule for mask files. Each protocol starts with its own: [`MaskRule::Automatic`] (default),
    /// [`MaskRule::AnyPositive`] (paper).
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
        let planes = Planes { image, mask: plane_of(&mask), ignored: ignored.as_ref().map(plane_of) };
        let original = planes.image.size();
        if self.protocol == Protocol::Paper {
            return Prepared { geometry: ResizeGeometry::paper(original, self.size), planes };
        }
        let geometry = ResizeGeometry::longest_side(original, self.size);
        let (width, height) = geometry.resized;
        if geometry.original == geometry.resized {
            return Prepared { planes, geometry };
        }
        let shrink = |plane: &Image| resize_plane(plane, width, height);
        let planes = Planes {
            image: resize_image(&planes.image, width, height),
            mask: shrink(&planes.mask),
            ignored: planes.ignored.as_ref().map(shrink),
        };
        Prepared { planes, geometry }
    }

    /// An image alone, without augmentation, as a network for prediction sees it: `[3, size, size]` and the way back.
    pub fn image_only(&self, image: &Image) -> (Vec<f32>, ResizeGeometry) {
        let (width, height) = image.size();
        if self.protocol == Protocol::Paper {
            let geometry = ResizeGeometry::paper((width, height), self.size);
            return (self.normalise(image, geometry), geometry);
        }
        let geometry = ResizeGeometry::longest_side((width, height), self.size);
        (self.normalise(&resize_image(image, geometry.resized.0, geometry.resized.1), geometry), geometry)
    }

    /// The steps that vary: augmentation, then normalisation. Draws depend on (`seed`, `epoch`, `id`) and the name of the
    /// transform only.
    pub fn finish(&self, prepared: &Prepared, id: &str, seed: u64, epoch: u64) -> Item {
        let augmented = self.augment(prepared, id, seed, epoch);
        let planes = augmented.as_ref().unwrap_or(&prepared.planes);
        let geometry = prepared.geometry;
        let (width, height) = geometry.resized;
        let floats = |plane: &Image| plane.data().iter().map(|&v| f32::from(v)).collect::<Vec<f32>>();
        let (mask, ignored) = match self.protocol {
            Protocol::Default => (floats(&planes.mask), planes.ignored.as_ref().map(floats)),
            Protocol::Paper => {
                let ignored = planes.ignored.as_ref().map(|plane| floats(&resize_plane(plane, width, height)));
                (resize_soft(&planes.mask, width, height), ignored)
            }
        };
        let pad = |values: Vec<f32>| {
            let mut padded = vec![0f32; self.size * self.size];
            for (target, source) in padded.chunks_exact_mut(self.size).zip(values.chunks_exact(width)) {
                target[..width].copy_from_slice(source);
            }
            padded
        };
        let (mut mask, ignored) = (pad(mask), ignored.map(pad));
        if let Some(ignored) = &ignored {
            // Along the border of the ignored region a resized mask may reach into it.
            mask.iter_mut().zip(ignored).filter(|(_, ignored)| **ignored > 0.0).for_each(|(mask, _)| *mask = 0.0);
        }
        Item {
            id: id.to_owned(),
            image: self.normalise(&planes.image, geometry),
            mask,
            ignored,
            size: self.size,
            geometry,
        }
    }

    /// The image and mask that [`finish`](Pipeline::finish) would normalise, for looking at; under the paper's protocol before
    /// resizing.
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
        if self.protocol == Protocol::Paper {
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
