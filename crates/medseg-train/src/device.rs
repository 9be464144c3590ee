//! Devices by name.

use crate::error::{Result, TrainError};
use burn::tensor::Device;

/// A parsed device name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DeviceName {
    Cpu,
    Wgpu,
    Cuda(usize),
}

/// Parses `cpu`, `wgpu`, `cuda` or `cuda:N`.
pub(crate) fn parse(name: &str) -> Result<DeviceName> {
    match name {
        "cpu" => Ok(DeviceName::Cpu),
        "wgpu" => Ok(DeviceName::Wgpu),
        "cuda" => Ok(DeviceName::Cuda(0)),
        _ => match name.strip_prefix("cuda:").and_then(|index| index.parse().ok()) {
            Some(index) => Ok(DeviceName::Cuda(index)),
            None => Err(TrainError::config("devices", format!("expected cpu, wgpu, cuda or cuda:N, found {name:?}"))),
        },
    }
}

/// The device of this name, without autodiff.
///
/// # Errors
/// An unknown name, or a backend that this build does not have.
pub fn open(name: &str) -> Result<Device> {
    let missing = |feature: &str| {
        let problem = format!("{name:?} needs a build with `--features {feature}`, which this one lacks");
        Err(TrainError::config("devices", problem))
    };
    match parse(name)? {
        DeviceName::Cpu if cfg!(feature = "cpu") => Ok(cpu()),
        DeviceName::Cpu => missing("cpu"),
        #[cfg(feature = "wgpu")]
        DeviceName::Wgpu => Ok(Device::wgpu(Default::default())),
        #[cfg(not(feature = "wgpu"))]
        DeviceName::Wgpu => missing("wgpu"),
        #[cfg(feature = "cuda")]
        DeviceName::Cuda(index) => Ok(Device::cuda(index)),
        #[cfg(not(feature = "cuda"))]
        DeviceName::Cuda(_) => missing("cuda"),
    }
}

#[cfg(feature = "cpu")]
fn cpu() -> Device {
    Device::flex()
}

#[cfg(not(feature = "cpu"))]
fn cpu() -> Device {
    Device::default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_understood_and_others_refused() {
        assert_eq!(parse("cuda:3").unwrap(), DeviceName::Cuda(3));
        assert!(parse("cuda:x").is_err());
        assert!(open("cpu").is_ok());
        if cfg!(not(feature = "cuda")) {
            assert!(open("cuda").unwrap_err().to_string().contains("--features cuda"));
        }
    }
}
