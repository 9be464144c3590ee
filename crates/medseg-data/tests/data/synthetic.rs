//! Our own data: deterministic, exact, readable by the loaders of the real data.

use medseg_data::check::{VerifyOptions, verify};
use medseg_data::dataset::{ArcadeTask, Layout};
use medseg_data::synth::{Counts, Synthetic, angiogram, octa, write_arcade, write_rose};
use medseg_data::{DataError, Dataset, Split};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::Path;

fn hash(synthetic: &Synthetic) -> String {
    let mut hash = Sha256::new();
    hash.update(synthetic.image.data());
    hash.update(synthetic.mask.to_bytes());
    hash.finalize().iter().take(8).map(|b| format!("{b:02x}")).collect()
}

/// The bytes of two images, written down: a change of a generator must be meant, and platforms must agree.
#[test]
fn same_seed_same_bytes() {
    assert_eq!(hash(&angiogram(256, 42, 0)), ANGIOGRAM);
    assert_eq!(hash(&octa(304, 42, 0)), OCTA);
    assert_ne!(hash(&octa(304, 42, 1)), OCTA);
    assert_ne!(hash(&octa(304, 43, 0)), OCTA);
}

const ANGIOGRAM: &str = "580ca06663aa4e18";
const OCTA: &str = "e72260965e1ac96b";

/// Vessels are where the mask says: dark in angiograms, bright in OCT angiograms, thin, and of the usual share.
#[test]
fn masks_lie_on_the_vessels() {
    for number in 0..6 {
        for (synthetic, sign, share) in
            [(angiogram(256, 3, number), -1.0, 0.02..0.16), (octa(304, 3, number), 1.0, 0.04..0.16)]
        {
            let (mut inside, mut around) = ((0.0, 0.0), (0.0, 0.0));
            let (width, height) = synthetic.image.size();
            let mask = synthetic.mask.to_bytes();
            for (i, &value) in synthetic.image.data().iter().enumerate() {
                let (x, y) = (i % width, i / width);
                let near = || {
                    (y.saturating_sub(6)..(y + 7).min(height))
                        .any(|v| (x.saturating_sub(6)..(x + 7).min(width)).any(|u| mask[v * width + u] == 1))
                };
                if mask[i] == 1 {
                    inside = (inside.0 + f64::from(value), inside.1 + 1.0);
                } else if near() {
                    around = (around.0 + f64::from(value), around.1 + 1.0);
                }
            }
            let contrast = sign * (inside.0 / inside.1 - around.0 / around.1);
            assert!(contrast > 8.0, "image {number}: vessels differ from their surroundings by {contrast} levels");
            let found = synthetic.mask.count() as f64 / mask.len() as f64;
            assert!(share.contains(&found), "image {number}: share {found}");
        }
    }
}

fn files(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                found.insert(name, std::fs::read(path).unwrap());
            }
        }
    }
    found
}

#[test]
fn arcade_is_read_by_the_real_loader() {
    let dir = tempfile::tempdir().unwrap();
    let counts = Counts { train: 3, val: 1, test: 1 };
    write_arcade(dir.path(), ArcadeTask::Syntax, 128, counts, 5).unwrap();
    write_arcade(dir.path(), ArcadeTask::Stenosis, 128, Counts { train: 2, val: 0, test: 0 }, 5).unwrap();
    let data = Dataset::open(dir.path()).unwrap();
    assert_eq!(data.layout, Layout::Arcade);
    assert_eq!(data.samples.len(), 5);
    for (number, sample) in data.split(Split::Train).enumerate() {
        let loaded = sample.load().unwrap();
        let made = angiogram(128, 5, number as u64);
        assert_eq!(loaded.mask, made.mask, "polygons fill back to the exact mask");
        assert_eq!(loaded.image, made.image);
    }
    let stenosis = Dataset::open(dir.path().join("stenosis")).unwrap();
    for sample in &stenosis.samples {
        let (whole, part) = (data.sample(&sample.id).unwrap().load().unwrap(), sample.load().unwrap());
        if whole.image == part.image {
            let outside = part.mask.difference(&whole.mask).unwrap();
            assert!(outside.is_empty(), "a stenosis is part of a vessel");
        }
    }
    let again = tempfile::tempdir().unwrap();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    pool.install(|| write_arcade(again.path(), ArcadeTask::Syntax, 128, counts, 5)).unwrap();
    let syntax = |root: &Path| files(&root.join("syntax"));
    assert_eq!(syntax(dir.path()), syntax(again.path()), "same seed, same files, whatever the number of threads");
    let full = write_arcade(dir.path(), ArcadeTask::Syntax, 128, counts, 5).unwrap_err();
    assert!(matches!(full, DataError::Io { .. }), "{full}");
}

#[test]
fn rose_is_read_by_the_real_loader() {
    let dir = tempfile::tempdir().unwrap();
    write_rose(dir.path(), 96, Counts { train: 2, val: 0, test: 1 }, 5).unwrap();
    let data = Dataset::open(dir.path()).unwrap();
    assert_eq!(data.layout, Layout::Rose1);
    let ids: Vec<&str> = data.samples.iter().map(|s| s.id.as_str()).collect();
    assert_eq!(ids, ["test_03", "train_01", "train_02"]);
    for (number, sample) in data.split(Split::Train).enumerate() {
        let (loaded, made) = (sample.load().unwrap(), octa(96, 5, number as u64));
        assert_eq!((loaded.image, loaded.mask), (made.image, made.mask));
    }
    let report = verify(&data, &VerifyOptions::default());
    assert_eq!(report.errors(), 0, "{report}");
    assert!(write_rose(dir.path(), 96, Counts { train: 1, val: 1, test: 0 }, 5).is_err());
    assert!(write_rose(dir.path(), 20, Counts { train: 1, val: 0, test: 0 }, 5).is_err());
}
