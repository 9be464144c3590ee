//! Rules that pick the rank from the spectrum.

use serde::{Deserialize, Serialize};

use crate::real::Real;

/// How many leading components to keep.
///
/// Every rule answers with a rank between 1 and min(m, n). In configuration files a rule is written as a tagged
/// table, for example `{ rule = "energy", share = 0.95 }`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "rule", rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum RankRule {
    /// This many.
    Fixed {
        /// Between 1 and min(m, n).
        rank: usize,
    },
    /// This share of min(m, n), rounded down, at least 1 (the convention of SALT's released SAM 2 code and of PEFT's OSF).
    Fraction {
        /// Above 0, at most 1.
        share: f64,
    },
    /// The fewest whose squares hold this share of the sum of all squares (Jolliffe, Principal Component Analysis, 2nd ed., section 6.1.1).
    Energy {
        /// Above 0, at most 1.
        share: f64,
    },
    /// The stable rank ‖A‖_F² / ‖A‖₂², rounded up (Rudelson and Vershynin 2007). It ignores small singular values and suits weights
    /// with a few dominant directions.
    StableRank,
    /// The effective rank exp(−Σ p_i ln p_i) with p_i = s_i / Σ s_j, rounded up (Roy and Vetterli 2007). It counts all directions that matter
    /// and lies above the stable rank.
    EffectiveRank,
    /// The optimal hard threshold for a low-rank signal in white noise (Gavish and Donoho 2014): keep s_i > ω(β) median(s) if the noise
    /// level is unknown, s_i > λ(β) √max(m, n) σ if it is known, with β = min(m, n) / max(m, n).
    GavishDonoho {
        /// Standard deviation σ of the noise in each entry, if known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        noise: Option<f64>,
    },
    /// The cut with the largest relative gap (s_r − s_(r + 1)) / s_r, the first of several; at most min(m, n) − 1 components unless there is only one.
    /// It gives the subspace that is most stable in the sense of [`CutQuality`](crate::CutQuality). Values below
    /// ε max(m, n) s₁ count as zero.
    LargestGap,
}

/// Why a rule could not be applied.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RankError {
    /// There are no singular values.
    #[error("there are no singular values to choose from")]
    Empty,
    /// The number of singular values is not min(rows, cols).
    #[error("{found} singular values were given for a {rows} x {cols} matrix, which has {}", rows.min(cols))]
    Count {
        /// Values given.
        found: usize,
        /// Rows of the matrix.
        rows: usize,
        /// Columns of the matrix.
        cols: usize,
    },
    /// A singular value is negative, not finite, or larger than the one before it.
    #[error("singular value {index} is {value}; singular values must be finite, non-negative and descending")]
    Spectrum {
        /// Position in the list, from 0.
        index: usize,
        /// The value.
        value: f64,
    },
    /// The rank lies outside its range.
    #[error("rank {rank} is out of range: it must lie between 1 and {limit}")]
    OutOfRange {
        /// The rank.
        rank: usize,
        /// The largest admissible rank.
        limit: usize,
    },
    /// A parameter of the rule lies outside its range.
    #[error("{parameter} is {value}, but it must be {expected}")]
    Parameter {
        /// Name of the parameter.
        parameter: &'static str,
        /// The value.
        value: f64,
        /// What is accepted.
        expected: &'static str,
    },
    /// All singular values are zero, so the spectrum has no shape.
    #[error("all singular values are zero; only a fixed rank or a fraction can be applied")]
    ZeroMatrix,
    /// No singular value exceeds the threshold: by this rule the matrix is all noise.
    #[error("no singular value exceeds the threshold {threshold}: the largest is {largest}")]
    NothingAboveThreshold {
        /// The threshold.
        threshold: f64,
        /// The largest singular value.
        largest: f64,
    },
}

