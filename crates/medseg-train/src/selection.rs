//! Which checkpoint counts, and when to stop looking for a better one.

use serde::{Deserialize, Serialize};

/// The best validation score so far and how long ago it was.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Selection {
    /// Best validation Dice so far.
    pub best_score: Option<f64>,
    /// Epoch of the best score, from 0.
    pub best_epoch: Option<usize>,
    /// Validations since the best one.
    pub since_best: usize,
}

/// Dice and HD95 each at its own best epoch, as the paper's released code prints them; optimistic by construction.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct BestOfEach {
    /// Dice at the epoch of the lowest validation loss.
    pub dice: f64,
    /// Smallest HD95 of any epoch, in px.
    pub hd95: f64,
}

impl Selection {
    /// Takes a new score; true when it is the best so far. Ties keep the earlier checkpoint, and a score that is not a
    /// number is never the best.
    pub fn observe(&mut self, epoch: usize, score: f64) -> bool {
        if !score.is_nan() && self.best_score.is_none_or(|best| score > best) {
            *self = Self { best_score: Some(score), best_epoch: Some(epoch), since_best: 0 };
            true
        } else {
            self.since_best += 1;
            false
        }
    }

    /// True when `patience` validations brought nothing better.
    pub fn should_stop(&self, patience: Option<usize>) -> bool {
        patience.is_some_and(|patience| self.since_best >= patience)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earlier_of_equals_wins_and_patience_counts_validations() {
        let mut selection = Selection::default();
        assert!(!selection.observe(0, f64::NAN));
        assert!(selection.observe(1, 0.5));
        assert!(!selection.observe(2, 0.5));
        assert!(!selection.should_stop(Some(2)));
        assert!(!selection.observe(3, 0.4));
        assert!(selection.should_stop(Some(2)));
        assert!(!selection.should_stop(None));
        assert!(selection.observe(4, 0.6));
        assert_eq!(selection, Selection { best_score: Some(0.6), best_epoch: Some(4), since_best: 0 });
    }
}
