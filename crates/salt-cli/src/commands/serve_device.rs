//! `salt serve-device`: lends a device of this machine to trainings of other processes.

use super::CommandResult;
use crate::error::CliError;
use medseg_train::device::{DeviceName, serve};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;

/// Serve a device of this machine to other processes, which name it as remote:HOST:PORT.
///
/// Whoever reaches the address may compute here and read what is computed: there is no authentication and no encryption. Listen on
/// other addresses than the loopback only in a network that you trust. Ctrl-C or SIGTERM ends it.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The device: cpu, wgpu, cuda or cuda:N
    #[arg(long, default_value = "cpu")]
    device: DeviceName,
    /// Address and port to listen on; port 0 takes a free one, which is printed
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:4000")]
    listen: SocketAddr,
}

/// Runs the command.
pub(super) fn run(args: Args) -> CommandResult {
    let place = args.listen.to_string();
    let fail = || CliError::io("cannot listen on", Path::new(&place));
    let listener = TcpListener::bind(args.listen).map_err(fail())?;
    let address = listener.local_addr().map_err(fail())?;
    out!("serving {} as remote:{address}", args.device)?;
    if !address.ip().is_loopback() {
        eprintln!("warning: whoever reaches this address may use the device and read what is computed on it");
    }
    Ok(serve(&args.device, listener)?)
}
