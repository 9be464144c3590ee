//! Burn's decomposition (a scalar Golub-Kahan iteration on the host) as a judge.

use std::panic::{AssertUnwindSafe, catch_unwind};

use burn::tensor::{Tensor, TensorData};
use nalgebra::DMatrix;
use proptest::prelude::*;

use crate::oracles::agree;
use crate::support::*;

/// U, singular values and V from Burn.
fn burn_svd(matrix: &DMatrix<f32>) -> (DMatrix<f64>, Vec<f64>, DMatrix<f64>) {
    let (rows, cols) = matrix.shape();
    let data = TensorData::new(matrix.transpose().as_slice().to_vec(), [rows, cols]);
    let tensor = Tensor::<2>::from_data(data, &Default::default());
    let (u, values, v_t) = burn_linalg::svd::<2, 1>(tensor, 60);
    let numbers = |data: TensorData| -> Vec<f64> { data.iter::<f32>().map(f64::from).collect() };
    let (rank, values) = (rows.min(cols), numbers(values.into_data()));
    let u = DMatrix::from_row_slice(rows, rank, &numbers(u.into_data()));
    let v = DMatrix::from_row_slice(rank, cols, &numbers(v_t.into_data())).transpose();
    (u, values, v)
}

proptest! {
    #![proptest_config(config(32))]

    #[test]
    fn burn_agrees(case in case()) {
        let matrix = Case { magnitude: 0.0, ..case }.matrix::<f32>();
        prop_assume!(matrix.amax() > 0.0);
        // Burn's iteration panics on some matrices of deficient rank (every column the same, for one); there it cannot judge.
        let verdict = catch_unwind(AssertUnwindSafe(|| burn_svd(&matrix)));
        prop_assume!(verdict.is_ok() || matches!(case.kind, Kind::Gaussian | Kind::Decaying(_)));
        let (u, values, v) = verdict.unwrap();
        prop_assert_eq!(agree(&matrix, &values, &u, &v, f64::from(f32::EPSILON)), Ok(()));
    }
}
