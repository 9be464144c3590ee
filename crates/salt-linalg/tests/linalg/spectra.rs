//! Matrices whose singular values are known.

use nalgebra::DMatrix;
use salt_linalg::{Algorithm, thin_svd};

use crate::support::*;

/// Decomposes in both number types, checks all laws, and compares the values to the expected ones (absolutely, relative to the largest).
fn check(name: &str, matrix: &DMatrix<f64>, expected: &[f64]) {
    check_in::<f64>(name, matrix, expected);
    check_in::<f32>(name, matrix, expected);
}

fn check_in<T: Number>(name: &str, matrix: &DMatrix<f64>, expected: &[f64]) {
    let matrix: DMatrix<T> = cast(matrix);
    let svd = thin_svd(&matrix).unwrap();
    let limit = rounding(&matrix);
    let largest = expected.first().copied().unwrap_or_default();
    assert_eq!(svd.rank(), expected.len(), "{name}");
    for (i, (found, expected)) in svd.singular_values.iter().zip(expected).enumerate() {
        assert!((found.f64() - expected).abs() <= limit * largest, "{name}: value {i} is {found}, not {expected}");
    }
    assert!(residual(&matrix, &svd) <= limit * norm(&widen(&matrix)), "{name}: residual");
    let defect = limit * (svd.rank() as f64).sqrt();
    assert!(column_defect(&svd.u) <= defect, "{name}: U, {}", column_defect(&svd.u));
    assert!(column_defect(&svd.v_t.transpose()) <= defect, "{name}: V");
    assert!(obeys_sign_rule(&svd.u), "{name}: sign");
}

fn check_spectrum(name: &str, value: impl Fn(usize) -> f64) {
    for (rows, cols) in [(60, 60), (150, 60), (60, 150)] {
        let values: Vec<f64> = (0..60).map(&value).collect();
        check(name, &with_spectrum(rows, cols, &values, 42), &values);
    }
}

#[test]
fn exponential() {
    check_spectrum("exponential", |i| 2f64.powi(-(i as i32)));
    check_spectrum("slowly exponential", |i| 0.9f64.powi(i as i32));
}

#[test]
fn polynomial() {
    check_spectrum("polynomial", |i| 1.0 / (i as f64 + 1.0).powi(2));
    check_spectrum("slowly polynomial", |i| 1.0 / (i as f64 + 1.0).sqrt());
}

#[test]
fn step() {
    check_spectrum("step", |i| if i < 20 { 1.0 } else { 1e-5 });
}

#[test]
fn clustered() {
    check_spectrum("clustered", |i| [1.0, 0.5, 0.1][i / 20] + 1e-9 * (60 - i) as f64);
}

#[test]
fn rank_deficient() {
    check_spectrum("rank-deficient", |i| if i < 25 { 30.0 - i as f64 } else { 0.0 });
}

#[test]
fn zero() {
    for (rows, cols) in [(1, 1), (7, 4), (4, 7)] {
        check("zero", &DMatrix::zeros(rows, cols), &[0.0].repeat(rows.min(cols)));
    }
    assert_eq!(thin_svd(&DMatrix::<f32>::zeros(3, 2)).unwrap().algorithm, Algorithm::Zero);
}

#[test]
fn identity() {
    for size in [1, 2, 33] {
        check("identity", &DMatrix::identity(size, size), &vec![1.0; size]);
    }
    check("minus identity", &-DMatrix::<f64>::identity(9, 9), &[1.0; 9]);
}

#[test]
fn hilbert() {
    // Values from an evaluation of the Hilbert matrix of order 8 with 50 digits.
    let expected = [
        1.695_938_996_921_949e0,
        2.981_252_113_169_307e-1,
        2.621_284_357_811_981e-2,
        1.467_688_117_741_965e-3,
        5.436_943_369_742_77e-5,
        1.294_332_092_280_553e-6,
        1.798_873_745_861_465e-8,
        1.111_538_966_372_442e-10,
    ];
    check("Hilbert", &DMatrix::from_fn(8, 8, |i, j| 1.0 / (i + j + 1) as f64), &expected);
}

