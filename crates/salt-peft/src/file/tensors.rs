//! Tensors on their way to and from safetensors.

use crate::error::PeftError;
use atomic_file::AtomicFile;
use burn::tensor::{DType, TensorData};
use safetensors::{Dtype, SafeTensors, View};
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::path::Path;

/// Values in single precision with their shape.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Array {
    pub(crate) shape: Vec<usize>,
    pub(crate) values: Vec<f32>,
}

impl Array {
    pub(crate) fn new(shape: impl Into<Vec<usize>>, values: Vec<f32>) -> Self {
        Self { shape: shape.into(), values }
    }

    /// The same values in another shape of as many.
    pub(crate) fn reshaped(mut self, shape: impl Into<Vec<usize>>) -> Self {
        self.shape = shape.into();
        self
    }
}

/// Tensors by key.
pub(crate) type Arrays = BTreeMap<String, Array>;

/// An array in the header of a file: its content follows later.
struct Announced<'a>(&'a Array);

impl View for Announced<'_> {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        &self.0.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&[])
    }

    fn data_len(&self) -> usize {
        size_of::<f32>() * self.0.values.len()
    }
}

/// Writes a safetensors file that has its name only once it is committed, and gives its SHA-256: the same arrays give the same bytes. The
/// folder is created. One array at a time is turned into bytes.
pub(crate) fn write_arrays(file: &Path, arrays: &Arrays) -> Result<(AtomicFile, String), PeftError> {
    // One entry only: the order of several is not defined.
    let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    // Arrays of one type stand in the order of their names, which is that of the map.
    let announced = arrays.iter().map(|(key, array)| (key, Announced(array)));
    let header = safetensors::serialize(announced, Some(metadata))
        .map_err(|error| PeftError::format(file, error.to_string()))?;
    let folder = file.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).map_err(PeftError::io(file))?;
    let mut written = AtomicFile::create(file).map_err(PeftError::io(file))?;
    let mut hash = Sha256::new();
    let mut put = |bytes: &[u8]| {
        hash.update(bytes);
        written.write_all(bytes).map_err(PeftError::io(file))
    };
    put(&header)?;
    for array in arrays.values() {
        let bytes: Vec<u8> = array.values.iter().flat_map(|value| value.to_le_bytes()).collect();
        put(&bytes)?;
    }
    Ok((written, hex::encode(hash.finalize())))
}

/// All tensors of a safetensors file, in single precision.
pub(crate) fn decode(file: &Path, bytes: &[u8]) -> Result<Arrays, PeftError> {
    let tensors = SafeTensors::deserialize(bytes)
        .map_err(|error| PeftError::format(file, format!("no safetensors file: {error}")))?;
    tensors
        .iter()
        .map(|(key, view)| {
            let fail = |reason: String| PeftError::format(file, format!("tensor `{key}`: {reason}"));
            let dtype = match view.dtype() {
                Dtype::F32 => DType::F32,
                Dtype::F64 => DType::F64,
                Dtype::F16 => DType::F16,
                Dtype::BF16 => DType::BF16,
                other => return Err(fail(format!("expected floating-point numbers, found {other:?}"))),
            };
            let shape = view.shape().to_vec();
            let data = TensorData::from_bytes_vec(view.data().to_vec(), shape.clone(), dtype);
            let values = data.convert::<f32>().try_into_vec::<f32>().map_err(|error| fail(format!("{error:?}")))?;
            if let Some(index) = values.iter().position(|value| !value.is_finite()) {
                return Err(fail(format!("expected finite numbers, found {} at position {index}", values[index])));
            }
            Ok((key.to_owned(), Array { shape, values }))
        })
        .collect()
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// SHA-256 of several runs of numbers, each preceded by its length.
pub(crate) fn sha256_floats<'a>(runs: impl IntoIterator<Item = &'a [f32]>) -> String {
    let mut hash = Sha256::new();
    for run in runs {
        hash.update((run.len() as u64).to_le_bytes());
        for chunk in run.chunks(4096) {
            let bytes: Vec<u8> = chunk.iter().flat_map(|value| value.to_le_bytes()).collect();
            hash.update(&bytes);
        }
    }
    hex::encode(hash.finalize())
}

/// Writes a file whole or not at all; its folder is created.
pub(crate) fn write(file: &Path, bytes: &[u8]) -> Result<(), PeftError> {
    let folder = file.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).and_then(|()| atomic_file::write(file, bytes)).map_err(PeftError::io(file))
}
