//! What each library would have reported: its definition together with its own treatment of empty masks.

use super::report::Report;
use crate::statistics::mean;
use crate::{Definition, Emptiness, Metric, Score};
use std::fmt;

/// A mean as one library, or the code around it, would have printed it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum LibraryAnswer {
    /// The mean over this many cases; the others were dropped silently.
    Mean {
        /// The mean.
        value: f64,
        /// Cases left out of it.
        dropped: usize,
    },
    /// An exception on this many cases, so no mean at all.
    Raises {
        /// Cases with an empty mask.
        cases: usize,
    },
}

impl fmt::Display for LibraryAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mean { value, dropped: 0 } => write!(f, "{value:.3}"),
            Self::Mean { value, dropped } => write!(f, "{value:.3}, {dropped} dropped"),
            Self::Raises { cases } => write!(f, "raises on {cases}"),
        }
    }
}

impl Report {
    /// The Hausdorff percentile of every definition of the protocol as its library averages it: medpy raises on an empty mask,
    /// MONAI drops such cases from the mean, surface-distance returns infinity, and the code released with the SALT paper
    /// returns infinity for one empty mask and 0 for two.
    pub fn library_answers(&self) -> Vec<(Definition, LibraryAnswer)> {
        let definitions = self.lock().protocol().definitions().iter();
        definitions.map(|&definition| (definition, self.library_answer(definition))).collect()
    }

    fn library_answer(&self, definition: Definition) -> LibraryAnswer {
        let scores = self.cases().iter().filter_map(|c| c.score(Metric::HausdorffPercentile(definition)));
        let (mut values, mut one_empty, mut both_empty) = (Vec::new(), 0, 0);
        for score in scores {
            match score {
                Score::Defined(value) => values.push(value),
                _ if score.cause() == Some(Emptiness::Both) => both_empty += 1,
                _ => one_empty += 1,
            }
        }
        let undefined = one_empty + both_empty;
        match definition {
            Definition::Pooled if undefined > 0 => return LibraryAnswer::Raises { cases: undefined },
            Definition::LengthWeighted => values.extend(std::iter::repeat_n(f64::INFINITY, undefined)),
            Definition::PaperReleased | Definition::PaperReleasedOpenBorder => {
                values.extend(std::iter::repeat_n(f64::INFINITY, one_empty));
                values.extend(std::iter::repeat_n(0.0, both_empty));
            }
            Definition::MaxDirected | Definition::Pooled => {}
        }
        LibraryAnswer::Mean { value: mean(&values), dropped: self.cases().len() - values.len() }
    }
}
