//! What is attached to one weight, without the values: enough to rebuild the adapter around them.

use crate::config::{Layout, SaltForm, Sketch};
use serde::{Deserialize, Serialize};

/// One named adapter of one parameter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LayerSpec {
    /// Name of the adapter.
    pub adapter: String,
    /// Whether it shapes the effective weight now; at most one adapter of a parameter does.
    pub active: bool,
    /// How the parameter is read as a matrix.
    pub layout: Layout,
    /// The parts of the outputs that are adapted, in order; most weights have one part, the whole.
    pub parts: Vec<PartSpec>,
}

/// An adapted range of the outputs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PartSpec {
    /// First row of `W [out, in]`.
    pub start: usize,
    /// Number of rows.
    pub len: usize,
    /// The method.
    pub kind: Kind,
    /// How the basis was computed, for the methods that have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub basis: Option<BasisRecord>,
}

/// How a basis was computed, and how well the weight determines it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BasisRecord {
    /// Name of the algorithm.
    pub algorithm: String,
    /// Which of the two signs each pair of singular vectors has.
    pub sign_rule: String,
    /// The last singular value of the top block; none where the top block is empty.
    pub sigma_at_cut: Option<f32>,
    /// The first singular value after the cut; none where nothing follows.
    pub sigma_after_cut: Option<f32>,
    /// `(sigma_at_cut - sigma_after_cut) / sigma_at_cut`: near zero, the weight does not determine the split.
    pub relative_gap: Option<f32>,
    /// The settings of a randomised decomposition; none for an exact one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sketch: Option<Sketch>,
}

/// The method of a part, with its fixed numbers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Kind {
    /// LoRA.
    Lora {
        /// Rank of the update.
        rank: usize,
        /// Factor of `B A`.
        #[serde(with = "exact")]
        scale: f64,
    },
    /// DoRA.
    Dora {
        /// Rank of the update.
        rank: usize,
        /// Factor of `B A`.
        #[serde(with = "exact")]
        scale: f64,
    },
    /// SVD tuning; `relu` on the singular values.
    Svd {
        /// Whether the trained singular values pass a ReLU.
        relu: bool,
    },
    /// SALT in any form.
    Salt {
        /// How many singular values are scaled and shifted.
        svd_rank: usize,
        /// Rank of the update.
        lora_rank: usize,
        /// Where the ReLU is.
        form: SaltForm,
    },
    /// The parameter is trained in full.
    Full,
    /// A frozen update of the weight.
    Delta,
}

impl Kind {
    /// Trained parameters of this method on a matrix `[outputs, inputs]`.
    ///
    /// LoRA `R (out + in)`; DoRA `R (out + in) + out`; SVD `2 k`; SALT `2 r + 2 d (k - r)`; projector `2 r + d (out + in)`, with `k = min(out, in)`.
    pub fn trainable(&self, outputs: usize, inputs: usize) -> usize {
        let k = outputs.min(inputs);
        match *self {
            Self::Lora { rank, .. } => rank * (outputs + inputs),
            Self::Dora { rank, .. } => rank * (outputs + inputs) + outputs,
            Self::Svd { .. } => 2 * k,
            Self::Salt { svd_rank, lora_rank, form: SaltForm::Projector } => {
                2 * svd_rank + lora_rank * (outputs + inputs)
            }
            Self::Salt { svd_rank, lora_rank, .. } => 2 * svd_rank + 2 * lora_rank * (k - svd_rank),
            Self::Full => outputs * inputs,
            Self::Delta => 0,
        }
    }

    /// The method's short name in reports.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Lora { .. } => "lora",
            Self::Dora { .. } => "dora",
            Self::Svd { .. } => "svd",
            Self::Salt { .. } => "salt",
            Self::Full => "full",
            Self::Delta => "delta",
        }
    }
}

/// A number whose bits survive a JSON file: as a number where the parser gives the same bits back, else as text.
mod exact {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    #[serde(untagged)]
    enum Form {
        Number(f64),
        Text(String),
    }

    pub(super) fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        let text = value.to_string();
        let same = serde_json::from_str::<f64>(&text).is_ok_and(|parsed| parsed.to_bits() == value.to_bits());
        if same { Form::Number(*value) } else { Form::Text(text) }.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        match Form::deserialize(deserializer)? {
            Form::Number(value) => Ok(value),
            Form::Text(text) => text.parse().map_err(serde::de::Error::custom),
        }
    }
}
