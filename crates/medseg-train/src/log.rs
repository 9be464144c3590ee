//! The run's log: one JSON object per line, appended and flushed at once.

use crate::error::{Result, TrainError};
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

/// One line of `log.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Event {
    /// The run began or continued.
    Start {
        /// Hash of the resolved configuration.
        config: String,
        /// Optimiser step at which it continues; 0 for a fresh run.
        step: u64,
        /// Trainable numbers.
        trainable: usize,
        /// All numbers of the model, adapters included.
        total: usize,
    },
    /// An epoch of training ended.
    Epoch {
        /// From 0.
        epoch: usize,
        /// Optimiser steps done.
        step: u64,
        /// Mean training loss of the epoch.
        loss: f64,
        /// Learning rate of its last step.
        learning_rate: f64,
        /// Mean validation Dice, in 0..=1; absent when this epoch was not validated.
        validation_dice: Option<f64>,
        /// Wall-clock seconds of the epoch, validation included.
        seconds: f64,
    },
    /// The state was saved.
    Checkpoint {
        /// Optimiser steps done.
        step: u64,
    },
    /// The run was asked to stop.
    Stopped {
        /// Optimiser steps done.
        step: u64,
    },
    /// The run ended.
    Finished {
        /// Optimiser steps done.
        step: u64,
        /// Epoch of the selected checkpoint.
        best_epoch: usize,
        /// Its validation Dice.
        validation_dice: f64,
    },
}

/// An open log.
#[derive(Debug)]
pub struct Log {
    path: PathBuf,
    file: File,
}

impl Log {
    /// Opens for appending, making the file where it is missing and cutting off a line that a killed process left torn.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn open(path: &Path) -> Result<Self> {
        let fail = || TrainError::io("cannot open the log", path);
        if let Ok(text) = std::fs::read(path)
            && text.last().is_some_and(|&last| last != b'\n')
        {
            let whole = text.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
            OpenOptions::new().write(true).open(path).and_then(|file| file.set_len(whole as u64)).map_err(fail())?;
        }
        let file = OpenOptions::new().create(true).append(true).open(path).map_err(fail())?;
        Ok(Self { path: path.to_path_buf(), file })
    }

    /// Appends one event.
    ///
    /// # Errors
    /// The file cannot be written (a full disk, for one).
    pub fn write(&mut self, event: &Event) -> Result<()> {
        let mut line = serde_json::to_string(event).map_err(|e| TrainError::format(&self.path, e.to_string()))?;
        line.push('\n');
        self.file.write_all(line.as_bytes()).map_err(TrainError::io("cannot write the log", &self.path))
    }
}

/// Reads a log; a torn last line (the process was killed while writing) is dropped, any other bad line is an error.
///
/// # Errors
/// The file cannot be read, or a line is not an event.
pub fn read_log(path: &Path) -> Result<Vec<Event>> {
    let file = File::open(path).map_err(TrainError::io("cannot read", path))?;
    let lines = BufReader::new(file)
        .lines()
        .collect::<std::io::Result<Vec<_>>>()
        .map_err(TrainError::io("cannot read", path))?;
    let mut events = Vec::with_capacity(lines.len());
    for (index, line) in lines.iter().enumerate() {
        match serde_json::from_str(line) {
            Ok(event) => events.push(event),
            Err(_) if index + 1 == lines.len() => {}
            Err(error) => return Err(TrainError::format(path, format!("line {}: {error}", index + 1))),
        }
    }
    Ok(events)
}

/// The learning curve in a log: epochs in order, where a continued run repeated one, the last telling of it.
pub fn epochs(events: &[Event]) -> Vec<EpochRecord> {
    let mut curve = std::collections::BTreeMap::new();
    for event in events {
        if let Event::Epoch { epoch, loss, learning_rate, validation_dice, .. } = *event {
            curve.insert(epoch, EpochRecord { epoch, loss, learning_rate, validation_dice });
        }
    }
    curve.into_values().collect()
}

/// A point of the learning curve.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct EpochRecord {
    /// From 0.
    pub epoch: usize,
    /// Mean training loss.
    pub loss: f64,
    /// Learning rate of the epoch's last step.
    pub learning_rate: f64,
    /// Mean validation Dice, where validated.
    pub validation_dice: Option<f64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_last_line_is_dropped_and_a_bad_one_inside_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.jsonl");
        let mut log = Log::open(&path).unwrap();
        log.write(&Event::Checkpoint { step: 3 }).unwrap();
        log.write(&Event::Stopped { step: 4 }).unwrap();
        std::fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(b"{\"event\":\"ep").unwrap();
        assert_eq!(read_log(&path).unwrap(), [Event::Checkpoint { step: 3 }, Event::Stopped { step: 4 }]);
        Log::open(&path).unwrap().write(&Event::Checkpoint { step: 5 }).unwrap();
        assert_eq!(read_log(&path).unwrap().len(), 3);
        std::fs::write(&path, "nonsense\n{\"event\":\"stopped\",\"step\":4}\n").unwrap();
        assert!(read_log(&path).unwrap_err().to_string().contains("line 1"));
    }
}
