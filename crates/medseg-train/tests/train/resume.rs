//! Stopped, killed, damaged, repeated: the weights at the end have the same bits.

use crate::support::{config, images, prepared};
use medseg_train::config::RunConfig;
use medseg_train::data::PreparedData;
use medseg_train::losses::{LossTermKind, WeightedLoss};
use medseg_train::model::BaseModel;
use medseg_train::optimizer::OptimizerConfig;
use medseg_train::train::{Outcome, Silent, train};
use medseg_train::{StopFlag, TrainError};
use std::path::Path;

/// The selected weights and the learning curve with every bit of its numbers, as bytes and text. The curve follows the weights of
/// every epoch, the selected checkpoint only those of its own.
pub(crate) fn ending(outcome: &Outcome, folder: &Path) -> (Vec<u8>, String) {
    (std::fs::read(folder.join("best.safetensors")).unwrap(), format!("{:?}", outcome.curve))
}

pub(crate) fn whole(config: &RunConfig, data: &PreparedData, base: &BaseModel) -> (Vec<u8>, String) {
    let folder = tempfile::tempdir().unwrap();
    let outcome = train(config, data, base, folder.path(), &StopFlag::new(), &Silent).unwrap();
    ending(&outcome, folder.path())
}

/// What a checkpoint says of the time spent.
fn seconds_spent(progress: &Path) -> f64 {
    let text = std::fs::read_to_string(progress).unwrap();
    text.parse::<toml::Table>().unwrap()["seconds"].as_float().unwrap()
}

#[test]
fn a_run_stopped_after_any_step_ends_with_the_same_bits() {
    let folder = images([9, 2, 2]);
    for optimizer in [OptimizerConfig::default(), OptimizerConfig::Sgd { momentum: 0.9, weight_decay: 1e-3 }] {
        let config = RunConfig { optimizer, ..config(folder.path()) };
        let (data, base) = prepared(&config);
        let expected = whole(&config, &data, &base);
        // Nine images in groups of four: three steps an epoch, the last a single image.
        for stops in [vec![1, 1, 1], vec![2, 3], vec![3, 4], vec![8]] {
            let run = tempfile::tempdir().unwrap();
            let (mut done, mut spent) = (0, 0.0);
            for steps in &stops {
                let stop = StopFlag::after_steps(*steps);
                let error = train(&config, &data, &base, run.path(), &stop, &Silent).unwrap_err();
                assert!(matches!(error, TrainError::Stopped { .. }), "{error}");
                done += steps;
                let seconds = seconds_spent(&run.path().join(format!("checkpoints/step-{done:09}/progress.toml")));
                assert!(seconds > spent, "{seconds} s after {spent} s");
                spent = seconds;
            }
            let outcome = train(&config, &data, &base, run.path(), &StopFlag::new(), &Silent).unwrap();
            assert_eq!(outcome.steps, 9);
            assert!(outcome.seconds > spent, "the time before a stop counts");
            assert!(ending(&outcome, run.path()) == expected, "stopped after {stops:?}");
            assert!(!run.path().join("checkpoints").exists());
        }
    }
}

#[test]
fn a_damaged_checkpoint_falls_back_and_still_ends_with_the_same_bits() {
    let folder = images([8, 2, 2]);
    let config = config(folder.path());
    let (data, base) = prepared(&config);
    let expected = whole(&config, &data, &base);
    let run = tempfile::tempdir().unwrap();
    // Two checkpoints: the end of epoch 1 and the stop inside epoch 2.
    train(&config, &data, &base, run.path(), &StopFlag::after_steps(5), &Silent).unwrap_err();
    let newest = run.path().join("checkpoints/step-000000005/optimizer.bpk");
    let mut content = std::fs::read(&newest).unwrap();
    let middle = content.len() / 2;
    content[middle] ^= 4;
    std::fs::write(&newest, content).unwrap();
    let outcome = train(&config, &data, &base, run.path(), &StopFlag::new(), &Silent).unwrap();
    assert!(ending(&outcome, run.path()) == expected);
}

#[test]
fn the_number_of_threads_does_not_change_a_bit() {
    let folder = images([4, 2, 2]);
    let config = config(folder.path());
    let (data, base) = prepared(&config);
    let on = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| whole(&config, &data, &base))
    };
    let one = on(1);
    assert!(one == on(3));
    let mut other = config.clone();
    other.seed = 1;
    assert!(whole(&other, &data, &base) != one, "the seed changes nothing");
}

