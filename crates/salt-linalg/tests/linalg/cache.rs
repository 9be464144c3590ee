//! The basis cache: hits, keys, damage, and company.

use std::fs;
use std::process::Command;
use std::sync::Mutex;

use nalgebra::DMatrix;
use proptest::prelude::*;
use salt_linalg::{
    BasisCache, BatchOptions, CacheKey, Method, RandomizedOptions, Source, Svd, content_hash, decompose_all, thin_svd,
};

use crate::support::*;

fn run(cache: &BasisCache, matrices: &[DMatrix<f32>]) -> (Vec<Svd<f32>>, Vec<Source>) {
    let sources = Mutex::new(vec![None; matrices.len()]);
    let options = BatchOptions::new(Method::Thin).with_cache(cache);
    let results =
        decompose_all(matrices, &options, |progress| sources.lock().unwrap()[progress.index] = Some(progress.source));
    let sources = sources.into_inner().unwrap().into_iter().map(Option::unwrap).collect();
    (results.unwrap(), sources)
}

fn files(cache: &BasisCache) -> Vec<std::path::PathBuf> {
    let mut files: Vec<_> = fs::read_dir(cache.folder()).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn the_second_run_reads_the_same_bits() {
    let folder = tempfile::tempdir().unwrap();
    let cache = BasisCache::open(folder.path().join("new/folder")).unwrap();
    let matrices: Vec<DMatrix<f32>> = [(5, 9), (9, 5), (1, 1), (3, 0)]
        .iter()
        .filter(|(_, cols)| *cols > 0)
        .map(|&(rows, cols)| cast(&gaussian(rows, cols, 1)))
        .collect();
    let (first, sources) = run(&cache, &matrices);
    assert!(sources.iter().all(|source| *source == Source::Computed));
    let (second, sources) = run(&cache, &matrices);
    assert!(sources.iter().all(|source| *source == Source::Cache));
    for (first, second) in first.iter().zip(&second) {
        assert!(same_bits(first, second));
        assert_eq!((first.error, first.algorithm), (second.error, second.algorithm));
    }
    assert_eq!(files(&cache).len(), 3);
}

#[test]
fn double_precision_is_cached_too() {
    let folder = tempfile::tempdir().unwrap();
    let cache = BasisCache::open(folder.path()).unwrap();
    let matrix = gaussian(6, 4, 1);
    let key = CacheKey::new(&matrix, &Method::Thin);
    assert!(cache.load::<f64>(&key).unwrap().is_none());
    let svd = thin_svd(&matrix).unwrap();
    cache.store(&key, &svd).unwrap();
    assert!(same_bits(&cache.load(&key).unwrap().unwrap(), &svd));
}

#[test]
fn an_entry_is_a_readable_safetensors_file() {
    let folder = tempfile::tempdir().unwrap();
    let cache = BasisCache::open(folder.path()).unwrap();
    let matrix: DMatrix<f32> = cast(&gaussian(6, 4, 1));
    let svd = thin_svd(&matrix).unwrap();
    let key = CacheKey::new(&matrix, &Method::Thin);
    cache.store(&key, &svd).unwrap();
    let bytes = fs::read(cache.path(&key)).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(file.tensor("u_transposed").unwrap().shape(), [4, 6]);
    assert_eq!(file.tensor("singular_values").unwrap().shape(), [4]);
    assert_eq!(file.tensor("v").unwrap().shape(), [4, 4]);
    let first = f32::from_le_bytes(file.tensor("u_transposed").unwrap().data()[4..8].try_into().unwrap());
    assert_eq!(first, svd.u[(1, 0)]);
    // Written twice, the bytes are the same: two processes cannot disagree.
    cache.store(&key, &svd).unwrap();
    assert_eq!(fs::read(cache.path(&key)).unwrap(), bytes);
}

#[test]
fn the_key_tells_everything_apart() {
    let matrix = gaussian(6, 4, 1);
    let mut changed = matrix.clone();
    changed[(5, 3)] = f64::from_bits(changed[(5, 3)].to_bits() ^ 1);
    let folder = tempfile::tempdir().unwrap();
    let cache = BasisCache::open(folder.path()).unwrap();
    let options = RandomizedOptions::new(2).with_oversampling(1);
    let keys = [
        CacheKey::new(&matrix, &Method::Thin),
        CacheKey::new(&changed, &Method::Thin),
        CacheKey::new(&matrix.clone().reshape_generic(nalgebra::Dyn(4), nalgebra::Dyn(6)), &Method::Thin),
        CacheKey::new(&cast::<f32>(&matrix), &Method::Thin),
        CacheKey::new(&matrix, &Method::Truncated { rank: 2 }),
        CacheKey::new(&matrix, &Method::Truncated { rank: 3 }),
        CacheKey::new(&matrix, &Method::Randomized(options)),
        CacheKey::new(&matrix, &Method::Randomized(options.with_seed(1))),
    ];
    let paths: std::collections::BTreeSet<_> = keys.iter().map(|key| cache.path(key)).collect();
    assert_eq!(paths.len(), keys.len());
    assert_eq!(content_hash(&matrix), keys[0].content());
    assert_ne!(content_hash(&DMatrix::from_element(1, 1, 0.0)), content_hash(&DMatrix::from_element(1, 1, -0.0)));
}

#[test]
fn every_truncation_is_served_by_one_entry() {
    let folder = tempfile::tempdir().unwrap();
    let cache = BasisCache::open(folder.path()).unwrap();
    let matrices: [DMatrix<f32>; 1] = [cast(&gaussian(9, 6, 1))];
    let run = |method, cache: Option<&BasisCache>| {
        let source = Mutex::new(None);
        let mut options = BatchOptions::new(method);
        if let Some(cache) = cache {
            options = options.with_cache(cache);
        }
        let svd = decompose_all(&matrices, &options, |progress| *source.lock().unwrap() = Some(progress.source));
        (svd.map(|mut svds| svds.remove(0)), source.into_inner().unwrap().unwrap())
    };
    for (rank, expected) in [(2, Source::Computed), (4, Source::Cache), (6, Source::Cache)] {
        let (cached, source) = run(Method::Truncated { rank }, Some(&cache));
        let (cached, plain) = (cached.unwrap(), run(Method::Truncated { rank }, None).0.unwrap());
        assert_eq!(source, expected, "rank {rank}");
        assert!(same_bits(&cached, &plain) && cached.error == plain.error, "rank {rank}");
    }
    assert_eq!(run(Method::Thin, Some(&cache)).1, Source::Cache);
    assert!(run(Method::Truncated { rank: 7 }, Some(&cache)).0.is_err());
    assert!(run(Method::Truncated { rank: 0 }, Some(&cache)).0.is_err());
    assert_eq!(files(&cache).len(), 1);
}

#[cfg(unix)]
#[test]
fn an_entry_has_the_mode_of_any_new_file() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let cache = BasisCache::open(folder.path().join("bases")).unwrap();
    run(&cache, &[cast(&gaussian(4, 3, 1))]);
    let plain = folder.path().join("plain");
    fs::write(&plain, "").unwrap();
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&files(&cache)[0]), mode(&plain));
}

