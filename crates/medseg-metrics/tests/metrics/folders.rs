//! Folders of masks, by name.

use medseg_metrics::folders::names::is_system_file;
use medseg_metrics::folders::{PairingProblem, pair_folders};
use std::path::Path;

fn fill(folder: &Path, names: &[&str]) {
    std::fs::create_dir(folder).unwrap();
    names.iter().for_each(|name| std::fs::write(folder.join(name), "").unwrap());
}

fn suffixes() -> Vec<String> {
    ["_mask", "_manual1"].map(str::to_owned).to_vec()
}

#[test]
fn stems_match_across_extensions_and_suffixes() {
    let root = tempfile::tempdir().unwrap();
    let (p, r) = (root.path().join("p"), root.path().join("r"));
    fill(
        &p,
        &["b_mask.png", "a.PNG", "21.tif", "b_probability.png", "b_overlay.png", ".DS_Store", "log.txt", "_mask.png"],
    );
    fill(&r, &["a.bmp", "b.pgm", "21_manual1.gif", "_mask.png"]);
    std::fs::create_dir(r.join("more.png")).unwrap();
    let pairing = pair_folders(&p, &r, &suffixes()).unwrap();
    let names: Vec<&str> = pairing.pairs.iter().map(|pair| pair.name.as_str()).collect();
    assert_eq!(names, ["21", "_mask", "a", "b"]);
    assert!(pairing.problems.is_empty(), "{:?}", pairing.problems);
    assert_eq!(pairing.ignored.len(), 4);
    assert_eq!(pairing.pairs[0].reference, r.join("21_manual1.gif"));
}

#[test]
fn everything_without_a_partner_is_listed() {
    let root = tempfile::tempdir().unwrap();
    let (p, r) = (root.path().join("p"), root.path().join("r"));
    fill(&p, &["a.png", "a_mask.png", "c.png", "d_overlay.png"]);
    fill(&r, &["a.png", "e.png"]);
    let problems = pair_folders(&p, &r, &suffixes()).unwrap().problems;
    assert_eq!(problems.len(), 4, "{problems:?}");
    assert!(matches!(&problems[0], PairingProblem::SameName { name, .. } if name == "a"));
    assert!(matches!(&problems[1], PairingProblem::NoPrediction { name, .. } if name == "e"));
    assert!(matches!(&problems[2], PairingProblem::NoReference { name, .. } if name == "c"));
    assert!(matches!(&problems[3], PairingProblem::NoReference { name, .. } if name == "d_overlay"));
    assert!(problems.iter().all(|problem| problem.to_string().contains(&*root.path().to_string_lossy())));
}

#[test]
fn a_missing_folder_is_named() {
    let root = tempfile::tempdir().unwrap();
    let error = pair_folders(&root.path().join("nowhere"), root.path(), &[]).unwrap_err();
    assert!(error.to_string().contains("nowhere"));
}

/// One system stores "é" as one character, the other as "e" with an accent.
#[test]
fn names_match_in_either_unicode_form() {
    let root = tempfile::tempdir().unwrap();
    let (p, r) = (root.path().join("p"), root.path().join("r"));
    fill(&p, &["re\u{301}tine_1_r\u{e9}sultat.png", "\u{c4}rm.png"]);
    fill(&r, &["r\u{e9}tine_1.png", "A\u{308}rm.png"]);
    let pairing = pair_folders(&p, &r, &["_re\u{301}sultat".to_owned()]).unwrap();
    assert!(pairing.problems.is_empty(), "{:?}", pairing.problems);
    let names: Vec<&str> = pairing.pairs.iter().map(|pair| pair.name.as_str()).collect();
    assert_eq!(names, ["r\u{e9}tine_1", "\u{c4}rm"]);
    // The files are opened under the names that they have.
    assert!(pairing.pairs.iter().all(|pair| pair.prediction.exists() && pair.reference.exists()));
}

#[test]
fn both_forms_in_one_folder_are_one_name() {
    let root = tempfile::tempdir().unwrap();
    let (p, r) = (root.path().join("p"), root.path().join("r"));
    fill(&p, &["e\u{301}.png", "\u{e9}.png"]);
    fill(&r, &["\u{e9}.png"]);
    let pairing = pair_folders(&p, &r, &[]).unwrap();
    assert!(matches!(&pairing.problems[..], [PairingProblem::SameName { .. }]), "{:?}", pairing.problems);
}

#[test]
fn system_files_are_passed_over() {
    let root = tempfile::tempdir().unwrap();
    let (p, r) = (root.path().join("p"), root.path().join("r"));
    fill(&p, &["a.png", "._a.png", ".hidden.png", "Thumbs.db", "desktop.ini"]);
    fill(&r, &["a.png", "._a.png", "THUMBS.DB", "Desktop.ini"]);
    let pairing = pair_folders(&p, &r, &[]).unwrap();
    assert!(pairing.problems.is_empty(), "{:?}", pairing.problems);
    assert_eq!((pairing.pairs.len(), pairing.ignored.len()), (1, 7));
}

#[test]
fn only_whole_names_are_those_of_systems() {
    for name in
        [".DS_Store", "._scan.png", ".hidden", "Thumbs.db", "THUMBS.DB", "ehthumbs.db", "desktop.ini", "__MACOSX"]
    {
        assert!(is_system_file(name), "{name}");
    }
    assert!(is_system_file("@eaDir"));
    for name in ["scan.png", "_scan.png", "thumbs.png", "thumbs.db.png", "MACOSX", "a.b", "eaDir"] {
        assert!(!is_system_file(name), "{name}");
    }
}
