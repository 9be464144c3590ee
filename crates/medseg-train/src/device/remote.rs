//! Devices of other processes, on this machine or another: Burn's remote backend over a WebSocket.
//!
//! A server runs tensor operations on its device for whoever connects. Neither side proves who it is and nothing is encrypted: this is for
//! one machine or a network that one trusts.

use super::DeviceName;
use crate::error::{Result, TrainError};
#[cfg(all(feature = "cpu", feature = "several-devices"))]
use burn::backend::DispatchDevice;
use burn::remote::RemoteHost;
use burn::server::{RemoteServer, WebSocketTransport};
use burn::tensor::Device;
use std::net::{TcpListener, TcpStream, ToSocketAddrs};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Duration;

pub(super) fn connect(address: &str) -> Result<Device> {
    let host = RemoteHost::websocket(&format!("ws://{address}"));
    Device::remote_options(&host).init().map_err(|error| TrainError::Device {
        names: vec![DeviceName::Remote(address.to_owned()).to_string()],
        problem: format!("{error}; `salt serve-device` is what answers there"),
    })
}

/// Serves a device of this process at `listener` to whoever connects, until the process is told to stop (Ctrl-C, SIGTERM).
///
/// # Errors
/// A device of yet another process, or that this build does not have; a listener that cannot be used.
pub fn serve(name: &DeviceName, listener: TcpListener) -> Result<()> {
    if matches!(name, DeviceName::Remote(_)) {
        return Err(TrainError::config("device", format!("expected a device of this machine, found {name}")));
    }
    let fail = |problem: String| TrainError::Device { names: vec![name.to_string()], problem };
    let server = RemoteServer::new([name.open()?]);
    server.serve(WebSocketTransport::from_listener(listener)).map_err(|error| fail(error.to_string()))
}

/// Whether a device is that of a server.
#[cfg(all(feature = "cpu", feature = "several-devices"))]
pub(super) fn is_remote(device: &Device) -> bool {
    matches!(device.as_dispatch().clone().inner(), DispatchDevice::Remote(_))
}

pub(super) fn watched<T>(names: &[String], action: impl FnOnce() -> Result<T>) -> Result<T> {
    let remote: Vec<&String> = names.iter().filter(|name| matches!(name.parse(), Ok(DeviceName::Remote(_)))).collect();
    if remote.is_empty() {
        return action();
    }
    // What the action had in hand is dropped with it; a run goes on from its last checkpoint.
    let ended = catch_unwind(AssertUnwindSafe(action));
    if matches!(ended, Ok(Ok(_) | Err(TrainError::Device { .. } | TrainError::Stopped { .. }))) {
        return ended.unwrap_or_else(|panic| resume_unwind(panic));
    }
    let ended_sessions: Vec<&String> = remote.into_iter().filter(|name| !answers(name)).collect();
    if ended_sessions.is_empty() {
        return ended.unwrap_or_else(|panic| resume_unwind(panic));
    }
    // A server that waited for values of a lost one ends its session, too; it is not the one to name.
    let gone: Vec<&String> = ended_sessions.iter().copied().filter(|name| !is_listened_at(name)).collect();
    let named = if gone.is_empty() { ended_sessions } else { gone };
    Err(TrainError::Device {
        names: named.into_iter().cloned().collect(),
        problem: "the connection was lost; start the server again, then the same command: a training continues from its last checkpoint"
            .into(),
    })
}

/// Whether the session with a server is alive. Opening the device again gives the session that there is.
fn answers(name: &str) -> bool {
    let synced = || name.parse::<DeviceName>().and_then(|name| name.open()).is_ok_and(|device| device.sync().is_ok());
    catch_unwind(AssertUnwindSafe(synced)).unwrap_or(false)
}

/// Whether something listens at the address of a server.
fn is_listened_at(name: &str) -> bool {
    let addresses = name.strip_prefix(super::REMOTE).map(|address| address.to_socket_addrs());
    let Some(Ok(addresses)) = addresses else { return false };
    addresses.into_iter().any(|address| TcpStream::connect_timeout(&address, Duration::from_secs(2)).is_ok())
}