/// The hash is part of the file format: a change would orphan every cache and every adapter fingerprint.
#[test]
fn the_content_hash_is_frozen() {
    let matrix = DMatrix::from_row_slice(2, 3, &[1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0]);
    assert_eq!(content_hash(&matrix).to_string(), "e82e70e1e2ee6ecd40cb6e3b4552aec1a6fc83d4d1507eb67e53d2e89f4a644d");
    let matrix = DMatrix::from_row_slice(2, 3, &[1.0f64, 2.0, 3.0, 4.0, 5.0, 6.0]);
    assert_eq!(content_hash(&matrix).to_string(), "8a9fdc72dec2e28ec4ddb44bba77378a9a3128cd06e3d90a56928339cf52aa7d");
}

proptest! {
    #![proptest_config(config(48))]

    /// Cut anywhere or with any bit flipped, an entry is rebuilt, and the right factors come back.
    #[test]
    fn damage_is_found_and_repaired(place in 0.0..1.0, bit in 0u8..8, cut in any::<bool>()) {
        let folder = tempfile::tempdir().unwrap();
        let cache = BasisCache::open(folder.path()).unwrap();
        let matrices = [cast(&gaussian(7, 5, 1))];
        let (expected, _) = run(&cache, &matrices);
        let path = files(&cache).remove(0);
        let intact = fs::read(&path).unwrap();
        let mut bytes = intact.clone();
        let position = (place * bytes.len() as f64) as usize;
        if cut {
            bytes.truncate(position);
        } else {
            bytes[position] ^= 1 << bit;
        }
        fs::write(&path, &bytes).unwrap();
        let (found, sources) = run(&cache, &matrices);
        prop_assert!(same_bits(&found[0], &expected[0]));
        prop_assert_eq!(sources[0], Source::Computed);
        prop_assert_eq!(fs::read(&path).unwrap(), intact);
    }
}

