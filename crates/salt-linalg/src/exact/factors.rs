//! What every algorithm of the ladder returns.

use nalgebra::DMatrix;

/// A decomposition of a tall matrix (rows ≥ columns) in double precision: `left` m x n, `values` descending, `right` n x n (columns).
#[derive(Debug, Clone)]
pub(super) struct Factors {
    pub(super) left: DMatrix<f64>,
    pub(super) values: Vec<f64>,
    pub(super) right: DMatrix<f64>,
}
