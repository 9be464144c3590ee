//! What a model is scored by while it is pre-trained.

use serde::{Deserialize, Serialize};

/// Mean Dice on scenes that training never shows.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// All lines by the automatic token.
    pub automatic: f64,
    /// One object by a point.
    pub point: f64,
    /// One object by a box.
    pub r#box: f64,
}
