//! What every exact decomposition must satisfy, for both number types.

use nalgebra::DMatrix;
use proptest::prelude::*;
use salt_linalg::{thin_svd, truncated_svd};

use crate::support::*;

macro_rules! laws {
    ($module:ident, $number:ty) => {
        mod $module {
            use super::*;
            type T = $number;

            proptest! {
                #![proptest_config(config(48))]

                #[test]
                fn the_factors_reconstruct_the_matrix(case in case()) {
                    let matrix = case.matrix::<T>();
                    let svd = thin_svd(&matrix).unwrap();
                    let scale = norm(&widen(&matrix));
                    prop_assert!(residual(&matrix, &svd) <= rounding(&matrix) * scale);
                }

                #[test]
                fn the_reported_error_covers_the_true_one(case in case()) {
                    let matrix = Case { magnitude: 0.0, ..case }.matrix::<T>();
                    let svd = thin_svd(&matrix).unwrap();
                    let difference = widen(&matrix) - multiply(&svd);
                    // The measurement itself rounds, about one unit of the norm.
                    let noise = T::UNIT * norm(&widen(&matrix));
                    prop_assert!(norm(&difference) <= 4.0 * svd.error.frobenius + noise);
                    prop_assert!(spectral(&difference) <= svd.error.spectral_bound + noise);
                    prop_assert!((svd.error.matrix_norm - norm(&widen(&matrix))).abs() <= 1e-12 * svd.error.matrix_norm);
                }

                #[test]
                fn singular_vectors_are_orthonormal(case in case()) {
                    let matrix = case.matrix::<T>();
                    let svd = thin_svd(&matrix).unwrap();
                    let limit = rounding(&matrix) * (svd.rank() as f64).sqrt();
                    prop_assert!(column_defect(&svd.u) <= limit);
                    prop_assert!(column_defect(&svd.v_t.transpose()) <= limit);
                }

                #[test]
                fn singular_values_descend_and_are_not_negative(case in case()) {
                    let svd = thin_svd(&case.matrix::<T>()).unwrap();
                    prop_assert_eq!(svd.rank(), case.rows.min(case.cols));
                    prop_assert!(svd.singular_values.iter().all(|sigma| *sigma >= 0.0));
                    prop_assert!(svd.singular_values.as_slice().windows(2).all(|pair| pair[0] >= pair[1]));
                }

                #[test]
                fn the_sign_rule_holds(case in case()) {
                    let svd = thin_svd(&case.matrix::<T>()).unwrap();
                    prop_assert!(obeys_sign_rule(&svd.u));
                }

                #[test]
                fn the_squares_sum_to_the_squared_norm(case in case()) {
                    let matrix = case.matrix::<T>();
                    let svd = thin_svd(&matrix).unwrap();
                    let values = DMatrix::from_fn(svd.rank(), 1, |i, _| svd.singular_values[i].f64());
                    let (found, expected) = (norm(&values), norm(&widen(&matrix)));
                    prop_assert!((found - expected).abs() <= rounding(&matrix) * expected);
                }

                #[test]
                fn the_transpose_has_the_same_singular_values(case in case()) {
                    let matrix = case.matrix::<T>();
                    let (svd, transposed) = (thin_svd(&matrix).unwrap(), thin_svd(&matrix.transpose()).unwrap());
                    let limit = rounding(&matrix) * svd.singular_values[0].f64();
                    for (a, b) in svd.singular_values.iter().zip(transposed.singular_values.iter()) {
                        prop_assert!((a.f64() - b.f64()).abs() <= limit);
                    }
                }

                #[test]
                fn scaling_by_a_power_of_two_scales_the_values_and_keeps_the_basis(case in case(), exponent in -20i32..20) {
                    let case = Case { magnitude: 0.0, ..case };
                    let matrix = case.matrix::<T>();
                    let factor = (2.0 as T).powi(exponent);
                    let (svd, scaled) = (thin_svd(&matrix).unwrap(), thin_svd(&(&matrix * factor)).unwrap());
                    prop_assert_eq!(&scaled.u, &svd.u);
                    prop_assert_eq!(&scaled.v_t, &svd.v_t);
                    for (scaled, sigma) in scaled.singular_values.iter().zip(svd.singular_values.iter()) {
                        // Subnormal numbers have fewer digits to keep.
                        prop_assert!(*scaled == *sigma * factor || *scaled < 1e-30);
                    }
                }

                #[test]
                fn rotations_keep_the_singular_values(case in case(), seed in any::<u64>()) {
                    let matrix = Case { magnitude: 0.0, ..case }.matrix::<T>();
                    let rotated = orthonormal(case.rows, case.rows, seed) * widen(&matrix) * orthonormal(case.cols, case.cols, seed ^ 7);
                    let (svd, rotated) = (thin_svd(&matrix).unwrap(), thin_svd(&cast::<T>(&rotated)).unwrap());
                    let limit = 2.0 * rounding(&matrix) * svd.singular_values[0].f64().max(f64::MIN_POSITIVE);
                    for (a, b) in svd.singular_values.iter().zip(rotated.singular_values.iter()) {
                        prop_assert!((a.f64() - b.f64()).abs() <= limit);
                    }
                }

                #[test]
                fn a_truncation_is_the_prefix_of_the_thin_decomposition(case in case(), share in 0.0..1.0) {
                    let matrix = case.matrix::<T>();
                    let svd = thin_svd(&matrix).unwrap();
                    let rank = 1 + (share * (svd.rank() - 1) as f64) as usize;
                    let truncated = truncated_svd(&matrix, rank).unwrap();
                    prop_assert_eq!(truncated.rank(), rank);
                    prop_assert_eq!(&truncated.u, &svd.u.columns(0, rank).into_owned());
                    prop_assert_eq!(&truncated.v_t, &svd.v_t.rows(0, rank).into_owned());
                    prop_assert_eq!(&truncated.singular_values, &svd.singular_values.rows(0, rank).into_owned());
                }

                /// Eckart and Young: the error of the truncation is the next singular value, and no matrix of that rank does better.
                #[test]
                fn a_truncation_is_the_best_approximation(case in case(), share in 0.0..1.0, seed in any::<u64>()) {
                    let matrix = Case { magnitude: 0.0, ..case }.matrix::<T>();
                    let svd = thin_svd(&matrix).unwrap();
                    let rank = 1 + (share * (svd.rank() - 1) as f64) as usize;
                    let truncated = truncated_svd(&matrix, rank).unwrap();
                    let slack = rounding(&matrix) * svd.singular_values[0].f64();
                    let next = svd.singular_values.get(rank).map_or(0.0, |sigma| sigma.f64());
                    let error = spectral(&(widen(&matrix) - multiply(&truncated)));
                    prop_assert!((error - next).abs() <= slack, "{error} instead of {next}");
                    prop_assert!(error <= truncated.error.spectral_bound + slack);

                    let rival = gaussian(case.rows, rank, seed) * gaussian(rank, case.cols, seed ^ 3);
                    // The best multiple of a random matrix of the same rank, and a random perturbation of the optimum.
                    let multiple = rival.dot(&widen(&matrix)) / rival.norm_squared();
                    prop_assert!(spectral(&(widen(&matrix) - &rival * multiple)) >= next - slack);
                    let mut left = widen(&truncated.u);
                    left += gaussian(case.rows, rank, seed) * 0.1;
                    let nearby = &left * left.clone().pseudo_inverse(1e-12).unwrap() * widen(&matrix);
                    prop_assert!(spectral(&(widen(&matrix) - nearby)) >= next - slack);
                }

                #[test]
                fn the_bits_do_not_depend_on_the_threads(case in case()) {
                    let matrix = case.matrix::<T>();
                    let one = on_threads(1, || thin_svd(&matrix).unwrap());
                    let two = on_threads(2, || thin_svd(&matrix).unwrap());
                    prop_assert!(same_bits(&one, &two));
                }
            }
        }
    };
}

laws!(single, f32);
laws!(double, f64);

/// Large enough that products are cut into blocks and shared out.
#[test]
fn the_bits_of_large_matrices_do_not_depend_on_the_threads() {
    for (rows, cols) in [(500, 260), (200, 700)] {
        let values: Vec<f64> = (0..rows.min(cols)).map(|i| 10f64.powf(-(i as f64) / 40.0)).collect();
        let matrix = with_spectrum(rows, cols, &values, 11);
        let single = cast::<f32>(&matrix);
        let reference = on_threads(1, || thin_svd(&single).unwrap());
        for threads in [2, 3, 5] {
            assert!(same_bits(&reference, &on_threads(threads, || thin_svd(&single).unwrap())));
        }
        let double = on_threads(1, || thin_svd(&matrix).unwrap());
        assert!(same_bits(&double, &on_threads(2, || thin_svd(&matrix).unwrap())));
    }
}

#[test]
fn reconstruct_multiplies_the_factors() {
    let matrix = cast::<f32>(&gaussian(9, 5, 1));
    let svd = thin_svd(&matrix).unwrap();
    assert!((widen(&svd.reconstruct()) - widen(&matrix)).norm() < 1e-5);
    assert_eq!(svd.shape(), (9, 5));
}
