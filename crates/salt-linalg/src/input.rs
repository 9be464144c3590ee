//! Checks on what the caller hands over, and the scaling that keeps squares within range.

use std::borrow::Cow;

use nalgebra::DMatrix;
use rayon::prelude::*;

use crate::error::SvdError;
use crate::product::Schedule;
use crate::real::Real;
use crate::real::sealed::{Kernel, Survey};

/// A checked matrix, multiplied by a power of two so that its squares neither overflow nor vanish.
#[derive(Debug)]
pub(crate) struct Input<'a, T: Real> {
    pub(crate) matrix: Cow<'a, DMatrix<T>>,
    /// The caller's matrix is `matrix` times this power of two.
    pub(crate) unscale: f64,
    /// The power of two that brings the largest entry of `matrix` into [1, 2).
    pub(crate) unit: f64,
    /// ‖`matrix`‖_F.
    pub(crate) norm: f64,
    pub(crate) is_zero: bool,
}

impl<'a, T: Real> Input<'a, T> {
    pub(crate) fn new(matrix: &'a DMatrix<T>, schedule: Schedule) -> Result<Self, SvdError> {
        let (rows, cols) = matrix.shape();
        if rows == 0 || cols == 0 {
            return Err(SvdError::Empty { rows, cols });
        }
        let Survey { largest, squares, .. } = survey(matrix.as_slice(), schedule);
        if !largest.is_finite() {
            return Err(first_not_finite(matrix));
        }
        let exponent = if largest > 0.0 { largest.log2().floor() as i32 } else { 0 };
        // The root of the largest finite number, with room for sums over a million entries.
        let comfortable = if <T as Kernel>::EPSILON > 1e-10 { 40 } else { 450 };
        if exponent.abs() <= comfortable {
            return Ok(Self {
                matrix: Cow::Borrowed(matrix),
                unscale: 1.0,
                unit: 2.0f64.powi(-exponent),
                norm: squares.sqrt(),
                is_zero: largest == 0.0,
            });
        }
        let exponent = exponent.clamp(-1000, 1000);
        let scale = 2.0f64.powi(-exponent);
        let scaled = matrix.map(|value| T::narrow(value.widen() * scale));
        let norm = survey(scaled.as_slice(), schedule).squares.sqrt();
        Ok(Self { matrix: Cow::Owned(scaled), unscale: 2.0f64.powi(exponent), unit: 1.0, norm, is_zero: false })
    }

    /// Rows, columns.
    pub(crate) fn shape(&self) -> (usize, usize) {
        self.matrix.shape()
    }

    /// Undoes the scaling of a singular value.
    pub(crate) fn unscaled(&self, value: f64) -> Result<T, SvdError> {
        let value = value * self.unscale;
        let narrow = T::narrow(value);
        if narrow.widen().is_finite() {
            return Ok(narrow);
        }
        let (rows, cols) = self.shape();
        Err(SvdError::Overflow { rows, cols, value, number_type: T::NAME })
    }
}

/// Values surveyed by one thread at a time.
const CHUNK: usize = 1 << 16;

/// Largest magnitude and sum of squares in one pass. The first is NaN or infinite if a value is; the second is meaningless if squares leave the range of
/// double precision. Chunks are summed in order, so the bits do not depend on the threads.
fn survey<T: Kernel>(values: &[T], schedule: Schedule) -> Survey {
    let parts: Vec<Survey> = match schedule {
        Schedule::Sequential => values.chunks(CHUNK).map(T::survey).collect(),
        Schedule::Parallel => values.par_chunks(CHUNK).map(T::survey).collect(),
    };
    let mut sum = Survey { largest: 0.0, poison: 0.0, squares: 0.0 };
    for part in parts {
        sum.largest = sum.largest.max(part.largest);
        sum.poison += part.poison;
        sum.squares += part.squares;
    }
    sum.largest += sum.poison;
    sum
}

fn first_not_finite<T: Real>(matrix: &DMatrix<T>) -> SvdError {
    let (rows, cols) = matrix.shape();
    let index = matrix.as_slice().iter().position(|value| !value.widen().is_finite()).unwrap_or_default();
    SvdError::NotFinite { rows, cols, row: index % rows, col: index / rows, value: matrix.as_slice()[index].widen() }
}

pub(crate) fn check_rank(rank: usize, limit: usize, rows: usize, cols: usize) -> Result<(), SvdError> {
    if rank == 0 || rank > limit {
        return Err(SvdError::RankOutOfRange { rank, limit, rows, cols });
    }
    Ok(())
}
