//! Contact sheets: images with the outline of their masks, for looking at.

use crate::dataset::Dataset;
use crate::error::{DataError, Result};
use crate::raster::{Image, plane_of};
use crate::transform::{Pipeline, resize_image, resize_plane};
use medseg_metrics::Mask;
use rayon::prelude::*;
use std::path::Path;

/// What a sheet shows.
#[derive(Debug, Clone, PartialEq)]
pub struct PreviewOptions {
    /// Samples, spread evenly over the data set.
    pub samples: usize,
    /// Augmented versions beside each original.
    pub augmented: usize,
    /// Side of a tile in pixels, 32 to 1024.
    pub tile: usize,
    /// Tiles in a row; rounded to whole samples.
    pub columns: usize,
    /// Whether the plain image stands before the outlined one.
    pub plain: bool,
    /// Seed of the augmentation.
    pub seed: u64,
}

impl Default for PreviewOptions {
    fn default() -> Self {
        Self { samples: 8, augmented: 2, tile: 256, columns: 4, plain: true, seed: 42 }
    }
}

/// A sheet and the sample ids of its groups of tiles, row by row.
#[derive(Debug, Clone, PartialEq)]
pub struct Sheet {
    /// The picture, in colour.
    pub image: Image,
    /// The sample of every group.
    pub ids: Vec<String>,
    /// Tiles a sample takes.
    pub tiles: usize,
    /// Samples in a row.
    pub samples_per_row: usize,
}

/// Colour of outlines: a green that neither angiograms nor fundus photographs contain.
const OUTLINE: [u8; 3] = [40, 255, 90];

/// Draws a contact sheet of a data set: for every sample the plain image, the image with its mask outlined, and augmented
/// versions (by `pipeline`) with theirs.
///
/// # Errors
/// [`DataError::Config`] for options out of range; whatever loading the shown samples gives.
pub fn preview(dataset: &Dataset, pipeline: &Pipeline, options: &PreviewOptions) -> Result<Sheet> {
    if !(32..=1024).contains(&options.tile) {
        return Err(DataError::config("tile", "32 to 1024 pixels", options.tile));
    }
    let count = options.samples.min(dataset.samples.len());
    if count == 0 || options.columns == 0 {
        return Err(DataError::config("samples", "at least one sample and one column", count));
    }
    let shown: Vec<_> = (0..count).map(|i| &dataset.samples[i * dataset.samples.len() / count]).collect();
    let groups: Vec<Vec<Image>> = shown
        .par_iter()
        .map(|sample| {
            let loaded = sample.load_with(pipeline.limits(), pipeline.mask_policy())?;
            let mut tiles = Vec::new();
            if options.plain {
                tiles.push(fit(&loaded.image, None, options.tile));
            }
            tiles.push(fit(&loaded.image, Some(&loaded.mask), options.tile));
            let prepared = pipeline.prepare(loaded);
            for epoch in 0..options.augmented {
                let (image, mask) = pipeline.augmented(&prepared, &sample.id, options.seed, epoch as u64);
                tiles.push(fit(&image, Some(&mask), options.tile));
            }
            Ok(tiles)
        })
        .collect::<Result<_>>()?;
    let tiles = groups[0].len();
    let samples_per_row = (options.columns / tiles).clamp(1, count);
    let ids = shown.iter().map(|s| s.id.clone()).collect();
    let image = arrange(groups.into_iter().flatten().collect(), samples_per_row * tiles, options.tile);
    Ok(Sheet { image, ids, tiles, samples_per_row })
}

/// Writes an image as PNG, TIFF, JPEG or BMP by the extension of `path`; whole or not at all.
///
/// # Errors
/// [`DataError::Io`].
pub fn save_image(path: impl AsRef<Path>, image: &Image) -> Result<()> {
    let path = path.as_ref();
    let other = |error| DataError::io(path)(std::io::Error::other(error));
    let format = image::ImageFormat::from_path(path).map_err(other)?;
    let colour = if image.channels() == 1 { image::ExtendedColorType::L8 } else { image::ExtendedColorType::Rgb8 };
    let (width, height) = (image.width() as u32, image.height() as u32);
    let mut bytes = std::io::Cursor::new(Vec::new());
    image::write_buffer_with_format(&mut bytes, image.data(), width, height, colour, format).map_err(other)?;
    atomic_file::write(path, bytes.get_ref()).map_err(DataError::io(path))
}

/// Puts tiles of one size side by side.
fn arrange(tiles: Vec<Image>, columns: usize, tile: usize) -> Image {
    let rows = tiles.len().div_ceil(columns);
    let width = columns * tile;
    let mut data = vec![16u8; width * rows * tile * 3];
    for (i, image) in tiles.iter().enumerate() {
        let (left, top) = (i % columns * tile, i / columns * tile);
        for (y, row) in image.data().chunks_exact(tile * 3).enumerate() {
            let start = ((top + y) * width + left) * 3;
            data[start..start + tile * 3].copy_from_slice(row);
        }
    }
    Image::from_parts(width, rows * tile, 3, data)
}

/// Fits an image into a square tile and draws the outline of its mask.
fn fit(image: &Image, mask: Option<&Mask>, tile: usize) -> Image {
    let scale = tile as f64 / image.width().max(image.height()) as f64;
    let side = |length: usize| ((length as f64 * scale + 0.5) as usize).clamp(1, tile);
    let (width, height) = (side(image.width()), side(image.height()));
    let mut small = resize_image(image, width, height).to_rgb().into_data();
    if let Some(mask) = mask {
        let mask = resize_plane(&plane_of(mask), width, height);
        for (pixel, border) in small.chunks_exact_mut(3).zip(border(&mask)) {
            if border {
                pixel.copy_from_slice(&OUTLINE);
            }
        }
    }
    let mut data = vec![16u8; tile * tile * 3];
    for (target, source) in data.chunks_exact_mut(tile * 3).zip(small.chunks_exact(width * 3)) {
        target[..width * 3].copy_from_slice(source);
    }
    Image::from_parts(tile, tile, 3, data)
}

/// Background pixels that touch the foreground: the outline lies around the vessel and hides none of it.
fn border(mask: &Image) -> Vec<bool> {
    let (width, height) = mask.size();
    let at = |x: usize, y: usize| mask.data()[y * width + x] == 1;
    (0..width * height)
        .map(|i| {
            let (x, y) = (i % width, i / width);
            let near = || {
                (x > 0 && at(x - 1, y))
                    || (x + 1 < width && at(x + 1, y))
                    || (y > 0 && at(x, y - 1))
                    || (y + 1 < height && at(x, y + 1))
            };
            !at(x, y) && near()
        })
        .collect()
}
