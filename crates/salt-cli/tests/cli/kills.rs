//! Kills at any moment, damaged checkpoints, full and read-only disks, clocks that lie: the bits are those of a run that nothing
//! happened to, or the program says what it cannot do.

use crate::train::{place, started, train};
use medseg_data::random::Stream;
use medseg_train::log::{Event, read_log};
use predicates::prelude::*;
use predicates::str::contains;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::{Duration, Instant, SystemTime};

/// The selected weights, and the outcome with every number of the learning curve but the one thing that may differ: the time spent.
fn ending(run: &Path) -> (Vec<u8>, Vec<String>) {
    let outcome = fs::read_to_string(run.join("outcome.toml")).unwrap();
    let is_time = |line: &str| line.split(" = ").next().is_some_and(|key| key.ends_with("seconds"));
    let outcome = outcome.lines().filter(|line| !is_time(line)).map(Into::into).collect();
    (fs::read(run.join("best.safetensors")).unwrap(), outcome)
}

/// How a run ends to which nothing happens.
fn undisturbed(config: &Path) -> (Vec<u8>, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    train(config, &run).assert().success();
    ending(&run)
}

fn events(run: &Path) -> Vec<Event> {
    read_log(&run.join("log.jsonl")).unwrap_or_default()
}

/// Looks again and again until `happened`; false where the process ended before.
fn wait_until(child: &mut Child, mut happened: impl FnMut() -> bool) -> bool {
    let begun = Instant::now();
    while !happened() {
        if child.try_wait().unwrap().is_some() {
            return false;
        }
        assert!(begun.elapsed() < Duration::from_secs(120), "nothing happened for two minutes");
        std::thread::sleep(Duration::from_micros(200));
    }
    true
}

/// Waits until the process has begun and written `more` events after that.
fn wait_for_events(child: &mut Child, run: &Path, before: usize, more: usize) -> bool {
    wait_until(child, || events(run).len() > before + more)
}

