//! `salt data`, from the outside.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use assert_cmd::Command;
use predicates::prelude::PredicateBooleanExt;
use predicates::str::contains;
use std::path::Path;

fn data(arguments: &[&str]) -> Command {
    let mut command = Command::cargo_bin("salt").unwrap();
    command.arg("data").args(arguments);
    command
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn a_synthetic_set_is_made_inspected_verified_previewed_and_split() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("set");
    let counts = ["--train", "4", "--val", "1", "--test", "1", "--size", "96", "--seed", "3"];
    data(&["synth", "angiogram", "--out", text(&root)]).args(counts).assert().success().stdout(contains("6 images"));
    data(&["synth", "angiogram", "--out", text(&root)]).args(counts).assert().code(1).stderr(contains("empty folder"));
    data(&["inspect", text(&root)])
        .assert()
        .success()
        .stderr(contains("recognised ARCADE, task syntax"))
        .stdout(contains("96x96: 6"))
        .stdout(contains("test 1, train 4, val 1"));
    let json = data(&["inspect", text(&root), "--json"]).output().unwrap().stdout;
    let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
    assert_eq!(json["samples"], 6);
    // The publisher's images have 512 x 512 pixels: six warnings, no error.
    data(&["verify", text(&root)]).assert().success().stdout(contains("0 errors, 6 warnings"));
    let sheet = dir.path().join("sheet.png");
    data(&["preview", text(&root), "--out", text(&sheet), "--samples", "2", "--tile", "64", "--size", "96"])
        .assert()
        .success()
        .stdout(contains("4 tiles a sample"));
    assert_eq!(image::open(&sheet).unwrap().width(), 512);
    let table = dir.path().join("split.csv");
    let rule = ["--part", "train", "--name", "arcade", "--train", "3", "--test", "1"];
    data(&["split", text(&root), "--out", text(&table)]).args(rule).assert().success().stdout(contains("4 rows"));
    assert_eq!(std::fs::read_to_string(&table).unwrap().matches(",train,").count(), 3);
    let folds = ["split", text(&root), "--out", text(&table), "--folds", "3"];
    data(&folds).assert().code(1).stderr(contains("--overwrite"));
    data(&folds).arg("--overwrite").assert().success();
    data(&["split", text(&root), "--out", text(&table)]).assert().code(2);
}

#[test]
fn problems_end_with_exit_code_one() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("set");
    let counts = ["--train", "2", "--test", "1", "--size", "64"];
    data(&["synth", "octa", "--out", text(&root)]).args(counts).assert().success();
    let broken = root.join("ROSE-1/SVC/train/img/01.tif");
    std::fs::write(&broken, "nothing").unwrap();
    data(&["verify", text(&root), "--no-near"]).assert().code(1).stdout(contains("01.tif: unreadable"));
    std::fs::remove_file(&broken).unwrap();
    data(&["inspect", text(&root)]).assert().code(1).stderr(contains("missing image"));
    data(&["inspect", text(dir.path()), "--layout", "drive"]).assert().code(1).stderr(contains("DRIVE"));
    data(&["inspect", text(dir.path()), "--layout", "dirve"]).assert().code(2).stderr(contains("dirve"));
}

/// `--near-correlation` sets from where on two images are near duplicates; the pair stands in two splits.
#[test]
fn near_duplicates_are_named_from_the_chosen_correlation_on() {
    let dir = tempfile::tempdir().unwrap();
    let save = |part: &str, name: &str, image: &medseg_data::Image| {
        for (kind, pixels) in
            [("images", image.data().to_vec()), ("masks", (0..128 * 128).map(|i| u8::from(i < 900)).collect())]
        {
            let path = dir.path().join(part).join(kind).join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            image::GrayImage::from_raw(128, 128, pixels).unwrap().save(path).unwrap();
        }
    };
    let scans: Vec<_> = (0..3).map(|k| medseg_data::synth::octa(128, 42, k).image.to_grey()).collect();
    scans.iter().enumerate().for_each(|(k, scan)| save("train", &format!("{k}.png"), scan));
    // The second scan, darker and shifted by three columns.
    let moved = |i: usize| scans[1].data()[i / 128 * 128 + (i % 128 + 3).min(127)] / 2 + 20;
    save("test", "again.png", &medseg_data::Image::new(128, 128, 1, (0..128 * 128).map(moved).collect()).unwrap());
    let root = text(dir.path());
    let pair = || contains("1.png: near duplicate").and(contains("again.png (train and test), correlation of detail"));
    data(&["verify", root]).assert().success().stdout(pair().and(contains("0 errors, 1 warnings")));
    data(&["verify", root, "--near-correlation", "0.3"]).assert().success().stdout(pair());
    for none in [&["--near-correlation", "1"][..], &["--no-near"]] {
        data(&["verify", root]).args(none).assert().success().stdout(contains("0 errors, 0 warnings"));
    }
    for wrong in ["1.5", "-1", "x"] {
        let refused = data(&["verify", root, &format!("--near-correlation={wrong}")]).assert().code(2);
        refused.stderr(contains("a number from 0 to 1"));
    }
    data(&["verify", root, "--no-near", "--near-correlation", "0.5"]).assert().code(2);
}

