//! Images that are the same, or nearly so: copies that were shifted, cut, rescaled, compressed again, mirrored or given another
//! brightness, and repeated recordings of one place.
//!
//! Pictures of one modality agree in frame, field of view and shading, and a comparison of whole thumbnails takes that for
//! likeness. Here the field of view is found, shading and contrast are divided out, and only detail counts. A block-mean hash
//! (Yang, Gu and Niu, "Block mean value based image perceptual hashing", IIH-MSP 2006) of a coarse band names candidates;
//! a candidate is confirmed when blocks of vessel-scale detail are found again by normalised cross-correlation (Lewis, "Fast
//! normalized cross-correlation", 1995), moved by one affine map.

mod align;
mod block_hash;
mod detail;

use crate::raster::Image;
use align::Pattern;
use block_hash::{Candidate, Hashes};
use detail::Detail;
use rayon::prelude::*;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// The correlation from which [`duplicates`] should call two images nearly the same.
///
/// Changed copies reach 0.69 and more, two recordings of one eye 0.59; images of different patients stay below 0.3 (the section
/// "Near duplicates" of `docs/data.md` has the figures and how to get them).
pub const NEAR_DUPLICATE: f32 = 0.5;

/// What is kept of an image to find its doubles, about 36 kB.
#[derive(Debug, Clone)]
pub struct ImagePrint {
    /// SHA-256 of size and grey pixels.
    pixels: [u8; 32],
    /// `None` where the image has no detail to compare.
    detail: Option<(Pattern, Vec<i8>)>,
}

impl ImagePrint {
    /// Reads the whole image; its colours count as grey.
    pub fn new(image: &Image) -> Self {
        let grey = image.to_grey();
        let mut hash = Sha256::new();
        hash.update((grey.width() as u64).to_le_bytes());
        hash.update((grey.height() as u64).to_le_bytes());
        hash.update(grey.data());
        let detail = Detail::new(&grey).map(|d| (Pattern::new(d.vessels), d.regions));
        Self { pixels: hash.finalize().into(), detail }
    }
}

/// Two images that are the same or nearly so.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DuplicatePair {
    /// Index of the one.
    pub first: usize,
    /// Index of the other, larger than `first`.
    pub second: usize,
    /// Size and grey values are the same.
    pub same_pixels: bool,
    /// One is the mirror image (left and right) of the other.
    pub mirrored: bool,
    /// The correlation of vessel-scale detail after alignment that three quarters of the common blocks reach, -1 to 1; 1 for the
    /// same pixels.
    pub correlation: f32,
}

/// All pairs with the same pixels and, from a `near` correlation on (see [`NEAR_DUPLICATE`]; `None`: not at all), pairs that are
/// nearly the same. Of several images with the same pixels only the first is compared with others. In order of the indices.
///
/// Copies are found up to a displacement, by shift, cut, stretch or rotation, of about a tenth of the side.
///
/// ```
/// use medseg_data::check::{ImagePrint, NEAR_DUPLICATE, duplicates};
/// use medseg_data::{synth, transform::resize_image};
///
/// let mut images: Vec<_> = (0..3).map(|k| synth::octa(128, 7, k).image).collect();
/// images.push(resize_image(&images[1], 90, 90));
/// let prints: Vec<ImagePrint> = images.iter().map(ImagePrint::new).collect();
/// let pairs = duplicates(&prints, Some(NEAR_DUPLICATE));
/// assert_eq!((pairs.len(), pairs[0].first, pairs[0].second), (1, 1, 3));
/// ```
pub fn duplicates(prints: &[ImagePrint], near: Option<f32>) -> Vec<DuplicatePair> {
    let mut groups: BTreeMap<[u8; 32], Vec<usize>> = BTreeMap::new();
    for (index, print) in prints.iter().enumerate() {
        groups.entry(print.pixels).or_default().push(index);
    }
    let mut found = Vec::new();
    for group in groups.values() {
        for (k, &first) in group.iter().enumerate() {
            let same =
                |&second: &usize| DuplicatePair { first, second, same_pixels: true, mirrored: false, correlation: 1.0 };
            found.extend(group[k + 1..].iter().map(same));
        }
    }
    if let Some(near) = near {
        let mut single: Vec<usize> = groups.values().map(|group| group[0]).collect();
        single.sort_unstable();
        found.extend(near_pairs(prints, &single, near));
    }
    found.sort_by_key(|pair| (pair.first, pair.second));
    found
}

fn near_pairs(prints: &[ImagePrint], chosen: &[usize], near: f32) -> Vec<DuplicatePair> {
    let (indices, details): (Vec<usize>, Vec<_>) =
        chosen.iter().filter_map(|&i| prints[i].detail.as_ref().map(|detail| (i, detail))).unzip();
    let bands: Vec<&[i8]> = details.iter().map(|(_, regions)| regions.as_slice()).collect();
    let check = |Candidate { first, second, mirrored, size }: Candidate| {
        let correlation = details[first].0.correlation(&details[second].0, mirrored, size)?;
        let (first, second) = (indices[first.min(second)], indices[first.max(second)]);
        (correlation >= near).then_some(DuplicatePair { first, second, same_pixels: false, mirrored, correlation })
    };
    let pairs: Vec<DuplicatePair> = Hashes::new(&bands).candidates().into_par_iter().filter_map(check).collect();
    // A pair may have been found more than once, as something that equals its mirror image.
    let mut best: BTreeMap<(usize, usize), DuplicatePair> = BTreeMap::new();
    for pair in pairs {
        let kept = best.entry((pair.first, pair.second)).or_insert(pair);
        if pair.correlation > kept.correlation {
            *kept = pair;
        }
    }
    best.into_values().collect()
}
