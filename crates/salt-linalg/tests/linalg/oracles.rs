//! Other implementations as judges: nalgebra, and Jacobi rotations written for the tests. Burn is next door.

use nalgebra::DMatrix;
use proptest::prelude::*;
use salt_linalg::thin_svd;

use crate::support::*;

/// nalgebra 0.35 returns wrong factors for some rank-deficient matrices (residuals up to a percent); an answer that does not reproduce the
/// matrix is no evidence.
fn trustworthy(matrix: &DMatrix<f64>, oracle: &nalgebra::SVD<f64, nalgebra::Dyn, nalgebra::Dyn>) -> bool {
    let product = oracle.clone().recompose().unwrap_or_else(|_| matrix * 0.0);
    (product - matrix).norm() <= rounding(matrix) * matrix.norm()
}

/// Values agree to rounding, and leading subspaces wherever a gap makes them well defined.
pub(crate) fn agree<T: Number>(
    matrix: &DMatrix<T>,
    values: &[f64],
    u: &DMatrix<f64>,
    v: &DMatrix<f64>,
    unit: f64,
) -> Result<(), String> {
    let svd = thin_svd(matrix).map_err(|error| error.to_string())?;
    let largest = values[0];
    let noise = 32.0 * unit * (matrix.nrows().max(matrix.ncols()) as f64).sqrt() * largest;
    for (i, (found, expected)) in svd.singular_values.iter().zip(values).enumerate() {
        if (found.f64() - expected).abs() > noise {
            return Err(format!("value {i}: {found} instead of {expected}"));
        }
    }
    let (ours, right) = (widen(&svd.u), widen(&svd.v_t).transpose());
    for rank in 1..values.len() {
        let gap = values[rank - 1] - values[rank];
        if gap < 100.0 * noise {
            continue;
        }
        let angle = sine(&ours.columns(0, rank).into_owned(), &u.columns(0, rank).into_owned())
            .max(sine(&right.columns(0, rank).into_owned(), &v.columns(0, rank).into_owned()));
        if angle > 4.0 * noise / gap {
            return Err(format!("subspace of dimension {rank} is turned by {angle} with gap {gap}"));
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(config(48))]

    #[test]
    fn nalgebra_agrees_in_double_precision(case in case()) {
        let matrix = Case { magnitude: 0.0, ..case }.matrix::<f64>();
        prop_assume!(matrix.amax() > 0.0);
        let oracle = nalgebra::SVD::new(matrix.clone(), true, true);
        prop_assume!(trustworthy(&widen(&matrix), &oracle));
        let (u, v) = (oracle.u.unwrap(), oracle.v_t.unwrap().transpose());
        prop_assert_eq!(agree(&matrix, oracle.singular_values.as_slice(), &u, &v, f64::EPSILON), Ok(()));
    }

    #[test]
    fn jacobi_rotations_agree(case in case()) {
        let matrix = Case { magnitude: 0.0, ..case }.matrix::<f64>();
        let svd = thin_svd(&matrix).unwrap();
        for (found, expected) in svd.singular_values.iter().zip(jacobi_values(&matrix)) {
            prop_assert!((found - expected).abs() <= rounding(&matrix) * svd.singular_values[0]);
        }
    }

    /// The single-precision result against the double-precision decomposition of the same numbers.
    #[test]
    fn nalgebra_in_double_precision_agrees_with_single_precision(case in case()) {
        let matrix = Case { magnitude: 0.0, ..case }.matrix::<f32>();
        prop_assume!(matrix.amax() > 0.0);
        let oracle = nalgebra::SVD::new(widen(&matrix), true, true);
        prop_assume!(trustworthy(&widen(&matrix), &oracle));
        let (u, v) = (oracle.u.unwrap(), oracle.v_t.unwrap().transpose());
        prop_assert_eq!(agree(&matrix, oracle.singular_values.as_slice(), &u, &v, f64::from(f32::EPSILON)), Ok(()));
    }
}
