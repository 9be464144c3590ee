//! What the manifests promise each other.

use std::collections::BTreeSet;
use std::path::Path;

/// The keys of a dependency table, our own crates (those with a path) left out.
fn third_party(manifest: &Path, table: &[&str]) -> BTreeSet<String> {
    let text = std::fs::read_to_string(manifest).unwrap();
    let root: toml::Table = text.parse().unwrap();
    let table = table.iter().fold(&root, |table, key| table[*key].as_table().unwrap());
    let ours = |value: &toml::Value| value.as_table().is_some_and(|entry| entry.contains_key("path"));
    table.iter().filter(|(_, value)| !ours(value)).map(|(name, _)| name.clone()).collect()
}

#[test]
fn build_once_depends_on_every_third_party_crate() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let all = third_party(&root.join("Cargo.toml"), &["workspace", "dependencies"]);
    let once = third_party(&root.join("crates/build-once/Cargo.toml"), &["dependencies"]);
    assert_eq!(once, all, "crates/build-once/Cargo.toml and [workspace.dependencies] list different crates");
}

#[test]
fn the_run_file_of_the_readme_is_understood() {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let text = std::fs::read_to_string(&readme).unwrap();
    let block = text.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let config = medseg_train::config::RunConfig::parse(block, &readme).unwrap();
    // Its patterns name weights of the model that it names, and leave most of them alone.
    let device = medseg_train::device::open("cpu").unwrap();
    let base = medseg_train::model::BaseModel::load(&config.model, config.data.image_size, &device).unwrap();
    let model = base.adapted(config.adapter.as_ref(), &device).unwrap();
    assert!(model.trainable > 0 && model.trainable * 5 < model.total, "{} of {}", model.trainable, model.total);
}
