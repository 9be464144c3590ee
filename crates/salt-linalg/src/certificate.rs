//! A-posteriori error estimates from Gaussian probes.
//!
//! Let E = A − U diag(s) Vᵀ and let Ω have q independent standard normal columns. Then ‖E Ω‖_F² / q is an unbiased estimate of ‖E‖_F².
//! For an upper bound on the spectral norm, let v be the leading right singular vector of E and p ≥ 0. Since
//! ‖(E Eᵀ)^p E Ω‖_F² ≥ ‖E‖₂^(4p + 2) ‖vᵀΩ‖², and ‖vᵀΩ‖² has the chi-square distribution with q degrees of freedom,
//!
//! ‖E‖₂ ≤ ( ‖(E Eᵀ)^p E Ω‖_F² / x )^(1 / (4p + 2)),   where P(χ²_q ≤ x) = δ,
//!
//! holds with probability 1 − δ over the probes. This sharpens Lemma 4.1 of Halko, Martinsson and Tropp (2011),
//! which keeps only the largest of the q columns and pays the factor 10 √(2/π); the power p takes the (4p + 2)-th root of what is left.
//! The probes are drawn after, and independently of, whatever random numbers made the factors.

use faer::MatRef;
use nalgebra::DMatrix;
use serde::{Deserialize, Serialize};

use crate::gaussian::{self, Stream};
use crate::input::Input;
use crate::product::{Schedule, product, product_into, sum_of_squares, view, view_mut};
use crate::real::Real;
use crate::real::sealed::Kernel;

/// Number of Gaussian probes. Even, so that the chi-square distribution has a closed form; sixteen fill a SIMD register.
pub(crate) const PROBES: usize = 16;
/// Probability that a bound is too small.
pub(crate) const FAILURE_PROBABILITY: f64 = 1e-6;

/// How far U diag(s) Vᵀ is from the matrix A, and the factors from orthonormality, measured after the fact.
///
/// With E = A − U diag(s) Vᵀ and a matrix Ω of q = 16 independent standard normal columns, ‖E Ω‖_F² / q is an unbiased estimate of ‖E‖_F².
/// If v is the leading right singular vector of E, ‖(E Eᵀ)^p E Ω‖_F² ≥ ‖E‖₂^(4p + 2) ‖vᵀΩ‖², and ‖vᵀΩ‖² has the chi-square distribution
/// with q degrees of freedom; dividing by its quantile x of order 10⁻⁶ (x ≈ 1.4) gives
/// ‖E‖₂ ≤ (‖(E Eᵀ)^p E Ω‖_F² / x)^(1 / (4p + 2)) with probability 1 − 10⁻⁶. Full decompositions use p = 0, randomised ones p = 1.
///
/// The measurement multiplies A and the factors with random vectors in the number type of the matrix, so values below
/// about ε ‖A‖_F (ε = 1.2e-7 for `f32`, 2.2e-16 for `f64`) are rounding noise.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ErrorEstimate {
    /// Estimate of ‖A − U diag(s) Vᵀ‖_F.
    pub frobenius: f64,
    /// Upper bound on the spectral norm ‖A − U diag(s) Vᵀ‖₂, true with probability [`probability`](Self::probability).
    pub spectral_bound: f64,
    /// Probability over the probes that `spectral_bound` holds.
    pub probability: f64,
    /// ‖A‖_F, computed exactly, for relative errors.
    pub matrix_norm: f64,
    /// Estimate of ‖UᵀU − I‖_F / √k.
    pub left_defect: f64,
    /// Estimate of ‖VᵀV − I‖_F / √k.
    pub right_defect: f64,
}

impl ErrorEstimate {
    /// `frobenius` divided by ‖A‖_F; 0 for the zero matrix.
    pub fn relative_frobenius(&self) -> f64 {
        if self.matrix_norm > 0.0 { self.frobenius / self.matrix_norm } else { 0.0 }
    }

