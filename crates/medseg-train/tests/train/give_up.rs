//! A training that whoever watches it gives up.

use crate::support::{config, images, prepared};
use medseg_train::log::EpochRecord;
use medseg_train::train::{Observer, Silent, finished, train};
use medseg_train::{StopFlag, TrainError};

/// Gives up as soon as the curve has so many epochs.
struct After(usize);

impl Observer for After {
    fn gives_up(&self, curve: &[EpochRecord]) -> Option<String> {
        (curve.len() >= self.0).then(|| format!("after {} epochs", self.0))
    }
}

#[test]
fn a_training_that_is_given_up_ends_early_with_its_best_checkpoint_also_when_it_is_continued() {
    let folder = images([6, 2, 2]);
    let mut config = config(folder.path());
    config.training.epochs = 4;
    let (data, base) = prepared(&config);
    let whole = tempfile::tempdir().unwrap();
    let all = train(&config, &data, &base, whole.path(), &StopFlag::new(), &Silent).unwrap();
    assert!(all.curve.len() == 4 && all.given_up.is_none());

    let run = tempfile::tempdir().unwrap();
    let outcome = train(&config, &data, &base, run.path(), &StopFlag::new(), &After(2)).unwrap();
    assert_eq!(outcome.given_up.as_deref(), Some("after 2 epochs"));
    assert_eq!(outcome.curve, all.curve[..2]);
    let best = outcome.curve.iter().filter_map(|record| record.validation_dice).fold(0.0, f64::max);
    assert_eq!((outcome.validation_dice, outcome.failure.clone()), (Some(best), None));

    // Stopped within the second epoch and continued.
    let continued = tempfile::tempdir().unwrap();
    let error = train(&config, &data, &base, continued.path(), &StopFlag::after_steps(3), &After(2)).unwrap_err();
    assert!(matches!(error, TrainError::Stopped { step: 3 }), "{error}");
    let again = train(&config, &data, &base, continued.path(), &StopFlag::new(), &After(2)).unwrap();
    assert_eq!((&again.curve, &again.given_up), (&outcome.curve, &outcome.given_up));
    let weights = |folder: &tempfile::TempDir| std::fs::read(folder.path().join("best.safetensors")).unwrap();
    assert!(weights(&run) == weights(&continued));
    // It is finished: nothing trains it further.
    let stored = finished(continued.path(), &again.identity).unwrap().unwrap();
    assert_eq!(stored.given_up, outcome.given_up);
}
