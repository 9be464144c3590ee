//! Laws of the randomised decompositions.

use proptest::prelude::*;
use salt_linalg::{Algorithm, Iteration, RandomizedOptions, randomized_svd, thin_svd};

use crate::support::*;

fn iteration() -> impl Strategy<Value = Iteration> {
    prop_oneof![
        (0usize..4).prop_map(|iterations| Iteration::Power { iterations }),
        (0usize..4).prop_map(|iterations| Iteration::BlockKrylov { iterations, block: None }),
    ]
}

macro_rules! laws {
    ($module:ident, $number:ty) => {
        mod $module {
            use super::*;
            type T = $number;

            proptest! {
                #![proptest_config(config(48))]

                #[test]
                fn factors_are_orthonormal_ordered_and_signed(
                    case in case(), iteration in iteration(), share in 0.0..1.0, extra in 0.0..1.0, seed in any::<u64>(),
                ) {
                    let matrix = case.matrix::<T>();
                    let limit = case.rows.min(case.cols);
                    let rank = 1 + (share * (limit - 1) as f64) as usize;
                    let oversampling = (extra * (limit - rank) as f64) as usize;
                    let options =
                        RandomizedOptions::new(rank).with_oversampling(oversampling).with_iteration(iteration).with_seed(seed);
                    let svd = randomized_svd(&matrix, &options).unwrap();
                    prop_assert_eq!((svd.u.shape(), svd.v_t.shape()), ((case.rows, rank), (rank, case.cols)));
                    // Bases of a sketch are orthonormal up to the rounding of the number type, times the width.
                    let slack = 8.0 * rounding(&matrix) * (rank as f64).sqrt();
                    prop_assert!(column_defect(&svd.u) <= slack, "{}", column_defect(&svd.u));
                    prop_assert!(column_defect(&svd.v_t.transpose()) <= slack, "{}", column_defect(&svd.v_t.transpose()));
                    prop_assert!(svd.singular_values.iter().all(|sigma| *sigma >= 0.0));
                    prop_assert!(svd.singular_values.as_slice().windows(2).all(|pair| pair[0] >= pair[1]));
                    prop_assert!(obeys_sign_rule(&svd.u));
                }

                /// The singular values of a projection never exceed those of the matrix, and the error never beats Eckart and Young.
                #[test]
                fn nothing_beats_the_optimum(case in case(), iteration in iteration(), share in 0.0..1.0, seed in any::<u64>()) {
                    let matrix = Case { magnitude: 0.0, ..case }.matrix::<T>();
                    let exact = thin_svd(&matrix).unwrap();
                    let rank = 1 + (share * (exact.rank() - 1) as f64) as usize;
                    let options = RandomizedOptions::new(rank).with_oversampling(0).with_iteration(iteration).with_seed(seed);
                    let svd = randomized_svd(&matrix, &options).unwrap();
                    let slack = 8.0 * rounding(&matrix) * exact.singular_values[0].f64();
                    for (found, best) in svd.singular_values.iter().zip(exact.singular_values.iter()) {
                        prop_assert!(found.f64() <= best.f64() + slack);
                    }
                    let next = exact.singular_values.get(rank).map_or(0.0, |sigma| sigma.f64());
                    let error = widen(&matrix) - multiply(&svd);
                    prop_assert!(spectral(&error) >= next - slack);
                    // The certificate: fails with probability 1e-6.
                    prop_assert!(spectral(&error) <= svd.error.spectral_bound + slack);
                    prop_assert!((norm(&error) - svd.error.frobenius).abs() <= 0.9 * norm(&error) + slack);
                }

                #[test]
                fn a_sketch_as_wide_as_the_matrix_is_exact(case in case(), iteration in iteration(), seed in any::<u64>()) {
                    let matrix = Case { magnitude: 0.0, ..case }.matrix::<T>();
                    let limit = case.rows.min(case.cols);
                    let options = RandomizedOptions::new(limit).with_oversampling(0).with_iteration(iteration).with_seed(seed);
                    let svd = randomized_svd(&matrix, &options).unwrap();
                    prop_assert!(residual(&matrix, &svd) <= 8.0 * rounding(&matrix) * norm(&widen(&matrix)));
                }

                #[test]
                fn a_seed_gives_the_same_bits_on_any_number_of_threads(case in case(), iteration in iteration(), seed in any::<u64>()) {
                    let matrix = case.matrix::<T>();
                    let options = RandomizedOptions::new(1).with_oversampling(0).with_iteration(iteration).with_seed(seed);
                    let one = on_threads(1, || randomized_svd(&matrix, &options).unwrap());
                    let two = on_threads(2, || randomized_svd(&matrix, &options).unwrap());
                    prop_assert!(same_bits(&one, &two));
                    prop_assert_eq!(one.error, two.error);
                }
            }
        }
    };
}

