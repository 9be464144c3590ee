//! The classic networks as models of a run: which one, and where its weights come from.

use crate::config::ModelConfig;
use crate::error::{Result, TrainError};
use burn::tensor::Device;
use seg_baselines::{Architecture, BaselineError, Checkpoint, LoadReport, Network, NetworkConfig};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use std::path::Path;

/// Channels of an image: the same three that a SAM gets.
const CHANNELS: usize = 3;

/// A classic network by the name of its preset, or with its sizes.
///
/// ```
/// use medseg_train::config::RunConfig;
///
/// let parse = |model: &str| RunConfig::parse(&format!("[data]\npath = \"x\"\n{model}"), "run.toml".as_ref());
/// let config = parse("[model]\nnetwork = \"unet\"")?;
/// assert_eq!(config.model.base, "random");
/// parse("[model.network]\nname = \"unet\"\nchannels = [16, 32, 64, 128, 256]")?;
/// assert!(parse("[model]\nnetwork = \"u-net\"").is_err());
/// # Ok::<(), medseg_train::TrainError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum NetworkChoice {
    /// A [preset](Architecture::presets): `unet`, `unetr`, `regunet`, `regunet-decoder`, `segnet`, `deeplabv3plus`,
    /// `segformer-resnet101`, `segformer-mit-b3`.
    Preset(String),
    /// Name and sizes.
    Sizes(Box<Architecture>),
}

impl NetworkChoice {
    /// The architecture.
    ///
    /// # Errors
    /// A preset that there is not; the message lists those that there are.
    pub fn architecture(&self) -> Result<Architecture> {
        match self {
            Self::Preset(name) => {
                Architecture::preset(name).map_err(|error| TrainError::config("model.network", error.to_string()))
            }
            Self::Sizes(architecture) => Ok((**architecture).clone()),
        }
    }

    /// The network for square images of `image_size` px, one mask each.
    ///
    /// # Errors
    /// As [`architecture`](Self::architecture); sizes that no network has; an image size that it does not take.
    pub fn config(&self, image_size: usize) -> Result<NetworkConfig> {
        let architecture = self.architecture()?;
        let name = architecture.name();
        NetworkConfig::new(architecture, CHANNELS, 1, [image_size; 2]).map_err(|error| match error {
            BaselineError::Config { field: "image_size", expected, .. } => {
                let problem = format!("{name} takes {expected}, found {image_size}");
                TrainError::config("input size (data.image-size)", problem)
            }
            other => TrainError::config("model.network", other.to_string()),
        })
    }

    /// Its name in messages: that of the preset, or of the architecture.
    pub fn name(&self) -> &str {
        match self {
            Self::Preset(name) => name,
            Self::Sizes(architecture) => architecture.name(),
        }
    }
}

impl<'de> Deserialize<'de> for NetworkChoice {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct NameOrSizes;

        impl<'de> Visitor<'de> for NameOrSizes {
            type Value = NetworkChoice;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "the name of a network, or a table with its `name` and sizes")
            }

            fn visit_str<E: Error>(self, name: &str) -> std::result::Result<NetworkChoice, E> {
                Ok(NetworkChoice::Preset(name.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> std::result::Result<NetworkChoice, A::Error> {
                let sizes = Architecture::deserialize(MapAccessDeserializer::new(map))?;
                Ok(NetworkChoice::Sizes(Box::new(sizes)))
            }
        }

        deserializer.deserialize_any(NameOrSizes)
    }
}

/// The network that a base file says it holds, where the configuration names none: the files that this program writes do.
///
/// # Errors
/// The file's own words are those of no network, or of one for other images than a SAM gets.
pub(crate) fn carried(config: &ModelConfig) -> Result<Option<NetworkConfig>> {
    if config.network.is_some() || !config.is_file() {
        return Ok(None);
    }
    // What cannot be opened is named by the SAM's reader, with all that it could be.
    let Ok(file) = Checkpoint::open(&config.base) else { return Ok(None) };
    let Some(own) = file.config()? else { return Ok(None) };
    let [height, width] = own.image_size;
    if own.in_channels != CHANNELS || own.classes != 1 || height != width {
        let problem = format!(
            "expected a network of {CHANNELS} channels and 1 class for square images, found {} channels, {} classes, {height} x {width} px",
            own.in_channels, own.classes
        );
        return Err(TrainError::format(Path::new(&config.base), problem));
    }
    Ok(Some(own))
}

/// A network with its weights, and what there is to say of them.
pub(crate) struct LoadedNetwork {
    pub(crate) network: Network,
    pub(crate) name: String,
    pub(crate) pretrained: bool,
    pub(crate) notes: Vec<String>,
}

