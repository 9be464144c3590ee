//! Devices of other processes, on this machine or another: Burn's remote backend over a WebSocket.
//!
//! A server runs tensor operations on its device for whoever connects. Neither side proves who it is and nothing is encrypted: this is for
//! one machine or a network that one trusts.

mod lost;
mod panics;

use super::DeviceName;
use crate::error::{Result, TrainError};
#[cfg(feature = "cpu")]
use burn::backend::DispatchDevice;
use burn::remote::RemoteHost;
use burn::server::{RemoteServer, WebSocketTransport};
use burn::tensor::Device;
pub(super) use lost::watched;
use std::net::TcpListener;

pub(super) fn connect(address: &str) -> Result<Device> {
    let fail = |problem: String| TrainError::Device {
        names: vec![DeviceName::Remote(address.to_owned()).to_string()],
        problem: format!("{problem}; `salt serve-device` is what answers there"),
    };
    let device = session(address).map_err(|error| fail(error.to_string()))?;
    // A process has one session with a server, for good: Burn returns an ended one as if it were alive.
    device.sync().map_err(|_| fail("this process has lost its connection and gets no other".into()))?;
    lost::expect(address);
    Ok(device)
}

/// The session of this process with a server, opened if there is none.
fn session(address: &str) -> std::result::Result<Device, burn::remote::ConnectError> {
    Device::remote_options(&RemoteHost::websocket(&format!("ws://{address}"))).init()
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
#[cfg(feature = "cpu")]
pub(super) fn is_remote(device: &Device) -> bool {
    matches!(device.as_dispatch().clone().inner(), DispatchDevice::Remote(_))
}
