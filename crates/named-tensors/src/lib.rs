//! The tensors of a safetensors or PyTorch file by name. The table of contents is read at once, values on demand. A pickle inside is
//! parsed and never executed, and every length that a file declares is held against the file.
//!
//! ```
//! use named_tensors::NamedTensors;
//! use safetensors::tensor::{Dtype, TensorView, serialize_to_file};
//!
//! let folder = tempfile::tempdir()?;
//! let path = folder.path().join("two.safetensors");
//! let bytes: Vec<u8> = [1.0f32, 2.0].iter().flat_map(|value| value.to_le_bytes()).collect();
//! serialize_to_file([("weight", TensorView::new(Dtype::F32, vec![2], &bytes)?)], None, &path)?;
//!
//! let file = NamedTensors::open(&path)?;
//! assert_eq!(file.shape("weight"), Some([2].as_slice()));
//! assert_eq!(file.read("weight")?, [1.0, 2.0]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use burn::store::pytorch_reader::{DType as PytorchType, PytorchReader, Tensor as PytorchTensor};
use safetensors::tensor::{Dtype, Metadata};

/// A file that cannot be read, or does not hold what it should.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TensorsError {
    /// The file cannot be read.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// The file is not what its name or place says: truncated, corrupt, hostile or of an unknown format; or a tensor is not there or not
    /// of finite floats.
    #[error("{path}: {reason}", path = path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What was expected and what was found, with the tensor's name.
        reason: String,
    },
}

impl TensorsError {
    /// The file.
    pub fn path(&self) -> &Path {
        match self {
            Self::Io { path, .. } | Self::Format { path, .. } => path,
        }
    }

    fn io(path: &Path, source: std::io::Error) -> Self {
        Self::Io { path: path.to_owned(), source }
    }

    fn format(path: &Path, reason: impl Into<String>) -> Self {
        Self::Format { path: path.to_owned(), reason: reason.into() }
    }
}

/// Largest safetensors header that is read (the format's own limit).
const MAX_HEADER: u64 = 100_000_000;

/// A checkpoint's tensors by the names of the file.
#[derive(Debug)]
pub struct NamedTensors {
    path: PathBuf,
    tensors: BTreeMap<String, Entry>,
    metadata: HashMap<String, String>,
}

#[derive(Debug)]
struct Entry {
    shape: Vec<usize>,
    place: Place,
}

#[derive(Debug)]
enum Place {
    Safetensors { dtype: Dtype, start: u64, length: usize },
    Pytorch(Box<PytorchTensor>),
}

impl NamedTensors {
    /// Reads the table of contents of a safetensors or PyTorch file, told apart by their first bytes.
    ///
    /// # Errors
    /// The file cannot be read, or is neither.
    pub fn open(path: &Path) -> Result<Self, TensorsError> {
        let mut file = File::open(path).map_err(|e| TensorsError::io(path, e))?;
        let length = file.metadata().map_err(|e| TensorsError::io(path, e))?.len();
        let mut head = Vec::with_capacity(9);
        (&mut file).take(9).read_to_end(&mut head).map_err(|e| TensorsError::io(path, e))?;
        if head.is_empty() {
            return Err(TensorsError::format(path, "expected a checkpoint, found an empty file"));
        }
        let is_safetensors = head.len() == 9 && head[8] == b'{' && head[..2] != *b"PK";
        if is_safetensors { Self::open_safetensors(path, file, length) } else { Self::open_pytorch(path) }
    }

    fn open_safetensors(path: &Path, mut file: File, length: u64) -> Result<Self, TensorsError> {
        file.seek(SeekFrom::Start(0)).map_err(|e| TensorsError::io(path, e))?;
        let mut prefix = [0u8; 8];
        file.read_exact(&mut prefix).map_err(|e| TensorsError::io(path, e))?;
        let header = u64::from_le_bytes(prefix);
        if header > MAX_HEADER || header.saturating_add(8) > length {
            let reason = format!("expected a header within the file of {length} bytes, found one of {header} bytes");
            return Err(TensorsError::format(path, reason));
        }
        let mut buffer = Vec::new();
        (&mut file).take(header).read_to_end(&mut buffer).map_err(|e| TensorsError::io(path, e))?;
        // Deserialising checks every shape against its offsets, and the offsets for holes and overlaps.
        let table: Metadata = serde_json::from_slice(&buffer)
            .map_err(|e| TensorsError::format(path, format!("not a readable safetensors header: {e}")))?;
        let data = length - header - 8;
        if table.data_len() as u64 != data {
            let reason = format!("the header describes {} bytes of tensors, the file holds {data}", table.data_len());
            return Err(TensorsError::format(path, reason));
        }
        let tensors = table
            .tensors()
            .into_iter()
            .map(|(name, info)| {
                let (start, end) = info.data_offsets;
                let place =
                    Place::Safetensors { dtype: info.dtype, start: header + 8 + start as u64, length: end - start };
                (name, Entry { shape: info.shape.clone(), place })
            })
            .collect();
        let metadata = table.metadata().clone().unwrap_or_default();
        Ok(Self { path: path.to_owned(), tensors, metadata })
    }

    fn open_pytorch(path: &Path) -> Result<Self, TensorsError> {
        let reader = PytorchReader::new(path).map_err(|e| {
            TensorsError::format(path, format!("neither safetensors nor a readable PyTorch checkpoint (a TorchScript program has to be saved as a state dict first): {e}"))
        })?;
        let tensors = reader
            .into_tensors()
            .into_iter()
            .map(|(name, tensor)| {
                let shape = tensor.shape().to_vec();
                (name, Entry { shape, place: Place::Pytorch(Box::new(tensor)) })
            })
            .collect();
        Ok(Self { path: path.to_owned(), tensors, metadata: HashMap::new() })
    }