/// Draws or reads the network that a configuration names.
pub(crate) fn load(
    config: &ModelConfig,
    choice: &NetworkChoice,
    image_size: usize,
    device: &Device,
) -> Result<LoadedNetwork> {
    config.require_nothing_of_sam()?;
    let (own, name) = (choice.config(image_size)?, choice.name());
    let random = format!("random weights, seed {}", config.seed);
    Ok(match (config.base.as_str(), &config.encoder) {
        ("random", None) => LoadedNetwork {
            network: own.build(device, config.seed)?,
            name: format!("{name}, {random} (not pre-trained)"),
            pretrained: false,
            notes: Vec::new(),
        },
        ("random", Some(file)) => {
            let (network, report) = Checkpoint::open(file)?.load_encoder(&own, device, config.seed)?;
            let name = format!("{name}, encoder of {}, the rest {random}", file.display());
            LoadedNetwork { network, name, pretrained: true, notes: notes(&report) }
        }
        (file, _) => {
            let (network, report) = Checkpoint::open(Path::new(file))?.load(&own, device)?;
            LoadedNetwork { network, name: format!("{name}, {file}"), pretrained: true, notes: notes(&report) }
        }
    })
}

/// What the user should know of how a file's tensors were taken.
fn notes(report: &LoadReport) -> Vec<String> {
    let done = [
        ("ignored", &report.ignored),
        ("rounded to f32", &report.converted),
        ("adapted to the images' channels", &report.adapted),
    ];
    done.into_iter()
        .filter(|(_, names)| !names.is_empty())
        .map(|(what, names)| format!("{what} {} tensor(s) of the checkpoint, the first {}", names.len(), names[0]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::RunConfig;
    use std::path::Path;

    fn parse(model: &str) -> Result<RunConfig> {
        RunConfig::parse(&format!("[data]\npath = \"x\"\n{model}"), Path::new("run.toml"))
    }

    #[test]
    fn a_network_is_named_or_written_out_and_comes_back() {
        for (text, name) in [
            ("[model]\nnetwork = \"segformer-mit-b3\"\nseed = 3", "segformer-mit-b3"),
            ("[model.network]\nname = \"unet\"\nchannels = [4, 8]", "unet"),
            (
                "[model]\nbase = \"weights.pth\"\n[model.network]\nname = \"segformer\"\ndepths = [1, 1, 1, 1]",
                "segformer",
            ),
        ] {
            let config = parse(text).unwrap();
            assert_eq!(config.model.network.as_ref().unwrap().name(), name);
            let resolved = config.to_toml().unwrap();
            assert_eq!(RunConfig::parse(&resolved, Path::new("run.toml")).unwrap(), config, "{resolved}");
            let json = serde_json::to_string(&config.model).unwrap();
            assert_eq!(serde_json::from_str::<ModelConfig>(&json).unwrap(), config.model);
        }
        assert_eq!(parse("[model]\nnetwork = \"unet\"").unwrap().model.base, "random");
        assert_eq!(parse("").unwrap().model.base, "sam-mini");
        assert!(!parse("").unwrap().to_toml().unwrap().contains("network"));
    }

    #[test]
    fn what_no_network_is_is_named() {
        for (text, parts) in [
            ("[model]\nnetwork = \"u-net\"", ["model.network", "deeplabv3plus", "u-net"]),
            ("[model.network]\nname = \"unet\"\nchanels = [4, 8]", ["run.toml", "unknown", "chanels"]),
            ("[model]\nnetwork = 7", ["run.toml", "name of a network", "7"]),
            ("[model]\nnetwork = \"unet\"\nbase = \"sam-mini\"", ["model.base", "random", "sam-mini"]),
            ("[model]\nnetwork = \"unet\"\nvariant = \"paper\"", ["model.variant", "SAM", "network"]),
            ("[model]\nnetwork = \"unet\"\narchitecture = \"vit-b\"", ["model.architecture", "SAM", "network"]),
            ("[model]\nnetwork = \"unet\"\nadapter = \"x\"", ["model.adapter", "SAM", "network"]),
            ("[model]\nencoder = \"x.pth\"", ["model.encoder", "network", "name"]),
            (
                "[model]\nnetwork = \"unet\"\nencoder = \"x.pth\"\nbase = \"y.pth\"",
                ["model.encoder", "random", "y.pth"],
            ),
        ] {
            let message = parse(text).unwrap_err().to_string();
            for part in parts {
                assert!(message.contains(part), "{text}: {message}");
            }
        }
    }

    #[test]
    fn a_size_that_a_network_does_not_take_is_named_with_what_it_takes() {
        let choice = |name: &str| NetworkChoice::Preset(name.into());
        let message = choice("unet").config(100).unwrap_err().to_string();
        for part in ["data.image-size", "unet", "multiples of 16", "100"] {
            assert!(message.contains(part), "{message}");
        }
        assert_eq!(choice("segformer-mit-b3").config(100).unwrap().image_size, [100, 100]);
        let sizes = Architecture::UNet(seg_baselines::UNetConfig { channels: vec![4], ..Default::default() });
        let message = NetworkChoice::Sizes(Box::new(sizes)).config(64).unwrap_err().to_string();
        assert!(message.contains("model.network") && message.contains("channels"), "{message}");
    }
}
