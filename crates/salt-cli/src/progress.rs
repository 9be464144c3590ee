//! Progress of long work: a bar in a terminal, and where there is none, a line at least every half minute.

use indicatif::{ProgressBar, ProgressStyle};
use std::fmt::Display;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// Longest silence where there is no terminal.
const SILENCE: Duration = Duration::from_secs(30);

/// A style from a template of our own; a template that indicatif does not take gives its default.
pub(crate) fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// Says every half minute where the work is, until it is dropped. For logs: in a terminal, a bar does so.
#[derive(Debug)]
pub(crate) struct Heartbeat {
    end: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Heartbeat {
    /// Starts to say what `line` gives.
    pub(crate) fn start(line: impl Fn() -> String + Send + 'static) -> Self {
        let (end, ended) = channel::<()>();
        let thread = std::thread::spawn(move || {
            while matches!(ended.recv_timeout(SILENCE), Err(RecvTimeoutError::Timeout)) {
                eprintln!("{}", line());
            }
        });
        Self { end: Some(end), thread: Some(thread) }
    }
}

impl Drop for Heartbeat {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has said so itself.
            let _ = thread.join();
        }
    }
}

/// Progress through a known number of things.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
    _heartbeat: Option<Heartbeat>,
}

impl Progress {
    /// Progress through `total` of `what` ("images"), some of them done already.
    pub(crate) fn new(total: usize, done: usize, what: &'static str) -> Self {
        let bar = ProgressBar::new(total as u64).with_position(done as u64);
        bar.set_style(style(&format!(
            "{{bar:30.cyan/dim}} {{pos}}/{{len}} {what}  {{msg}}  {{elapsed}} elapsed, {{eta}} left"
        )));
        bar.reset_eta();
        let seen = bar.clone();
        let line = move || {
            let (done, total, message) = (seen.position(), seen.length().unwrap_or(0), seen.message());
            format!("{done}/{total} {what}, {} s: {message}", seen.elapsed().as_secs())
        };
        let heartbeat = bar.is_hidden().then(|| Heartbeat::start(line));
        Self { bar, _heartbeat: heartbeat }
    }

    /// What is being worked on.
    pub(crate) fn message(&self, text: impl Display) {
        self.bar.set_message(text.to_string());
    }

    /// One more is done.
    pub(crate) fn advance(&self) {
        self.bar.inc(1);
    }

    /// So many of so many are done.
    pub(crate) fn set(&self, done: u64, total: u64) {
        self.bar.set_length(total);
        self.bar.set_position(done);
    }

    /// A line that stays.
    pub(crate) fn say(&self, text: &str) {
        if self.bar.is_hidden() { eprintln!("{text}") } else { self.bar.println(text) }
    }

    /// Ends the bar, leaving nothing.
    pub(crate) fn finish(self) {
        self.bar.finish_and_clear();
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if !self.bar.is_finished() {
            self.bar.abandon();
        }
    }
}
