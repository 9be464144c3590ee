//! Matrices with known properties, and measures computed without the crate under test.

use nalgebra::{DMatrix, RealField};
use proptest::prelude::*;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use rand_distr::{Distribution, StandardNormal};
use salt_linalg::{Real, Svd};

/// Number of cases of a randomised test: `PROPTEST_CASES` if set, otherwise what keeps the suite quick.
pub(crate) fn cases(default: u32) -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

pub(crate) fn config(default: u32) -> ProptestConfig {
    ProptestConfig { cases: cases(default), ..ProptestConfig::default() }
}

/// f32 or f64 with the conversions that the tests need.
pub(crate) trait Number: Real + RealField {
    const UNIT: f64;
    fn of(value: f64) -> Self;
    fn f64(self) -> f64;
    /// The same bits?
    fn bits(self) -> u64;
}

impl Number for f32 {
    const UNIT: f64 = f32::EPSILON as f64;
    fn of(value: f64) -> Self {
        value as f32
    }
    fn f64(self) -> f64 {
        f64::from(self)
    }
    fn bits(self) -> u64 {
        u64::from(self.to_bits())
    }
}

impl Number for f64 {
    const UNIT: f64 = f64::EPSILON;
    fn of(value: f64) -> Self {
        value
    }
    fn f64(self) -> f64 {
        self
    }
    fn bits(self) -> u64 {
        self.to_bits()
    }
}

pub(crate) fn gaussian(rows: usize, cols: usize, seed: u64) -> DMatrix<f64> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    DMatrix::from_fn(rows, cols, |_, _| StandardNormal.sample(&mut rng))
}

/// Orthonormal columns, uniformly distributed.
pub(crate) fn orthonormal(rows: usize, cols: usize, seed: u64) -> DMatrix<f64> {
    gaussian(rows, cols, seed).qr().q()
}

/// A matrix with these singular values and random singular vectors.
pub(crate) fn with_spectrum(rows: usize, cols: usize, values: &[f64], seed: u64) -> DMatrix<f64> {
    let rank = rows.min(cols);
    assert_eq!(values.len(), rank);
    let mut left = orthonormal(rows, rank, seed.wrapping_mul(2) + 1);
    for (mut column, &value) in left.column_iter_mut().zip(values) {
        column *= value;
    }
    left * orthonormal(cols, rank, seed.wrapping_mul(2) + 2).transpose()
}

pub(crate) fn cast<T: Number>(matrix: &DMatrix<f64>) -> DMatrix<T> {
    matrix.map(T::of)
}

pub(crate) fn widen<T: Number>(matrix: &DMatrix<T>) -> DMatrix<f64> {
    matrix.map(T::f64)
}

/// U diag(s) Vᵀ in double precision.
pub(crate) fn multiply<T: Number>(svd: &Svd<T>) -> DMatrix<f64> {
    let mut left = widen(&svd.u);
    for (mut column, &sigma) in left.column_iter_mut().zip(svd.singular_values.iter()) {
        column *= sigma.f64();
    }
    left * widen(&svd.v_t)
}

/// ‖A − U diag(s) Vᵀ‖_F, free of overflow.
pub(crate) fn residual<T: Number>(matrix: &DMatrix<T>, svd: &Svd<T>) -> f64 {
    norm(&(widen(matrix) - multiply(svd)))
}

/// Frobenius norm, free of overflow and underflow.
pub(crate) fn norm(matrix: &DMatrix<f64>) -> f64 {
    let largest = matrix.amax();
    if largest == 0.0 { 0.0 } else { (matrix / largest).norm() * largest }
}

/// Spectral norm.
pub(crate) fn spectral(matrix: &DMatrix<f64>) -> f64 {
    let largest = matrix.amax();
    if largest == 0.0 { 0.0 } else { jacobi_values(&(matrix / largest))[0] * largest }
}

/// Singular values, descending, by one-sided Jacobi rotations: they
/// make the columns orthogonal, and their lengths are the values. Slow, simple, and accurate to a few units in the last place.
pub(crate) fn jacobi_values(matrix: &DMatrix<f64>) -> Vec<f64> {
    let mut work = if matrix.nrows() >= matrix.ncols() { matrix.clone() } else { matrix.transpose() };
    for _ in 0..60 {
        let mut rotated = false;
        for p in 0..work.ncols() {
            for q in p + 1..work.ncols() {
                let (a, b) = (work.column(p).norm_squared(), work.column(q).norm_squared());
                let c = work.column(p).dot(&work.column(q));
                if c == 0.0 || c.abs() <= 1e-15 * (a * b).sqrt() {
                    continue;
                }
                rotated = true;
                let (sine, cosine) = (0.5 * (2.0 * c).atan2(a - b)).sin_cos();
                let (left, right) = (work.column(p).into_owned(), work.column(q).into_owned());
                work.set_column(p, &(&left * cosine + &right * sine));
                work.set_column(q, &(&right * cosine - &left * sine));
            }
        }
        if !rotated {
            break;
        }
    }
    let mut values: Vec<f64> = work.column_iter().map(|column| column.norm()).collect();
    values.sort_by(|a, b| b.total_cmp(a));
    values
}

