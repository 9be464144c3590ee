//! What a study of this size could have seen.

use super::normal::upper_quantile;
use crate::{MetricsError, Result};

/// Smallest mean paired difference that a two-sided test at level `alpha` finds with probability `power`, for `n` independent
/// differences of this `standard_deviation`: (z(1 - alpha/2) + z(power)) * sd / sqrt(n), in the normal approximation.
///
/// # Errors
/// When `n` is below 2, the standard deviation is not finite and non-negative, or a probability is outside 0 to 1.
///
/// ```
/// use medseg_metrics::statistics::minimum_detectable_difference;
/// // 25 patients, differences with sd 0.05: less than 0.028 cannot be told from chance.
/// let difference = minimum_detectable_difference(0.05, 25, 0.05, 0.8)?;
/// assert!((difference - 0.028).abs() < 1e-4);
/// # Ok::<(), medseg_metrics::MetricsError>(())
/// ```
pub fn minimum_detectable_difference(standard_deviation: f64, n: usize, alpha: f64, power: f64) -> Result<f64> {
    let refuse = |reason: String| Err(MetricsError::Statistics { statistic: "minimum detectable difference", reason });
    let probability = |p: f64| p > 0.0 && p < 1.0;
    if n < 2 {
        return refuse(format!("needs at least two independent differences, found {n}"));
    }
    if !(standard_deviation.is_finite() && standard_deviation >= 0.0) {
        return refuse(format!("standard deviation {standard_deviation} is not finite and non-negative"));
    }
    if !probability(alpha) || !probability(power) {
        return refuse(format!("alpha {alpha} and power {power} must lie between 0 and 1"));
    }
    Ok((upper_quantile(alpha / 2.0) + upper_quantile(1.0 - power)) * standard_deviation / (n as f64).sqrt())
}
