//! Many matrices at once.

use std::collections::BTreeSet;
use std::sync::Mutex;

use nalgebra::DMatrix;
use proptest::prelude::*;
use salt_linalg::{BatchOptions, Method, RandomizedOptions, Source, SvdError, decompose_all, randomized_svd, thin_svd};

use crate::support::*;

proptest! {
    #![proptest_config(config(16))]

    #[test]
    fn a_batch_gives_the_bits_of_single_calls_on_any_number_of_threads(list in prop::collection::vec(case(), 0..9)) {
        let matrices: Vec<DMatrix<f32>> = list.iter().map(Case::matrix).collect();
        let options = BatchOptions::new(Method::Thin);
        let one = on_threads(1, || decompose_all(&matrices, &options, |_| {}).unwrap());
        let two = on_threads(2, || decompose_all(&matrices, &options, |_| {}).unwrap());
        prop_assert_eq!(one.len(), matrices.len());
        for ((one, two), matrix) in one.iter().zip(&two).zip(&matrices) {
            prop_assert!(same_bits(one, two));
            prop_assert!(same_bits(one, &thin_svd(matrix).unwrap()));
        }
    }
}

#[test]
fn every_method_is_available_and_matrices_may_be_borrowed() {
    let matrices = [gaussian(30, 20, 1), gaussian(20, 30, 2)];
    let borrowed: Vec<&DMatrix<f64>> = matrices.iter().collect();
    let options = RandomizedOptions::new(4);
    let randomized = decompose_all(&borrowed, &BatchOptions::new(Method::Randomized(options)), |_| {}).unwrap();
    assert!(same_bits(&randomized[1], &randomized_svd(&matrices[1], &options).unwrap()));
    let truncated = decompose_all(&borrowed, &BatchOptions::new(Method::Truncated { rank: 4 }), |_| {}).unwrap();
    assert_eq!(truncated[0].rank(), 4);
}

#[test]
fn progress_is_reported_once_per_matrix() {
    let matrices: Vec<DMatrix<f32>> = (0..7).map(|i| cast(&gaussian(4 + i, 9, i as u64))).collect();
    let seen = Mutex::new(Vec::new());
    decompose_all(&matrices, &BatchOptions::new(Method::Thin), |progress| seen.lock().unwrap().push(progress)).unwrap();
    let seen = seen.into_inner().unwrap();
    assert_eq!(seen.iter().map(|progress| progress.index).collect::<BTreeSet<_>>(), (0..7).collect());
    assert_eq!(seen.iter().map(|progress| progress.completed).collect::<BTreeSet<_>>(), (1..=7).collect());
    assert!(seen.iter().all(|progress| progress.total == 7 && progress.source == Source::Computed));
}

#[test]
fn the_first_failure_is_named() {
    let mut matrices: Vec<DMatrix<f32>> = (0..5).map(|i| cast(&gaussian(6, 6, i))).collect();
    matrices[3][(2, 1)] = f32::NAN;
    matrices[4][(0, 0)] = f32::INFINITY;
    let error = decompose_all(&matrices, &BatchOptions::new(Method::Thin), |_| {}).unwrap_err();
    assert_eq!((error.index, error.total), (3, 5));
    assert!(matches!(error.source, SvdError::NotFinite { row: 2, col: 1, .. }));
    assert!(error.to_string().starts_with("matrix 3 of 5: the 6 x 6 matrix holds NaN"), "{error}");
}
