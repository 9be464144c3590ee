//! How a stored parameter is read as a matrix, and which parts of it are adapted.

use crate::error::PeftError;
use serde::{Deserialize, Serialize};

/// Adapts some of the equal parts into which a fused weight (`qkv`) splits along its outputs, each with an adapter of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Slices {
    /// How many parts the outputs split into; 3 for `qkv`.
    pub parts: usize,
    /// Which of them to adapt, counted from 0; `[0, 2]` for queries and values.
    pub adapt: Vec<usize>,
}

/// Which axis of a stored parameter counts the outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layout {
    /// `[in, out, ...]`: Burn's `Linear` and transposed convolutions. The matrix is `[in, out * kernel]`, transposed.
    InOut,
    /// `[out, in, ...]`: Burn's convolutions. The matrix is `[out, in * kernel]`.
    OutIn,
}

impl Slices {
    pub(super) fn validate(&self, field: &str) -> Result<(), PeftError> {
        let mut sorted = self.adapt.clone();
        sorted.sort_unstable();
        sorted.dedup();
        if self.parts < 2 {
            let reason = format!("expected at least 2, found {}", self.parts);
            return Err(PeftError::config(format!("{field}.parts"), reason));
        }
        if sorted.is_empty() || sorted.len() != self.adapt.len() || sorted.iter().any(|part| *part >= self.parts) {
            let reason = format!("expected different numbers below {}, found {:?}", self.parts, self.adapt);
            return Err(PeftError::config(format!("{field}.adapt"), reason));
        }
        Ok(())
    }
}
