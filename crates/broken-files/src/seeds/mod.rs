//! The good files that mutations start from, small and of every kind, made by the project's own writers where it has one.
//!
//! `corpus/checkpoint/*.pth` are made by `corpus/pytorch.py`, since nothing here writes PyTorch's files.

mod images;
mod models;
mod texts;

/// What can go wrong while they are made.
pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Reader, name of the file, content.
pub type Seed = (&'static str, String, Vec<u8>);

/// All of them.
///
/// # Errors
/// A temporary folder cannot be written.
pub fn all() -> Result<Vec<Seed>> {
    let mut seeds = texts::all()?;
    seeds.extend(images::all()?);
    seeds.extend(models::all()?);
    Ok(seeds)
}

pub(crate) fn seed(reader: &'static str, name: &str, bytes: impl Into<Vec<u8>>) -> Seed {
    (reader, name.to_owned(), bytes.into())
}