    /// The string metadata of a safetensors file; empty for a PyTorch file.
    pub fn metadata(&self) -> &HashMap<String, String> {
        &self.metadata
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The tensors' names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> + Clone {
        self.tensors.keys().map(String::as_str)
    }

    /// A tensor's shape; none where the file has no such tensor.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name).map(|entry| entry.shape.as_slice())
    }

    /// Whether a tensor holds 64-bit floats.
    pub fn is_double(&self, name: &str) -> bool {
        self.tensors.get(name).is_some_and(|entry| match &entry.place {
            Place::Safetensors { dtype, .. } => *dtype == Dtype::F64,
            Place::Pytorch(tensor) => matches!(tensor.dtype(), PytorchType::F64),
        })
    }

    /// The values of a tensor as f32. 16-bit floats widen exactly, 64-bit floats are rounded; other types are errors, and so is a
    /// value that is not finite (or not after rounding).
    ///
    /// # Errors
    /// [`TensorsError`], with the tensor's name.
    pub fn read(&self, name: &str) -> Result<Vec<f32>, TensorsError> {
        let fail = |reason: String| TensorsError::format(&self.path, format!("tensor `{name}`: {reason}"));
        let entry = self.tensors.get(name).ok_or_else(|| fail("not in the file".to_owned()))?;
        let (bytes, kind) = match &entry.place {
            Place::Pytorch(tensor) => {
                let kind = match tensor.dtype() {
                    PytorchType::F64 => Kind::F64,
                    PytorchType::F32 => Kind::F32,
                    PytorchType::F16 => Kind::F16,
                    PytorchType::BF16 => Kind::Bf16,
                    other => return Err(fail(format!("expected f64, f32, f16 or bf16, found {other:?}"))),
                };
                (tensor.read().map_err(|e| fail(e.to_string()))?, kind)
            }
            Place::Safetensors { dtype, start, length } => {
                let kind = match dtype {
                    Dtype::F64 => Kind::F64,
                    Dtype::F32 => Kind::F32,
                    Dtype::F16 => Kind::F16,
                    Dtype::BF16 => Kind::Bf16,
                    other => return Err(fail(format!("expected f64, f32, f16 or bf16, found {other:?}"))),
                };
                let mut file = File::open(&self.path).map_err(|e| TensorsError::io(&self.path, e))?;
                file.seek(SeekFrom::Start(*start)).map_err(|e| TensorsError::io(&self.path, e))?;
                let mut bytes = vec![0; *length];
                file.read_exact(&mut bytes).map_err(|e| fail(e.to_string()))?;
                (bytes, kind)
            }
        };
        let values = kind.widen(&bytes);
        let expected: usize = entry.shape.iter().product();
        if values.len() != expected {
            return Err(fail(format!("expected {expected} values, found {}", values.len())));
        }
        match values.iter().position(|value| !value.is_finite()) {
            Some(index) => Err(fail(format!("expected finite values, found {} at index {index}", values[index]))),
            None => Ok(values),
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    F64,
    F32,
    F16,
    Bf16,
}

impl Kind {
    fn widen(self, bytes: &[u8]) -> Vec<f32> {
        match self {
            Self::F64 => bytes.as_chunks::<8>().0.iter().map(|chunk| f64::from_le_bytes(*chunk) as f32).collect(),
            Self::F32 => bytes.as_chunks::<4>().0.iter().map(|chunk| f32::from_le_bytes(*chunk)).collect(),
            Self::F16 => {
                bytes.as_chunks::<2>().0.iter().map(|chunk| half::f16::from_le_bytes(*chunk).to_f32()).collect()
            }
            Self::Bf16 => {
                bytes.as_chunks::<2>().0.iter().map(|chunk| half::bf16::from_le_bytes(*chunk).to_f32()).collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use safetensors::tensor::{TensorView, serialize};

    fn open(bytes: &[u8]) -> Result<NamedTensors, TensorsError> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("file");
        std::fs::write(&path, bytes).expect("written");
        // The table of contents is in memory; values are not read here.
        NamedTensors::open(&path)
    }

    fn two() -> Vec<u8> {
        let bytes = [0u8; 8];
        serialize([("weight", TensorView::new(Dtype::F32, vec![2], &bytes).expect("two"))], None).expect("a file")
    }

    #[test]
    fn a_table_of_contents_is_read() {
        let file = open(&two()).expect("whole");
        assert_eq!(file.names().collect::<Vec<_>>(), ["weight"]);
        assert_eq!((file.shape("weight"), file.shape("bias")), (Some([2].as_slice()), None));
    }

    #[test]
    fn threat_every_cut_is_an_error_that_names_the_file() {
        let whole = two();
        for length in 0..whole.len() {
            let error = open(&whole[..length]).expect_err("a cut");
            assert!(error.path().ends_with("file") && error.to_string().contains("file"), "{length}: {error}");
        }
    }

    #[test]
    fn threat_a_header_longer_than_the_file_allocates_nothing() {
        let mut bytes = two();
        bytes[..8].copy_from_slice(&(1u64 << 60).to_le_bytes());
        assert!(open(&bytes).expect_err("too long").to_string().contains("bytes"));
    }
}

/// The example of the readme is a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
