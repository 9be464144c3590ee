//! What becomes of a computation whose server is lost: an error that names it, where Burn panics.

use super::super::DeviceName;
use super::{panics, session};
use crate::error::{Result, TrainError};
use std::collections::BTreeSet;
use std::net::{TcpStream, ToSocketAddrs};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Addresses of the servers that this process is connected to.
static CONNECTED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

fn connected() -> MutexGuard<'static, BTreeSet<String>> {
    CONNECTED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Counts a server among those that have to answer.
pub(super) fn expect(address: &str) {
    panics::hold_back_while_watched();
    connected().insert(address.to_owned());
}

/// See [`watched`](crate::device::watched).
pub(in crate::device) fn watched<R>(action: impl FnOnce() -> R, failed: impl FnOnce(&R) -> bool) -> Result<R> {
    let messages = panics::Held::new();
    // What the action had in hand is dropped with it; a training goes on from its last checkpoint.
    let ended = catch_unwind(AssertUnwindSafe(action));
    if let Ok(result) = &ended
        && !failed(result)
    {
        return ended.map_or_else(|panic| resume_unwind(panic), Ok);
    }
    match lost() {
        Some(error) => {
            messages.forget();
            Err(error)
        }
        None => {
            drop(messages);
            ended.map_or_else(|panic| resume_unwind(panic), Ok)
        }
    }
}

/// The servers whose sessions have ended, as an error. Each is named once: a process gets no second session with a server.
fn lost() -> Option<TrainError> {
    let addresses: Vec<String> = connected().iter().cloned().collect();
    let ended: Vec<String> = addresses.into_iter().filter(|address| !answers(address)).collect();
    if ended.is_empty() {
        return None;
    }
    connected().retain(|address| !ended.contains(address));
    let listens = ended.iter().all(|address| is_listened_at(address));
    let what =
        if listens { "the server ended the session (its own output says why)" } else { "the connection was lost" };
    Some(TrainError::Device {
        names: ended.into_iter().map(|address| DeviceName::Remote(address).to_string()).collect(),
        problem: format!(
            "{what}; once it serves again, the same command continues a training from its last checkpoint"
        ),
    })
}

/// Whether the session with a server is alive.
fn answers(address: &str) -> bool {
    let synced = || session(address).is_ok_and(|device| device.sync().is_ok());
    catch_unwind(AssertUnwindSafe(synced)).unwrap_or(false)
}

/// Whether something listens at the address of a server.
fn is_listened_at(address: &str) -> bool {
    let Ok(mut resolved) = address.to_socket_addrs() else { return false };
    resolved.any(|address| TcpStream::connect_timeout(&address, Duration::from_secs(2)).is_ok())
}