    /// `spectral_bound` divided by ‖A‖_F; 0 for the zero matrix.
    pub fn relative_spectral_bound(&self) -> f64 {
        if self.matrix_norm > 0.0 { self.spectral_bound / self.matrix_norm } else { 0.0 }
    }

    pub(crate) fn exact(matrix_norm: f64) -> Self {
        Self { frobenius: 0.0, spectral_bound: 0.0, probability: 1.0, matrix_norm, left_defect: 0.0, right_defect: 0.0 }
    }

    pub(crate) fn to_array(self) -> [f64; 6] {
        [self.frobenius, self.spectral_bound, self.probability, self.matrix_norm, self.left_defect, self.right_defect]
    }

    pub(crate) fn from_array(numbers: [f64; 6]) -> Self {
        let [frobenius, spectral_bound, probability, matrix_norm, left_defect, right_defect] = numbers;
        Self { frobenius, spectral_bound, probability, matrix_norm, left_defect, right_defect }
    }

    /// The estimate once the components with these singular values are dropped.
    pub(crate) fn after_cut<T: Kernel>(mut self, dropped: &[T]) -> Self {
        let largest = dropped.first().map_or(0.0, |sigma| sigma.widen());
        let squares: f64 = dropped.iter().map(|sigma| (sigma.widen() / largest.max(f64::MIN_POSITIVE)).powi(2)).sum();
        self.spectral_bound += largest;
        self.frobenius = self.frobenius.hypot(largest * squares.sqrt());
        self
    }

    pub(crate) fn unscaled(mut self, factor: f64) -> Self {
        self.frobenius *= factor;
        self.spectral_bound *= factor;
        self.matrix_norm *= factor;
        self
    }
}

/// Probes the factors of `matrix`. `power` is p of the module's formula: 0 is enough where E is rounding noise, 1 sharpens the
/// bound where E has a spectrum of its own.
pub(crate) fn measure<T: Real>(
    input: &Input<'_, T>,
    u: &DMatrix<T>,
    singular_values: &[T],
    v_t: &DMatrix<T>,
    seed: u64,
    power: u32,
    schedule: Schedule,
) -> ErrorEstimate {
    let matrix = input.matrix.as_ref();
    let matrix_norm = input.norm;
    let residual = Residual { matrix: view(matrix), u: view(u), singular_values, v_t: view(v_t), schedule };
    let mut probe: DMatrix<T> = gaussian::matrix(matrix.ncols(), PROBES, seed, Stream::Certificate, schedule);
    let mut image = residual.apply(&probe);
    let frobenius = (sum_of_squares(image.as_slice()) / PROBES as f64).sqrt();
    let quantile = chi_square_lower_quantile(PROBES, FAILURE_PROBABILITY);
    let mut log_scale = 0.0f64;
    for _ in 0..power {
        // Normalised on the way, so that no square under- or overflows.
        let norm = sum_of_squares(image.as_slice()).sqrt();
        if norm == 0.0 {
            break;
        }
        log_scale += norm.ln();
        image.apply(|value| *value = T::narrow(value.widen() / norm));
        probe = residual.apply_transposed(&image);
        let norm = sum_of_squares(probe.as_slice()).sqrt();
        if norm == 0.0 {
            image.fill(T::narrow(0.0));
            break;
        }
        log_scale += norm.ln();
        probe.apply(|value| *value = T::narrow(value.widen() / norm));
        image = residual.apply(&probe);
    }
    let norm = sum_of_squares(image.as_slice()).sqrt();
    let spectral_bound = if norm == 0.0 {
        0.0
    } else {
        ((log_scale + norm.ln() - 0.5 * quantile.ln()) / f64::from(2 * power + 1)).exp()
    };
    ErrorEstimate {
        frobenius,
        spectral_bound,
        probability: 1.0 - FAILURE_PROBABILITY,
        matrix_norm,
        left_defect: defect(view(u), seed, Stream::LeftDefect, schedule),
        right_defect: defect(view(v_t).transpose(), seed, Stream::RightDefect, schedule),
    }
}

