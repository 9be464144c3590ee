//! Classic segmentation networks in [Burn](https://burn.dev), equal to the packages that people train them with.
//!
//! Whoever adapts a large pre-trained model to medical images has to ask whether a small network trained from nothing would
//! have done; on thin vessels it often does. This crate has the networks that such comparisons name, as the packages
//! compute them that everybody uses: outputs in both modes, running statistics and gradients are tested against MONAI,
//! segmentation-models-pytorch and transformers, and their files open under their own names.
//!
//! | preset | network | reference | parameters |
//! |---|---|---|---|
//! | `unet` | U-Net with residual units ([`UNetConfig`]) | MONAI `UNet` | 6,500,734 |
//! | `unetr` | UNETR at 512 px ([`UnetrConfig`]) | MONAI `UNETR` | 91,815,137 |
//! | `regunet` | RegUNet without a decoder ([`RegUNetConfig`]) | MONAI `RegUNet` | 7,863,456 |
//! | `regunet-decoder` | RegUNet with its decoder | MONAI `RegUNet` | 11,784,384 |
//! | `segnet` | SegNet ([`SegNetConfig`]) | the paper | 29,443,585 |
//! | `deeplabv3plus` | DeepLabV3+ on ResNet-101 ([`DeepLabV3PlusConfig`]) | segmentation-models-pytorch | 45,669,713 |
//! | `segformer-resnet101` | SegFormer's head on ResNet-101 ([`SegFormerResNetConfig`]) | segmentation-models-pytorch | 43,829,313 |
//! | `segformer-mit-b3` | SegFormer ([`SegFormerConfig`]) | transformers | 44,598,209 |
//!
//! (Three channels, one class.) The main table of the SALT paper compares with six networks, of which it tells names and sizes in
//! millions, to two digits. Six of the presets are the configurations that have these sizes; nobody but the authors knows
//! whether they are the same. Two of them are not what one would expect: a RegUNet without a decoder predicts in squares of
//! 16 pixels, and the SegFormer of that size does not stand on SegFormer's own encoder. `regunet-decoder` and
//! `segformer-mit-b3` are what one would rather train under these names; a number should say which one it belongs to.
//!
//! # Use
//!
//! A [`NetworkConfig`] says everything about a network and is serialisable. [`build`](NetworkConfig::build) makes one from a
//! seed, [`Checkpoint`] from a file, and [`Network::forward`] turns images `[N, C, H, W]` into logits
//! `[N, classes, H, W]`. As everywhere in Burn, the device decides on the mode: on an autodiff device batch norms
//! use the batch's statistics. Sizes and batches that a network cannot take are typed errors, before anything is computed.
//!
//! ```
//! use burn::module::Module;
//! use burn::optim::{AdamWConfig, GradientsParams};
//! use burn::tensor::{Device, Tensor};
//! use seg_baselines::{Architecture, Draws, NetworkConfig, UNetConfig};
//!
//! # fn main() -> Result<(), seg_baselines::BaselineError> {
//! let small = Architecture::UNet(UNetConfig { channels: vec![4, 8, 16], ..UNetConfig::default() });
//! let device = Device::default().autodiff();
//! let mut network = NetworkConfig::new(small, 1, 1, [32, 48])?.build(&device, 7)?;
//!
//! let mut optimizer = AdamWConfig::new().init();
//! let images = Tensor::<4>::ones([2, 1, 32, 48], &device);
//! for step in 0..3 {
//!     let logits = network.forward_training(images.clone(), &Draws::new(7, step))?;
//!     let loss = (logits - 1.0).powf_scalar(2.0).mean();
//!     let gradients = GradientsParams::from_grads(loss.backward(), &network);
//!     network = optimizer.step(1e-3, network, gradients);
//! }
//!
//! let network = network.valid(); // from here on, running statistics
//! let logits = network.forward(Tensor::ones([1, 1, 64, 32], &Device::default()))?;
//! assert_eq!(logits.dims(), [1, 1, 64, 32]);
//! # Ok(())
//! # }
//! ```
//!
//! # What differs from Burn's own layers
//!
//! Batch norm follows PyTorch: the running variance takes up the unbiased variance ([`BatchNorm`]). Running statistics belong
//! to a training checkpoint though no optimizer knows them ([`Network::statistics`]). Dropout draws from [`Draws`], so that a
//! run that is stopped and resumed goes on with the masks that it would have had.
//!
//! # Training them with the program
//!
//! `salt train` takes them by a preset's name (`[model] network = "unet"`), with its data sets, augmentation, losses, selection,
//! checkpoints and bundles; `salt reproduce` compares them with adapted SAMs.
//!
//! # Devices
//!
//! Features `cpu` (default), `wgpu` and `cuda` choose Burn's backends.

mod checkpoint;
mod config;
mod deeplabv3plus;
mod error;
mod init;
mod network;
mod nn;
mod regunet;
mod resnet;
mod segformer;
mod segnet;
mod statistics;
mod unet;
mod unetr;

pub use checkpoint::{Checkpoint, LoadReport, Mismatch};
pub use config::{Architecture, NetworkConfig};
pub use deeplabv3plus::DeepLabV3PlusConfig;
pub use error::BaselineError;
pub use network::Network;
pub use nn::{BatchNorm, Draws};
pub use regunet::RegUNetConfig;
pub use resnet::ResNetConfig;
pub use segformer::{SegFormerConfig, SegFormerFlavour, SegFormerResNetConfig};
pub use segnet::SegNetConfig;
pub use unet::{UNetConfig, UNetNorm};
pub use unetr::UnetrConfig;

/// The example of the readme is a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
