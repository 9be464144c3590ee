//! Masks of images that are larger than a model's view, tile by tile.

use crate::error::TrainError;
use crate::session::Session;
use crate::stop::StopFlag;
use medseg_data::transform::{FinishedRows, Mosaic, Tiling};
use medseg_data::{Image, Mask};

impl Session {
    /// The masks of one image, one per label, in the image's own pixels, without a user's prompt: every tile is segmented like an
    /// image of its own ([`Session::segment`]), and where tiles overlap their logits are blended ([`Mosaic`]).
    ///
    /// A pixel that lies in one tile only has the logit that this tile alone has, and an image of one tile has those of
    /// [`Session::segment`]. What is held beside the image and the masks is one row of tiles; `rows` is handed every row of logits
    /// once, with the number of its label, from top to bottom.
    ///
    /// # Errors
    /// As [`Session::segment`]; [`TrainError::Stopped`] when the flag is raised between two tiles; what `rows` returns.
    pub fn segment_tiles<E: From<TrainError>>(
        &self,
        image: &Image,
        tiling: Tiling,
        stop: &StopFlag,
        mut rows: impl FnMut(usize, &FinishedRows) -> Result<(), E>,
    ) -> Result<Vec<Mask>, E> {
        let protocol = self.preprocessing().preprocess.protocol();
        let grid = tiling.grid(image.size());
        let (width, height) = image.size();
        let blank = || Mask::new(height, width).map_err(TrainError::from);
        let mut labels: Vec<(Mosaic<'_>, Mask)> = Vec::new();
        for tile in grid.tiles() {
            if stop.is_raised() {
                return Err(TrainError::Stopped { step: 0 }.into());
            }
            let answers = self.segment(&[image.tile(&tile)])?.pop().unwrap_or_default();
            for (label, answer) in answers.iter().enumerate() {
                if labels.len() == label {
                    labels.push((Mosaic::new(&grid), blank()?));
                }
                let (mosaic, mask) = &mut labels[label];
                let Some(finished) = mosaic.add(&answer.logits).map_err(TrainError::from)? else { continue };
                for (row, logits) in (finished.first..).zip(finished.logits.chunks_exact(width)) {
                    let foreground = logits.iter().enumerate().filter(|(_, logit)| protocol.is_foreground(**logit));
                    foreground.for_each(|(column, _)| mask.insert(row, column));
                }
                rows(label, &finished)?;
            }
        }
        Ok(labels.into_iter().map(|(_, mask)| mask).collect())
    }
}
