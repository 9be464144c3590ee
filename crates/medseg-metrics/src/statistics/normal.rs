//! The normal distribution, from the error function of `libm`.

use std::f64::consts::SQRT_2;

/// P(Z > z).
pub(super) fn upper_tail(z: f64) -> f64 {
    0.5 * libm::erfc(z / SQRT_2)
}

/// z with P(Z > z) = `tail`, for a tail between 0 and 1, by bisection of a decreasing function.
pub(super) fn upper_quantile(tail: f64) -> f64 {
    let (mut low, mut high) = (-40.0, 40.0);
    for _ in 0..200 {
        let middle = 0.5 * (low + high);
        if upper_tail(middle) > tail { low = middle } else { high = middle }
    }
    0.5 * (low + high)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_tables() {
        for (tail, z) in [(0.5, 0.0), (0.025, 1.959_963_984_540_054), (0.2, 0.841_621_233_572_914_2)] {
            assert!((upper_quantile(tail) - z).abs() < 1e-12);
            assert!((upper_tail(z) - tail).abs() < 1e-14);
        }
    }
}
