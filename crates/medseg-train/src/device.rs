//! Devices by name, of this process and of others.

#[cfg(feature = "remote")]
mod remote;

use crate::error::{Result, TrainError};
use burn::tensor::Device;
#[cfg(feature = "remote")]
pub use remote::serve;
use std::fmt;
use std::str::FromStr;

/// Where a model computes: `cpu`, `wgpu`, `cuda[:index]` or `remote:HOST:PORT`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeviceName {
    /// The CPU.
    Cpu,
    /// Any GPU through WebGPU.
    Wgpu,
    /// The NVIDIA GPU with this index.
    Cuda(usize),
    /// The device that another process serves at this address, `HOST:PORT`: `salt serve-device` does, in builds with the feature `remote`.
    Remote(String),
}

/// What names a device of another process; its address follows.
const REMOTE: &str = "remote:";

impl FromStr for DeviceName {
    type Err = TrainError;

    fn from_str(name: &str) -> Result<Self> {
        match name {
            "cpu" => Ok(Self::Cpu),
            "wgpu" => Ok(Self::Wgpu),
            "cuda" => Ok(Self::Cuda(0)),
            _ => {
                let cuda = || name.strip_prefix("cuda:")?.parse().ok().map(Self::Cuda);
                let remote = || name.strip_prefix(REMOTE).filter(|address| is_address(address)).map(str::to_owned);
                cuda().or_else(|| remote().map(Self::Remote)).ok_or_else(|| {
                    let expected = "expected cpu, wgpu, cuda, cuda:N or remote:HOST:PORT";
                    TrainError::config("device", format!("{expected}, found {name:?}"))
                })
            }
        }
    }
}

/// Whether this is `HOST:PORT`: a name or an address (of IPv6 in brackets), and a port from 1.
fn is_address(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    let bracketed = host.starts_with('[') && host.ends_with(']');
    let is_host = !host.is_empty() && (bracketed || !host.contains(':')) && !host.contains(['/', '@', ' ']);
    is_host && port.parse().is_ok_and(|port: u16| port > 0)
}

impl fmt::Display for DeviceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Wgpu => f.write_str("wgpu"),
            Self::Cuda(index) => write!(f, "cuda:{index}"),
            Self::Remote(address) => write!(f, "{REMOTE}{address}"),
        }
    }
}

impl DeviceName {
    /// The device, without autodiff. A remote one is connected to; where nothing answers, this tries for some 16 seconds, since servers
    /// are often started together with their clients.
    ///
    /// # Errors
    /// A backend that this build does not have, or a server that does not answer.
    pub fn open(&self) -> Result<Device> {
        match self {
            #[cfg(feature = "cpu")]
            Self::Cpu => Ok(Device::flex()),
            #[cfg(feature = "wgpu")]
            Self::Wgpu => Ok(Device::wgpu(Default::default())),
            #[cfg(feature = "cuda")]
            Self::Cuda(index) => Ok(Device::cuda(*index)),
            #[cfg(feature = "remote")]
            Self::Remote(address) => remote::connect(address),
            #[allow(unreachable_patterns, reason = "reached when a backend is not compiled in")]
            missing => {
                let feature = match missing {
                    Self::Cpu => "cpu",
                    Self::Wgpu => "wgpu",
                    Self::Cuda(_) => "cuda",
                    Self::Remote(_) => "remote",
                };
                let problem = format!(
                    "{missing} needs the feature `{feature}`, which this build lacks: \
                     `cargo install --path crates/salt-cli --features {feature}`"
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

/// Runs `action` and makes an error of a server that was lost meanwhile: the session with a server ends with its connection, and Burn panics at
/// the next value that is read from it. `failed` says which results may come from a lost server, too.
///
/// # Errors
/// [`TrainError::Device`] with the names of the devices that no longer answer, where `action` failed or panicked.
///
/// # Panics
/// As `action`, if all devices answer.
#[cfg(feature = "remote")]
pub fn watched<R>(action: impl FnOnce() -> R, failed: impl FnOnce(&R) -> bool) -> Result<R> {
    remote::watched(action, failed)
}

/// Runs `action`: this build has no devices of other processes.
///
/// # Errors
/// None.
#[cfg(not(feature = "remote"))]
pub fn watched<R>(action: impl FnOnce() -> R, _failed: impl FnOnce(&R) -> bool) -> Result<R> {
    Ok(action())
}

/// Where tensors stop over on their way between two devices; nowhere, except between two servers: on the CPU of this process. Servers of
/// Burn 0.22.1 would hand tensors to each other, but keep a dead connection to one that was restarted, and may wait for ever for a tensor
/// that was announced while they began to wait (burn-communication, `external_comm.rs`).
#[cfg(all(feature = "remote", feature = "cpu"))]
pub(crate) fn stopover(from: &Device, to: &Device) -> Option<Device> {
    (from != to && remote::is_remote(from) && remote::is_remote(to)).then(Device::flex)
}

/// Where tensors stop over on their way between two devices: nowhere.
#[cfg(not(all(feature = "remote", feature = "cpu")))]
pub(crate) fn stopover(_from: &Device, _to: &Device) -> Option<Device> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_and_written_alike() {
        for name in ["cpu", "wgpu", "cuda:0", "cuda:3", "remote:node-7:4000", "remote:[::1]:4000"] {
            assert_eq!(name.parse::<DeviceName>().unwrap().to_string(), name);
        }
        assert_eq!("cuda".parse::<DeviceName>().unwrap(), DeviceName::Cuda(0));
        let remote =
            ["remote:", "remote:node", "remote::4000", "remote:node:0", "remote:node:70000", "remote:::1:4000"];
        for name in ["", "gpu", "cuda:", "cuda:x", "cpu:1"].into_iter().chain(remote) {
            assert!(name.parse::<DeviceName>().is_err(), "{name}");
        }
    }

    #[cfg(not(feature = "cuda"))]
    #[test]
    fn a_missing_backend_names_its_feature() {
        assert!(open("cpu").is_ok());
        assert!(open("cuda").unwrap_err().to_string().contains("--features cuda"));
    }

    #[cfg(not(feature = "remote"))]
    #[test]
    fn devices_of_other_processes_name_their_feature() {
        let message = open("remote:node-7:4000").unwrap_err().to_string();
        assert!(message.contains("remote:node-7:4000"), "{message}");
        assert!(message.contains("cargo install --path crates/salt-cli --features remote"), "{message}");
    }
}
