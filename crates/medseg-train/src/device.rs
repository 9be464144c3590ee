//! Devices by name.

use crate::error::{Result, TrainError};
use burn::tensor::Device;
use std::fmt;
use std::str::FromStr;

/// Where a model computes: `cpu`, `wgpu` or `cuda[:index]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceName {
    /// The CPU.
    Cpu,
    /// Any GPU through WebGPU.
    Wgpu,
    /// The NVIDIA GPU with this index.
    Cuda(usize),
}

impl FromStr for DeviceName {
    type Err = TrainError;

    fn from_str(name: &str) -> Result<Self> {
        match name {
            "cpu" => Ok(Self::Cpu),
            "wgpu" => Ok(Self::Wgpu),
            "cuda" => Ok(Self::Cuda(0)),
            _ => match name.strip_prefix("cuda:").and_then(|index| index.parse().ok()) {
                Some(index) => Ok(Self::Cuda(index)),
                None => {
                    Err(TrainError::config("device", format!("expected cpu, wgpu, cuda or cuda:N, found {name:?}")))
                }
            },
        }
    }
}

impl fmt::Display for DeviceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Wgpu => f.write_str("wgpu"),
            Self::Cuda(index) => write!(f, "cuda:{index}"),
        }
    }
}

impl DeviceName {
    /// The device, without autodiff.
    ///
    /// # Errors
    /// A backend that this build does not have.
    pub fn open(self) -> Result<Device> {
        match self {
            #[cfg(feature = "cpu")]
            Self::Cpu => Ok(Device::flex()),
            #[cfg(feature = "wgpu")]
            Self::Wgpu => Ok(Device::wgpu(Default::default())),
            #[cfg(feature = "cuda")]
            Self::Cuda(index) => Ok(Device::cuda(index)),
            #[allow(unreachable_patterns, reason = "reached when a backend is not compiled in")]
            missing => {
                let feature = match missing {
                    Self::Cpu => "cpu",
                    Self::Wgpu => "wgpu",
                    Self::Cuda(_) => "cuda",
                };
                let problem = format!(
                    "{missing} needs a backend that this build lacks; build it with `cargo run -p xtask --features {feature} -- ...`"
                );
                Err(TrainError::config("device", problem))
            }
        }
    }
}

/// The device of this name, without autodiff.
///
/// # Errors
/// An unknown name, or a backend that this build does not have.
pub fn open(name: &str) -> Result<Device> {
    name.parse::<DeviceName>()?.open()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_and_written_alike() {
        for name in ["cpu", "wgpu", "cuda:0", "cuda:3"] {
            assert_eq!(name.parse::<DeviceName>().unwrap().to_string(), name);
        }
        assert_eq!("cuda".parse::<DeviceName>().unwrap(), DeviceName::Cuda(0));
        for name in ["", "gpu", "cuda:", "cuda:x", "cpu:1"] {
            assert!(name.parse::<DeviceName>().is_err(), "{name}");
        }
    }

    #[cfg(not(feature = "cuda"))]
    #[test]
    fn a_missing_backend_names_its_feature() {
        assert!(open("cpu").is_ok());
        assert!(open("cuda").unwrap_err().to_string().contains("--features cuda"));
    }
}