#[test]
fn two_devices_share_a_batch_and_agree_with_one() {
    let folder = images([8, 2, 2]);
    let mut config = config(folder.path());
    config.training.accumulate = 1;
    config.training.batch_size = 4;
    config.loss = WeightedLoss::new([LossTermKind::CrossEntropy {}]);
    let (data, base) = prepared(&config);
    let losses = |devices: &[&str]| {
        let config = RunConfig { devices: devices.iter().map(|name| (*name).to_string()).collect(), ..config.clone() };
        let run = tempfile::tempdir().unwrap();
        let outcome = train(&config, &data, &base, run.path(), &StopFlag::new(), &Silent).unwrap();
        outcome.curve.iter().map(|epoch| epoch.loss).collect::<Vec<f64>>()
    };
    let (one, two) = (losses(&["cpu"]), losses(&["cpu", "cpu"]));
    for (a, b) in one.iter().zip(&two) {
        assert!((a - b).abs() < 1e-4 * a.abs(), "{one:?} against {two:?}");
    }
    assert!(one[2] < one[0], "nothing was learnt: {one:?}");
}

/// Devices finish in any order; nine images in batches of five give three devices 2, 2, 1 and 2, 2, 0 of them.
#[test]
fn several_devices_end_with_the_same_bits_every_time() {
    let folder = images([9, 2, 2]);
    let mut config = config(folder.path());
    config.devices = vec!["cpu".into(); 3];
    (config.training.batch_size, config.training.accumulate) = (5, 1);
    let (data, base) = prepared(&config);
    let expected = whole(&config, &data, &base);
    assert!(whole(&config, &data, &base) == expected, "the same run, twice");
    let run = tempfile::tempdir().unwrap();
    train(&config, &data, &base, run.path(), &StopFlag::after_steps(3), &Silent).unwrap_err();
    let outcome = train(&config, &data, &base, run.path(), &StopFlag::new(), &Silent).unwrap();
    assert!(ending(&outcome, run.path()) == expected, "stopped after three steps");
}

#[test]
fn accumulation_equals_a_larger_batch() {
    let folder = images([8, 2, 2]);
    let mut config = config(folder.path());
    config.loss = WeightedLoss::new([LossTermKind::CrossEntropy {}]);
    let (data, base) = prepared(&config);
    let losses = |batch: usize, accumulate: usize| {
        let mut config = config.clone();
        (config.training.batch_size, config.training.accumulate) = (batch, accumulate);
        let run = tempfile::tempdir().unwrap();
        let outcome = train(&config, &data, &base, run.path(), &StopFlag::new(), &Silent).unwrap();
        outcome.curve.iter().map(|epoch| epoch.loss).collect::<Vec<f64>>()
    };
    let (large, small) = (losses(4, 1), losses(1, 4));
    for (a, b) in large.iter().zip(&small) {
        assert!((a - b).abs() < 1e-4 * a.abs(), "{large:?} against {small:?}");
    }
}

#[test]
fn a_finished_run_is_returned_and_another_is_refused() {
    let folder = images([4, 2, 2]);
    let mut config = config(folder.path());
    config.training.epochs = 1;
    let (data, base) = prepared(&config);
    let run = tempfile::tempdir().unwrap();
    let first = train(&config, &data, &base, run.path(), &StopFlag::new(), &Silent).unwrap();
    // A raised flag would stop a run that took a step.
    let raised = StopFlag::new();
    raised.raise();
    assert_eq!(train(&config, &data, &base, run.path(), &raised, &Silent).unwrap(), first);
    config.training.learning_rate = 0.5;
    let error = train(&config, &data, &base, run.path(), &StopFlag::new(), &Silent).unwrap_err();
    assert!(matches!(error, TrainError::OtherRun { .. }), "{error}");
}

#[test]
fn early_stopping_and_the_selected_epoch_are_recorded() {
    let folder = images([4, 2, 2]);
    let mut config = config(folder.path());
    config.training.epochs = 30;
    config.training.patience = Some(2);
    // A rate so small that nothing gets better after the first validation.
    config.training.learning_rate = 1e-12;
    let (data, base) = prepared(&config);
    let run = tempfile::tempdir().unwrap();
    let outcome = train(&config, &data, &base, run.path(), &StopFlag::new(), &Silent).unwrap();
    assert_eq!((outcome.curve.len(), outcome.best_epoch), (3, Some(0)));
}

#[test]
fn a_loss_that_is_not_finite_is_an_outcome_without_checkpoint() {
    let folder = images([4, 2, 2]);
    let mut config = config(folder.path());
    config.training.learning_rate = 1e30;
    config.training.clip_norm = None;
    config.schedule = medseg_train::schedule::Schedule::Constant {};
    let (data, base) = prepared(&config);
    let run = tempfile::tempdir().unwrap();
    let outcome = train(&config, &data, &base, run.path(), &StopFlag::new(), &Silent).unwrap();
    let failure = outcome.failure.unwrap();
    assert!(failure.contains("lower the learning rate"), "{failure}");
    assert!(outcome.validation_dice.is_none() && !run.path().join("best.safetensors").exists());
}
