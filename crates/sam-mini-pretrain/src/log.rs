//! The log of a pre-training: one JSON object per line.

use crate::scores::Scores;
use medseg_train::{Result, TrainError};
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

/// One line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub(crate) enum Event {
    /// The run began or continued.
    Start { step: u64, steps: u64, parameters: usize },
    /// A step was taken. `losses`: automatic, prompted, dense, quality.
    Step { step: u64, size: usize, learning_rate: f64, losses: [f64; 4], norm: f32, seconds: f64 },
    /// Held-out scenes were scored.
    Validation { step: u64, size: usize, scenes: u64, scores: Scores },
    /// The state was saved.
    Checkpoint { step: u64 },
}

/// An open log.
#[derive(Debug)]
pub(crate) struct Log {
    path: PathBuf,
    file: File,
}

impl Log {
    /// Opens for appending.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path);
        Ok(Self { path: path.to_path_buf(), file: file.map_err(TrainError::io("cannot open the log", path))? })
    }

    /// Appends one event.
    pub(crate) fn write(&mut self, event: &Event) -> Result<()> {
        let mut line = serde_json::to_string(event).map_err(|e| TrainError::format(&self.path, e.to_string()))?;
        line.push('\n');
        self.file.write_all(line.as_bytes()).map_err(TrainError::io("cannot write the log", &self.path))
    }
}
