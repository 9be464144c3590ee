//! `salt reproduce` from the outside: plan, cells, collection, bad input.

use assert_cmd::Command;
use predicates::prelude::*;
use predicates::str::contains;
use std::path::Path;

fn reproduce(out: &Path) -> Command {
    let mut command = Command::cargo_bin("salt").unwrap();
    command.arg("reproduce").arg("--out").arg(out);
    command
}

/// Two methods, one epoch, six images: the real small SAM, the smallest budget.
fn small(out: &Path) -> Command {
    let mut command = reproduce(out);
    command.args(["--methods", "frozen,lora-low", "--epochs", "1", "--rates", "0.001", "--limit", "2,1,2"]);
    command
}

#[test]
fn cells_run_one_by_one_are_collected_into_one_report() {
    let folder = tempfile::tempdir().unwrap();
    let plan = small(folder.path()).arg("--plan").output().unwrap();
    assert!(plan.status.success(), "{}", String::from_utf8_lossy(&plan.stderr));
    let plan = String::from_utf8(plan.stdout).unwrap();
    assert_eq!(plan.lines().count(), 4, "{plan}");
    assert!(plan.lines().nth(1).unwrap().starts_with("1\tSynthetic angiography\tlora-low\tseed 0"), "{plan}");
    small(folder.path()).arg("--collect").assert().code(1).stderr(contains("no finished cell"));
    for cell in ["0", "1", "2"] {
        small(folder.path()).args(["--cell", cell]).assert().success();
    }
    small(folder.path()).args(["--cell", "9"]).assert().code(1).stderr(contains("cells 0 to 3"));
    let collected = small(folder.path()).arg("--collect").assert().success();
    collected.stderr(contains("missing: Synthetic OCTA / lora-low")).stdout(contains("report.html"));
    small(folder.path()).assert().success().stderr(contains("reused").count(3));
    for file in ["results.json", "report.md", "report.html"] {
        assert!(folder.path().join(file).metadata().unwrap().len() > 1000, "{file}");
    }
}

#[test]
fn rows_in_bf16_run_beside_the_same_in_f32() {
    let folder = tempfile::tempdir().unwrap();
    let run = |out: &str, methods: &str, more: &[&str]| {
        let mut command = reproduce(&folder.path().join(out));
        command.args(["--methods", methods, "--epochs", "1", "--rates", "0.001", "--limit", "2,1,2"]).args(more);
        command.output().unwrap()
    };
    let cases = |out: &str, method: &str| {
        let text = std::fs::read(folder.path().join(out).join("results.json")).unwrap();
        let results: serde_json::Value = serde_json::from_slice(&text).unwrap();
        let of = |cell: &&serde_json::Value| cell["method"] == method && cell["dataset"] == "Synthetic angiography";
        results["cells"].as_array().unwrap().iter().find(of).unwrap()["cases"].clone()
    };
    let output = run("both", "lora-high,lora-high-bf16", &["--table", "precision"]);
    let text = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        eprintln!("skipped: this machine has no bf16");
        assert!(text.contains("training.precision") && text.contains("bf16"), "{text}");
        return;
    }
    let report = std::fs::read_to_string(folder.path().join("both/report.md")).unwrap();
    assert!(report.contains("LoRA 64, bf16") && report.contains("row by row"), "{report}");
    let (exact, rounded) = (cases("both", "lora-high"), cases("both", "lora-high-bf16"));
    assert_ne!(exact, rounded);
    // Neither row knows of the other, and a row is the method in that precision.
    assert!(run("f32", "lora-high", &[]).status.success() && cases("f32", "lora-high") == exact);
    assert!(run("bf16", "lora-high", &["--precision", "bf16"]).status.success());
    assert_eq!(cases("bf16", "lora-high"), rounded);
}

#[test]
fn a_report_of_somebody_else_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("report.md"), "mine").unwrap();
    small(folder.path()).assert().code(1).stderr(contains("report.md").and(contains("not replaced")));
    assert_eq!(std::fs::read_to_string(folder.path().join("report.md")).unwrap(), "mine");
    assert!(!folder.path().join("cells").exists());
}

#[test]
fn what_a_user_gets_wrong_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let fails = |arguments: &[&str], message: &str| {
        let mut command = reproduce(folder.path());
        command.args(arguments).arg("--check").assert().code(1).stderr(contains(message));
    };
    fails(&["--methods", "salt"], "unknown method \"salt\"");
    fails(&["--data", "/no/such/folder"], "/no/such/folder");
    fails(&["--profile", "paper"], "--sam");
    fails(&["--profile", "paper", "--sam", "random"], "--data");
    fails(&["--sam", "/no/such/model.pth"], "/no/such/model.pth");
    fails(&["--devices", "tpu"], "tpu");
    fails(&["--precision", "f16"], "f16 is computed by GPUs alone");
    reproduce(folder.path()).args(["--precision", "f8"]).assert().code(2).stderr(contains("f32-amx"));
    let empty = folder.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    fails(&["--data", empty.to_str().unwrap()], "empty");
    fails(&["--table", "sam2", "--sam", "sam-mini"], "table: `sam2` expected a SAM 2 as base model");
    reproduce(folder.path()).args(["--table", "everything"]).assert().code(2);
    // Without a checkpoint the table on SAM 2 has a small one of its own.
    let check = reproduce(&folder.path().join("sam2")).args(["--table", "sam2", "--check"]).assert().success();
    check.stdout(contains("Full, random weights").and(contains("16 cells"))).stderr(contains("base model: sam2-mini"));
    for limit in ["2", "2,1", "2,1,x", "2,1,2,1"] {
        reproduce(folder.path()).args(["--limit", limit]).assert().code(2).stderr(contains("expected three numbers"));
    }
    let file = folder.path().join("file");
    std::fs::write(&file, "x").unwrap();
    reproduce(&file.join("out")).arg("--check").assert().code(1).stderr(contains("cannot create"));
    #[cfg(unix)]
    {
        let place = crate::support::unwritable(folder.path()).join("out");
        let name = place.display().to_string();
        let mut command = reproduce(&place);
        command.arg("--check").assert().code(1).stderr(contains("cannot create").and(contains(name.as_str())));
    }
    reproduce(folder.path())
        .arg("--check")
        .assert()
        .success()
        .stdout(contains("nothing was trained").and(contains("SALT 64")));
}

#[test]
fn the_ledger_needs_no_results_and_takes_those_at_hand() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = || {
        let output = reproduce(folder.path()).arg("--ledger").output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let line = |text: &str| {
        let found = text.lines().find(|line| line.starts_with("LoRA 4, ARCADE: Dice")).map(str::to_owned);
        found.unwrap()
    };
    let empty = ledger();
    assert!(line(&empty).contains("0.78") && line(&empty).contains("not run"), "{}", line(&empty));
    assert!(
        empty.contains("--profile paper --sam sam_vit_b_01ec64.pth") && line(&empty).ends_with("--methods lora-low")
    );
    small(folder.path()).assert().success().stdout(contains("Ledger:").not());
    let filled = ledger();
    assert!(line(&filled).contains("run under another profile"), "{}", line(&filled));
    assert!(line(&filled).contains("Synthetic angiography 0."), "{}", line(&filled));
    std::fs::write(folder.path().join("results.json"), "{}").unwrap();
    reproduce(folder.path()).arg("--ledger").assert().code(1).stderr(contains("results.json"));
}