/// ‖QᵀQ − I‖_F.
pub(crate) fn column_defect<T: Number>(q: &DMatrix<T>) -> f64 {
    let q = widen(q);
    (q.tr_mul(&q) - DMatrix::identity(q.ncols(), q.ncols())).norm()
}

/// Sine of the largest angle between the column spaces of two orthonormal bases of equal dimension.
pub(crate) fn sine(a: &DMatrix<f64>, b: &DMatrix<f64>) -> f64 {
    spectral(&(b - a * a.tr_mul(b))).min(1.0)
}

/// Largest entry of each column of U positive, the first of those within 64 rounding units.
pub(crate) fn obeys_sign_rule<T: Number>(u: &DMatrix<T>) -> bool {
    u.column_iter().all(|column| {
        let largest = column.iter().fold(0.0f64, |best, value| best.max(value.f64().abs()));
        let tie = largest * (1.0 - 64.0 * T::UNIT);
        let first = column.iter().find(|value| value.f64().abs() >= tie);
        first.is_some_and(|value| value.f64() > 0.0)
    })
}

pub(crate) fn same_bits<T: Number>(a: &Svd<T>, b: &Svd<T>) -> bool {
    let bits = |svd: &Svd<T>| -> Vec<u64> {
        svd.u.iter().chain(svd.singular_values.iter()).chain(svd.v_t.iter()).map(|value| value.bits()).collect()
    };
    a.u.shape() == b.u.shape() && a.v_t.shape() == b.v_t.shape() && bits(a) == bits(b)
}

/// Accepted relative error of a decomposition of a matrix of this size.
pub(crate) fn rounding<T: Number>(matrix: &DMatrix<T>) -> f64 {
    16.0 * T::UNIT * (matrix.nrows().max(matrix.ncols()) as f64).sqrt()
}

pub(crate) fn on_threads<R: Send>(threads: usize, run: impl FnOnce() -> R + Send) -> R {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(run)
}

/// How the entries of a random test matrix come about.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    Gaussian,
    /// Few distinct values, many ties, often rank-deficient.
    SmallIntegers,
    /// Singular values 10^(-slope * i / rank).
    Decaying(f64),
    LowRank(usize),
    /// Every column the same.
    Repeated,
    Sparse,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Case {
    pub(crate) rows: usize,
    pub(crate) cols: usize,
    pub(crate) kind: Kind,
    pub(crate) seed: u64,
    /// The matrix is multiplied by 10^this share of the exponent range.
    pub(crate) magnitude: f64,
}

impl Case {
    pub(crate) fn matrix<T: Number>(&self) -> DMatrix<T> {
        let (rows, cols, seed) = (self.rows, self.cols, self.seed);
        let rank = rows.min(cols);
        let matrix = match self.kind {
            Kind::Gaussian => gaussian(rows, cols, seed),
            Kind::SmallIntegers => gaussian(rows, cols, seed).map(f64::round),
            Kind::Decaying(slope) => {
                let values: Vec<f64> = (0..rank).map(|i| 10f64.powf(-slope * i as f64 / rank as f64)).collect();
                with_spectrum(rows, cols, &values, seed)
            }
            Kind::LowRank(inner) => gaussian(rows, inner, seed) * gaussian(inner, cols, seed ^ 1),
            Kind::Repeated => {
                let column = gaussian(rows, 1, seed);
                DMatrix::from_fn(rows, cols, |i, _| column[i])
            }
            Kind::Sparse => gaussian(rows, cols, seed).map(|value| if value.abs() > 1.2 { value } else { 0.0 }),
        };
        let range = if T::UNIT > 1e-10 { 30.0 } else { 290.0 };
        cast(&(matrix * 10f64.powf((range * self.magnitude).round())))
    }
}

pub(crate) fn case() -> impl Strategy<Value = Case> {
    let kind = prop_oneof![
        Just(Kind::Gaussian),
        Just(Kind::SmallIntegers),
        (0.0..12.0).prop_map(Kind::Decaying),
        (1usize..4).prop_map(Kind::LowRank),
        Just(Kind::Repeated),
        Just(Kind::Sparse),
    ];
    let magnitude = prop_oneof![3 => Just(0.0), 1 => -1.0..1.0];
    (1usize..=24, 1usize..=24, kind, any::<u64>(), magnitude).prop_map(|(rows, cols, kind, seed, magnitude)| Case {
        rows,
        cols,
        kind,
        seed,
        magnitude,
    })
}
