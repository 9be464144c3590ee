//! What a network is: architecture, channels, size. Presets, serialisation, validation.

use serde::{Deserialize, Serialize};

use crate::BaselineError;
use crate::checkpoint::Key;
use crate::deeplabv3plus::DeepLabV3PlusConfig;
use crate::init::Rule;
use crate::regunet::RegUNetConfig;
use crate::segformer::{SegFormerConfig, SegFormerFlavour, SegFormerResNetConfig};
use crate::segnet::SegNetConfig;
use crate::unet::UNetConfig;
use crate::unetr::UnetrConfig;
use crate::{segformer, segnet, unetr};

/// No layer is wider than this: products of a few widths stay far from overflowing.
const WIDEST: usize = 1 << 16;
/// No image is larger than this.
const LARGEST_SIDE: usize = 1 << 16;

/// An architecture with its sizes. Every default is the configuration whose parameter count is the published one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name")]
#[non_exhaustive]
pub enum Architecture {
    /// U-Net with residual units.
    #[serde(rename = "unet")]
    UNet(UNetConfig),
    /// A vision transformer with a convolutional decoder.
    #[serde(rename = "unetr")]
    Unetr(UnetrConfig),
    /// The registration U-Net.
    #[serde(rename = "regunet")]
    RegUNet(RegUNetConfig),
    /// VGG16 and its mirror image.
    #[serde(rename = "segnet")]
    SegNet(SegNetConfig),
    /// Atrous pyramid on a ResNet.
    #[serde(rename = "deeplabv3plus")]
    DeepLabV3Plus(DeepLabV3PlusConfig),
    /// SegFormer on its own encoder.
    #[serde(rename = "segformer")]
    SegFormer(SegFormerConfig),
    /// SegFormer's head on a ResNet.
    #[serde(rename = "segformer-resnet")]
    SegFormerResNet(SegFormerResNetConfig),
}

impl Architecture {
    /// Every preset by its name: the six networks of the published table in the configurations whose parameter counts are the
    /// published ones, and `regunet-decoder` and `segformer-mit-b3`, what one would rather train under these two names.
    pub fn presets() -> Vec<(&'static str, Self)> {
        vec![
            ("unet", Self::UNet(UNetConfig::default())),
            ("unetr", Self::Unetr(UnetrConfig::default())),
            ("regunet", Self::RegUNet(RegUNetConfig::default())),
            ("regunet-decoder", Self::RegUNet(RegUNetConfig::with_decoder())),
            ("segnet", Self::SegNet(SegNetConfig::default())),
            ("deeplabv3plus", Self::DeepLabV3Plus(DeepLabV3PlusConfig::default())),
            ("segformer-resnet101", Self::SegFormerResNet(SegFormerResNetConfig::default())),
            ("segformer-mit-b3", Self::SegFormer(SegFormerConfig::mit_b3())),
        ]
    }

    /// The preset of a name.
    ///
    /// # Errors
    /// [`BaselineError::Value`] with all names.
    pub fn preset(name: &str) -> Result<Self, BaselineError> {
        let presets = Self::presets();
        let names: Vec<&str> = presets.iter().map(|(name, _)| *name).collect();
        let error = || BaselineError::value("name of a network", format!("one of {}", names.join(", ")), name);
        presets.iter().find(|(known, _)| *known == name).map(|(_, preset)| preset.clone()).ok_or_else(error)
    }

