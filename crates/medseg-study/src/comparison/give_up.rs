//! When a learning rate of the grid is given up before its budget is spent.

use medseg_train::log::EpochRecord;

/// The rule, the same for every row: at a validation after at least a third of the epochs ([`PARTS`]), a training is given up if the best
/// validation Dice that it has had is below [`FACTOR`] times the best that a smaller rate of the same cell had by the same epoch.
///
/// Rates run from the smallest to the largest, and each is held against the smaller ones alone: what is given up follows from the curves
/// of trainings that have ended, so that a run that was stopped and continued gives up the same ones. A rate too small to learn is never
/// given up for a larger one that comes after it. (A loss that is not finite ends a training at once, under any rule.)
pub(super) const RULE: &str =
    "after a third of the epochs, at a validation Dice below half of the best that a smaller rate had by then";

/// Every training gets one part in so many of the epochs.
const PARTS: usize = 3;

/// How far behind is hopeless.
const FACTOR: f64 = 0.5;

/// Why a training with this curve so far is given up, held against the curves of the smaller rates; none where it goes on. `epochs` are
/// those of the whole budget.
pub(super) fn hopeless(curve: &[EpochRecord], smaller: &[Vec<EpochRecord>], epochs: usize) -> Option<String> {
    let last = curve.last().filter(|record| record.validation_dice.is_some())?;
    if PARTS * (last.epoch + 1) < epochs {
        return None;
    }
    let own = best(curve, last.epoch)?;
    let other = smaller.iter().filter_map(|curve| best(curve, last.epoch)).reduce(f64::max)?;
    (own < FACTOR * other).then(|| {
        format!("after epoch {}: validation Dice {own:.3}, where a smaller rate had {other:.3}", last.epoch + 1)
    })
}

/// The best validation Dice up to an epoch.
fn best(curve: &[EpochRecord], epoch: usize) -> Option<f64> {
    let validated = curve.iter().filter(|record| record.epoch <= epoch).filter_map(|record| record.validation_dice);
    validated.filter(|dice| !dice.is_nan()).reduce(f64::max)
}

/// Seconds that a training would have gone on for, at the pace that it had.
pub(super) fn saved(seconds: f64, done: usize, epochs: usize) -> f64 {
    seconds / done.max(1) as f64 * epochs.saturating_sub(done) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A curve that is validated every third epoch.
    fn curve(dice: &[f64]) -> Vec<EpochRecord> {
        (0..3 * dice.len())
            .map(|epoch| EpochRecord {
                epoch,
                loss: 1.0,
                learning_rate: 1e-3,
                validation_dice: (epoch % 3 == 2).then(|| dice[epoch / 3]),
            })
            .collect()
    }

    #[test]
    fn a_rate_is_given_up_when_it_is_far_behind_a_smaller_one_at_the_same_epoch() {
        let smaller = [curve(&[0.3, 0.5, 0.6]), curve(&[0.2, 0.6, 0.7])];
        assert!(hopeless(&curve(&[0.1]), &smaller, 9).is_some_and(|reason| reason.contains("0.300")));
        // Half is enough, and what the others reach later does not count.
        assert_eq!(hopeless(&curve(&[0.15]), &smaller, 9), None);
        assert_eq!(hopeless(&curve(&[0.2]), &smaller, 9), None);
        // A good start is remembered.
        assert_eq!(hopeless(&curve(&[0.35, 0.0]), &smaller, 9), None);
        assert!(hopeless(&curve(&[0.2, 0.0]), &smaller, 9).is_some());
    }

    #[test]
    fn a_third_of_the_budget_is_spent_and_the_first_rate_is_never_judged() {
        let smaller = [curve(&[0.3, 0.5, 0.6, 0.6])];
        assert_eq!(hopeless(&curve(&[0.0]), &smaller, 12), None);
        assert!(hopeless(&curve(&[0.0, 0.0]), &smaller, 12).is_some());
        assert_eq!(hopeless(&curve(&[0.0, 0.0]), &[], 12), None);
        // Without a validation there is nothing to judge; NaN is no Dice.
        assert_eq!(hopeless(&curve(&[0.0, 0.0])[..5], &smaller, 12), None);
        assert_eq!(hopeless(&curve(&[0.1, 0.1]), &[curve(&[f64::NAN, f64::NAN])], 12), None);
    }

    #[test]
    fn the_time_saved_is_that_of_the_epochs_left() {
        assert_eq!(saved(30.0, 3, 9), 60.0);
        assert_eq!(saved(30.0, 9, 9), 0.0);
    }
}