/// An image beyond the limits names the option that allows it.
#[test]
fn limits_are_set_on_the_command_line() {
    let dir = tempfile::tempdir().unwrap();
    for kind in ["images", "masks"] {
        std::fs::create_dir(dir.path().join(kind)).unwrap();
        let pixel = |x: u32, y: u32| image::Luma([if kind == "masks" { u8::from(y == 1) } else { x as u8 }]);
        image::GrayImage::from_fn(17_000, 3, pixel).save(dir.path().join(kind).join("a.png")).unwrap();
    }
    let root = text(dir.path());
    let refused = data(&["verify", root]).assert().code(1);
    refused.stdout(contains("longest side in pixels is 17000, the limit is 16384").and(contains("--max-side")));
    data(&["verify", root, "--max-side", "17000"]).assert().success();
    data(&["inspect", root, "--max-side", "17000"]).assert().success().stdout(contains("17000x3: 1"));
}

#[test]
fn folders_are_named_on_the_command_line_and_what_is_left_out_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let grey = |path: &str, value: fn(u32, u32) -> u8| {
        let path = dir.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        image::GrayImage::from_fn(24, 20, |x, y| image::Luma([value(x, y)])).save(path).unwrap();
    };
    for part in ["train", "val", "test"] {
        grey(&format!("{part}/ICA_PNG/{part}.png"), |x, y| (7 * x + 3 * y) as u8);
        grey(&format!("{part}/label/{part}.png"), |_, y| if y < 5 { 255 } else { 0 });
    }
    let root = text(dir.path());
    data(&["verify", root, "--no-near"]).assert().code(1).stderr(contains("--images ICA_PNG --masks label"));
    let named = ["--no-near", "--images", "ICA_PNG", "--masks", "label"];
    data(&["verify", root]).args(named).assert().stdout(contains("3 samples: ").and(contains("unused").not()));
    grey("more/1.png", |x, _| x as u8);
    data(&["verify", root]).args(named).assert().stdout(contains("more: unused: no sample came from 1.png"));
    data(&["inspect", root]).args(&named[1..]).assert().success().stderr(contains("more: unused").count(1));
    let check = ["--check", "--images", "ICA_PNG", "--masks", "label", "--image-size", "32"];
    let reproduce = |arguments: &[&str]| {
        let mut command = Command::cargo_bin("salt").unwrap();
        command.arg("reproduce").args(arguments);
        command
    };
    let out = dir.path().join("results");
    reproduce(&check).args(["--data", root, "--out", text(&out)]).assert().success();
    reproduce(&check).args(["--out", text(&out)]).assert().failure().stderr(contains("--images, --masks"));
    let run = format!(
        "[data]\npath = {root:?}\nimage-size = 32\n[data.options]\nimages = \"ICA_PNG\"\nmasks = \"label\"\n[model]\nbase = \"sam-mini\"\n"
    );
    let config = dir.path().join("run.toml");
    std::fs::write(&config, run + "[adapter]\nmethod = \"full\"\n[training]\nepochs = 1\n").unwrap();
    let mut train = Command::cargo_bin("salt").unwrap();
    train.args(["train", "--check", "--config", text(&config), "--out", text(&dir.path().join("run"))]);
    train.assert().success().stderr(contains("more: unused: no sample came from 1.png"));
}
