//! A process that serves the CPU of this machine.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

/// Killed when it goes out of scope.
pub(crate) struct Server {
    process: Child,
    /// As a run file names it.
    pub(crate) device: String,
}

impl Server {
    /// On a free port.
    pub(crate) fn start() -> Self {
        Self::start_at(0)
    }

    pub(crate) fn start_at(port: u16) -> Self {
        let mut command = Command::new(assert_cmd::cargo::cargo_bin("salt"));
        command.args(["serve-device", "--listen", &format!("127.0.0.1:{port}")]);
        let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let device = line.trim().rsplit(' ').next().unwrap().to_owned();
        assert!(device.starts_with("remote:127.0.0.1:"), "{line:?}");
        Self { process, device }
    }

    pub(crate) fn port(&self) -> u16 {
        self.device.rsplit(':').next().unwrap().parse().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // SIGKILL: the connection ends as it does when a process is killed for memory.
        self.process.kill().ok();
        self.process.wait().ok();
    }
}
