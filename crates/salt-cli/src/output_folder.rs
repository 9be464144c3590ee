//! Writing into a folder that others may use too.
//!
//! A command that fills a folder keeps a record there of every file that it made: its size and checksum, what it was made from and
//! with which settings. The record is the whole licence to write: a file that is not in it belongs to somebody else and is
//! neither replaced nor removed nor taken for an input, and a file that is in it but holds other bytes was changed by
//! somebody and is kept as well.

use crate::error::CliError;
use medseg_train::files::{self, sha256};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Name of the record: one JSON object per line, appended and never rewritten.
pub(crate) const RECORD_FILE: &str = "salt-record.jsonl";
const VERSION: u32 = 1;

/// What a file was made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Origin {
    /// The input's file name; empty where there is no single input.
    pub(crate) input: String,
    /// Size of the input in bytes.
    pub(crate) bytes: u64,
    /// SHA-256 of the input.
    pub(crate) sha256: String,
    /// Everything else that the result depends on, as text (model, options).
    pub(crate) settings: String,
}

/// A line of the record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Entry {
    version: u32,
    file: String,
    bytes: u64,
    sha256: String,
    from: Origin,
}

impl Entry {
    fn holds(&self, content: &[u8]) -> bool {
        self.bytes == content.len() as u64 && self.sha256 == sha256(content)
    }
}

/// A folder with its record.
#[derive(Debug)]
pub(crate) struct OutputFolder {
    folder: PathBuf,
    /// All entries of each name, the newest last.
    entries: BTreeMap<String, Vec<Entry>>,
    record: File,
}

impl OutputFolder {
    /// Opens the folder, making it where it is missing.
    pub(crate) fn open(folder: &Path) -> Result<Self, CliError> {
        std::fs::create_dir_all(folder).map_err(CliError::io("cannot create", folder))?;
        let path = folder.join(RECORD_FILE);
        let mut text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(source) => return Err(CliError::io("cannot read", &path)(source)),
        };
        // A killed process may have left half a line.
        let whole = text.rfind('\n').map_or(0, |at| at + 1);
        let torn = whole < text.len();
        text.truncate(whole);
        let mut entries: BTreeMap<String, Vec<Entry>> = BTreeMap::new();
        for (index, line) in text.lines().enumerate() {
            let entry: Entry = serde_json::from_str(line).map_err(|error| {
                CliError::file(&path, format!("line {}: no record of this program: {error}", index + 1))
            })?;
            if entry.version != VERSION {
                let problem = format!("line {}: expected version {VERSION}, found {}", index + 1, entry.version);
                return Err(CliError::file(&path, problem));
            }
            entries.entry(entry.file.clone()).or_default().push(entry);
        }
        let record = OpenOptions::new().create(true).append(true).open(&path);
        let record = record.map_err(CliError::io("cannot open", &path))?;
        if torn {
            record.set_len(whole as u64).map_err(CliError::io("cannot write", &path))?;
        }
        Ok(Self { folder: folder.to_path_buf(), entries, record })
    }

    /// Where a file is or would be.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Whether an earlier call made a file of this name.
    pub(crate) fn made(&self, name: &str) -> bool {
        self.entries.contains_key(name)
    }

    /// Whether the file is there, as it was made, from this very origin.
    pub(crate) fn is_current(&self, name: &str, origin: &Origin) -> bool {
        let newest = self.entries.get(name).and_then(|entries| entries.last());
        newest.is_some_and(|entry| {
            entry.from == *origin && std::fs::read(self.path(name)).is_ok_and(|found| entry.holds(&found))
        })
    }

    /// Refuses a name under which somebody else's file lies.
    pub(crate) fn check(&self, name: &str) -> Result<(), CliError> {
        let path = self.path(name);
        let found = match std::fs::read(&path) {
            Ok(found) => found,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(source) => return Err(CliError::io("cannot read", &path)(source)),
        };
        let entries = self.entries.get(name).map_or(&[][..], Vec::as_slice);
        if entries.iter().any(|entry| entry.holds(&found)) {
            return Ok(());
        }
        let reason = match entries {
            [] => "no earlier run of this command made it; move it away, or choose another folder",
            _ => "it was changed since an earlier run of this command made it; move it away, or choose another folder",
        };
        Err(CliError::NotOurs { path, reason })
    }

    /// Writes a file, whole or not at all, and notes it. The note goes first: a kill between the two leaves a note without its
    /// file, which does no harm.
    pub(crate) fn write(&mut self, name: &str, content: &[u8], origin: &Origin) -> Result<PathBuf, CliError> {
        self.check(name)?;
        let path = self.path(name);
        let entry = Entry {
            version: VERSION,
            file: name.to_owned(),
            bytes: content.len() as u64,
            sha256: sha256(content),
            from: origin.clone(),
        };
        let place = self.path(RECORD_FILE);
        let mut line = serde_json::to_string(&entry).map_err(|e| CliError::file(&place, e.to_string()))?;
        line.push('\n');
        self.record.write_all(line.as_bytes()).map_err(CliError::io("cannot write", &place))?;
        files::write(&path, content)?;
        self.entries.entry(name.to_owned()).or_default().push(entry);
        Ok(path)
    }
}

