//! The way to the network's input and back, as one value.

use crate::probability::{logit, sigmoid};
use crate::resize::resize_rounded_once;
use crate::spline::resize_spline;
use crate::{Image, PreprocessError, Protocol, ResizeGeometry, resize_image, resize_to_floats};
use medseg_metrics::Mask;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// A protocol and the side of the network's square input in pixels: all that preprocessing depends on.
///
/// Serialised as `{"protocol": "default", "size": 1024}`; unknown fields and sizes out of range are errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Fields")]
pub struct Preprocess {
    protocol: Protocol,
    size: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Fields {
    protocol: Protocol,
    size: usize,
}

impl TryFrom<Fields> for Preprocess {
    type Error = PreprocessError;

    fn try_from(fields: Fields) -> Result<Self, PreprocessError> {
        Self::new(fields.protocol, fields.size)
    }
}

/// An image as the network sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct NetworkInput {
    /// Normalised values, `[3, size, size]`.
    pub values: Vec<f32>,
    /// The way back to the original pixels.
    pub geometry: ResizeGeometry,
}

/// A network's answer in the pixels of the original image.
#[derive(Debug, Clone, PartialEq)]
pub struct RestoredMask {
    /// Logits, `[height, width]`.
    pub logits: Vec<f32>,
    /// The foreground among them, by the protocol's comparison.
    pub mask: Mask,
}

impl Preprocess {
    /// Largest side of the network's input, px.
    pub const MAX_SIZE: usize = 1 << 14;

    /// Preprocessing to squares of `size` pixels.
    ///
    /// # Errors
    /// [`PreprocessError::Size`] unless `size` is 1 to [`Self::MAX_SIZE`].
    pub fn new(protocol: Protocol, size: usize) -> Result<Self, PreprocessError> {
        if !(1..=Self::MAX_SIZE).contains(&size) {
            return Err(PreprocessError::Size { found: size, limit: Self::MAX_SIZE });
        }
        Ok(Self { protocol, size })
    }

    /// The protocol.
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// Side of the network's input in pixels.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Where an image of `original` width and height lies in the network's input.
    pub fn geometry(&self, original: (usize, usize)) -> ResizeGeometry {
        self.protocol.geometry(original, self.size)
    }

    /// An image as the network sees it, and the way back: [`resize`](Self::resize), then [`normalise`](Self::normalise).
    /// Under [`Protocol::Sam2`] the resized values are not rounded in between.
    pub fn prepare(&self, image: &Image) -> NetworkInput {
        let values = match self.protocol {
            Protocol::Sam2 => self.stretch(image),
            _ => self.normalise(&self.resize(image)),
        };
        NetworkInput { values, geometry: self.geometry(image.size()) }
    }

    /// The image stretched to the square and normalised, without rounding.
    fn stretch(&self, image: &Image) -> Vec<f32> {
        let (mean, deviation) = (self.protocol.mean(), self.protocol.standard_deviation());
        let resized = resize_to_floats(image, self.size, self.size);
        let channels = image.channels();
        let plane = |c: usize| {
            let values = resized.iter().skip(if channels == 1 { 0 } else { c }).step_by(channels);
            values.map(move |value| (value - mean[c]) / deviation[c])
        };
        (0..3).flat_map(plane).collect()
    }

    /// The image in the size that it has in the square, antialiased: as Pillow's `BILINEAR` ([`Protocol::Default`]), or as
    /// torchvision's `Resize`, which rounds once ([`Protocol::Paper`], [`Protocol::Sam2`]), or by scikit-image's cubic splines, cut to whole
    /// grey levels ([`Protocol::MedSam`]).
    pub fn resize<'a>(&self, image: &'a Image) -> Cow<'a, Image> {
        let (width, height) = self.geometry(image.size()).resized;
        if image.size() == (width, height) {
            return Cow::Borrowed(image);
        }
        Cow::Owned(match self.protocol {
            Protocol::Default => resize_image(image, width, height),
            Protocol::Paper | Protocol::Sam2 => resize_rounded_once(image, width, height),
            Protocol::MedSam => {
                // A whole grey level is kept where rounding on the way left a little less of it.
                let data = resize_spline(image, width, height).into_iter().map(|value| (value + 1e-9) as u8).collect();
                Image::from_parts(width, height, image.channels(), data)
            }
        })
    }

    /// A resized image in normalised values, `[3, size, size]`, at the top left; a grey value stands for all three channels. The rest
    /// is 0 ([`Protocol::Default`]) or black ([`Protocol::Paper`]); what lies beyond the square is left out.
    pub fn normalise(&self, resized: &Image) -> Vec<f32> {
        let (width, height) = resized.size();
        let padded = width < self.size || height < self.size;
        let tables = self.protocol.tables(|| {
            let data = || resized.data().iter().copied();
            (if padded { 0 } else { data().min().unwrap_or(0) }, data().max().unwrap_or(0))
        });
        let (channels, plane) = (resized.channels(), self.size * self.size);
        let mut out = vec![0f32; 3 * plane];
        for (c, (target, table)) in out.chunks_exact_mut(plane).zip(&tables).enumerate() {
            if padded && self.protocol == Protocol::Paper {
                target.fill(table[0]);
            }
            let rows = resized.data().chunks_exact(width * channels);
            for (target, source) in target.chunks_exact_mut(self.size).zip(rows) {
                if channels == 1 {
                    target.iter_mut().zip(source).for_each(|(t, &v)| *t = table[usize::from(v)]);
                } else {
                    let values = source.iter().skip(c).step_by(channels);
                    target.iter_mut().zip(values).for_each(|(t, &v)| *t = table[usize::from(v)]);
                }
            }
        }
        out
    }

    /// The logits of the square, `[size, size]`, in the pixels of the original image, and the foreground among them. What is interpolated
    /// are their probabilities where the protocol says so ([`Protocol::interpolates_probabilities`]).
    ///
    /// # Errors
    /// [`PreprocessError::LogitCount`] unless `logits` fill the square that `geometry` was made for;
    /// [`PreprocessError::NanLogit`]; [`PreprocessError::Mask`] for images larger than a mask can be.
    pub fn restore(&self, geometry: &ResizeGeometry, logits: &[f32]) -> Result<RestoredMask, PreprocessError> {
        let logits = if self.protocol.interpolates_probabilities() {
            let probabilities: Vec<f32> = logits.iter().map(|&value| sigmoid(value)).collect();
            geometry.restore(&probabilities)?.into_iter().map(logit).collect()
        } else {
            geometry.restore(logits)?
        };
        let (width, height) = geometry.original;
        Ok(RestoredMask { mask: self.protocol.decide(height, width, &logits)?, logits })
    }
}
