#![doc = include_str!("../README.md")]
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a broken law is a panic: that is how a test or a fuzzer sees it"
)]

pub mod mutation;
mod parts;
mod readers;
mod scratch;
pub mod seeds;

pub use parts::{DIVIDER, joined};

use std::path::PathBuf;

/// A kind of input and the code that reads it.
#[derive(Debug, Clone, Copy)]
pub struct Reader {
    /// Its name, which is that of its corpus and of its fuzzer.
    pub name: &'static str,
    /// What it reads and what must hold of the answer.
    pub what: &'static str,
    /// Reads the bytes. Panics where something that must hold does not.
    pub read: fn(&[u8]),
}

/// All of them.
pub const READERS: [Reader; 8] = [
    Reader {
        name: "adapter",
        what: "an adapter's configuration and weights, divided by [`DIVIDER`]: what loads computes finite numbers",
        read: readers::adapter,
    },
    Reader {
        name: "bundle",
        what: "the files of a bundle, divided by [`DIVIDER`], checksums made to fit: what parses is written and parsed the same",
        read: readers::bundle,
    },
    Reader {
        name: "checkpoint",
        what: "a PyTorch or safetensors file: every tensor has the size of its shape and finite values; a model that it describes loads or is refused",
        read: readers::checkpoint,
    },
    Reader { name: "coco", what: "a COCO json file: masks stay within their image", read: readers::coco },
    Reader {
        name: "image",
        what: "an image file of any format: the pixels are as many as the size says, within the limits, the same every time",
        read: readers::image,
    },
    Reader {
        name: "metrics",
        what: "two masks: overlap, distances, components and holes are those of loops over pixels",
        read: readers::metrics,
    },
    Reader {
        name: "run-file",
        what: "a run file (TOML): what is accepted is written and read the same",
        read: readers::run_file,
    },
    Reader {
        name: "split-table",
        what: "a split table (CSV): what is accepted is written and read the same",
        read: readers::split_table,
    },
];

/// The reader of this name.
pub fn reader(name: &str) -> Option<&'static Reader> {
    READERS.iter().find(|reader| reader.name == name)
}

/// What the fuzzer of this name does with an input.
pub fn read(name: &str, bytes: &[u8]) {
    let reader = reader(name).unwrap_or_else(|| panic!("no reader {name:?}"));
    (reader.read)(bytes);
}

/// The folder of a reader's corpus.
pub fn corpus_folder(reader: &Reader) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("corpus").join(reader.name)
}

/// The files of a reader's corpus by name, in order.
///
/// # Errors
/// The folder cannot be read.
pub fn corpus(reader: &Reader) -> std::io::Result<Vec<(String, Vec<u8>)>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(corpus_folder(reader))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        files.push((name, std::fs::read(&path)?));
    }
    files.sort();
    Ok(files)
}
