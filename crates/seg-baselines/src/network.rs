//! The one type behind which every architecture stands.

use burn::module::{Flag, Module, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor};

use crate::deeplabv3plus::DeepLabV3Plus;
use crate::nn::Draws;
use crate::regunet::RegUNet;
use crate::segformer::{SegFormer, SegFormerResNet};
use crate::segnet::SegNet;
use crate::unet::UNet;
use crate::unetr::Unetr;
use crate::{Architecture, BaselineError, NetworkConfig, init};

/// A segmentation network: images in, logits out.
///
/// Logits are values before the sigmoid, one map per class, as large as the images; above zero is foreground. Where a network
/// has batch norms, the device decides what they do, as everywhere in Burn: on an autodiff device they use the batch's
/// statistics and move the running ones, on any other (after [`valid`](Module::valid)) they use the running ones.
#[derive(Module, Debug)]
pub struct Network {
    body: Body,
    #[module(skip)]
    config: NetworkConfig,
}

#[derive(Module, Debug)]
#[allow(clippy::large_enum_variant, reason = "there is one per program, and modules cannot be boxed")]
enum Body {
    UNet(UNet),
    Unetr(Unetr),
    RegUNet(RegUNet),
    SegNet(SegNet),
    DeepLabV3Plus(DeepLabV3Plus),
    SegFormer(SegFormer),
    SegFormerResNet(SegFormerResNet),
}

impl NetworkConfig {
    /// A network on `device` whose random weights depend on nothing but `seed` and the parameters' names: the same bits on
    /// every machine. Distributions are those of the reference packages; norms start at one and zero.
    ///
    /// # Errors
    /// [`BaselineError::Config`] if the configuration is not [valid](Self::validate).
    pub fn build(&self, device: &Device, seed: u64) -> Result<Network, BaselineError> {
        Ok(init::seed(self.empty(device)?, self, seed))
    }

    /// A network whose weights come into being when they are first asked for: costs next to nothing.
    pub(crate) fn empty(&self, device: &Device) -> Result<Network, BaselineError> {
        self.validate()?;
        let (channels, classes) = (self.in_channels, self.classes);
        let body = match &self.architecture {
            Architecture::UNet(c) => Body::UNet(UNet::new(c, channels, classes, device)),
            Architecture::Unetr(c) => Body::Unetr(Unetr::new(c, channels, classes, self.image_size, device)),
            Architecture::RegUNet(c) => Body::RegUNet(RegUNet::new(c, channels, classes, device)),
            Architecture::SegNet(c) => Body::SegNet(SegNet::new(c, channels, classes, device)),
            Architecture::DeepLabV3Plus(c) => Body::DeepLabV3Plus(DeepLabV3Plus::new(c, channels, classes, device)),
            Architecture::SegFormer(c) => Body::SegFormer(SegFormer::new(c, channels, classes, device)),
            Architecture::SegFormerResNet(c) => {
                Body::SegFormerResNet(SegFormerResNet::new(c, channels, classes, device))
            }
        };
        Ok(Network { body, config: self.clone() })
    }

    /// The number of trained parameters, counted in the module tree of a network without weights.
    ///
    /// # Errors
    /// [`BaselineError::Config`] if the configuration is not [valid](Self::validate).
    pub fn num_parameters(&self) -> Result<usize, BaselineError> {
        Ok(self.empty(&Device::default())?.num_parameters())
    }
}

impl Network {
    /// The network's configuration.
    pub fn config(&self) -> &NetworkConfig {
        &self.config
    }

    /// The number of trained parameters: everything but the running statistics of batch norms, which Burn's own
    /// [`num_params`](Module::num_params) counts too.
    pub fn num_parameters(&self) -> usize {
        let mut count = Count::default();
        self.visit(&mut count);
        count.parameters
    }

    /// Images `[N, C, H, W]` to logits `[N, classes, H, W]`. No dropout, in neither mode: see
    /// [`forward_training`](Self::forward_training).
    ///
    /// # Errors
    /// As [`NetworkConfig::check_images`], with `training` where a batch norm would use this batch's statistics.
    pub fn forward(&self, images: Tensor<4>) -> Result<Tensor<4>, BaselineError> {
        self.run(images, None)
    }

    /// A training step's forward pass: as [`forward`](Self::forward), with the dropout and the dropped paths that the
    /// architecture has (DeepLabV3+ and SegFormer), drawn from `draws`.
    ///
    /// # Errors
    /// As [`forward`](Self::forward), and [`BaselineError::Value`] if the device does not record gradients.
    pub fn forward_training(&self, images: Tensor<4>, draws: &Draws) -> Result<Tensor<4>, BaselineError> {
        if !images.device().is_autodiff() {
            let found = "one that records no gradients";
            return Err(BaselineError::value("device of the images", "an autodiff device", found));
        }
        self.run(images, Some(draws))
    }

    fn run(&self, images: Tensor<4>, draws: Option<&Draws>) -> Result<Tensor<4>, BaselineError> {
        self.config.check_images(images.dims(), images.device().is_autodiff() && self.has_trained_norms())?;
        Ok(match &self.body {
            Body::UNet(network) => network.forward(images),
            Body::Unetr(network) => network.forward(images),
            Body::RegUNet(network) => network.forward(images),
            Body::SegNet(network) => network.forward(images),
            Body::DeepLabV3Plus(network) => network.forward(images, draws),
            Body::SegFormer(network) => network.forward(images, draws),
            Body::SegFormerResNet(network) => network.forward(images),
        })
    }

    /// Whether any batch norm is not frozen.
    fn has_trained_norms(&self) -> bool {
        let mut flags = AnyFlag(false);
        self.visit(&mut flags);
        flags.0
    }
}

/// A path in [`Network`] (`body`, the variant, then fields) as one in the architecture.
pub(crate) fn body_path(path: &[String]) -> Vec<&str> {
    path.iter().skip(2).map(String::as_str).collect()
}

/// Whether a path is that of a running statistic.
pub(crate) fn is_statistic(path: &[&str]) -> bool {
    matches!(path.last(), Some(&("running_mean" | "running_var")))
}

#[derive(Default)]
struct Count {
    path: Vec<String>,
    parameters: usize,
}

impl ModuleVisitor for Count {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if !is_statistic(&body_path(&self.path)) {
            self.parameters += param.lazy_shape().dims::<D>().iter().product::<usize>();
        }
    }
}

struct AnyFlag(bool);

impl ModuleVisitor for AnyFlag {
    fn visit_flag(&mut self, flag: &Param<Flag>) {
        self.0 |= flag.is_enabled();
    }

    fn visit_float<const D: usize>(&mut self, _param: &Param<Tensor<D>>) {}
}
