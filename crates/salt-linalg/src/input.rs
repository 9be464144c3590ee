//! Checks on what the caller hands over, and the scaling that keeps squares within range.

use std::borrow::Cow;

use nalgebra::DMatrix;

use crate::error::SvdError;
use crate::real::Real;
use crate::real::sealed::Kernel;

/// A checked matrix, multiplied by a power of two so that its squares neither overflow nor vanish.
#[derive(Debug)]
pub(crate) struct Input<'a, T: Real> {
    pub(crate) matrix: Cow<'a, DMatrix<T>>,
    /// The caller's matrix is `matrix` times this power of two.
    pub(crate) unscale: f64,
    /// The power of two that brings the largest entry of `matrix` into [1, 2).
    pub(crate) unit: f64,
    pub(crate) is_zero: bool,
}

impl<'a, T: Real> Input<'a, T> {
    pub(crate) fn new(matrix: &'a DMatrix<T>) -> Result<Self, SvdError> {
        let (rows, cols) = matrix.shape();
        if rows == 0 || cols == 0 {
            return Err(SvdError::Empty { rows, cols });
        }
        let largest = largest_magnitude(matrix.as_slice());
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
                is_zero: largest == 0.0,
            });
        }
        let exponent = exponent.clamp(-1000, 1000);
        let scale = 2.0f64.powi(-exponent);
        let scaled = matrix.map(|value| T::narrow(value.widen() * scale));
        Ok(Self { matrix: Cow::Owned(scaled), unscale: 2.0f64.powi(exponent), unit: 1.0, is_zero: false })
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

/// The largest magnitude, or NaN or infinity if there is one.
fn largest_magnitude<T: Kernel>(values: &[T]) -> f64 {
    let mut lanes = [0.0f64; 8];
    // A NaN or infinity times zero is NaN and stays in the sum; `max` alone would drop a NaN.
    let mut poison = [0.0f64; 8];
    let (chunks, rest) = values.as_chunks::<8>();
    let rest_lanes = rest.iter().map(|value| value.widen());
    for chunk in chunks {
        for ((lane, poison), value) in lanes.iter_mut().zip(&mut poison).zip(chunk) {
            let value = value.widen();
            *lane = if value.abs() > *lane { value.abs() } else { *lane };
            *poison += value * 0.0;
        }
    }
    for (i, value) in rest_lanes.enumerate() {
        lanes[i] = lanes[i].max(value.abs());
        poison[i] += value * 0.0;
    }
    lanes.iter().fold(0.0, |a: f64, b| a.max(*b)) + poison.iter().sum::<f64>()
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
