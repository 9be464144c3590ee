//! The sign rule: in each left singular vector the entry of largest magnitude is positive, ties going to the lowest index.

use nalgebra::DMatrix;

use crate::real::Real;

/// Flips pairs (column of `u`, row of `v_t`) until the rule holds. Negation is exact, so the product of the factors keeps its bits.
pub(crate) fn apply<T: Real>(u: &mut DMatrix<T>, v_t: &mut DMatrix<T>) {
    let flips: Vec<bool> = u
        .column_iter()
        .map(|column| {
            let mut best = T::narrow(0.0);
            for &value in column.iter() {
                if value.widen().abs() > best.widen().abs() {
                    best = value;
                }
            }
            best.widen() < 0.0
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
