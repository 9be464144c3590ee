//! Logits and probabilities.

/// The probability of a logit, `1 / (1 + exp(-logit))`.
pub fn sigmoid(logit: f32) -> f32 {
    1.0 / (1.0 + (-logit).exp())
}

/// The logit of a probability, `ln(p / (1 - p))`: above 0 exactly where the probability is above one half, and finite: 0 and 1 have the
/// logits of the numbers next to them.
pub fn logit(probability: f32) -> f32 {
    let p = probability.clamp(f32::MIN_POSITIVE, 1.0 - f32::EPSILON / 2.0);
    (p / (1.0 - p)).ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_logit_is_positive_exactly_above_one_half() {
        for (p, sign) in [(0.5f32, 0.0), (0.5f32.next_up(), 1.0), (0.5f32.next_down(), -1.0), (1.0, 1.0), (0.0, -1.0)] {
            let found = logit(p);
            assert!(found.is_finite());
            assert_eq!(if found == 0.0 { 0.0 } else { found.signum() }, sign, "{p}: {found}");
        }
        assert!((sigmoid(logit(0.2)) - 0.2).abs() < 1e-7);
        assert_eq!((sigmoid(f32::INFINITY), sigmoid(f32::NEG_INFINITY)), (1.0, 0.0));
        assert!(logit(f32::NAN).is_nan());
    }
}
