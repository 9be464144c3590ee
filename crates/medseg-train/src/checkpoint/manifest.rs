//! Sets of files that are whole or absent.

use crate::error::{Result, TrainError};
use crate::files::sha256;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

const MANIFEST: &str = "manifest.json";
/// How many sets are kept: the newest and one to fall back on.
const KEPT: usize = 2;

/// What the manifest says of one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredFile {
    /// Size in bytes.
    pub bytes: u64,
    /// SHA-256 of the content, in hexadecimal.
    pub sha256: String,
}

impl StoredFile {
    /// What describes this content.
    pub(crate) fn of(content: &[u8]) -> Self {
        Self { bytes: content.len() as u64, sha256: sha256(content) }
    }

    /// Reads the file if it is this one; else says what is there. A file of another size is not read.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(crate) fn read(&self, path: &Path) -> Result<std::result::Result<Vec<u8>, String>> {
        let bytes = fs::metadata(path).map_err(TrainError::io("cannot read", path))?.len();
        if bytes != self.bytes {
            return Ok(Err(format!("{bytes} bytes")));
        }
        let content = fs::read(path).map_err(TrainError::io("cannot read", path))?;
        let found = Self::of(&content);
        Ok(if found == *self { Ok(content) } else { Err(found.to_string()) })
    }
}

impl std::fmt::Display for StoredFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes with SHA-256 {}", self.bytes, self.sha256)
    }
}

/// The version that this program writes, and the newest that it reads.
const VERSION: u32 = 1;

#[derive(Deserialize)]
struct Head {
    version: u32,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    version: u32,
    step: u64,
    files: BTreeMap<String, StoredFile>,
}

/// The files of a set, by name.
pub type CheckpointFiles = BTreeMap<String, Vec<u8>>;

/// The checkpoints of one run.
#[derive(Debug)]
pub struct CheckpointStore {
    folder: PathBuf,
}

fn write_synced(path: &Path, content: &[u8]) -> Result<()> {
    let write = || {
        let mut file = File::create(path)?;
        file.write_all(content)?;
        file.sync_all()
    };
    write().map_err(TrainError::io("cannot write", path))
}

impl CheckpointStore {
    /// The store under `run/checkpoints`; nothing is created before the first save.
    pub fn new(run: &Path) -> Self {
        Self { folder: run.join("checkpoints") }
    }

    /// Whether anything was saved here.
    pub(crate) fn exists(&self) -> bool {
        self.folder.is_dir()
    }

    fn set(&self, step: u64) -> PathBuf {
        self.folder.join(format!("step-{step:09}"))
    }

    /// Saves one set and drops those no longer needed.
    ///
    /// # Errors
    /// The folder cannot be written; earlier sets stay as they were.
    pub fn save(&self, step: u64, files: &[(&str, Vec<u8>)]) -> Result<()> {
        self.save_each(step, files.iter().map(|(name, content)| Ok((*name, content))))
    }

    /// The same with files that are made one after the other, so that no two of them are in memory at the same time.
    ///
    /// # Errors
    /// As [`save`](Self::save), and what making a file fails with.
    pub fn save_each<'a, C: AsRef<[u8]>>(
        &self,
        step: u64,
        files: impl IntoIterator<Item = Result<(&'a str, C)>>,
    ) -> Result<()> {
        fs::create_dir_all(&self.folder).map_err(TrainError::io("cannot create", &self.folder))?;
        let scratch = self.folder.join(format!("step-{step:09}.partial"));
        if scratch.exists() {
            fs::remove_dir_all(&scratch).map_err(TrainError::io("cannot remove", &scratch))?;
        }
        fs::create_dir(&scratch).map_err(TrainError::io("cannot create", &scratch))?;
        let mut manifest = Manifest { version: VERSION, step, files: BTreeMap::new() };
        for file in files {
            let (name, content) = file?;
            let content = content.as_ref();
            write_synced(&scratch.join(name), content)?;
            manifest.files.insert(name.to_string(), StoredFile::of(content));
        }
        let text = serde_json::to_vec_pretty(&manifest)
            .map_err(|e| TrainError::format(&scratch.join(MANIFEST), e.to_string()))?;
        write_synced(&scratch.join(MANIFEST), &text)?;
        let place = self.set(step);
        if place.exists() {
            // A set for this step that could not be used: resuming would have taken it otherwise.
            fs::remove_dir_all(&place).map_err(TrainError::io("cannot remove", &place))?;
        }
        atomic_file::rename(&scratch, &place).map_err(TrainError::io("cannot rename into", &place))?;
        atomic_file::sync_folder(&self.folder);
        self.prune();
        Ok(())
    }

