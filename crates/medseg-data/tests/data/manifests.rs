//! The committed manifests and split tables.

use medseg_data::Split;
use medseg_data::manifest::Manifest;
use medseg_data::split::{PaperSizes, SplitTable, seeded_split};
use std::path::{Path, PathBuf};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../datasets")
}

fn manifests() -> Vec<Manifest> {
    let entries = std::fs::read_dir(folder()).unwrap().map(|e| e.unwrap().path());
    let mut paths: Vec<PathBuf> = entries
        .filter(|p| p.extension().is_some_and(|e| e == "toml") && p.file_stem().is_some_and(|s| s != "paper"))
        .collect();
    paths.sort();
    paths.iter().map(|p| Manifest::read(p).unwrap()).collect()
}

#[test]
fn every_manifest_reads() {
    let names: Vec<String> = manifests().into_iter().map(|m| m.name).collect();
    let expected =
        ["arcade", "chase-db1", "dias", "drive", "octa-500", "rose", "rossa", "xray-angio"].map(str::to_owned);
    assert_eq!(names, expected);
}

#[test]
fn paper_splits_have_the_paper_s_sizes_and_follow_the_rule() {
    for manifest in manifests() {
        let sizes = PaperSizes::of(&manifest.name);
        let split = manifest.paper_split;
        assert_eq!(sizes.map(|s| (s.train, s.test)), split.as_ref().map(|s| (s.train, s.test)), "{}", manifest.name);
        let Some((split, table)) = split.and_then(|s| Some((s.clone(), s.table?))) else { continue };
        let table = SplitTable::read(folder().join(table), split.sha256.as_deref()).unwrap();
        assert!(split.sha256.is_some(), "{}: a table has a checksum", manifest.name);
        assert_eq!((table.count(Split::Train), table.count(Split::Test)), (split.train, split.test));
        let ids: Vec<String> = table.rows().iter().map(|r| r.id.clone()).collect();
        assert_eq!(seeded_split(&manifest.name, &ids, split.train, split.test, split.seed).unwrap(), table);
    }
}

#[test]
fn unknown_keys_and_foreign_names_are_errors() {
    let dir = tempfile::tempdir().unwrap();
    let text = std::fs::read_to_string(folder().join("drive.toml")).unwrap();
    let path = dir.path().join("drive.toml");
    std::fs::write(&path, format!("licnce = \"x\"\n{text}")).unwrap();
    assert!(Manifest::read(&path).unwrap_err().to_string().contains("licnce"));
    let path = dir.path().join("other.toml");
    std::fs::write(&path, text).unwrap();
    assert!(Manifest::read(&path).unwrap_err().to_string().contains("drive"));
}