impl RankRule {
    /// The rank that the rule picks for a `rows` x `cols` matrix with these singular values (all min(rows, cols) of them, descending).
    ///
    /// # Errors
    /// [`RankError`] if the spectrum or a parameter is not valid, or no component qualifies.
    ///
    /// ```
    /// use salt_linalg::RankRule;
    /// let spectrum = [8.0_f32, 4.0, 2.0, 1.0];
    /// assert_eq!(RankRule::Energy { share: 0.9 }.select(&spectrum, 4, 6)?, 2);
    /// assert_eq!(RankRule::StableRank.select(&spectrum, 4, 6)?, 2);
    /// # Ok::<(), salt_linalg::RankError>(())
    /// ```
    pub fn select<T: Real>(&self, singular_values: &[T], rows: usize, cols: usize) -> Result<usize, RankError> {
        check_spectrum(singular_values)?;
        let limit = rows.min(cols);
        if singular_values.len() != limit {
            return Err(RankError::Count { found: singular_values.len(), rows, cols });
        }
        let values: Vec<f64> = singular_values.iter().map(|sigma| sigma.widen()).collect();
        match *self {
            Self::Fixed { rank } if (1..=limit).contains(&rank) => return Ok(rank),
            Self::Fixed { rank } => return Err(RankError::OutOfRange { rank, limit }),
            Self::Fraction { share } => {
                check_share(share)?;
                return Ok(((share * limit as f64) as usize).clamp(1, limit));
            }
            _ if values[0] == 0.0 => return Err(RankError::ZeroMatrix),
            _ => {}
        }
        // Relative to the largest, so that squares neither overflow nor vanish.
        let relative: Vec<f64> = values.iter().map(|sigma| sigma / values[0]).collect();
        let rank = match *self {
            Self::Energy { share } => energy(&relative, share)?,
            Self::StableRank => relative.iter().map(|p| p * p).sum::<f64>().ceil() as usize,
            Self::EffectiveRank => effective(&relative).ceil() as usize,
            Self::GavishDonoho { noise } => gavish_donoho(&values, rows, cols, noise)?,
            Self::LargestGap => largest_gap(&relative, T::EPSILON * rows.max(cols) as f64),
            Self::Fixed { .. } | Self::Fraction { .. } => limit,
        };
        Ok(rank.clamp(1, limit))
    }
}

pub(crate) fn check_spectrum<T: Real>(values: &[T]) -> Result<(), RankError> {
    if values.is_empty() {
        return Err(RankError::Empty);
    }
    let mut previous = f64::MAX;
    for (index, value) in values.iter().enumerate() {
        let value = value.widen();
        // Written so that NaN is rejected.
        if !(value >= 0.0 && value <= previous) {
            return Err(RankError::Spectrum { index, value });
        }
        previous = value;
    }
    Ok(())
}

fn check_share(share: f64) -> Result<(), RankError> {
    if share > 0.0 && share <= 1.0 {
        return Ok(());
    }
    Err(RankError::Parameter { parameter: "share", value: share, expected: "above 0 and at most 1" })
}

fn energy(relative: &[f64], share: f64) -> Result<usize, RankError> {
    check_share(share)?;
    // Summed from the small end, so that a share of 1 asks for every component that is not zero and none that is.
    let mut tails: Vec<f64> = relative
        .iter()
        .rev()
        .scan(0.0, |sum, p| {
            *sum += p * p;
            Some(*sum)
        })
        .collect();
    tails.reverse();
    // The slack is for shares that are met exactly, up to the rounding of 1 − share.
    let allowed = (1.0 - share) * tails[0] * (1.0 + 1e-12);
    Ok((1..relative.len()).find(|&rank| tails[rank] <= allowed).unwrap_or(relative.len()))
}

fn effective(relative: &[f64]) -> f64 {
    let sum: f64 = relative.iter().sum();
    let entropy: f64 = relative.iter().map(|p| p / sum).filter(|&p| p > 0.0).map(|p| -p * p.ln()).sum();
    // The entropy of equal values can come out a few units in the last place too high.
    entropy.exp() * (1.0 - 1e-12)
}