    /// The architecture's name, without its sizes.
    pub fn name(&self) -> &'static str {
        match self {
            Self::UNet(_) => "unet",
            Self::Unetr(_) => "unetr",
            Self::RegUNet(_) => "regunet",
            Self::SegNet(_) => "segnet",
            Self::DeepLabV3Plus(_) => "deeplabv3plus",
            Self::SegFormer(_) => "segformer",
            Self::SegFormerResNet(_) => "segformer-resnet",
        }
    }

    fn validate(&self) -> Result<(), BaselineError> {
        match self {
            Self::UNet(config) => config.validate(),
            Self::Unetr(config) => config.validate(),
            Self::RegUNet(config) => config.validate(),
            Self::SegNet(config) => config.validate(),
            Self::DeepLabV3Plus(config) => config.validate(),
            Self::SegFormer(config) => config.validate(),
            Self::SegFormerResNet(config) => config.validate(),
        }
    }

    /// Sides of images have to be at least the first and multiples of the second.
    fn sides(&self) -> (usize, usize) {
        let both = |multiple| (multiple, multiple);
        match self {
            Self::UNet(config) => both(config.multiple()),
            Self::Unetr(_) => both(unetr::PATCH),
            Self::RegUNet(config) => both(config.multiple()),
            Self::SegNet(_) => (segnet::SMALLEST_SIDE, 1),
            Self::DeepLabV3Plus(config) => both(config.multiple()),
            Self::SegFormer(config) => (segformer::SMALLEST_SIDE, config.multiple()),
            Self::SegFormerResNet(config) => both(config.multiple()),
        }
    }

    /// Refuses batches whose norms would see single values.
    fn check(&self, batch: usize, size: [usize; 2], training: bool) -> Result<(), BaselineError> {
        match self {
            Self::UNet(config) => config.check(batch, size, training),
            Self::RegUNet(config) => config.check(batch, size, training),
            Self::SegNet(config) => config.check(batch, size, training),
            Self::DeepLabV3Plus(config) => config.check(batch, size, training),
            Self::SegFormerResNet(config) => config.check(batch, size, training),
            // The smallest maps that are normalised over images have four pixels and more.
            Self::Unetr(_) | Self::SegFormer(_) => Ok(()),
        }
    }

    /// The name of a parameter in the reference package's state dict, by its path in the module.
    pub(crate) fn key(&self, path: &[&str]) -> Option<Key> {
        match self {
            Self::UNet(config) => config.key(path),
            Self::Unetr(config) => config.key(path),
            Self::RegUNet(config) => config.key(path),
            Self::SegNet(config) => config.key(path),
            Self::DeepLabV3Plus(config) => config.key(path),
            Self::SegFormer(config) => config.key(path),
            Self::SegFormerResNet(config) => config.key(path),
        }
    }

    /// How a weight of a convolution or linear layer, its bias, or a bare parameter is drawn.
    pub(crate) fn rule(&self, path: &[&str]) -> Rule {
        match self {
            Self::UNet(config) => config.rule(path),
            Self::Unetr(config) => config.rule(path),
            Self::RegUNet(config) => config.rule(path),
            Self::SegNet(config) => config.rule(path),
            Self::DeepLabV3Plus(config) => config.rule(path),
            Self::SegFormer(config) => config.rule(path),
            Self::SegFormerResNet(config) => config.rule(path),
        }
    }

    /// What stands before the names of the encoder, where encoders are published alone.
    pub(crate) fn encoder_prefix(&self) -> Option<&'static str> {
        match self {
            Self::DeepLabV3Plus(_) | Self::SegFormerResNet(_) => Some("encoder."),
            Self::SegFormer(config) => Some(match config.flavour {
                SegFormerFlavour::Transformers => "segformer.encoder.",
                SegFormerFlavour::Smp => "encoder.",
            }),
            _ => None,
        }
    }

    /// Whether a file's tensor is known to be read by no version of the network.
    pub(crate) fn is_unused(&self, key: &str) -> bool {
        key.ends_with(".num_batches_tracked") || (matches!(self, Self::Unetr(_)) && UnetrConfig::is_unused(key))
    }
}

/// A network: its architecture, what goes in and what comes out.
///
/// ```
/// use seg_baselines::{Architecture, NetworkConfig};
///
/// let config = NetworkConfig::new(Architecture::preset("unet")?, 3, 1, [512, 512])?;
/// let text = serde_json::to_string(&config).unwrap();
/// assert_eq!(serde_json::from_str::<NetworkConfig>(&text).unwrap(), config);
/// // What is left out has its default.
/// let short = r#"{"in_channels": 3, "classes": 1, "image_size": [512, 512], "architecture": {"name": "unet"}}"#;
/// assert_eq!(serde_json::from_str::<NetworkConfig>(short).unwrap(), config);
/// # Ok::<(), seg_baselines::BaselineError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkConfig {
    /// Channels of an image.
    pub in_channels: usize,
    /// Logit maps per image.
    pub classes: usize,
    /// Height and width of the images in pixels. A UNETR takes no others; other networks take every size that
    /// [`check_images`](Self::check_images) lets through.
    pub image_size: [usize; 2],
    /// The architecture.
    pub architecture: Architecture,
}

