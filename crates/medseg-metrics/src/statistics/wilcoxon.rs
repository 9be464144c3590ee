//! Wilcoxon's signed-rank test and Holm's correction.

use super::normal::upper_tail;

/// Up to this many non-zero differences the p-value is exact: the sum over all sign patterns fits the mantissa of a double.
const EXACT_LIMIT: usize = 50;

/// Result of [`wilcoxon_signed_rank`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SignedRank {
    /// Sum of the ranks of the positive differences.
    pub positive_ranks: f64,
    /// Sum of the ranks of the negative differences.
    pub negative_ranks: f64,
    /// Differences that are not zero.
    pub n: usize,
    /// Two-sided p-value.
    pub p_value: f64,
    /// Whether it is exact.
    pub exact: bool,
}

/// Wilcoxon's signed-rank test of symmetric differences around 0. Zeros are left out, equal magnitudes share their mean rank.
///
/// With at most 50 differences left the p-value is exact, also with ties: all sign patterns of the observed ranks are counted.
/// Beyond, it is the normal approximation with the variance corrected for ties and without continuity correction. `None` when
/// all differences are zero or one is NaN.
///
/// ```
/// use medseg_metrics::statistics::wilcoxon_signed_rank;
/// let test = wilcoxon_signed_rank(&[1.0, 2.0, 3.0, 4.0, 5.0]);
/// assert_eq!(test.map(|t| t.p_value), Some(2.0 / 32.0));
/// ```
pub fn wilcoxon_signed_rank(differences: &[f64]) -> Option<SignedRank> {
    if differences.iter().any(|d| d.is_nan()) {
        return None;
    }
    let mut ordered: Vec<f64> = differences.iter().copied().filter(|&d| d != 0.0).collect();
    if ordered.is_empty() {
        return None;
    }
    ordered.sort_unstable_by(|a, b| a.abs().total_cmp(&b.abs()));
    // Ranks are doubled, so that mean ranks of ties are integers.
    let (mut doubled, mut tie_term) = (Vec::with_capacity(ordered.len()), 0.0);
    for group in ordered.chunk_by(|a, b| a.abs() == b.abs()) {
        let (before, size) = (doubled.len(), group.len());
        doubled.extend(std::iter::repeat_n(2 * before + size + 1, size));
        tie_term += (size as f64).powi(3) - size as f64;
    }
    let sum_where = |wanted: fn(f64) -> bool| -> usize {
        ordered.iter().zip(&doubled).filter(|(d, _)| wanted(**d)).map(|(_, rank)| rank).sum()
    };
    let (positive, negative) = (sum_where(|d| d > 0.0), sum_where(|d| d < 0.0));
    let n = ordered.len();
    let exact = n <= EXACT_LIMIT;
    let p_value = if exact {
        exact_p(&doubled, positive.min(negative))
    } else {
        let n = n as f64;
        let variance = n * (n + 1.0) * (2.0 * n + 1.0) / 24.0 - tie_term / 48.0;
        let distance = (positive as f64 - negative as f64).abs() / 4.0;
        2.0 * upper_tail(distance / variance.sqrt())
    };
    let (positive_ranks, negative_ranks) = (positive as f64 / 2.0, negative as f64 / 2.0);
    Some(SignedRank { positive_ranks, negative_ranks, n, p_value: p_value.min(1.0), exact })
}

/// Twice the share of sign patterns whose rank sum is at most `smaller`.
fn exact_p(doubled_ranks: &[usize], smaller: usize) -> f64 {
    let mut patterns = vec![0.0; smaller + 1];
    patterns[0] = 1.0;
    for &rank in doubled_ranks {
        for sum in (rank..=smaller).rev() {
            patterns[sum] += patterns[sum - rank];
        }
    }
    let all = 2f64.powi(doubled_ranks.len() as i32);
    2.0 * patterns.iter().sum::<f64>() / all
}

/// Holm's step-down correction of p-values, in their order. It controls the chance of any false finding among them.
///
/// ```
/// use medseg_metrics::statistics::holm;
/// assert_eq!(holm(&[0.01, 0.04, 0.03]), [0.03, 0.06, 0.06]);
/// ```
pub fn holm(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|&a, &b| p_values[a].total_cmp(&p_values[b]));
    let mut adjusted = vec![0.0; p_values.len()];
    let mut largest: f64 = 0.0;
    for (rank, index) in order.into_iter().enumerate() {
        largest = largest.max(p_values[index] * (p_values.len() - rank) as f64).min(1.0);
        adjusted[index] = largest;
    }
    adjusted
}