fn largest_gap(relative: &[f64], negligible: f64) -> usize {
    let clean = |p: f64| if p > negligible { p } else { 0.0 };
    let mut best = (1, -1.0);
    for rank in 1..relative.len() {
        let (kept, dropped) = (clean(relative[rank - 1]), clean(relative[rank]));
        let gap = if kept > 0.0 { (kept - dropped) / kept } else { 0.0 };
        if gap > best.1 {
            best = (rank, gap);
        }
    }
    best.0
}

fn gavish_donoho(values: &[f64], rows: usize, cols: usize, noise: Option<f64>) -> Result<usize, RankError> {
    let (small, large) = (rows.min(cols) as f64, rows.max(cols) as f64);
    let beta = small / large;
    let threshold = match noise {
        Some(noise) if noise > 0.0 && noise.is_finite() => hard_threshold(beta) * large.sqrt() * noise,
        Some(value) => {
            return Err(RankError::Parameter { parameter: "noise", value, expected: "positive and finite, or absent" });
        }
        None => hard_threshold(beta) / marchenko_pastur_median(beta).sqrt() * median(values),
    };
    let rank = values.iter().take_while(|&&sigma| sigma > threshold).count();
    if rank == 0 {
        return Err(RankError::NothingAboveThreshold { threshold, largest: values[0] });
    }
    Ok(rank)
}

fn median(descending: &[f64]) -> f64 {
    let middle = descending.len() / 2;
    if descending.len() % 2 == 1 { descending[middle] } else { 0.5 * (descending[middle - 1] + descending[middle]) }
}

/// λ(β), equation (11) of Gavish and Donoho.
pub(crate) fn hard_threshold(beta: f64) -> f64 {
    let b = beta + 1.0;
    (2.0 * b + 8.0 * beta / (b + (beta * beta + 14.0 * beta + 1.0).sqrt())).sqrt()
}

/// The median of the Marchenko-Pastur distribution with ratio β in (0, 1], whose density is
/// √((b − t)(t − a)) / (2 π β t) on [a, b] = [(1 − √β)², (1 + √β)²].
///
/// With t = 1 + β + 2 √β cos φ the integrand becomes smooth (2 sin² φ / (π t)), so that the midpoint rule converges geometrically.
pub(crate) fn marchenko_pastur_median(beta: f64) -> f64 {
    const STEPS: usize = 2000;
    let root = beta.sqrt();
    let point = |phi: f64| 1.0 + beta + 2.0 * root * phi.cos();
    let density = |phi: f64| {
        let t = point(phi);
        if t > 0.0 { 2.0 / std::f64::consts::PI * phi.sin().powi(2) / t } else { 0.0 }
    };
    // Mass above t, as a function of φ.
    let upper_mass = |end: f64| {
        let step = end / STEPS as f64;
        (0..STEPS).map(|i| density((i as f64 + 0.5) * step)).sum::<f64>() * step
    };
    let (mut low, mut high) = (0.0, std::f64::consts::PI);
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        if upper_mass(middle) < 0.5 {
            low = middle;
        } else {
            high = middle;
        }
    }
    point(0.5 * (low + high))
}

#[cfg(test)]
mod tests {
    use super::{hard_threshold, marchenko_pastur_median};

    /// Gavish and Donoho give ω(1) = 2.858 and the fit ω(β) ≈ 0.56 β³ − 0.95 β² + 1.82 β + 1.43, good to 0.02 (their equation 5).
    #[test]
    fn gavish_donoho_coefficients_match_the_published_fit() {
        for i in 1..=100 {
            let beta = f64::from(i) / 100.0;
            let fit = 0.56 * beta.powi(3) - 0.95 * beta.powi(2) + 1.82 * beta + 1.43;
            let found = hard_threshold(beta) / marchenko_pastur_median(beta).sqrt();
            assert!((found - fit).abs() < 0.02, "beta {beta}: {found} instead of {fit}");
        }
        assert!((hard_threshold(1.0) / marchenko_pastur_median(1.0).sqrt() - 2.858).abs() < 5e-4);
        assert!((hard_threshold(1.0) - 4.0 / 3.0f64.sqrt()).abs() < 1e-12);
    }
}
