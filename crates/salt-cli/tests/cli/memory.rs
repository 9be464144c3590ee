//! `salt train --check` says what a training will take, and the training takes it. Linux alone tells a process's peak.
#![cfg(target_os = "linux")]

use assert_cmd::Command;
use medseg_data::dataset::ArcadeTask;
use medseg_data::synth::{Counts, write_arcade};
use std::path::Path;

/// The mebibytes after a text in what a command said.
fn mebibytes(said: &str, text: &str) -> f64 {
    let line = said.lines().find_map(|line| line.strip_prefix(text)).unwrap_or_else(|| panic!("no {text:?} in {said}"));
    line.split_whitespace().next().unwrap().parse().unwrap()
}

fn salt(config: &Path, out: &Path, check: bool) -> String {
    let mut command = Command::cargo_bin("salt").unwrap();
    command.args(["train", "--config"]).arg(config).arg("--out").arg(out).arg("--cache").arg(out.join("../cache"));
    if check {
        command.arg("--check");
    }
    let output = command.assert().success().get_output().clone();
    String::from_utf8(output.stderr).unwrap()
}

const LINEAR: &str = r#"include = ["qkv", "attn.proj", MLP]
train = ["norm", "pos_embed", "prompt"]"#;

#[test]
fn a_check_says_the_peak_of_memory_within_15_percent() {
    let methods = [
        ("salt", format!("method = \"salt\"\nsvd-rank = 16\nlora-rank = 16\nform = \"paper\"\n{LINEAR}")),
        ("lora", format!("method = \"lora\"\nlora-rank = 8\n{LINEAR}")),
        ("full", "method = \"full\"".to_owned()),
        ("decoder", "method = \"named\"\ninclude = [\"mask_decoder\", \"prompt\"]".to_owned()),
    ];
    let (mut wrong, mut table) = (Vec::new(), String::new());
    let (checkpointing, packing) = ("activation-checkpointing = true", "keep-packed-mib = 512");
    for (base, size, batch, chosen, more) in [
        ("sam-mini", 128, 2, [0, 1, 2, 3].as_slice(), ""),
        ("sam-mini", 128, 2, [0, 1].as_slice(), packing),
        ("sam-mini", 256, 4, [0, 1, 2, 3].as_slice(), ""),
        ("sam-mini", 256, 4, [0, 2].as_slice(), checkpointing),
        ("sam-mini", 512, 1, [1, 3].as_slice(), ""),
        ("sam2-mini", 128, 2, [0, 2].as_slice(), ""),
        ("sam2-mini", 256, 4, [0, 1, 2, 3].as_slice(), ""),
        ("sam2-mini", 256, 4, [0, 2].as_slice(), checkpointing),
        ("sam2-mini", 512, 1, [1, 3].as_slice(), ""),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let counts = Counts { train: batch, val: 1, test: 1 };
        write_arcade(&folder.path().join("data"), ArcadeTask::Syntax, 128, counts, 3).unwrap();
        for &(name, ref adapter) in chosen.iter().map(|&index| &methods[index]) {
            let config = folder.path().join(format!("{name}.toml"));
            let mlp = if base == "sam-mini" { r#""lin1", "lin2""# } else { r#"'blocks\..*mlp\.layers'"# };
            let adapter = adapter.replace("MLP", mlp);
            let text = format!(
                "[data]\npath = \"data\"\nimage-size = {size}\nallow-empty-masks = true\n[model]\nbase = \"{base}\"\n\
                 [adapter]\n{adapter}\n\
                 [training]\nepochs = 3\nbatch-size = {batch}\n{more}\n\
                 checkpoint-seconds = 0\n"
            );
            std::fs::write(&config, text).unwrap();
            let out = folder.path().join(name);
            let expected = mebibytes(&salt(&config, &out, true), "expected peak of memory: ");
            let found = mebibytes(&salt(&config, &out, false), "peak of memory: ");
            let line = format!(
                "{base}, {name}, {size} px, batch {batch}, {more}: {expected} expected, {found} \
                 found, {:.2}",
                expected / found
            );
            table.push_str(&format!("{line}\n"));
            if (expected / found - 1.0).abs() > 0.15 {
                wrong.push(line);
            }
        }
    }
    eprintln!("{table}");
    assert!(wrong.is_empty(), "{wrong:#?}");
}
