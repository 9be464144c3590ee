//! U-Net with residual units, as MONAI's `UNet` (Kerfoot et al., 2019; after Ronneberger et al., 2015).
//!
//! The map is halved inside the residual units; there is no pooling, and the first unit already halves. The logits pass a
//! norm over one channel per class before the last convolution, as in the reference.

use burn::module::Module;
use burn::nn::conv::{Conv2d, ConvTranspose2d};
use burn::tensor::{Device, Tensor};
use burn_kernels::layer::{conv_transpose2d, conv2d};
use serde::{Deserialize, Serialize};

use crate::BaselineError;
use crate::checkpoint::Key;
use crate::config::{positive, statistics};
use crate::init::Rule;
use crate::nn::{ChannelNorm, Conv, PRelu, conv, transposed_conv};

/// The norm of every convolution of a U-Net.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UNetNorm {
    /// Batch norm. The default: the published parameter count is that of this norm.
    #[default]
    Batch,
    /// Instance norm without parameters, MONAI's own default. It standardises the logits of every image, so that no mask
    /// can be empty.
    Instance,
}

/// The shape of a U-Net.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UNetConfig {
    /// Channels of every level; each level but the last halves the map. Default: 32, 64, 128, 256, 512.
    pub channels: Vec<usize>,
    /// The norm.
    pub norm: UNetNorm,
}

impl Default for UNetConfig {
    fn default() -> Self {
        Self { channels: vec![32, 64, 128, 256, 512], norm: UNetNorm::Batch }
    }
}

impl UNetConfig {
    fn levels(&self) -> usize {
        self.channels.len().saturating_sub(1)
    }

    pub(crate) fn validate(&self) -> Result<(), BaselineError> {
        if !(2..=12).contains(&self.channels.len()) {
            return Err(BaselineError::config("channels", "2 to 12 levels", self.channels.len()));
        }
        self.channels.iter().try_for_each(|&width| positive("channels", width))
    }

    pub(crate) fn multiple(&self) -> usize {
        1 << self.levels()
    }

    pub(crate) fn check(&self, batch: usize, size: [usize; 2], training: bool) -> Result<(), BaselineError> {
        let bottom = size.map(|side| side >> self.levels());
        match self.norm {
            UNetNorm::Batch if training => statistics("unet", "batch norm of the lowest level", batch, bottom, size),
            UNetNorm::Batch => Ok(()),
            UNetNorm::Instance => statistics("unet", "instance norm of the lowest level", 1, bottom, size),
        }
    }

    fn norm(&self, width: usize, device: &Device) -> ChannelNorm {
        match self.norm {
            UNetNorm::Batch => ChannelNorm::batch(width, device),
            UNetNorm::Instance => ChannelNorm::instance(),
        }
    }

    /// The name of a parameter in MONAI's state dict: levels are nested in each other.
    pub(crate) fn key(&self, path: &[&str]) -> Option<Key> {
        let level = |index: &str| Some(format!("model{}", ".1.submodule".repeat(index.parse().ok()?)));
        Some(Key::plain(match path {
            ["down", i, rest @ ..] => format!("{}.0.{}", level(i)?, residual_key(rest)?),
            ["bottom", rest @ ..] => format!("{}.{}", level(&self.levels().to_string())?, residual_key(rest)?),
            ["up", i, "unit", rest @ ..] => format!("{}.2.1.conv.unit0.{}", level(i)?, unit_key(rest)?),
            ["up", i, "transposed", end] => format!("{}.2.0.conv.{end}", level(i)?),
            ["up", i, rest @ ..] => format!("{}.2.0.{}", level(i)?, unit_key(rest)?),
            _ => return None,
        }))
    }

    /// PyTorch's defaults throughout.
    pub(crate) fn rule(&self, _path: &[&str]) -> Rule {
        Rule::TorchDefault
    }
}

fn residual_key(path: &[&str]) -> Option<String> {
    Some(match path {
        ["units", j, rest @ ..] => format!("conv.unit{j}.{}", unit_key(rest)?),
        ["residual", end] => format!("residual.{end}"),
        _ => return None,
    })
}

fn unit_key(path: &[&str]) -> Option<String> {
    Some(match path {
        ["conv", end] => format!("conv.{end}"),
        ["norm", "batch", end] => format!("adn.N.{end}"),
        ["activation", end] => format!("adn.A.{end}"),
        _ => return None,
    })
}

