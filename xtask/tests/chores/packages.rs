//! A crate is complete in itself: what it compiles in lies in its own folder, so that its package builds anywhere.

use std::path::{Path, PathBuf};

/// Files that a source file compiles in, as it writes them.
fn included(text: &str) -> Vec<&str> {
    ["include_str!(\"", "include_bytes!(\"", "include!(\""]
        .into_iter()
        .flat_map(|call| text.split(call).skip(1))
        .filter_map(|rest| rest.split('"').next())
        .collect()
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|end| end == "rs") {
            found.push(path);
        }
    }
}

/// The folder that a path names, without following links: a package holds a link's content under the link's own name.
fn plain(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::ParentDir => {
                out.pop();
            }
            other => out.push(other),
        }
    }
    out
}

#[test]
fn what_is_compiled_in_lies_in_its_own_crate() {
    let crates = plain(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates"));
    let (mut seen, mut outside) = (0, Vec::new());
    for entry in std::fs::read_dir(&crates).unwrap() {
        let home = entry.unwrap().path();
        if !home.join("src").is_dir() {
            continue;
        }
        let mut files = Vec::new();
        sources(&home.join("src"), &mut files);
        for file in files {
            let text = std::fs::read_to_string(&file).unwrap();
            for name in included(&text) {
                let target = plain(&file.parent().unwrap().join(name));
                seen += 1;
                if !target.starts_with(&home) || !target.is_file() {
                    outside.push(format!("{}: {name}", file.display()));
                }
            }
        }
    }
    assert!(outside.is_empty(), "not in the crate's own folder: {outside:#?}");
    assert!(seen >= 5, "only {seen} included files were found: is the search still right?");
}