laws!(single, f32);
laws!(double, f64);

#[test]
fn the_bits_of_large_sketches_do_not_depend_on_the_threads() {
    let values: Vec<f64> = (0..300).map(|i| 1.0 / (1.0 + f64::from(i))).collect();
    let matrix = cast::<f32>(&with_spectrum(600, 300, &values, 1));
    for iteration in [Iteration::Power { iterations: 2 }, Iteration::BlockKrylov { iterations: 3, block: Some(32) }] {
        for rank in [40, 100] {
            let options = RandomizedOptions::new(rank).with_iteration(iteration);
            let run = |threads| on_threads(threads, || randomized_svd(&matrix, &options).unwrap());
            assert!(same_bits(&run(1), &run(2)));
            assert!(same_bits(&run(1), &run(3)));
        }
    }
}

#[test]
fn seeds_differ() {
    let matrix = gaussian(40, 40, 1);
    let options = RandomizedOptions::new(5);
    let (a, b) = (randomized_svd(&matrix, &options).unwrap(), randomized_svd(&matrix, &options.with_seed(1)).unwrap());
    assert!(!same_bits(&a, &b));
}

#[test]
fn a_matrix_of_low_rank_is_recovered() {
    for (rows, cols) in [(300, 200), (200, 300)] {
        let matrix = gaussian(rows, 12, 1) * gaussian(12, cols, 2);
        for iteration in [Iteration::Power { iterations: 0 }, Iteration::BlockKrylov { iterations: 1, block: Some(11) }]
        {
            let options = RandomizedOptions::new(12).with_iteration(iteration);
            let svd = randomized_svd(&matrix, &options).unwrap();
            assert!(residual(&matrix, &svd) < 1e-12 * norm(&matrix));
            let single = cast::<f32>(&matrix);
            let svd = randomized_svd(&single, &options).unwrap();
            assert!(residual(&single, &svd) < 1e-5 * norm(&matrix));
        }
    }
}

#[test]
fn the_zero_matrix_is_its_own_approximation() {
    let svd = randomized_svd(&nalgebra::DMatrix::<f32>::zeros(30, 20), &RandomizedOptions::new(3)).unwrap();
    assert_eq!(svd.algorithm, Algorithm::Zero);
    assert_eq!(svd.singular_values.as_slice(), [0.0; 3]);
}

#[test]
fn options_survive_serialisation_and_defaults_may_be_left_out() {
    let options: RandomizedOptions = serde_json::from_str(r#"{"rank": 7}"#).unwrap();
    assert_eq!(options, RandomizedOptions::new(7));
    let options = options.with_iteration(Iteration::BlockKrylov { iterations: 2, block: Some(5) });
    let text = serde_json::to_string(&options).unwrap();
    assert_eq!(serde_json::from_str::<RandomizedOptions>(&text).unwrap(), options);
    assert!(serde_json::from_str::<RandomizedOptions>(r#"{"rank": 7, "oversample": 3}"#).is_err());
}