/// Convolution, norm, activation; the last unit of the network is the convolution alone.
#[derive(Module, Debug)]
struct Unit {
    conv: Conv2d,
    norm: Option<ChannelNorm>,
    activation: Option<PRelu>,
}

impl Unit {
    fn forward(&self, map: Tensor<4>) -> Tensor<4> {
        let mut map = conv2d(&self.conv, map);
        if let Some(norm) = &self.norm {
            map = norm.forward(map);
        }
        match &self.activation {
            Some(activation) => activation.forward(map),
            None => map,
        }
    }
}

/// Two units and a way around them.
#[derive(Module, Debug)]
struct ResidualUnit {
    units: Vec<Unit>,
    residual: Option<Conv2d>,
}

impl ResidualUnit {
    fn new(config: &UNetConfig, from: usize, to: usize, stride: usize, device: &Device) -> Self {
        let unit = |from, stride| Unit {
            conv: conv(Conv { stride, ..Conv::k3(from, to) }, device),
            norm: Some(config.norm(to, device)),
            activation: Some(PRelu::new(device)),
        };
        let residual = if stride != 1 {
            Some(conv(Conv { stride, ..Conv::k3(from, to) }, device))
        } else if from != to {
            Some(conv(Conv::k1(from, to), device))
        } else {
            None
        };
        Self { units: vec![unit(from, stride), unit(to, 1)], residual }
    }

    fn forward(&self, map: Tensor<4>) -> Tensor<4> {
        let around = match &self.residual {
            Some(conv) => conv2d(conv, map.clone()),
            None => map.clone(),
        };
        self.units.iter().fold(map, |map, unit| unit.forward(map)) + around
    }
}

/// Doubles the map, then one unit with an identity around it.
#[derive(Module, Debug)]
struct Up {
    transposed: ConvTranspose2d,
    norm: ChannelNorm,
    activation: PRelu,
    unit: Unit,
}

impl Up {
    fn new(config: &UNetConfig, from: usize, to: usize, is_top: bool, device: &Device) -> Self {
        Self {
            transposed: transposed_conv(from, to, 3, true, device),
            norm: config.norm(to, device),
            activation: PRelu::new(device),
            unit: Unit {
                conv: conv(Conv::k3(to, to), device),
                norm: (!is_top).then(|| config.norm(to, device)),
                activation: (!is_top).then(|| PRelu::new(device)),
            },
        }
    }

    fn forward(&self, map: Tensor<4>) -> Tensor<4> {
        let map = self.activation.forward(self.norm.forward(conv_transpose2d(&self.transposed, map)));
        self.unit.forward(map.clone()) + map
    }
}

/// The network: `[N, C, H, W]` to `[N, classes, H, W]`, sides multiples of 2 to the number of halvings.
#[derive(Module, Debug)]
pub(crate) struct UNet {
    down: Vec<ResidualUnit>,
    bottom: ResidualUnit,
    /// From the highest level down.
    up: Vec<Up>,
}

impl UNet {
    pub(crate) fn new(config: &UNetConfig, channels: usize, classes: usize, device: &Device) -> Self {
        let widths = &config.channels;
        let levels = config.levels();
        let down = |i: usize| {
            let from = if i == 0 { channels } else { widths[i - 1] };
            ResidualUnit::new(config, from, widths[i], 2, device)
        };
        let up = |i: usize| {
            // The lowest level comes back with its own width, the others with that of their skip.
            let below = if i + 1 == levels { widths[levels] } else { widths[i] };
            let to = if i == 0 { classes } else { widths[i - 1] };
            Up::new(config, widths[i] + below, to, i == 0, device)
        };
        Self {
            down: (0..levels).map(down).collect(),
            bottom: ResidualUnit::new(config, widths[levels - 1], widths[levels], 1, device),
            up: (0..levels).map(up).collect(),
        }
    }

    pub(crate) fn forward(&self, images: Tensor<4>) -> Tensor<4> {
        let mut skips = Vec::with_capacity(self.down.len());
        let mut map = images;
        for down in &self.down {
            map = down.forward(map);
            skips.push(map.clone());
        }
        map = self.bottom.forward(map);
        for (up, skip) in self.up.iter().zip(skips).rev() {
            map = up.forward(Tensor::cat(vec![skip, map], 1));
        }
        map
    }
}
