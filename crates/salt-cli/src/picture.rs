//! Pictures as PNG.

use crate::error::CliError;
use image::{DynamicImage, ImageFormat};
use std::io::Cursor;
use std::path::Path;

/// A picture as the bytes of a PNG; `path` is named in messages only.
pub(crate) fn png(picture: &(impl Clone + Into<DynamicImage>), path: &Path) -> Result<Vec<u8>, CliError> {
    let mut content = Cursor::new(Vec::new());
    let picture: DynamicImage = picture.clone().into();
    picture
        .write_to(&mut content, ImageFormat::Png)
        .map_err(|source| CliError::Picture { path: path.to_path_buf(), source })?;
    Ok(content.into_inner())
}
