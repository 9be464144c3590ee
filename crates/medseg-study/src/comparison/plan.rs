//! The cells of a comparison: one method on one data set with one seed.

use super::profile::Profile;
use crate::methods::MethodRow;
use serde::{Deserialize, Serialize};

/// One cell, the unit of a job array.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cell {
    /// Position in the plan; `--cell` takes it.
    pub index: usize,
    /// Data set name.
    pub dataset: String,
    /// Method id.
    pub method: String,
    /// Seed.
    pub seed: u64,
}

impl std::fmt::Display for Cell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} / {} / seed {}", self.dataset, self.method, self.seed)
    }
}

/// All cells, in table order. The same profile and rows give the same plan on every machine.
pub fn plan(profile: &Profile, rows: &[MethodRow]) -> Vec<Cell> {
    let mut cells = Vec::new();
    for dataset in &profile.datasets {
        for row in rows {
            // Where nothing is drawn, as for a base that is not trained, one seed says it all.
            let seeds = if row.is_drawn() { &profile.seeds[..] } else { &profile.seeds[..1.min(profile.seeds.len())] };
            for &seed in seeds {
                let (dataset, method) = (dataset.name.clone(), row.id.clone());
                cells.push(Cell { index: cells.len(), dataset, method, seed });
            }
        }
    }
    cells
}

/// A name as part of a path: lower-case letters, digits and hyphens.
pub(super) fn slug(name: &str) -> String {
    let mut out = String::new();
    for letter in name.chars() {
        if letter.is_ascii_alphanumeric() {
            out.push(letter.to_ascii_lowercase());
        } else if !out.ends_with('-') && !out.is_empty() {
            out.push('-');
        }
    }
    let out = out.trim_end_matches('-');
    if out.is_empty() { "data".into() } else { out.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::methods::{TableChoice, chosen_rows};
    use sam_model::SamConfig;

    #[test]
    fn every_method_meets_every_set_once_per_seed_and_the_untrained_base_once() {
        let mut profile = Profile::demo();
        profile.seeds = vec![0, 1, 2];
        let mut rows = chosen_rows(TableChoice::Main, &SamConfig::mini(), false, &[]).unwrap();
        let cells = plan(&profile, &rows);
        assert_eq!(cells.len(), 2 * (1 + 3 * (rows.len() - 1)));
        assert!(cells.iter().enumerate().all(|(index, cell)| cell.index == index));
        assert_eq!(cells.iter().filter(|cell| cell.method == "frozen").count(), 2);
        // Points are drawn, a box is not.
        let ids = ["sam-points-1".to_string(), "sam-box".to_string()];
        rows = chosen_rows(TableChoice::Main, &SamConfig::mini(), false, &ids).unwrap();
        assert_eq!(plan(&profile, &rows).len(), 2 * (3 + 1));
    }

    #[test]
    fn names_become_paths() {
        assert_eq!(slug("Synthetic OCTA"), "synthetic-octa");
        assert_eq!(slug("../x (2)"), "x-2");
        assert_eq!(slug("…"), "data");
    }
}
