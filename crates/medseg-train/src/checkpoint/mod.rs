//! Run directories that survive being killed at any moment.
//!
//! A run owns one directory. Its state is saved as a *set* of files in a folder of its own: the files are written and
//! synced under a temporary name, then `manifest.json` with the size and SHA-256 of each, then the folder is renamed into
//! place. Resuming takes the newest folder whose manifest is complete and whose files match it, so a torn or damaged set is
//! never used. Training draws no random numbers but those keyed by (seed, epoch, sample, transform), and schedules are
//! functions of the step, so the weights, the optimiser's moments and the position are the whole state.
//!
//! ```text
//! run/
//!   run.lock              held while a process works here
//!   run.toml              the resolved configuration
//!   log.jsonl             one event per line
//!   checkpoints/step-000000120/{weights,best}.safetensors, optimizer.bpk, progress.toml, manifest.json
//! ```

mod lock;
mod manifest;
pub mod tensors;

pub use lock::RunLock;
pub use manifest::{CheckpointFiles, CheckpointStore, StoredFile};
pub use tensors::{NamedTensors, restore_tensors, stable_ids, trainable_tensors};
