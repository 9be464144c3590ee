//! Checkpoints: state dicts of the reference packages and our own safetensors, whole networks and encoders.

mod load;
mod names;
mod save;
mod slots;
mod wrappers;

use std::fmt;
use std::path::Path;

use burn::tensor::Device;

use crate::{BaselineError, Network, NetworkConfig};
use named_tensors::NamedTensors;

/// The metadata key of our own files that holds the configuration as JSON.
const CONFIG_KEY: &str = "network_config";

/// Where a parameter lies in a state dict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Key {
    /// The tensor.
    pub(crate) name: String,
    /// Which of how many equal blocks of rows, where one tensor holds several parameters.
    pub(crate) part: Option<(usize, usize)>,
}

impl Key {
    pub(crate) fn plain(name: String) -> Self {
        Self { name, part: None }
    }
}

/// An opened checkpoint: names and shapes are known, values are read when a network is [loaded](Self::load).
///
/// Reading never executes anything: PyTorch files are parsed by a reader that only understands tensors and plain values,
/// with limits on every size it is told.
#[derive(Debug)]
pub struct Checkpoint {
    source: NamedTensors,
}

/// What a successful load did beside copying every tensor to its place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LoadReport {
    /// Number of the file's tensors that were loaded.
    pub loaded: usize,
    /// Tensors of the file that are no part of what was loaded and known to be so: counters of batch norms, parameters that no
    /// version of the reference reads, optimizer states, losses, an averaged copy; for an encoder, the file's decoder and head.
    pub ignored: Vec<String>,
    /// Tensors whose 64-bit values were rounded to f32, by the file's names.
    pub converted: Vec<String>,
    /// The first convolution, by the file's name, where its three channels were adapted to another number.
    pub adapted: Vec<String>,
}

/// The three ways in which a checkpoint can fail to fit a network.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mismatch {
    /// Tensors that the network has and the file has not, by the names of the reference package.
    pub missing: Vec<String>,
    /// Tensors that the file has and the network has not, by the file's names.
    pub unexpected: Vec<String>,
    /// Tensors whose shapes differ, by the names of the reference package: (name, expected, found).
    pub misshaped: Vec<(String, Vec<usize>, Vec<usize>)>,
    /// All tensors of the file, by the file's names.
    pub found: Vec<String>,
}

impl Mismatch {
    /// Whether nothing is missing, unexpected or mis-shaped.
    pub fn is_empty(&self) -> bool {
        self.missing.is_empty() && self.unexpected.is_empty() && self.misshaped.is_empty()
    }
}

/// How many names a message has room for.
const NAMES_SHOWN: usize = 5;

/// The first names of a list, and how many more there are.
fn first_of<S: AsRef<str>>(names: &[S]) -> String {
    let mut text = names.iter().take(NAMES_SHOWN).map(AsRef::as_ref).collect::<Vec<_>>().join(", ");
    if names.len() > NAMES_SHOWN {
        text += &format!(" and {} more", names.len() - NAMES_SHOWN);
    }
    if text.is_empty() { "none".to_owned() } else { text }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let misshaped: Vec<String> = self
            .misshaped
            .iter()
            .map(|(name, expected, found)| format!("{name}: expected {expected:?}, found {found:?}"))
            .collect();
        write!(f, "expected, but missing ({}): {}", self.missing.len(), first_of(&self.missing))?;
        write!(f, "\nfound, but unexpected ({}): {}", self.unexpected.len(), first_of(&self.unexpected))?;
        write!(f, "\nmis-shaped ({}): {}", self.misshaped.len(), first_of(&misshaped))?;
        write!(f, "\nthe file holds {} tensors: {}", self.found.len(), first_of(&self.found))
    }
}

impl Checkpoint {
    /// Opens a safetensors or PyTorch file and reads its table of contents.
    ///
    /// # Errors
    /// [`BaselineError::Io`] and [`BaselineError::Format`] (truncated, corrupt, hostile, no checkpoint at all).
    pub fn open(path: impl AsRef<Path>) -> Result<Self, BaselineError> {
        Ok(Self { source: NamedTensors::open(path.as_ref())? })
    }

    /// The configuration that the file carries; files of other programs carry none.
    ///
    /// # Errors
    /// [`BaselineError::Format`] if the carried configuration cannot be read or is that of no network.
    pub fn config(&self) -> Result<Option<NetworkConfig>, BaselineError> {
        let Some(json) = self.source.metadata().get(CONFIG_KEY) else { return Ok(None) };
        let fail =
            |reason: String| BaselineError::format(self.source.path(), format!("metadata `{CONFIG_KEY}`: {reason}"));
        let config: NetworkConfig = serde_json::from_str(json).map_err(|e| fail(e.to_string()))?;
        config.validate().map_err(|e| fail(e.to_string()))?;
        Ok(Some(config))
    }

    /// Makes a network of `config` with the file's weights and running statistics, all or nothing.
    ///
    /// Names are those of the reference package (MONAI; segmentation-models-pytorch; transformers or segmentation-models-pytorch
    /// for [`SegFormerFlavour`](crate::SegFormerFlavour); the usual ports for SegNet), inside any wrapper (`state_dict.`,
    /// `module.`, `model.`, ...).
    ///
    /// # Errors
    /// [`BaselineError::Mismatch`] with all missing, unexpected and mis-shaped tensors, before anything is read;
    /// [`BaselineError::Format`] (also for several models in one file) and [`BaselineError::Io`] for tensors that cannot be read.
    pub fn load(&self, config: &NetworkConfig, device: &Device) -> Result<(Network, LoadReport), BaselineError> {
        load::load(&self.source, config, device)
    }

    /// Makes a network of `config` whose encoder has the file's weights, all or nothing, and whose other parts are drawn as by
    /// [`build`](NetworkConfig::build).
    ///
    /// The file is one of torchvision's or segmentation-models-pytorch's ResNets, a MiT of transformers (`segformer.encoder.*`
    /// with or without a head) or of segmentation-models-pytorch, or a whole network. Where the network's images do not have
    /// three channels, the first convolution follows as in segmentation-models-pytorch: summed for one channel, otherwise
    /// repeated in turn and scaled.
    ///
    /// # Errors
    /// As [`load`](Self::load), and [`BaselineError::Config`] for architectures without such an encoder.
    pub fn load_encoder(
        &self,
        config: &NetworkConfig,
        device: &Device,
        seed: u64,
    ) -> Result<(Network, LoadReport), BaselineError> {
        load::load_encoder(&self.source, config, device, seed)
    }
}

impl Network {
    /// Reads a checkpoint that [carries its configuration](Checkpoint::config), as those that [`save`](Self::save) writes.
    ///
    /// # Errors
    /// As [`Checkpoint::open`], [`Checkpoint::config`] and [`Checkpoint::load`]; [`BaselineError::Format`] for files without a
    /// configuration.
    pub fn from_checkpoint(path: impl AsRef<Path>, device: &Device) -> Result<(Self, LoadReport), BaselineError> {
        let path = path.as_ref();
        let checkpoint = Checkpoint::open(path)?;
        let missing = || {
            let reason = format!("expected a configuration in the metadata (`{CONFIG_KEY}`), found none");
            BaselineError::format(path, reason)
        };
        let config = checkpoint.config()?.ok_or_else(missing)?;
        checkpoint.load(&config, device)
    }
}
