//! One cache file: a safetensors file that any reader of that format opens.
//!
//! Matrices are stored by columns, so a reader that assumes rows sees `u_transposed` (k x m) and `v` (n x k).

use std::collections::HashMap;
use std::io;

use nalgebra::{DMatrix, DVector, Dyn};
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::hash::{ContentHash, update};
use super::key::{ALGORITHM_VERSION, CacheKey};
use crate::algorithm::Algorithm;
use crate::certificate::ErrorEstimate;
use crate::method::Method;
use crate::real::Real;
use crate::real::sealed::Kernel;
use crate::svd::Svd;

const LEFT: &str = "u_transposed";
const VALUES: &str = "singular_values";
const RIGHT: &str = "v";
/// The six numbers of the error estimate, in the order of its fields.
const ERROR: &str = "error";
/// The one metadata field; one alone, because safetensors does not keep the order of several.
const RECORD: &str = "salt-linalg";

#[derive(Serialize, Deserialize)]
struct Record {
    version: u32,
    content_hash: String,
    method: Method,
    algorithm: Algorithm,
    checksum: String,
}

pub(super) fn encode<T: Real>(svd: &Svd<T>, key: &CacheKey) -> io::Result<Vec<u8>> {
    let record = Record {
        version: ALGORITHM_VERSION,
        content_hash: key.content.to_string(),
        method: key.method,
        algorithm: svd.algorithm,
        checksum: checksum(svd).to_string(),
    };
    let record = HashMap::from([(RECORD.to_owned(), serde_json::to_string(&record)?)]);
    let (rows, cols) = svd.shape();
    let rank = svd.rank();
    let left = little_endian(svd.u.as_slice());
    let values = little_endian(svd.singular_values.as_slice());
    let right = little_endian(svd.v_t.as_slice());
    let error = svd.error.to_array();
    let error = little_endian(&error);
    let tensors = [
        (LEFT, TensorView::new(T::DTYPE, vec![rank, rows], &left).map_err(io::Error::other)?),
        (VALUES, TensorView::new(T::DTYPE, vec![rank], &values).map_err(io::Error::other)?),
        (RIGHT, TensorView::new(T::DTYPE, vec![cols, rank], &right).map_err(io::Error::other)?),
        (ERROR, TensorView::new(Dtype::F64, vec![6], &error).map_err(io::Error::other)?),
    ];
    safetensors::serialize(tensors, Some(record)).map_err(io::Error::other)
}

/// The factors in a file, or the reason why they cannot be trusted.
pub(super) fn decode<T: Real>(bytes: &[u8], key: &CacheKey) -> Result<Svd<T>, String> {
    let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(|error| error.to_string())?;
    let record = metadata.metadata().as_ref().and_then(|fields| fields.get(RECORD)).ok_or("no salt-linalg record")?;
    let record: Record = serde_json::from_str(record).map_err(|error| error.to_string())?;
    if record.version != ALGORITHM_VERSION
        || record.content_hash != key.content.to_string()
        || record.method != key.method
    {
        return Err("the record belongs to another matrix, method or version".to_owned());
    }
    let tensors = SafeTensors::deserialize(bytes).map_err(|error| error.to_string())?;
    let error = tensors.tensor(ERROR).map_err(|error| error.to_string())?;
    let error: Option<[f64; 6]> = from_little_endian(error.data()).try_into().ok();
    let error = error.map(ErrorEstimate::from_array).ok_or("the error estimate does not have six numbers")?;
    let read = |name: &str| -> Result<(Vec<T>, Vec<usize>), String> {
        let tensor = tensors.tensor(name).map_err(|error| error.to_string())?;
        if tensor.dtype() != T::DTYPE {
            return Err(format!("{name} holds {:?}, not {}", tensor.dtype(), T::NAME));
        }
        Ok((from_little_endian(tensor.data()), tensor.shape().to_vec()))
    };
    let (values, shape) = read(VALUES)?;
    let rank = values.len();
    let (left, left_shape) = read(LEFT)?;
    let (right, right_shape) = read(RIGHT)?;
    if shape.len() != 1 || left_shape != [rank, key.rows] || right_shape != [key.cols, rank] {
        return Err(format!("the factors have shapes {left_shape:?}, {shape:?}, {right_shape:?}"));
    }
    let svd = Svd {
        u: DMatrix::from_vec_generic(Dyn(key.rows), Dyn(rank), left),
        singular_values: DVector::from_vec(values),
        v_t: DMatrix::from_vec_generic(Dyn(rank), Dyn(key.cols), right),
        error,
        algorithm: record.algorithm,
    };
    if checksum(&svd).to_string() != record.checksum {
        return Err("the checksum does not match".to_owned());
    }
    Ok(svd)
}

fn checksum<T: Real>(svd: &Svd<T>) -> ContentHash {
    let mut hasher = Sha256::new();
    for values in [svd.u.as_slice(), svd.singular_values.as_slice(), svd.v_t.as_slice()] {
        update(&mut hasher, values);
    }
    update(&mut hasher, &svd.error.to_array());
    ContentHash::from_bytes(hasher.finalize().into())
}

fn little_endian<T: Kernel>(values: &[T]) -> std::borrow::Cow<'_, [u8]> {
    let bytes: &[u8] = bytemuck::cast_slice(values);
    if cfg!(target_endian = "little") {
        return bytes.into();
    }
    bytes.chunks(size_of::<T>()).flat_map(|chunk| chunk.iter().rev().copied()).collect::<Vec<u8>>().into()
}

fn from_little_endian<T: Kernel>(bytes: &[u8]) -> Vec<T> {
    let mut values = vec![T::zeroed(); bytes.len() / size_of::<T>()];
    let target: &mut [u8] = bytemuck::cast_slice_mut(&mut values);
    target.copy_from_slice(bytes);
    if cfg!(target_endian = "big") {
        target.chunks_mut(size_of::<T>()).for_each(<[u8]>::reverse);
    }
    values
}
