//! A training that is given up before its budget is spent.

use crate::support::{config, images, prepared};
use medseg_train::log::EpochRecord;
use medseg_train::train::{Silent, finished, train, train_unless};
use medseg_train::{StopFlag, TrainError};

/// Gives up as soon as the curve has two epochs.
fn after_two(curve: &[EpochRecord]) -> Option<String> {
    (curve.len() >= 2).then(|| "after 2 epochs".into())
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
    let outcome = train_unless(&config, &data, &base, run.path(), &StopFlag::new(), &Silent, &after_two).unwrap();
    assert_eq!(outcome.given_up.as_deref(), Some("after 2 epochs"));
    assert_eq!(outcome.curve, all.curve[..2]);
    let best = outcome.curve.iter().filter_map(|record| record.validation_dice).fold(0.0, f64::max);
    assert_eq!((outcome.validation_dice, outcome.failure.clone()), (Some(best), None));

    // Stopped within the second epoch and continued.
    let continued = tempfile::tempdir().unwrap();
    let error = train_unless(&config, &data, &base, continued.path(), &StopFlag::after_steps(3), &Silent, &after_two)
        .unwrap_err();
    assert!(matches!(error, TrainError::Stopped { step: 3 }), "{error}");
    let again = train_unless(&config, &data, &base, continued.path(), &StopFlag::new(), &Silent, &after_two).unwrap();
    assert_eq!((&again.curve, &again.given_up), (&outcome.curve, &outcome.given_up));
    let weights = |folder: &tempfile::TempDir| std::fs::read(folder.path().join("best.safetensors")).unwrap();
    assert!(weights(&run) == weights(&continued));
    // It is finished: nothing trains it further.
    let stored = finished(continued.path(), &again.identity).unwrap().unwrap();
    assert_eq!(stored.given_up, outcome.given_up);
}
