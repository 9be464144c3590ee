//! The arguments that name a model, the same in every command that uses one.

use crate::cache::cache_folder;
use crate::error::CliError;
use medseg_data::Protocol;
use medseg_data::decode::ImageOptions;
use medseg_train::device::DeviceName;
use medseg_train::session::{Session, SessionOptions};
use std::path::PathBuf;

/// Which model, and where it computes.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ModelArgument {
    /// A run directory, a bundle, a checkpoint (.pth, .safetensors), an adapter's folder (with --base), sam-mini or sam2-mini
    #[arg(long, value_name = "PLACE", visible_aliases = ["run", "checkpoint"])]
    pub(crate) model: String,
    /// What an adapter adapts: sam-mini, sam2-mini or a checkpoint file; for a bundle only if its base moved
    #[arg(long, value_name = "FILE")]
    pub(crate) base: Option<String>,
    /// Folder that keeps decompositions between runs [default: SALT_CACHE_DIR, or the user's cache folder]
    #[arg(long, value_name = "DIR")]
    pub(crate) cache: Option<PathBuf>,
    /// Where to compute: cpu, wgpu, cuda, cuda:N or remote:HOST:PORT; a model may be used elsewhere than it was trained
    #[arg(long, default_value = "cpu")]
    pub(crate) device: DeviceName,
}

impl ModelArgument {
    /// Opens a model with everything that it says of itself.
    pub(crate) fn open(&self) -> Result<Session, CliError> {
        self.open_with(None, None, ImageOptions::default())
    }

    /// Opens the model; input size, protocol and reading are for models that say nothing of them.
    pub(crate) fn open_with(
        &self,
        input_size: Option<usize>,
        protocol: Option<Protocol>,
        reading: ImageOptions,
    ) -> Result<Session, CliError> {
        let device = self.device.open()?;
        let options = SessionOptions {
            base: self.base.clone(),
            input_size,
            protocol,
            reading,
            basis_cache: cache_folder(self.cache.as_deref()),
        };
        let session = Session::open(&self.model, &device, &options)?;
        for note in session.base().map(|base| base.notes.as_slice()).unwrap_or_default() {
            eprintln!("note: {note}");
        }
        Ok(session)
    }
}
