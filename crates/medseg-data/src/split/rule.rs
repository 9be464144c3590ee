//! The seeded rule for splits whose original ids were not published.

use super::{Split, SplitRow, SplitTable};
use crate::error::{DataError, Result};
use crate::random::Stream;

/// How many samples of a data set the paper trains and evaluates on. Only the sizes are published, so the ids are drawn by
/// [`seeded_split`] with seed 42 from the part of the data set that has as many samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PaperSizes {
    /// The data set, as its manifest names it.
    pub name: &'static str,
    /// Training samples.
    pub train: usize,
    /// Held-out samples, on which the paper both selects and reports.
    pub test: usize,
}

impl PaperSizes {
    /// The five data sets of the paper.
    pub const ALL: [PaperSizes; 5] = [
        PaperSizes { name: "arcade", train: 700, test: 300 },
        PaperSizes { name: "rose", train: 22, test: 8 },
        PaperSizes { name: "dias", train: 20, test: 10 },
        PaperSizes { name: "xray-angio", train: 93, test: 41 },
        PaperSizes { name: "drive", train: 14, test: 6 },
    ];

    /// The sizes of one data set.
    pub fn of(name: &str) -> Option<PaperSizes> {
        Self::ALL.into_iter().find(|s| s.name == name)
    }
}

/// Draws a split of given sizes.
///
/// The rule: sort the ids in natural order (numbers as numbers), shuffle them (Fisher-Yates with the stream of (`seed`,
/// "split:" + `name`) of [`random`](crate::random)), give the first `train` ids to training and the rest to testing. The
/// table lists the ids in natural order.
///
/// # Errors
/// [`DataError::Split`] unless there are exactly `train + test` different ids.
pub fn seeded_split(name: &str, ids: &[String], train: usize, test: usize, seed: u64) -> Result<SplitTable> {
    if ids.len() != train + test {
        return Err(DataError::Split {
            path: name.into(),
            reason: format!("expected {train} + {test} samples, found {}", ids.len()),
        });
    }
    let mut sorted = ids.to_vec();
    sorted.sort_by_cached_key(|id| crate::names::natural(id));
    let order = Stream::seeded(seed, &format!("split:{name}")).permutation(sorted.len());
    let mut splits = vec![Split::Test; sorted.len()];
    for &index in &order[..train] {
        splits[index] = Split::Train;
    }
    SplitTable::new(sorted.into_iter().zip(splits).map(|(id, split)| SplitRow { id, split, fold: None }).collect())
}