impl NetworkConfig {
    /// A valid configuration.
    ///
    /// # Errors
    /// As [`validate`](Self::validate).
    pub fn new(
        architecture: Architecture,
        in_channels: usize,
        classes: usize,
        image_size: [usize; 2],
    ) -> Result<Self, BaselineError> {
        let config = Self { in_channels, classes, image_size, architecture };
        config.validate()?;
        Ok(config)
    }

    /// Checks every field.
    ///
    /// # Errors
    /// [`BaselineError::Config`] with the field, what it may be and what it is.
    pub fn validate(&self) -> Result<(), BaselineError> {
        positive("in_channels", self.in_channels)?;
        positive("classes", self.classes)?;
        self.architecture.validate()?;
        if self.image_size.iter().all(|&side| self.fits(side)) {
            return Ok(());
        }
        Err(BaselineError::config("image_size", self.sides_in_words(), format!("{:?}", self.image_size)))
    }

    fn fits(&self, side: usize) -> bool {
        let (least, multiple) = self.architecture.sides();
        (least..=LARGEST_SIDE).contains(&side) && side.is_multiple_of(multiple)
    }

    fn sides_in_words(&self) -> String {
        let (least, multiple) = self.architecture.sides();
        match multiple {
            1 => format!("sides of {least} to {LARGEST_SIDE} pixels"),
            _ => format!("sides that are multiples of {multiple}, {least} to {LARGEST_SIDE} pixels"),
        }
    }

    /// Whether the network can take images of these dims (`[batch, channels, height, width]`), in evaluation or in a training
    /// step. [`Network::forward`](crate::Network::forward) asks this first; a program can ask before it spends hours.
    ///
    /// # Errors
    /// [`BaselineError::Shape`] for empty batches, other channels, or sides that the network cannot halve as often as it has to
    /// (for a UNETR, other sides than the configured); [`BaselineError::TooFewValues`] where a norm would take statistics of
    /// one value: a DeepLabV3+ cannot train on single images, the others not on single images of their smallest size.
    pub fn check_images(&self, dims: [usize; 4], training: bool) -> Result<(), BaselineError> {
        let [batch, channels, height, width] = dims;
        let size = [height, width];
        let is_fixed = matches!(self.architecture, Architecture::Unetr(_));
        let fits = if is_fixed { size == self.image_size } else { size.iter().all(|&side| self.fits(side)) };
        if batch == 0 || channels != self.in_channels || !fits {
            let sides = if is_fixed {
                format!("H and W {:?}, to which the positions belong", self.image_size)
            } else {
                self.sides_in_words()
            };
            let expected = format!("[N, {}, H, W] with {sides}", self.in_channels);
            return Err(BaselineError::shape("images", expected, &dims));
        }
        self.architecture.check(batch, size, training)
    }
}

/// Refuses widths of zero or beyond reason.
pub(crate) fn positive(field: &'static str, value: usize) -> Result<(), BaselineError> {
    if (1..=WIDEST).contains(&value) {
        return Ok(());
    }
    Err(BaselineError::config(field, format!("1 to {WIDEST}"), value))
}

/// Refuses rates of dropout outside [0, 1).
pub(crate) fn rate(field: &'static str, value: f64) -> Result<(), BaselineError> {
    if (0.0..1.0).contains(&value) { Ok(()) } else { Err(BaselineError::config(field, "0 or more, below 1", value)) }
}

/// Refuses statistics over one value: `batch` maps of `map` pixels from images of `size`.
pub(crate) fn statistics(
    network: &'static str,
    layer: &'static str,
    batch: usize,
    map: [usize; 2],
    [height, width]: [usize; 2],
) -> Result<(), BaselineError> {
    if batch * map[0] * map[1] > 1 {
        return Ok(());
    }
    Err(BaselineError::TooFewValues { network, layer, batch, height, width })
}
