//! One-sided Jacobi rotations (Hestenes 1958): slow, and the last resort, because nothing in it can go wrong.
//!
//! Pairs of columns are rotated until all are orthogonal; their lengths are then the singular values, to high relative accuracy
//! even for graded matrices (Demmel and Veselić 1992).

use faer::linalg::solvers::Qr;
use nalgebra::DMatrix;

use super::factors::Factors;
use crate::error::StepFailure;
use crate::product::{Schedule, view, zeros};

const MAX_SWEEPS: usize = 60;

pub(super) fn decompose(tall: &DMatrix<f64>, _: Schedule) -> Result<Factors, StepFailure> {
    let mut work = tall.clone();
    let (rows, size) = work.shape();
    let mut right: DMatrix<f64> = DMatrix::identity(size, size);
    let tolerance = f64::EPSILON * (rows as f64).sqrt();
    // Columns below the rounding of the largest hold no information; rotating them would never end.
    let negligible = (f64::EPSILON * work.norm()).powi(2) * 1e-8;
    let mut sweeps = 0;
    loop {
        let mut settled = true;
        for p in 0..size {
            for q in p + 1..size {
                let (a, b) = (work.column(p).norm_squared(), work.column(q).norm_squared());
                let c = work.column(p).dot(&work.column(q));
                if a.min(b) <= negligible || c.abs() <= tolerance * (a * b).sqrt() {
                    continue;
                }
                settled = false;
                let (sine, cosine) = (0.5 * (2.0 * c).atan2(a - b)).sin_cos();
                rotate(&mut work, p, q, sine, cosine);
                rotate(&mut right, p, q, sine, cosine);
            }
        }
        if settled {
            break;
        }
        sweeps += 1;
        if sweeps == MAX_SWEEPS {
            return Err(StepFailure::NoConvergence);
        }
    }
    let lengths: Vec<f64> = work.column_iter().map(|column| column.norm()).collect();
    let mut order: Vec<usize> = (0..size).collect();
    order.sort_by(|&a, &b| lengths[b].total_cmp(&lengths[a]));
    let values: Vec<f64> = order.iter().map(|&i| lengths[i]).collect();
    let significant = values.iter().take_while(|&&value| value * value > negligible).count();
    let mut left: DMatrix<f64> = zeros(rows, size);
    for (j, &i) in order.iter().enumerate().take(significant) {
        left.set_column(j, &(work.column(i) / lengths[i]));
    }
    if significant < size {
        // Householder reflections complete the basis: a zero column gets a unit vector orthogonal to all before it.
        let completed = Qr::new(view(&left)).compute_thin_Q();
        for j in significant..size {
            for i in 0..rows {
                left[(i, j)] = completed[(i, j)];
            }
        }
    }
    Ok(Factors { left, values, right: right.select_columns(&order) })
}

/// Columns (p, q) ← (cos p + sin q, cos q − sin p).
fn rotate(matrix: &mut DMatrix<f64>, p: usize, q: usize, sine: f64, cosine: f64) {
    let rows = matrix.nrows();
    let (head, tail) = matrix.as_mut_slice().split_at_mut(q * rows);
    for (x, y) in head[p * rows..(p + 1) * rows].iter_mut().zip(&mut tail[..rows]) {
        (*x, *y) = (cosine * *x + sine * *y, cosine * *y - sine * *x);
    }
}