/// Estimate of ‖QᵀQ − I‖_F / √k for a matrix with k columns.
fn defect<T: Real>(q: MatRef<'_, T>, seed: u64, stream: Stream, schedule: Schedule) -> f64 {
    let probe: DMatrix<T> = gaussian::matrix(q.ncols(), PROBES, seed, stream, schedule);
    let image = product(schedule, q, view(&probe));
    let mut back = probe;
    let (minus_one, one) = (T::narrow(-1.0), T::narrow(1.0));
    back.apply(|value| *value *= minus_one);
    product_into(schedule, view_mut(&mut back), true, q.transpose(), view(&image), one);
    (sum_of_squares(back.as_slice()) / (PROBES * q.ncols()) as f64).sqrt()
}

/// E = A − U diag(s) Vᵀ as an operator.
struct Residual<'a, T> {
    matrix: MatRef<'a, T>,
    u: MatRef<'a, T>,
    singular_values: &'a [T],
    v_t: MatRef<'a, T>,
    schedule: Schedule,
}

impl<T: Real> Residual<'_, T> {
    /// E times a block of vectors.
    fn apply(&self, block: &DMatrix<T>) -> DMatrix<T> {
        let out = product(self.schedule, self.matrix, view(block));
        self.subtract(out, self.u, self.v_t, block)
    }

    /// Eᵀ times a block of vectors.
    fn apply_transposed(&self, block: &DMatrix<T>) -> DMatrix<T> {
        // With the narrow factor on the left the matrix is read as it lies in memory.
        let out = product(self.schedule, view(&block.transpose()), self.matrix).transpose();
        self.subtract(out, self.v_t.transpose(), self.u.transpose(), block)
    }

    /// `out` less left diag(s) right times the block.
    fn subtract(
        &self,
        mut out: DMatrix<T>,
        left: MatRef<'_, T>,
        right: MatRef<'_, T>,
        block: &DMatrix<T>,
    ) -> DMatrix<T> {
        let mut inner = product(self.schedule, right, view(block));
        for mut column in inner.column_iter_mut() {
            for (value, &sigma) in column.iter_mut().zip(self.singular_values) {
                *value *= sigma;
            }
        }
        product_into(self.schedule, view_mut(&mut out), true, left, view(&inner), T::narrow(-1.0));
        out
    }
}

/// The x with P(χ²_q ≤ x) = `probability`, for even q: there the distribution function is 1 − e^(−x/2) Σ_(j < q/2) (x/2)^j / j!,
/// that is e^(−h) Σ_(j ≥ q/2) h^j / j! with h = x/2, which has no cancellation.
pub(crate) fn chi_square_lower_quantile(degrees: usize, probability: f64) -> f64 {
    let first = degrees / 2;
    let distribution = |h: f64| {
        let mut term = (1..=first).fold(1.0, |term, j| term * h / j as f64);
        let mut sum = 0.0;
        let mut j = first as f64;
        while term > sum * 1e-17 {
            sum += term;
            j += 1.0;
            term *= h / j;
        }
        sum * (-h).exp()
    };
    let (mut low, mut high) = (0.0, degrees as f64);
    for _ in 0..200 {
        let middle = 0.5 * (low + high);
        if distribution(middle) < probability {
            low = middle;
        } else {
            high = middle;
        }
    }
    low + high
}

#[cfg(test)]
mod tests {
    use super::chi_square_lower_quantile;

    #[test]
    fn quantiles_match_tables() {
        // Two degrees of freedom: P(x) = 1 - exp(-x / 2).
        let expected = -2.0 * (1.0f64 - 0.05).ln();
        assert!((chi_square_lower_quantile(2, 0.05) - expected).abs() < 1e-12);
        // Tabulated lower 1 % and 5 % points.
        assert!((chi_square_lower_quantile(10, 0.01) - 2.558_212).abs() < 1e-5);
        assert!((chi_square_lower_quantile(16, 0.05) - 7.961_646).abs() < 1e-5);
    }
}
