//! Learning-rate schedules as pure functions of the optimiser step, so that there is no state to save.

use crate::error::{Result, TrainError};
use serde::{Deserialize, Serialize};

/// The factor on the base learning rate over a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Schedule {
    /// The base rate throughout.
    Constant {},
    /// Multiplied by `gamma` after every `epochs` epochs.
    Step {
        /// Length of a stair in epochs.
        epochs: usize,
        /// Factor per stair.
        gamma: f64,
    },
    /// Linear rise over the first part of the run, then half a cosine down.
    WarmupCosine {
        /// Share of all steps spent rising, 0 to 1.
        #[serde(default = "default_warmup")]
        warmup: f64,
        /// Rate at the end as a share of the base rate.
        #[serde(default)]
        floor: f64,
    },
}

impl Default for Schedule {
    fn default() -> Self {
        Self::WarmupCosine { warmup: default_warmup(), floor: 0.0 }
    }
}

fn default_warmup() -> f64 {
    0.1
}

/// Where a run is.
#[derive(Debug, Clone, Copy)]
pub struct Position {
    /// Optimiser steps done, from 0.
    pub step: u64,
    /// Optimiser steps of the whole run.
    pub total: u64,
    /// Optimiser steps of one epoch.
    pub per_epoch: u64,
}

impl Schedule {
    /// Checks the parameters.
    ///
    /// # Errors
    /// A stair of 0 epochs, or factors outside their range.
    pub fn validate(&self) -> Result<()> {
        let fail = |problem: String| Err(TrainError::config("schedule", problem));
        match *self {
            Self::Constant {} => Ok(()),
            Self::Step { epochs, gamma } => {
                if epochs == 0 {
                    return fail("epochs must be at least 1, found 0".into());
                }
                if !(gamma > 0.0 && gamma <= 1.0) {
                    return fail(format!("gamma must lie in (0, 1], found {gamma}"));
                }
                Ok(())
            }
            Self::WarmupCosine { warmup, floor } => {
                for (name, value) in [("warmup", warmup), ("floor", floor)] {
                    if !(0.0..=1.0).contains(&value) {
                        return fail(format!("{name} must lie in 0..=1, found {value}"));
                    }
                }
                Ok(())
            }
        }
    }

    /// The factor on the base rate for the step about to be taken.
    pub fn factor(&self, position: Position) -> f64 {
        match *self {
            Self::Constant {} => 1.0,
            Self::Step { epochs, gamma } => {
                let stair = position.step / position.per_epoch.max(1) / epochs.max(1) as u64;
                gamma.powf(stair as f64)
            }
            Self::WarmupCosine { warmup, floor } => {
                let total = position.total.max(1) as f64;
                let rise = (warmup * total).floor();
                let step = position.step as f64;
                if step < rise {
                    return (step + 1.0) / (rise + 1.0);
                }
                let progress = ((step - rise) / (total - rise).max(1.0)).min(1.0);
                floor + (1.0 - floor) * 0.5 * (1.0 + (std::f64::consts::PI * progress).cos())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(step: u64) -> Position {
        Position { step, total: 100, per_epoch: 10 }
    }

    #[test]
    fn warmup_rises_then_falls_to_the_floor() {
        let schedule = Schedule::WarmupCosine { warmup: 0.1, floor: 0.0 };
        let factors: Vec<f64> = (0..100).map(|step| schedule.factor(at(step))).collect();
        assert!(factors[..11].windows(2).all(|pair| pair[0] < pair[1]), "{:?}", &factors[..11]);
        assert!(factors[10..].windows(2).all(|pair| pair[0] > pair[1]));
        assert_eq!(factors[10], 1.0);
        // Half-way through the fall the cosine is at its mean.
        assert!((schedule.factor(at(55)) - 0.5).abs() < 1e-12);
        assert!(schedule.factor(at(100)).abs() < 1e-12);
        let floored = Schedule::WarmupCosine { warmup: 0.0, floor: 0.2 };
        assert!((floored.factor(at(100)) - 0.2).abs() < 1e-12);
        assert_eq!(floored.factor(at(0)), 1.0);
    }

    #[test]
    fn stairs_fall_at_the_epoch_boundary() {
        let schedule = Schedule::Step { epochs: 2, gamma: 0.2 };
        assert_eq!(schedule.factor(at(19)), 1.0);
        assert_eq!(schedule.factor(at(20)), 0.2);
        assert!((schedule.factor(at(40)) - 0.04).abs() < 1e-15);
    }

    #[test]
    fn nonsense_is_refused() {
        assert!(Schedule::Step { epochs: 0, gamma: 0.5 }.validate().is_err());
        assert!(Schedule::Step { epochs: 1, gamma: 0.0 }.validate().is_err());
        assert!(Schedule::WarmupCosine { warmup: 1.5, floor: 0.0 }.validate().is_err());
        assert!(Schedule::WarmupCosine { warmup: 0.1, floor: f64::NAN }.validate().is_err());
    }
}