/// The checksum of an input with the settings that go with it.
pub(crate) fn origin(input: &Path, settings: &str) -> Result<Origin, CliError> {
    let content = std::fs::read(input).map_err(CliError::io("cannot read", input))?;
    let name = input.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(Origin { input: name, bytes: content.len() as u64, sha256: sha256(&content), settings: settings.to_owned() })
}

/// Writes a file that the user named, whole or not at all; one that is there is only replaced when the user said so.
pub(crate) fn write_named(path: &Path, content: &[u8], overwrite: bool) -> Result<(), CliError> {
    if !overwrite && path.exists() {
        return Err(exists(path));
    }
    Ok(files::write(path, content)?)
}

/// What is said of a named file that is there already.
pub(crate) fn exists(path: &Path) -> CliError {
    CliError::NotOurs { path: path.to_path_buf(), reason: "it is there already; --overwrite replaces it" }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(settings: &str) -> Origin {
        Origin { input: "x.png".into(), bytes: 1, sha256: "0".into(), settings: settings.into() }
    }

    #[test]
    fn only_what_was_made_and_left_alone_is_replaced() {
        let place = tempfile::tempdir().unwrap();
        std::fs::write(place.path().join("x_mask.png"), b"annotation").unwrap();
        let mut folder = OutputFolder::open(place.path()).unwrap();
        let message = folder.write("x_mask.png", b"ours", &from("a")).unwrap_err().to_string();
        assert!(message.contains("x_mask.png") && message.contains("no earlier run"), "{message}");
        assert_eq!(std::fs::read(place.path().join("x_mask.png")).unwrap(), b"annotation");

        folder.write("y_mask.png", b"ours", &from("a")).unwrap();
        let mut folder = OutputFolder::open(place.path()).unwrap();
        assert!(folder.is_current("y_mask.png", &from("a")) && !folder.is_current("y_mask.png", &from("b")));
        folder.write("y_mask.png", b"again", &from("b")).unwrap();
        std::fs::write(place.path().join("y_mask.png"), b"corrected by hand").unwrap();
        assert!(!folder.is_current("y_mask.png", &from("b")));
        let message = folder.write("y_mask.png", b"ours", &from("b")).unwrap_err().to_string();
        assert!(message.contains("changed since"), "{message}");
    }

    #[test]
    fn a_named_file_is_replaced_on_request_only() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("scores.csv");
        write_named(&path, b"1", false).unwrap();
        assert!(write_named(&path, b"2", false).unwrap_err().to_string().contains("--overwrite"));
        write_named(&path, b"2", true).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"2");
    }
}