/// SIGKILL: no handler runs.
fn kill(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

/// A run that was killed when it had written some checkpoints.
fn killed_after(config: &Path, run: &Path, more: usize) {
    let mut child = started(config, run);
    assert!(wait_for_events(&mut child, run, 0, more), "the run ended before it was killed");
    kill(child);
}

/// Folders of checkpoints, oldest first.
fn checkpoints(run: &Path) -> Vec<PathBuf> {
    let mut sets: Vec<PathBuf> =
        fs::read_dir(run.join("checkpoints")).unwrap().map(|entry| entry.unwrap().path()).collect();
    sets.retain(|path| path.extension().is_none());
    sets.sort();
    sets
}

/// The step in the name of a checkpoint's folder.
fn step(set: &Path) -> u64 {
    set.file_name().unwrap().to_string_lossy().trim_start_matches("step-").parse().unwrap()
}

fn is_being_saved(run: &Path) -> bool {
    let entries = fs::read_dir(run.join("checkpoints")).into_iter().flatten().flatten();
    entries.into_iter().any(|entry| entry.path().extension().is_some_and(|extension| extension == "partial"))
}

/// Twenty times, after a random number of events in the log, every second time while a checkpoint is being written.
#[test]
fn killed_twenty_times_at_any_moment_a_run_ends_with_the_same_bits() {
    const KILLS: u64 = 20;
    let (folder, config) = place(24);
    let expected = undisturbed(&config);
    let run = folder.path().join("killed");
    let mut torn = 0;
    for number in 0..KILLS {
        let mut stream = Stream::new(27, number, "kill", "moment");
        let before = events(&run).len();
        let mut child = started(&config, &run);
        assert!(
            wait_for_events(&mut child, &run, before, 1 + stream.below(3) as usize),
            "the run ended before it had been killed {KILLS} times"
        );
        if number == 0 {
            // Two runs in one folder: the second one is refused, and the first takes no notice.
            train(&config, &run).assert().code(1).stderr(contains("another run is using this directory"));
        }
        if number % 2 == 1 {
            wait_until(&mut child, || is_being_saved(&run));
        }
        kill(child);
        torn += u64::from(is_being_saved(&run));
    }
    train(&config, &run).assert().success();
    assert!(ending(&run) == expected, "the bits differ ({torn} of {KILLS} kills tore a checkpoint)");
    let begun: Vec<u64> = events(&run)
        .iter()
        .filter_map(|event| if let Event::Start { step, .. } = event { Some(*step) } else { None })
        .collect();
    assert_eq!(begun.len() as u64, KILLS + 1, "{begun:?}");
    assert_eq!(begun[0], 0);
    // Each process went on from what an earlier one had done, and none from less than the one before it.
    assert!(begun[1..].iter().all(|&step| step > 0) && begun.is_sorted(), "{begun:?}");
    assert!(begun[KILLS as usize] > KILLS / 2, "{begun:?}");
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn a_damaged_checkpoint_is_named_and_the_newest_whole_one_is_taken() {
    let (folder, config) = place(3);
    let expected = undisturbed(&config);
    let killed = folder.path().join("killed");
    killed_after(&config, &killed, 4);
    assert!(checkpoints(&killed).len() >= 2);
    type Damage = fn(&Path);
    let cut: Damage = |set| {
        let path = set.join("weights.safetensors");
        let content = fs::read(&path).unwrap();
        fs::write(&path, &content[..content.len() / 2]).unwrap();
    };
    let flipped: Damage = |set| {
        let path = set.join("optimizer.bpk");
        let mut content = fs::read(&path).unwrap();
        let middle = content.len() / 2;
        content[middle] ^= 1;
        fs::write(&path, content).unwrap();
    };
    let without_manifest: Damage = |set| fs::remove_file(set.join("manifest.json")).unwrap();
    for (name, damage, all) in [
        ("cut", cut, false),
        ("flipped", flipped, false),
        ("no-manifest", without_manifest, false),
        ("all-cut", cut, true),
    ] {
        let run = folder.path().join(name);
        copy(&killed, &run);
        let before = events(&run).len();
        let damaged: Vec<PathBuf> =
            checkpoints(&run).into_iter().rev().take(if all { usize::MAX } else { 1 }).collect();
        for set in &damaged {
            damage(set);
        }
        let newest = damaged[0].file_name().unwrap().to_string_lossy().into_owned();
        train(&config, &run).assert().success().stderr(contains("checkpoint passed over").and(contains(newest)));
        assert!(ending(&run) == expected, "{name}: the bits differ");
        let Event::Start { step: began, .. } = events(&run)[before] else { panic!("{name}: no start") };
        assert_eq!(began == 0, all, "{name}: went on from step {began}");
    }

    // A newer program's checkpoint is neither taken nor removed.
    let newer = checkpoints(&killed).last().unwrap().join("manifest.json");
    let text = fs::read_to_string(&newer).unwrap();
    fs::write(&newer, text.replace("\"version\": 1", "\"version\": 2")).unwrap();
    train(&config, &killed).assert().code(1).stderr(contains("use a newer one").and(contains("manifest.json")));
    fs::write(&newer, text).unwrap();
    train(&config, &killed).assert().success();
    assert!(ending(&killed) == expected);
}

/// A clock that jumps leaves files of the future and of the past; nothing goes by their times.
#[test]
fn file_times_that_lie_change_nothing() {
    let (folder, config) = place(2);
    let expected = undisturbed(&config);
    let run = folder.path().join("run");
    killed_after(&config, &run, 4);
    let sets = checkpoints(&run);
    let newest = sets.last().unwrap();
    let (past, future) = (SystemTime::UNIX_EPOCH, SystemTime::UNIX_EPOCH + Duration::from_secs(5_000_000_000));
    for (set, time) in [(&sets[0], future), (newest, past), (&run, future)] {
        for path in fs::read_dir(set).unwrap().map(|entry| entry.unwrap().path()).chain([set.clone()]) {
            fs::File::open(path).unwrap().set_modified(time).unwrap();
        }
    }
    let before = events(&run).len();
    train(&config, &run).assert().success();
    let Event::Start { step: began, .. } = events(&run)[before] else { panic!("no start") };
    assert_eq!(began, step(newest));
    assert!(ending(&run) == expected);
}

/// What a rename meets that cannot be done: something under the new name that cannot be replaced.
#[test]
fn a_checkpoint_that_cannot_get_its_name_is_an_error_and_the_run_continues_without_the_obstacle() {
    let (folder, config) = place(2);
    let expected = undisturbed(&config);
    let run = folder.path().join("run");
    killed_after(&config, &run, 1);
    let next = 1 + step(checkpoints(&run).last().unwrap());
    let obstacle = run.join(format!("checkpoints/step-{next:09}"));
    fs::write(&obstacle, "in the way").unwrap();
    train(&config, &run).assert().code(1).stderr(contains("cannot remove").and(contains(format!("step-{next:09}"))));
    assert_eq!(fs::read_to_string(&obstacle).unwrap(), "in the way");
    fs::remove_file(&obstacle).unwrap();
    train(&config, &run).assert().success();
    assert!(ending(&run) == expected);
}

/// Runs a test of this binary again in a namespace of mounts of its own; false where the system does not allow that.
#[cfg(target_os = "linux")]
fn with_own_mounts(test: &str) -> bool {
    let allowed = std::process::Command::new("unshare").args(["--mount", "true"]).output();
    if !allowed.is_ok_and(|output| output.status.success()) {
        let line = format!("skipped {test}: mounting a small disk takes root\n");
        std::io::stderr().write_all(line.as_bytes()).unwrap();
        return false;
    }
    let mut command = std::process::Command::new("unshare");
    command.arg("--mount").arg(std::env::current_exe().unwrap()).args(["--exact", test, "--nocapture"]);
    let output = command.env("SALT_TEST_OWN_MOUNTS", "1").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
    true
}

#[cfg(target_os = "linux")]
fn mount(options: &str, place: &Path) {
    let mut command = std::process::Command::new("mount");
    assert!(command.args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(place).status().unwrap().success());
}

/// A real disk that is full, then read-only, then well again.
#[cfg(target_os = "linux")]
#[test]
fn a_disk_that_fills_up_or_turns_read_only_costs_no_bit() {
    if std::env::var_os("SALT_TEST_OWN_MOUNTS").is_none() {
        with_own_mounts("kills::a_disk_that_fills_up_or_turns_read_only_costs_no_bit");
        return;
    }
    let (folder, config) = place(3);
    let expected = undisturbed(&config);
    let disk = folder.path().join("disk");
    fs::create_dir(&disk).unwrap();
    mount("size=8m", &disk);
    let run = disk.join("run");
    killed_after(&config, &run, 3);
    let saved = checkpoints(&run);

    // To the last byte: one file of what is left.
    let mut filler = fs::File::create(disk.join("filler")).unwrap();
    while filler.write_all(&[1; 4096]).is_ok() {}
    while filler.write_all(&[1]).is_ok() {}
    train(&config, &run).assert().code(1).stderr(contains("No space left on device").and(contains("disk/run")));
    assert!(saved.iter().all(|set| set.join("manifest.json").is_file()), "a checkpoint is gone");
    drop(filler);
    fs::remove_file(disk.join("filler")).unwrap();

    mount("remount,ro", &disk);
    train(&config, &run).assert().code(1).stderr(contains("Read-only file system").and(contains("disk/run")));
    mount("remount,rw,size=8m", &disk);
    train(&config, &run).assert().success();
    assert!(ending(&run) == expected, "the bits differ");
}
