//! A training that is begun on one device and ended on the other.

use super::runs::{Place, STEPS, apart, on_its_layers};
use super::tolerance::{DICE, LOSS};
use medseg_train::log::{Event, read_log};
use salt_peft::AdapterConfig;

#[test]
fn a_checkpoint_of_one_device_is_continued_on_the_other() {
    let place = Place::new();
    let salt = on_its_layers(AdapterConfig::salt(50, 4));
    let whole = tempfile::tempdir().unwrap();
    let expected = place.finish(&place.config(&salt, "cpu"), whole.path());
    for [first, second] in [["cpu", "wgpu"], ["wgpu", "cpu"]] {
        let run = tempfile::tempdir().unwrap();
        // Inside the second epoch: the sums of its losses and the moments of the optimiser move, too.
        let done = STEPS - 1;
        place.stop_after(done, &place.config(&salt, first), run.path());
        let found = place.finish(&place.config(&salt, second), run.path());
        let log = read_log(&run.path().join("log.jsonl")).unwrap();
        let resumed = |event: &Event| matches!(event, Event::Start { step, .. } if *step == done);
        assert_eq!(log.iter().filter(|event| resumed(event)).count(), 1, "{first}, then {second}: {log:?}");
        let (loss, dice) = apart(&found, &expected);
        eprintln!("{first}, then {second}: losses {loss:.1e}, Dice {dice:.1e} away");
        assert!(loss <= LOSS && dice <= DICE, "{first}, then {second}: {found:?} against {expected:?}");
    }
}