#[test]
fn kahan() {
    // Upper triangular, famous for hiding its small singular value; values from Jacobi rotations, checked through determinant and norm.
    let (sine, cosine) = (1.2f64.sin(), 1.2f64.cos());
    let matrix = DMatrix::from_fn(40, 40, |i, j| {
        let scale = sine.powi(i as i32);
        match j.cmp(&i) {
            std::cmp::Ordering::Less => 0.0,
            std::cmp::Ordering::Equal => scale,
            std::cmp::Ordering::Greater => -cosine * scale,
        }
    });
    let expected = jacobi_values(&matrix);
    let log_determinant: f64 = (0..40).map(|i| matrix[(i, i)].ln()).sum();
    let svd = thin_svd(&matrix).unwrap();
    let found: f64 = svd.singular_values.iter().map(|sigma| sigma.ln()).sum();
    assert!((found - log_determinant).abs() < 1e-6 * log_determinant.abs());
    check("Kahan", &matrix, &expected);
}

#[test]
fn graded() {
    // From 1e30 down to 1e-30: the large values must come out, the small ones must not disturb.
    let values: Vec<f64> = (0..61).map(|i| 10f64.powi(30 - i)).collect();
    check("graded", &with_spectrum(80, 61, &values, 9), &values);
    let diagonal = DMatrix::from_diagonal(&nalgebra::DVector::from_vec(values.clone()));
    check("graded diagonal", &diagonal, &values);
    // Rows of very different size.
    let rows = DMatrix::from_fn(61, 20, |i, j| values[i] * gaussian(61, 20, 4)[(i, j)]);
    let expected = jacobi_values(&rows);
    check("graded rows", &rows, &expected);
}

#[test]
fn extremes_of_the_exponent_range() {
    for exponent in [-300, -160, 150, 307] {
        let values: Vec<f64> = (0..10).map(|i| 0.5f64.powi(i) * 10f64.powi(exponent)).collect();
        check_in::<f64>("extreme", &with_spectrum(20, 10, &values, 1), &values);
    }
    for exponent in [-37, -20, 18, 37] {
        let values: Vec<f64> = (0..10).map(|i| 0.5f64.powi(i) * 10f64.powi(exponent)).collect();
        check_in::<f32>("extreme", &with_spectrum(20, 10, &values, 1), &values);
    }
    // Nothing but subnormal numbers.
    let tiny = DMatrix::from_fn(4, 3, |i, j| f64::from_bits(1 + (i * 3 + j) as u64));
    let svd = thin_svd(&tiny).unwrap();
    assert!(column_defect(&svd.u) < 1e-12 && svd.singular_values[0] > 0.0);
}

#[test]
fn rows_columns_tall_and_wide() {
    for length in [1, 2, 17, 3000] {
        let row = gaussian(1, length, 2);
        check("one row", &row, &[row.norm()]);
        check("one column", &row.transpose(), &[row.norm()]);
    }
    let values: Vec<f64> = (0..5).map(|i| 5.0 - f64::from(i)).collect();
    check("tall", &with_spectrum(2000, 5, &values, 3), &values);
    check("wide", &with_spectrum(5, 2000, &values, 3), &values);
}

/// What the Gram matrix cannot resolve in single precision must still come out: small values near the rounding of the largest.
#[test]
fn single_precision_survives_every_condition_number() {
    for digits in [2, 4, 5, 6, 7, 8, 12, 20] {
        let values: Vec<f64> = (0..120).map(|i| 10f64.powf(-f64::from(digits * i) / 119.0)).collect();
        check_in::<f32>(&format!("condition 1e{digits}"), &with_spectrum(300, 120, &values, 8), &values);
    }
    // One tiny value among ordinary ones, the shape of a weight with a dead unit.
    let mut values = vec![1.0; 64];
    for (i, value) in values.iter_mut().enumerate() {
        *value -= i as f64 / 100.0;
    }
    for tiny in [1e-4, 1e-6, 1e-9, 0.0] {
        values[63] = tiny;
        check_in::<f32>("one tiny value", &with_spectrum(64, 64, &values, 8), &values);
    }
}

#[test]
fn ordinary_weights_take_the_fast_way() {
    let matrix = cast::<f32>(&gaussian(96, 64, 1));
    assert_eq!(thin_svd(&matrix).unwrap().algorithm, Algorithm::GramEigen);
    assert_eq!(thin_svd(&widen(&matrix)).unwrap().algorithm, Algorithm::Bidiagonal);
    let deficient = cast::<f32>(&(gaussian(96, 3, 1) * gaussian(3, 64, 2)));
    assert!(matches!(thin_svd(&deficient).unwrap().algorithm, Algorithm::Bidiagonal | Algorithm::BidiagonalDirect));
}
