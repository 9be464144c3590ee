//! The `--device` argument that every command with a model shares.

use burn::tensor::Device;
use std::error::Error;
use std::str::FromStr;

/// Where a command computes: `cpu`, `wgpu` or `cuda[:index]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DeviceChoice {
    /// The CPU.
    Cpu,
    /// Any GPU through WebGPU.
    Wgpu,
    /// The NVIDIA GPU with this index.
    Cuda(usize),
}

impl FromStr for DeviceChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(':') {
            None if text == "cpu" => Ok(Self::Cpu),
            None if text == "wgpu" => Ok(Self::Wgpu),
            None if text == "cuda" => Ok(Self::Cuda(0)),
            Some(("cuda", index)) => match index.parse() {
                Ok(index) => Ok(Self::Cuda(index)),
                Err(_) => Err(format!("expected a number after `cuda:`, found `{index}`")),
            },
            _ => Err(format!("expected cpu, wgpu, cuda or cuda:INDEX, found `{text}`")),
        }
    }
}

impl std::fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Wgpu => f.write_str("wgpu"),
            Self::Cuda(index) => write!(f, "cuda:{index}"),
        }
    }
}

impl DeviceChoice {
    /// The device, without gradients.
    pub(crate) fn open(self) -> Result<Device, Box<dyn Error>> {
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
                Err(format!(
                    "this build has no `{feature}` backend; run `cargo run -p xtask --features {feature} -- ...` to build it"
                )
                .into())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_and_written_alike() {
        for text in ["cpu", "wgpu", "cuda:0", "cuda:3"] {
            assert_eq!(text.parse::<DeviceChoice>().unwrap().to_string(), text);
        }
        assert_eq!("cuda".parse(), Ok(DeviceChoice::Cuda(0)));
        for text in ["", "gpu", "cuda:", "cuda:x", "cpu:1"] {
            assert!(text.parse::<DeviceChoice>().is_err(), "{text}");
        }
    }

    #[cfg(not(feature = "wgpu"))]
    #[test]
    fn a_missing_backend_names_its_feature() {
        let message = DeviceChoice::Wgpu.open().unwrap_err().to_string();
        assert!(message.contains("--features wgpu"), "{message}");
    }
}
