//! The sign rule where it is easy to get wrong.

use nalgebra::DMatrix;
use salt_linalg::{RandomizedOptions, randomized_svd, thin_svd};

use crate::support::*;

#[test]
fn ties_go_to_the_lowest_index() {
    // The left vectors are (1, -1) / √2 and (1, 1) / √2: in the first, both entries have the same magnitude.
    let matrix = DMatrix::from_row_slice(2, 2, &[1.0, -1.0, -1.0, 1.0]);
    let svd = thin_svd(&matrix).unwrap();
    assert!(svd.u[(0, 0)] > 0.0 && svd.u[(1, 0)] < 0.0);
}

#[test]
fn negating_the_matrix_negates_only_the_right_vectors() {
    let matrix = gaussian(12, 7, 3);
    let (svd, negated) = (thin_svd(&matrix).unwrap(), thin_svd(&-&matrix).unwrap());
    assert!((svd.u - negated.u).norm() < 1e-13);
    assert!((svd.v_t + negated.v_t).norm() < 1e-13);
}

#[test]
fn exact_and_randomised_bases_agree_in_sign() {
    let values: Vec<f64> = (0..30).map(|i| 2f64.powi(-i)).collect();
    for (rows, cols) in [(40, 30), (30, 40)] {
        let matrix = with_spectrum(rows, cols, &values, 5);
        let exact = thin_svd(&matrix).unwrap().truncate(5).unwrap();
        let random = randomized_svd(&matrix, &RandomizedOptions::new(5)).unwrap();
        assert!((exact.u - &random.u).norm() < 1e-6);
        assert!((exact.v_t - &random.v_t).norm() < 1e-6);
        assert!(obeys_sign_rule(&random.u));
    }
}
