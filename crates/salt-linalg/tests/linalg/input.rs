//! Refusals, with the numbers in the message.

use nalgebra::DMatrix;
use salt_linalg::{
    Iteration, RandomizedOptions, SvdError, Tolerance, randomized_svd, svd_to_tolerance, thin_svd, truncated_svd,
};

use crate::support::gaussian;

#[test]
fn empty_matrices_are_refused() {
    for (rows, cols) in [(0, 0), (0, 3), (3, 0)] {
        let matrix = DMatrix::<f32>::zeros(rows, cols);
        let expected = SvdError::Empty { rows, cols };
        assert_eq!(thin_svd(&matrix).unwrap_err(), expected);
        assert_eq!(truncated_svd(&matrix, 1).unwrap_err(), expected);
        assert_eq!(randomized_svd(&matrix, &RandomizedOptions::new(1)).unwrap_err(), expected);
        assert_eq!(svd_to_tolerance(&matrix, Tolerance::Spectral(0.5)).unwrap_err(), expected);
    }
}

#[test]
fn nan_and_infinity_are_located() {
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        // In the part that is scanned eight at a time, and in the rest.
        for (row, col) in [(2, 1), (4, 6), (0, 0)] {
            let mut matrix = gaussian(5, 7, 1);
            matrix[(row, col)] = bad;
            let error = thin_svd(&matrix).unwrap_err();
            assert!(matches!(error, SvdError::NotFinite { row: r, col: c, .. } if (r, c) == (row, col)), "{error}");
            let single: DMatrix<f32> = matrix.map(|value| value as f32);
            let error = randomized_svd(&single, &RandomizedOptions::new(2).with_oversampling(1)).unwrap_err();
            assert!(error.to_string().contains(&format!("row {row}, column {col}")), "{error}");
        }
    }
}

#[test]
fn ranks_out_of_range_are_refused() {
    let matrix = gaussian(5, 8, 1);
    for rank in [0, 6, usize::MAX] {
        let expected = SvdError::RankOutOfRange { rank, limit: 5, rows: 5, cols: 8 };
        assert_eq!(truncated_svd(&matrix, rank).unwrap_err(), expected);
        assert_eq!(randomized_svd(&matrix, &RandomizedOptions::new(rank)).unwrap_err(), expected);
        assert_eq!(thin_svd(&matrix).unwrap().truncate(rank).unwrap_err(), expected);
    }
    assert_eq!(
        truncated_svd(&matrix, 6).unwrap_err().to_string(),
        "rank 6 is out of range for a 5 x 8 matrix: it must lie between 1 and 5"
    );
}

#[test]
fn absurd_oversampling_is_refused() {
    let matrix = gaussian(20, 30, 1);
    for oversampling in [17, 1000, usize::MAX] {
        let error = randomized_svd(&matrix, &RandomizedOptions::new(4).with_oversampling(oversampling)).unwrap_err();
        assert_eq!(error, SvdError::OversamplingTooLarge { rank: 4, oversampling, limit: 20, rows: 20, cols: 30 });
    }
    assert!(randomized_svd(&matrix, &RandomizedOptions::new(4).with_oversampling(16)).is_ok());
}

#[test]
fn absurd_iterations_and_blocks_are_refused() {
    let matrix = gaussian(20, 30, 1);
    let base = RandomizedOptions::new(4).with_oversampling(4);
    for iteration in [
        Iteration::Power { iterations: 101 },
        Iteration::BlockKrylov { iterations: usize::MAX, block: None },
        Iteration::BlockKrylov { iterations: 2, block: Some(0) },
        Iteration::BlockKrylov { iterations: 2, block: Some(2) },
        Iteration::BlockKrylov { iterations: 2, block: Some(21) },
    ] {
        let error = randomized_svd(&matrix, &base.with_iteration(iteration)).unwrap_err();
        assert!(matches!(error, SvdError::InvalidOption { .. }), "{error}");
    }
}

#[test]
fn tolerances_outside_the_unit_interval_are_refused() {
    for bad in [0.0, -1.0, 1.0, f64::NAN, f64::INFINITY] {
        for tolerance in [Tolerance::Frobenius(bad), Tolerance::Spectral(bad)] {
            let error = svd_to_tolerance(&gaussian(4, 4, 1), tolerance).unwrap_err();
            assert!(matches!(error, SvdError::InvalidOption { option: "tolerance", .. }), "{error}");
        }
    }
}

#[test]
fn a_singular_value_beyond_the_number_type_is_an_error() {
    let matrix = DMatrix::from_element(4, 4, f32::MAX);
    let error = thin_svd(&matrix).unwrap_err();
    assert!(matches!(error, SvdError::Overflow { number_type: "f32", .. }), "{error}");
    let matrix = DMatrix::from_element(4, 4, f64::MAX);
    assert!(matches!(thin_svd(&matrix).unwrap_err(), SvdError::Overflow { number_type: "f64", .. }));
}
