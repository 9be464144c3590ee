//! Who hears of a comparison's progress.

use super::plan::Cell;
use crate::results::CellResult;
use medseg_train::train::{Observer, Silent};

/// Hears of progress; every method does nothing unless overridden. Cells run in several threads.
pub trait StudyObserver: Send + Sync {
    /// A cell begins. What is returned hears of its trainings, `trainings` of them, one after the other, and is dropped when
    /// the cell ends.
    fn cell_started<'a>(&'a self, _cell: &Cell, _trainings: usize) -> Box<dyn Observer + 'a> {
        Box::new(Silent)
    }

    /// A cell has its result; `reused` where it was there already.
    fn cell_finished(&self, _cell: &Cell, _result: &CellResult, _reused: bool) {}
}

/// Hears nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct SilentStudy;

impl StudyObserver for SilentStudy {}
