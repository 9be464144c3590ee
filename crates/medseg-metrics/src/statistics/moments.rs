//! Mean, spread and quantiles.

/// Arithmetic mean; NaN without values.
pub fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Sample standard deviation with n - 1 in the denominator; NaN below two values.
pub fn standard_deviation(values: &[f64]) -> f64 {
    let centre = mean(values);
    let squares: f64 = values.iter().map(|v| (v - centre).powi(2)).sum();
    if values.len() < 2 { f64::NAN } else { (squares / (values.len() - 1) as f64).sqrt() }
}

/// Median, the mean of the two middle values for an even number; NaN without values or with a NaN among them.
pub fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5)
}

/// Quantile between 0 and 1 with linear interpolation; NaN without values or with a NaN among them.
pub(super) fn quantile(values: &[f64], share: f64) -> f64 {
    if values.is_empty() || values.iter().any(|v| v.is_nan()) {
        return f64::NAN;
    }
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let position = share * (sorted.len() - 1) as f64;
    let (low, high) = (sorted[position as usize], sorted[position.ceil() as usize]);
    if low == high { low } else { low + (high - low) * position.fract() }
}
