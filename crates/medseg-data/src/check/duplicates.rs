//! Images that are the same, or nearly so.

use crate::raster::Image;
use crate::split::hex;
use crate::transform::resize_image;
use rayon::prelude::*;
use sha2::{Digest, Sha256};

/// Side of the thumbnails that are compared.
const SIDE: usize = 48;

/// What is kept of an image to find its doubles.
#[derive(Debug, Clone)]
pub(super) struct Print {
    /// SHA-256 of size and grey pixels.
    pub(super) hash: String,
    /// Local contrast of a thumbnail, mean 0, length 1.
    thumbnail: Vec<f32>,
}

impl Print {
    pub(super) fn new(image: &Image) -> Self {
        let grey = image.to_grey();
        let mut hash = Sha256::new();
        hash.update((grey.width() as u64).to_le_bytes());
        hash.update((grey.height() as u64).to_le_bytes());
        hash.update(grey.data());
        let small = resize_image(&grey, SIDE, SIDE);
        Self { hash: hex(&hash.finalize()), thumbnail: local_contrast(small.data()) }
    }

    /// Correlation of the two thumbnails, -1 to 1.
    pub(super) fn similarity(&self, other: &Self) -> f32 {
        self.thumbnail.iter().zip(&other.thumbnail).map(|(a, b)| a * b).sum()
    }
}

/// Every pixel less the mean of its 9x9 neighbourhood: images of one modality agree in their coarse shading, doubles agree in
/// detail too.
fn local_contrast(data: &[u8]) -> Vec<f32> {
    const REACH: usize = 4;
    let mut sums = vec![0f64; (SIDE + 1) * (SIDE + 1)];
    for y in 0..SIDE {
        for x in 0..SIDE {
            sums[(y + 1) * (SIDE + 1) + x + 1] =
                f64::from(data[y * SIDE + x]) + sums[y * (SIDE + 1) + x + 1] + sums[(y + 1) * (SIDE + 1) + x]
                    - sums[y * (SIDE + 1) + x];
        }
    }
    let mut out: Vec<f32> = (0..SIDE * SIDE)
        .map(|i| {
            let (x, y) = (i % SIDE, i / SIDE);
            let (left, right) = (x.saturating_sub(REACH), (x + REACH + 1).min(SIDE));
            let (top, bottom) = (y.saturating_sub(REACH), (y + REACH + 1).min(SIDE));
            let at = |x: usize, y: usize| sums[y * (SIDE + 1) + x];
            let sum = at(right, bottom) - at(left, bottom) - at(right, top) + at(left, top);
            (f64::from(data[i]) - sum / ((right - left) * (bottom - top)) as f64) as f32
        })
        .collect();
    let mean = out.iter().sum::<f32>() / out.len() as f32;
    out.iter_mut().for_each(|v| *v -= mean);
    let length = out.iter().map(|v| v * v).sum::<f32>().sqrt();
    if length > 0.0 {
        out.iter_mut().for_each(|v| *v /= length);
    }
    out
}

/// Pairs (first, second, similarity) of images whose hash is equal (similarity 1) or whose thumbnails correlate by at least
/// `threshold`.
pub(super) fn pairs(prints: &[Print], threshold: f32) -> Vec<(usize, usize, f32)> {
    let mut found: Vec<(usize, usize, f32)> = (0..prints.len())
        .into_par_iter()
        .flat_map_iter(|i| {
            (i + 1..prints.len()).filter_map(move |j| {
                if prints[i].hash == prints[j].hash {
                    return Some((i, j, 1.0));
                }
                let similarity = prints[i].similarity(&prints[j]);
                (similarity >= threshold).then_some((i, j, similarity.min(0.9999)))
            })
        })
        .collect();
    found.sort_by_key(|&(i, j, _)| (i, j));
    found
}
