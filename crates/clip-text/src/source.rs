//! Files as named tensors whose values are read on demand.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use burn::store::pytorch_reader::{DType as PytorchType, PytorchReader, Tensor as PytorchTensor};
use safetensors::tensor::{Dtype, Metadata};

use crate::ClipError;

/// Largest safetensors header that is read (the format's own limit).
const MAX_HEADER: u64 = 100_000_000;

/// A checkpoint's tensors by the names of the file.
#[derive(Debug)]
pub(crate) struct Source {
    path: PathBuf,
    tensors: BTreeMap<String, Entry>,
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

impl Source {
    /// Reads the table of contents of a safetensors or PyTorch file, told apart by their first bytes.
    pub(crate) fn open(path: &Path) -> Result<Self, ClipError> {
        let mut file = File::open(path).map_err(|e| ClipError::io(path, e))?;
        let length = file.metadata().map_err(|e| ClipError::io(path, e))?.len();
        let mut head = Vec::with_capacity(9);
        (&mut file).take(9).read_to_end(&mut head).map_err(|e| ClipError::io(path, e))?;
        if head.is_empty() {
            return Err(ClipError::format(path, "expected a checkpoint, found an empty file"));
        }
        let is_safetensors = head.len() == 9 && head[8] == b'{' && head[..2] != *b"PK";
        if is_safetensors { Self::open_safetensors(path, file, length) } else { Self::open_pytorch(path) }
    }

    fn open_safetensors(path: &Path, mut file: File, length: u64) -> Result<Self, ClipError> {
        file.seek(SeekFrom::Start(0)).map_err(|e| ClipError::io(path, e))?;
        let mut prefix = [0u8; 8];
        file.read_exact(&mut prefix).map_err(|e| ClipError::io(path, e))?;
        let header = u64::from_le_bytes(prefix);
        if header > MAX_HEADER || header.saturating_add(8) > length {
            let reason = format!("expected a header within the file of {length} bytes, found one of {header} bytes");
            return Err(ClipError::format(path, reason));
        }
        let mut buffer = Vec::new();
        (&mut file).take(header).read_to_end(&mut buffer).map_err(|e| ClipError::io(path, e))?;
        // Deserialising checks every shape against its offsets, and the offsets for holes and overlaps.
        let table: Metadata = serde_json::from_slice(&buffer)
            .map_err(|e| ClipError::format(path, format!("not a readable safetensors header: {e}")))?;
        let data = length - header - 8;
        if table.data_len() as u64 != data {
            let reason = format!("the header describes {} bytes of tensors, the file holds {data}", table.data_len());
            return Err(ClipError::format(path, reason));
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
        Ok(Self { path: path.to_owned(), tensors })
    }

    fn open_pytorch(path: &Path) -> Result<Self, ClipError> {
        let reader = PytorchReader::new(path).map_err(|e| {
            ClipError::format(path, format!(
                "neither safetensors nor a readable PyTorch state dict (a TorchScript program has to be saved as one first): {e}"
            ))
        })?;
        let tensors = reader
            .into_tensors()
            .into_iter()
            .map(|(name, tensor)| {
                let shape = tensor.shape().to_vec();
                (name, Entry { shape, place: Place::Pytorch(Box::new(tensor)) })
            })
            .collect();
        Ok(Self { path: path.to_owned(), tensors })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> + Clone {
        self.tensors.keys().map(String::as_str)
    }

    pub(crate) fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name).map(|entry| entry.shape.as_slice())
    }

    /// The values of a tensor as f32. 16-bit floats widen exactly, 64-bit floats are rounded; other types are errors, and so is a
    /// value that is not finite (or not after rounding).
    pub(crate) fn read(&self, name: &str) -> Result<Vec<f32>, ClipError> {
        let fail = |reason: String| ClipError::format(&self.path, format!("tensor `{name}`: {reason}"));
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
                let mut file = File::open(&self.path).map_err(|e| ClipError::io(&self.path, e))?;
                file.seek(SeekFrom::Start(*start)).map_err(|e| ClipError::io(&self.path, e))?;
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
