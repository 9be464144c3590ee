//! Base weights that a training does not read, on a disk meanwhile.

use super::BaseModel;
use crate::error::Result;
use burn_kernels::set_aside;
use salt_peft::{AdapterConfig, plan};
use std::collections::BTreeSet;
use std::path::Path;

impl BaseModel {
    /// The same model with the weights that a training with `adapter` [does not read](salt_peft::Plan::weights_at_rest) in unnamed files on
    /// the disk of `folder` (the system removes them with the process): SALT and SVD tuning compute a layer from the singular vectors, and
    /// the weight would lie beside them in memory. Whoever reads it all the same (merging, validation, an export) gets the same bits from
    /// the disk.
    ///
    /// Copies that were made of this model before keep their memory. Where the folder cannot take the weights, they stay in memory, with
    /// a `tracing` warning.
    ///
    /// # Errors
    /// A configuration that does not fit the model.
    pub fn at_rest(mut self, adapter: Option<&AdapterConfig>, folder: &Path) -> Result<Self> {
        let Some(adapter) = adapter else { return Ok(self) };
        let plan = plan(&self.segmenter, adapter)?;
        let paths: BTreeSet<&str> = plan.weights_at_rest().collect();
        if paths.is_empty() {
            return Ok(self);
        }
        let before = self.segmenter.clone();
        let moved = std::fs::create_dir_all(folder)
            .and_then(|()| set_aside(self.segmenter, folder, |path| paths.contains(path)));
        match moved {
            Ok((segmenter, _)) => self.segmenter = segmenter,
            Err(error) => {
                tracing::warn!("{} cannot take weights, they stay in memory: {error}", folder.display());
                self.segmenter = before;
            }
        }
        Ok(self)
    }
}
