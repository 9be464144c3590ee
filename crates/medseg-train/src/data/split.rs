//! Who trains, who chooses, who is reported on.

use crate::error::{Result, TrainError};
use medseg_data::dataset::{Dataset, Sample};
use medseg_data::random::Stream;
use medseg_data::split::{Split, SplitTable, seeded_split};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The rule that gives every image its part.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "rule", rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum SplitRule {
    /// The publisher's split where there is one. A missing validation part is taken from the training part, a missing test
    /// part is the publisher's validation part; without any split, as `shares` with 0.6 and 0.2.
    Auto {
        /// Share of the training part that becomes validation where the publisher names none.
        #[serde(default = "default_validation")]
        validation: f64,
        /// Seed of the draw.
        #[serde(default)]
        seed: u64,
    },
    /// Drawn by patient: these shares train and choose, the rest is reported on.
    Shares {
        /// Share that trains.
        train: f64,
        /// Share that chooses.
        validation: f64,
        /// Seed of the draw.
        #[serde(default)]
        seed: u64,
    },
    /// A CSV with the columns `id,split,fold`.
    Table {
        /// The file.
        file: PathBuf,
        /// SHA-256 that the file must have.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        checksum: Option<String>,
    },
    /// The paper's sizes, drawn by the documented seeded rule; the test part also chooses, as in the released code.
    PaperSizes {
        /// Name that enters the draw.
        name: String,
        /// Training images.
        train: usize,
        /// Images that choose and are reported on.
        test: usize,
    },
}

fn default_validation() -> f64 {
    0.2
}

impl Default for SplitRule {
    fn default() -> Self {
        Self::Auto { validation: default_validation(), seed: 0 }
    }
}

impl SplitRule {
    pub(crate) fn selects_on_test(&self) -> bool {
        matches!(self, Self::PaperSizes { .. })
    }

    pub(crate) fn validate(&self) -> Result<()> {
        let inside = |value: f64| value > 0.0 && value < 1.0;
        match *self {
            Self::Auto { validation, .. } if !inside(validation) => {
                let problem = format!("validation must lie strictly between 0 and 1, found {validation}");
                Err(TrainError::config("data.split", problem))
            }
            Self::Shares { train, validation, .. }
                if !(inside(train) && inside(validation) && train + validation < 1.0) =>
            {
                let problem = format!("train + validation must leave a share for test, found {train} + {validation}");
                Err(TrainError::config("data.split", problem))
            }
            Self::PaperSizes { train, test, .. } if train == 0 || test == 0 => {
                Err(TrainError::config("data.split", "train and test must be at least 1"))
            }
            _ => Ok(()),
        }
    }

    /// Gives every sample its part and says in words what was done.
    pub(crate) fn apply(&self, dataset: &mut Dataset) -> Result<String> {
        match self {
            Self::Auto { validation, seed } => Ok(auto(dataset, *validation, *seed)),
            Self::Shares { train, validation, seed } => {
                by_shares(&mut dataset.samples, *train, *validation, *seed);
                Ok(format!("drawn by patient, {train} train and {validation} validation, seed {seed}"))
            }
            Self::Table { file, checksum } => {
                let table = SplitTable::read(file, checksum.as_deref())?;
                dataset.apply_split(&table)?;
                Ok(format!("table {}, SHA-256 {}", file.display(), table.checksum()))
            }
            Self::PaperSizes { name, train, test } => {
                let needed = train + test;
                // The paper's sets are the publisher's training part where that has the size, else everything.
                let published: Vec<String> = dataset.split(Split::Train).map(|sample| sample.id.clone()).collect();
                let all: Vec<String> = dataset.samples.iter().map(|sample| sample.id.clone()).collect();
                let ids = if published.len() == needed { published } else { all };
                let table = seeded_split(name, &ids, *train, *test, 42)?;
                dataset.apply_split(&table)?;
                Ok(format!(
                    "the paper's sizes, {train} train and {test} test, seeded rule; checkpoints are chosen on the test part"
                ))
            }
        }
    }
}

fn auto(dataset: &mut Dataset, validation: f64, seed: u64) -> String {
    let count = |dataset: &Dataset, split| dataset.split(split).count();
    let [train, val, test] = [Split::Train, Split::Val, Split::Test].map(|split| count(dataset, split));
    if train == 0 || (val == 0 && test == 0) {
        by_shares(&mut dataset.samples, 0.6, 0.2, seed);
        return format!("no usable published split; drawn by patient, 0.6 train and 0.2 validation, seed {seed}");
    }
    let mut words = vec!["the publisher's".to_string()];
    if test == 0 {
        for sample in &mut dataset.samples {
            if sample.split == Some(Split::Val) {
                sample.split = Some(Split::Test);
            }
        }
        words.push("its validation part is reported on as test".into());
    }
    if val == 0 || test == 0 {
        let mut part: Vec<&mut Sample> =
            dataset.samples.iter_mut().filter(|sample| sample.split == Some(Split::Train)).collect();
        assign(&mut part, &[(Split::Val, validation)], Split::Train, seed);
        words.push(format!("validation is {validation} of the training part by patient, seed {seed}"));
    }
    dataset.retain(|sample| sample.split.is_some());
    words.join("; ")
}

fn by_shares(samples: &mut [Sample], train: f64, validation: f64, seed: u64) {
    let mut all: Vec<&mut Sample> = samples.iter_mut().collect();
    let test = 1.0 - train - validation;
    assign(&mut all, &[(Split::Test, test), (Split::Val, validation)], Split::Train, seed);
}

/// Shuffles patients and fills the parts in turn, each with whole patients up to its share (at least one patient).
fn assign(samples: &mut [&mut Sample], parts: &[(Split, f64)], rest: Split, seed: u64) {
    let total = samples.len() as f64;
    let mut patients: BTreeMap<(bool, String), Vec<usize>> = BTreeMap::new();
    for (index, sample) in samples.iter().enumerate() {
        let key = sample.patient.clone().map_or_else(|| (false, sample.id.clone()), |patient| (true, patient));
        patients.entry(key).or_default().push(index);
    }
    let mut groups: Vec<Vec<usize>> = patients.into_values().collect();
    Stream::seeded(seed, "train, validation and test").shuffle(&mut groups);
    let mut groups = groups.into_iter();
    for &(split, share) in parts {
        let wanted = (share * total).round().max(1.0) as usize;
        let mut taken = 0;
        while taken < wanted {
            let Some(group) = groups.next() else { return };
            taken += group.len();
            for index in group {
                samples[index].split = Some(split);
            }
        }
    }
    for index in groups.flatten() {
        samples[index].split = Some(rest);
    }
}
