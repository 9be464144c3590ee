//! Pictures as PNG.

use crate::error::CliError;
use image::{EncodableLayout, ImageBuffer, ImageFormat, Pixel, PixelWithColorType};
use std::io::Cursor;
use std::path::Path;

/// A picture as the bytes of a PNG; `path` is named in messages only.
pub(crate) fn png<P>(picture: &ImageBuffer<P, Vec<P::Subpixel>>, path: &Path) -> Result<Vec<u8>, CliError>
where
    P: Pixel + PixelWithColorType,
    [P::Subpixel]: EncodableLayout,
{
    let mut content = Cursor::new(Vec::new());
    let written = picture.write_to(&mut content, ImageFormat::Png);
    written.map_err(|source| CliError::Picture { path: path.to_path_buf(), source })?;
    Ok(content.into_inner())
}