#[test]
fn an_entry_in_the_place_of_another_is_not_believed() {
    let folder = tempfile::tempdir().unwrap();
    let cache = BasisCache::open(folder.path()).unwrap();
    let (a, b): (DMatrix<f32>, DMatrix<f32>) = (cast(&gaussian(4, 4, 1)), cast(&gaussian(4, 4, 2)));
    let (key_a, key_b) = (CacheKey::new(&a, &Method::Thin), CacheKey::new(&b, &Method::Thin));
    cache.store(&key_a, &thin_svd(&a).unwrap()).unwrap();
    fs::copy(cache.path(&key_a), cache.path(&key_b)).unwrap();
    assert!(cache.load::<f32>(&key_b).unwrap().is_none());
    fs::write(cache.path(&key_b), b"something else").unwrap();
    assert!(cache.load::<f32>(&key_b).unwrap().is_none());
}

#[test]
fn a_folder_that_cannot_be_used_is_an_error_and_no_obstacle() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let error = BasisCache::open(&file).unwrap_err();
    assert!(error.to_string().starts_with("cannot create") && error.to_string().contains("file"), "{error}");
    // A cache that vanishes between the runs costs only time.
    let cache = BasisCache::open(folder.path().join("gone")).unwrap();
    fs::remove_dir(cache.folder()).unwrap();
    let (results, _) = run(&cache, &[cast(&gaussian(3, 3, 1))]);
    assert_eq!(results.len(), 1);
}

#[test]
fn leftovers_of_killed_processes_are_harmless() {
    let folder = tempfile::tempdir().unwrap();
    let cache = BasisCache::open(folder.path()).unwrap();
    fs::write(folder.path().join(".partial-abc"), "half a file").unwrap();
    let (_, sources) = run(&cache, &[cast(&gaussian(3, 3, 1))]);
    assert_eq!(sources, [Source::Computed]);
}

const FOLDER: &str = "SALT_LINALG_TEST_CACHE";

fn shared_matrices() -> Vec<DMatrix<f32>> {
    (0..12).map(|i| cast(&gaussian(40 + i, 30, i as u64))).collect()
}

/// The other process of the next test; alone it does nothing.
#[test]
fn worker() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let cache = BasisCache::open(folder).unwrap();
    for _ in 0..3 {
        let (results, _) = run(&cache, &shared_matrices());
        for (svd, matrix) in results.iter().zip(shared_matrices()) {
            assert!(same_bits(svd, &thin_svd(&matrix).unwrap()));
        }
    }
}

#[test]
fn processes_share_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let workers: Vec<_> = (0..3)
        .map(|_| {
            Command::new(std::env::current_exe().unwrap())
                .args(["cache::worker", "--exact"])
                .env(FOLDER, folder.path())
                .spawn()
                .unwrap()
        })
        .collect();
    for mut worker in workers {
        assert!(worker.wait().unwrap().success());
    }
    let cache = BasisCache::open(folder.path()).unwrap();
    assert_eq!(files(&cache).len(), shared_matrices().len(), "a temporary file was left behind");
    let (_, sources) = run(&cache, &shared_matrices());
    assert!(sources.iter().all(|source| *source == Source::Cache));
}
