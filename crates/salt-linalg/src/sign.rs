//! The sign rule: in each left singular vector the entry of largest magnitude is positive, ties going to the lowest index.
//!
//! Entries within a few dozen rounding units of the largest count as ties. Otherwise two entries that are equal in exact arithmetic would
//! be told apart by their last bit, and the sign with them would depend on the machine.

use nalgebra::DMatrix;

use crate::real::Real;
use crate::real::sealed::Kernel;

/// Magnitudes closer than this many rounding units are a tie.
const TIE_UNITS: f64 = 64.0;

/// Flips pairs (column of `u`, row of `v_t`) until the rule holds. Negation is exact, so the product of the factors keeps its bits.
pub(crate) fn apply<T: Real>(u: &mut DMatrix<T>, v_t: &mut DMatrix<T>) {
    let flips: Vec<bool> = u
        .column_iter()
        .map(|column| {
            let largest = column.iter().fold(0.0f64, |best, value| best.max(value.widen().abs()));
            let tie = largest * (1.0 - TIE_UNITS * <T as Kernel>::EPSILON);
            column.iter().map(|value| value.widen()).find(|value| value.abs() >= tie).is_some_and(|value| value < 0.0)
        })
        .collect();
    for (mut column, &flip) in u.column_iter_mut().zip(&flips) {
        if flip {
            column.neg_mut();
        }
    }
    // Column by column through v_t, which is stored by columns.
    for mut column in v_t.column_iter_mut() {
        for (value, &flip) in column.iter_mut().zip(&flips) {
            if flip {
                *value = -*value;
            }
        }
    }
}
