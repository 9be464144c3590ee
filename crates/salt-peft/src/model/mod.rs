//! Reading and rebuilding the adapters of a whole module by traversal, without knowing its type.

mod install;
mod snapshot;

pub(crate) use install::install;
pub(crate) use snapshot::{Site, Snapshot};
