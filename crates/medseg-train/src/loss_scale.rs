//! Loss scaling: what keeps small gradients in the range of f16 (Micikevicius et al. 2018), adjusted as PyTorch's `GradScaler` does it.

use serde::{Deserialize, Serialize};

/// The factor on the loss at the start.
const START: f32 = 65536.0;
/// Steps without overflow after which it is doubled.
const GROWS_AFTER: u32 = 2000;
/// The smallest and the largest factor, so that neither it nor its inverse leaves f32.
const RANGE: [f32; 2] = [1.0 / 16_777_216.0, 16_777_216.0];

/// The factor on the loss, and how it fared. It is part of the checkpoint: a continued run takes the steps of one that was not stopped.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LossScale {
    factor: f32,
    /// Steps since it was changed.
    steady: u32,
    /// Steps that were left out, over the whole run.
    pub(crate) skipped: u64,
}

impl Default for LossScale {
    fn default() -> Self {
        Self { factor: START, steady: 0, skipped: 0 }
    }
}

impl LossScale {
    /// What the loss is multiplied by, a power of two: dividing by it again rounds nothing.
    pub(crate) fn factor(&self) -> f32 {
        self.factor
    }

    /// Takes note of whether a step's gradients were finite, and says whether the step is left out: the factor is halved where they were not.
    ///
    /// Where it cannot be made any smaller, the step is not left out: the gradients themselves are beyond all numbers.
    pub(crate) fn leaves_out(&mut self, finite: bool) -> bool {
        if finite {
            self.steady += 1;
            if self.steady == GROWS_AFTER {
                self.steady = 0;
                self.factor = (2.0 * self.factor).min(RANGE[1]);
            }
            return false;
        }
        self.steady = 0;
        self.skipped += 1;
        self.factor /= 2.0;
        self.factor >= RANGE[0]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_halved_by_an_overflow_and_doubled_by_steps_without() {
        let mut scale = LossScale::default();
        assert!(scale.leaves_out(false) && scale.leaves_out(false));
        assert_eq!((scale.factor(), scale.skipped), (START / 4.0, 2));
        for _ in 0..GROWS_AFTER {
            assert_eq!(scale.factor(), START / 4.0);
            assert!(!scale.leaves_out(true));
        }
        assert_eq!((scale.factor(), scale.skipped), (START / 2.0, 2));
    }

    #[test]
    fn gradients_that_no_factor_makes_finite_end_it() {
        let mut scale = LossScale::default();
        let halvings = (0..100).take_while(|_| scale.leaves_out(false)).count();
        assert_eq!(halvings, 16 + 24);
    }

    #[test]
    fn a_checkpoint_keeps_it() {
        let mut scale = LossScale::default();
        scale.leaves_out(false);
        scale.leaves_out(true);
        let text = toml::to_string(&scale).unwrap();
        assert_eq!(toml::from_str::<LossScale>(&text).unwrap(), scale);
    }
}
