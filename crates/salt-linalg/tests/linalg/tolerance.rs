//! `svd_to_tolerance`.

use proptest::prelude::*;
use salt_linalg::{Algorithm, SvdError, Tolerance, svd_to_tolerance, thin_svd};

use crate::support::*;

proptest! {
    #![proptest_config(config(48))]

    #[test]
    fn the_tolerance_is_met_with_few_components(case in case(), exponent in -9.0..-0.1, frobenius in any::<bool>()) {
        let matrix = Case { magnitude: 0.0, ..case }.matrix::<f64>();
        let relative = 10f64.powf(exponent);
        let tolerance = if frobenius { Tolerance::Frobenius(relative) } else { Tolerance::Spectral(relative) };
        let svd = svd_to_tolerance(&matrix, tolerance).unwrap();
        let exact = thin_svd(&matrix).unwrap();
        let error = &matrix - multiply(&svd);
        let values = &exact.singular_values;
        let (found, scale, needed) = if frobenius {
            let fits = |rank: usize| values.rows_range(rank..).norm() <= relative * values.norm();
            (norm(&error), values.norm(), (1..=values.len()).find(|&rank| fits(rank)))
        } else {
            let fits = |rank: usize| values.get(rank).copied().unwrap_or(0.0) <= relative * values[0];
            (spectral(&error), values[0], (1..=values.len()).find(|&rank| fits(rank)))
        };
        prop_assert!(found <= relative * scale * (1.0 + 1e-6) + 1e-13 * scale);
        // These matrices are small, so the exact decomposition is chosen and the rank is the smallest possible, up to rounding at the boundary.
        prop_assert!(svd.rank() <= needed.unwrap_or(values.len()) + 1);
    }
}

#[test]
fn cheap_tolerances_are_met_by_a_sketch_and_tight_ones_exactly() {
    let values: Vec<f64> = (0..300).map(|i| 0.8f64.powi(i)).collect();
    for (rows, cols) in [(500, 300), (300, 500)] {
        let matrix = with_spectrum(rows, cols, &values, 1);
        for tolerance in [Tolerance::Frobenius(0.01), Tolerance::Spectral(0.01)] {
            let single = svd_to_tolerance(&cast::<f32>(&matrix), tolerance);
            assert!(single.is_ok_and(|svd| svd.rank() <= 40));
            let svd = svd_to_tolerance(&matrix, tolerance).unwrap();
            assert!(svd.algorithm.is_randomized());
            let error = &matrix - multiply(&svd);
            let relative = match tolerance {
                Tolerance::Frobenius(_) => norm(&error) / norm(&matrix),
                _ => spectral(&error) / spectral(&matrix),
            };
            assert!(relative <= 0.01, "{relative}");
            // The optimum is 21 or 22.
            assert!((20..=32).contains(&svd.rank()), "{}", svd.rank());
        }
        let exact = svd_to_tolerance(&matrix, Tolerance::Frobenius(1e-12)).unwrap();
        assert!(!exact.algorithm.is_randomized());
        assert!(residual(&matrix, &exact) <= 1e-12 * norm(&matrix));
    }
}

#[test]
fn a_flat_spectrum_is_decomposed_exactly() {
    let matrix = orthonormal(200, 150, 1);
    let svd = svd_to_tolerance(&matrix, Tolerance::Frobenius(0.01)).unwrap();
    assert_eq!((svd.algorithm, svd.rank()), (Algorithm::Bidiagonal, 150));
}

#[test]
fn tolerances_below_rounding_are_an_error() {
    let matrix = cast::<f32>(&gaussian(30, 20, 1));
    let error = svd_to_tolerance(&matrix, Tolerance::Frobenius(1e-12)).unwrap_err();
    assert!(matches!(error, SvdError::ToleranceTooSmall { number_type: "f32", .. }), "{error}");
}