    /// Steps of the sets on disk, newest first, whole or not.
    fn steps(&self) -> Vec<u64> {
        let mut steps: Vec<u64> = fs::read_dir(&self.folder)
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.strip_prefix("step-")?.parse().ok())
            .collect();
        steps.sort_unstable_by(|a, b| b.cmp(a));
        steps
    }

    fn prune(&self) {
        let old = self.steps().into_iter().skip(KEPT).map(|step| self.set(step));
        let torn = fs::read_dir(&self.folder).into_iter().flatten().flatten().map(|entry| entry.path());
        let torn = torn.filter(|path| path.extension().is_some_and(|extension| extension == "partial"));
        for path in old.chain(torn) {
            if let Err(error) = fs::remove_dir_all(&path) {
                tracing::warn!("{}: cannot remove the old checkpoint: {error}", path.display());
            }
        }
    }

    /// The newest whole set: its step and its files. Damaged sets are passed over with a warning, since an older one may serve.
    ///
    /// # Errors
    /// A newer program wrote a set ([`TrainError::NewerFormat`]): going on from an older one would remove what that program has done.
    pub fn newest(&self) -> Result<Option<(u64, CheckpointFiles)>> {
        for step in self.steps() {
            match self.load(step) {
                Ok(files) => return Ok(Some((step, files))),
                Err(error @ TrainError::NewerFormat { .. }) => return Err(error),
                Err(error) => tracing::warn!("checkpoint passed over: {error}"),
            }
        }
        Ok(None)
    }

    fn load(&self, step: u64) -> Result<CheckpointFiles> {
        let folder = self.set(step);
        let path = folder.join(MANIFEST);
        let text = fs::read(&path).map_err(TrainError::io("cannot read", &path))?;
        let fail = |error: serde_json::Error| TrainError::format(&path, error.to_string());
        // The version first: a newer manifest may have other fields.
        let Head { version } = serde_json::from_slice(&text).map_err(fail)?;
        if version > VERSION {
            return Err(TrainError::NewerFormat { path: path.clone(), known: VERSION, found: version });
        }
        let manifest: Manifest = serde_json::from_slice(&text).map_err(fail)?;
        if manifest.version != VERSION || manifest.step != step {
            let found = format!("version {}, step {}", manifest.version, manifest.step);
            return Err(TrainError::format(&path, format!("expected version {VERSION}, step {step}, found {found}")));
        }
        let mut files = BTreeMap::new();
        for (name, expected) in manifest.files {
            if name.contains(['/', '\\']) || name.starts_with('.') {
                return Err(TrainError::format(&path, format!("{name:?} is not a plain file name")));
            }
            let path = folder.join(&name);
            let content = expected.read(&path)?.map_err(|found| {
                TrainError::format(&path, format!("expected {expected} as in the manifest, found {found}"))
            })?;
            files.insert(name, content);
        }
        Ok(files)
    }

    /// Removes all sets, once a run has ended and its results stand.
    ///
    /// # Errors
    /// The folder cannot be removed.
    pub fn clear(&self) -> Result<()> {
        if self.folder.exists() {
            fs::remove_dir_all(&self.folder).map_err(TrainError::io("cannot remove", &self.folder))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> (tempfile::TempDir, CheckpointStore) {
        let folder = tempfile::tempdir().unwrap();
        let store = CheckpointStore::new(folder.path());
        (folder, store)
    }

    fn save(store: &CheckpointStore, step: u64) {
        store.save(step, &[("weights", vec![step as u8; 100]), ("progress", b"{}".to_vec())]).unwrap();
    }

    #[test]
    fn the_newest_whole_set_is_taken_and_two_are_kept() {
        let (_folder, store) = store();
        assert!(store.newest().unwrap().is_none());
        for step in [1, 2, 10] {
            save(&store, step);
        }
        let (step, files) = store.newest().unwrap().unwrap();
        assert_eq!((step, files["weights"].len()), (10, 100));
        assert_eq!(store.steps(), [10, 2]);
    }

    #[test]
    fn a_flipped_bit_a_short_file_and_a_missing_manifest_fall_back_to_the_older_set() {
        type Damage = fn(&Path);
        let damages: [Damage; 4] = [
            |set| {
                let mut content = fs::read(set.join("weights")).unwrap();
                content[50] ^= 1;
                fs::write(set.join("weights"), content).unwrap();
            },
            |set| fs::write(set.join("weights"), [2; 99]).unwrap(),
            |set| fs::remove_file(set.join("progress")).unwrap(),
            |set| fs::remove_file(set.join(MANIFEST)).unwrap(),
        ];
        for damage in damages {
            let (_folder, store) = store();
            save(&store, 1);
            save(&store, 2);
            damage(&store.set(2));
            assert_eq!(store.newest().unwrap().unwrap().0, 1);
            // Training on from there passes the damaged step again.
            save(&store, 2);
            assert_eq!(store.newest().unwrap().unwrap().0, 2);
        }
    }

    #[test]
    fn a_set_of_a_newer_program_is_named_and_left_alone() {
        let (_folder, store) = store();
        save(&store, 1);
        save(&store, 2);
        let path = store.set(2).join(MANIFEST);
        fs::write(&path, r#"{"version":2,"step":2,"chunks":[]}"#).unwrap();
        let error = store.newest().unwrap_err();
        assert!(matches!(&error, TrainError::NewerFormat { known: 1, found: 2, .. }), "{error}");
        assert!(error.to_string().contains("step-000000002"), "{error}");
        assert_eq!(store.steps(), [2, 1]);
    }

    #[test]
    fn a_torn_set_is_ignored_and_cleaned_up() {
        let (folder, store) = store();
        save(&store, 1);
        let torn = folder.path().join("checkpoints/step-000000002.partial");
        fs::create_dir(&torn).unwrap();
        fs::write(torn.join("weights"), b"half").unwrap();
        assert_eq!(store.newest().unwrap().unwrap().0, 1);
        save(&store, 3);
        assert!(!torn.exists());
    }
}
