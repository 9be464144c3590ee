//! Several processes work on one comparison, as the jobs of a scheduler do, and some of them are killed.

use assert_cmd::Command;
use predicates::prelude::*;
use predicates::str::contains;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// Two methods that train and one that does not, on the two synthetic sets: six cells. Every job begins at once, in a folder without data.
const ARGUMENTS: [&str; 11] = [
    "reproduce",
    "--methods",
    "frozen,lora-low,salt-low",
    "--epochs",
    "3",
    "--rates",
    "0.001",
    "--limit",
    "4,1,2",
    "--jobs",
    "1",
];

/// The decompositions of a comparison's base, which its jobs share.
fn cache(out: &Path) -> PathBuf {
    out.with_extension("cache")
}

fn reproduce(out: &Path) -> Command {
    let mut command = Command::cargo_bin("salt").unwrap();
    command.args(ARGUMENTS).arg("--out").arg(out).env("SALT_CACHE_DIR", cache(out));
    command
}

/// A job of the array, without waiting for it.
fn job(out: &Path, cell: usize) -> Child {
    let mut command = std::process::Command::new(assert_cmd::cargo::cargo_bin("salt"));
    command.args(ARGUMENTS).arg("--out").arg(out).args(["--cell", &cell.to_string()]);
    command.env("SALT_CACHE_DIR", cache(out));
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// The cells by number: data set and method as their folders are called.
fn plan(out: &Path) -> Vec<(String, String)> {
    let output = reproduce(out).arg("--plan").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let cell = |line: &str| {
        let fields: Vec<&str> = line.split('\t').collect();
        (fields[1].to_lowercase().replace(' ', "-"), fields[2].to_owned())
    };
    String::from_utf8(output.stdout).unwrap().lines().map(cell).collect()
}

/// The files of this name in the folder of a cell.
fn files(out: &Path, (dataset, method): &(String, String), name: &str) -> Vec<PathBuf> {
    fn walk(folder: &Path, name: &str, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                walk(&path, name, found);
            } else if path.file_name().is_some_and(|file| file == name) {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    walk(&out.join("cells").join(dataset).join(method), name, &mut found);
    found
}

/// How often training began in a cell, by its log.
fn starts(out: &Path, cell: &(String, String)) -> usize {
    let count = |path: &PathBuf| {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        text.lines().filter(|line| line.contains("\"event\":\"start\"")).count()
    };
    files(out, cell, "log.jsonl").iter().map(count).sum()
}

/// What the report says of each cell, its times left out.
fn figures(out: &Path) -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(out.join("results.json")).unwrap();
    let mut results: serde_json::Value = serde_json::from_str(&text).unwrap();
    let cells = results["cells"].as_array_mut().unwrap();
    cells
        .iter_mut()
        .map(|cell| {
            // The folder of the data set is part of the stored configuration.
            for part in ["seconds", "config"] {
                cell.as_object_mut().unwrap().remove(part).unwrap();
            }
            (format!("{} / {}", cell["dataset"], cell["method"]), cell.to_string())
        })
        .collect()
}

#[test]
fn jobs_of_which_some_are_killed_finish_every_cell_once() {
    let folder = tempfile::tempdir().unwrap();
    let (alone, shared) = (folder.path().join("alone"), folder.path().join("shared"));
    let cells = plan(&folder.path().join("plan"));
    assert_eq!(cells.len(), 6);
    // All jobs begin together, three of them twice: a scheduler that took a job for lost starts it again.
    let mut jobs: Vec<(usize, Child)> = [0, 1, 2, 3, 4, 5, 1, 2, 4].map(|cell| (cell, job(&shared, cell))).into();
    // As soon as a cell's training has begun, whoever works on it is killed, and whoever waits for it.
    let killed = BTreeSet::from([2, 4]);
    let mut waiting = killed.clone();
    let limit = Instant::now() + Duration::from_secs(300);
    while !waiting.is_empty() {
        assert!(Instant::now() < limit, "no training began in {waiting:?}");
        std::thread::sleep(Duration::from_millis(2));
        for cell in waiting.clone().into_iter().filter(|cell| starts(&shared, &cells[*cell]) > 0) {
            jobs.iter_mut().filter(|(of, _)| *of == cell).for_each(|(_, child)| child.kill().unwrap());
            waiting.remove(&cell);
        }
    }
    let mut failed = Vec::new();
    let mut by_signal = BTreeSet::new();
    for (cell, mut child) in jobs {
        match child.wait().unwrap().code() {
            Some(0) => {}
            Some(code) => failed.push((cell, code)),
            None => {
                by_signal.insert(cell);
            }
        }
    }
    assert_eq!(by_signal, killed);
    assert!(
        killed.iter().all(|cell| files(&shared, &cells[*cell], "result.json").is_empty()),
        "no kill hit a training"
    );
    // Of two jobs of one cell, the second may be refused; nothing else fails.
    assert!(failed.iter().all(|&(cell, code)| [1, 2, 4].contains(&cell) && code == 1), "{failed:?}");
    assert!(failed.iter().filter(|(cell, _)| *cell == 1).count() <= 1, "{failed:?}");

    let report = reproduce(&shared).arg("--collect").output().unwrap();
    let text = String::from_utf8_lossy(&report.stderr);
    let missing: Vec<&str> = text.lines().filter(|line| line.starts_with("missing: ")).collect();
    assert_eq!(missing.len(), 2, "{text}");
    assert!(missing[0].contains("Synthetic angiography / salt-low"), "{text}");
    assert!(missing[1].contains("Synthetic OCTA / lora-low"), "{text}");
    assert!(std::fs::read_to_string(shared.join("report.md")).unwrap().contains("## Missing cells"));

    // The same array again: what is finished is not touched.
    let results = |only: &dyn Fn(usize) -> bool| -> Vec<_> {
        let chosen = cells.iter().enumerate().filter(|(at, _)| only(*at));
        let found = chosen.flat_map(|(_, cell)| files(&shared, cell, "result.json"));
        found.map(|path| (path.metadata().unwrap().modified().unwrap(), path)).collect()
    };
    let before = results(&|cell| !killed.contains(&cell));
    assert_eq!(before.len(), 4);
    let jobs: Vec<Child> = (0..6).map(|cell| job(&shared, cell)).collect();
    for mut job in jobs {
        assert!(job.wait().unwrap().success());
    }
    assert_eq!(results(&|cell| !killed.contains(&cell)), before);
    assert_eq!(results(&|_| true).len(), 6, "a cell was finished twice, or not at all");
    for (at, cell) in cells.iter().enumerate() {
        let starts = starts(&shared, cell);
        match (cell.1.as_str(), killed.contains(&at)) {
            ("frozen", _) => assert_eq!(starts, 0, "{cell:?}"),
            (_, false) => assert_eq!(starts, 1, "{cell:?}"),
            (_, true) => assert!(starts > 1, "{cell:?} was not continued"),
        }
    }

    let collected = reproduce(&shared).arg("--collect").assert().success();
    collected.stderr(contains("missing: ").not());
    reproduce(&alone).assert().success();
    assert_eq!(figures(&shared), figures(&alone), "other figures than those of one process");
}

/// The job script of docs/training.md with other arguments.
fn job_script(arguments: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/training.md");
    let text = std::fs::read_to_string(path).unwrap();
    let script =
        text.split("```bash\n").map(|part| part.split("```").next().unwrap()).find(|it| it.contains("#SBATCH"));
    let line =
        |line: &str| if line.starts_with("arguments=(") { format!("arguments=({arguments})") } else { line.into() };
    let script: Vec<String> = script.unwrap().lines().map(line).collect();
    assert!(script.contains(&format!("arguments=({arguments})")), "{script:?}");
    script.join("\n")
}

/// A program of a few lines.
fn program(folder: &Path, name: &str, lines: &str) {
    use std::os::unix::fs::PermissionsExt;
    let path = folder.join(name);
    std::fs::write(&path, format!("#!/bin/sh\n{lines}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn the_job_script_of_the_documents_asks_again_for_what_was_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path();
    // Stand-ins for the programs of Slurm: one runs its arguments, its process known, the other keeps what it is asked.
    program(
        place,
        "srun",
        &format!("echo $$ > {0}/running.new; mv {0}/running.new {0}/running; exec \"$@\"", place.display()),
    );
    program(place, "scontrol", &format!("echo \"$@\" >> {}/asked", place.display()));
    std::os::unix::fs::symlink(assert_cmd::cargo::cargo_bin("salt"), place.join("salt")).unwrap();
    let out = place.join("out");
    let arguments = "--methods frozen,lora-low --epochs 500 --rates 0.001 --limit 4,1,2";
    std::fs::write(place.join("cells.sh"), job_script(&format!("{arguments} --out {}", out.display()))).unwrap();
    let job = |cell: &str| {
        let mut command = std::process::Command::new("bash");
        let path = format!("{}:{}", place.display(), std::env::var("PATH").unwrap());
        command.arg(place.join("cells.sh")).env("PATH", path).env("SALT_CACHE_DIR", "");
        command.envs([("SLURM_ARRAY_TASK_ID", cell), ("SLURM_ARRAY_JOB_ID", "1234")]);
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    };
    assert_eq!(job("0").wait().unwrap().code(), Some(0));
    assert!(!place.join("asked").exists());

    let cell = ("synthetic-angiography".to_owned(), "lora-low".to_owned());
    let mut stopped = job("1");
    let limit = Instant::now() + Duration::from_secs(300);
    while starts(&out, &cell) == 0 {
        assert!(Instant::now() < limit, "no training began");
        std::thread::sleep(Duration::from_millis(10));
    }
    let process = std::fs::read_to_string(place.join("running")).unwrap();
    assert!(std::process::Command::new("kill").args(["-TERM", process.trim()]).status().unwrap().success());
    assert_eq!(stopped.wait().unwrap().code(), Some(75));
    assert_eq!(std::fs::read_to_string(place.join("asked")).unwrap(), "requeue 1234_1\n");
    assert_eq!(files(&out, &cell, "progress.toml").len(), 1, "no checkpoint");
}
