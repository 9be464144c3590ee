//! The methods and their variants.

use serde::{Deserialize, Serialize};

/// The parameter-efficient method.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Method {
    /// SALT: the top `svd-rank` singular values get a trained scale and shift, the rest a low-rank update of rank `lora-rank`.
    #[default]
    Salt,
    /// SVD tuning (S-SAM): every singular value gets a trained scale and shift.
    Svd,
    /// LoRA: `W + (alpha / rank) B A`.
    Lora,
    /// DoRA: LoRA's direction with a trained magnitude per output.
    Dora,
    /// Trains every bias (`include` and `exclude` narrow the choice).
    Biases,
    /// Trains every parameter of a normalisation layer.
    Norms,
    /// Trains the parameters that `include` names.
    Named,
    /// Trains every parameter.
    Full,
}

impl Method {
    /// Every method.
    const ALL: [Self; 8] =
        [Self::Salt, Self::Svd, Self::Lora, Self::Dora, Self::Biases, Self::Norms, Self::Named, Self::Full];

    /// Its name in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Salt => "salt",
            Self::Svd => "svd",
            Self::Lora => "lora",
            Self::Dora => "dora",
            Self::Biases => "biases",
            Self::Norms => "norms",
            Self::Named => "named",
            Self::Full => "full",
        }
    }

    /// Whether it puts adapters on weights, or trains parameters as they are.
    pub fn adapts(self) -> bool {
        matches!(self, Self::Salt | Self::Svd | Self::Lora | Self::Dora)
    }

    /// Whether a key of the configuration means anything to the method. The seed belongs to every method: a comparison gives all of
    /// them the same, and those without random values draw nothing.
    pub(super) fn takes(self, key: &str) -> bool {
        match key {
            "svd-rank" | "svd-rank-pattern" | "decomposition" => self == Self::Salt,
            "lora-rank" | "lora-rank-pattern" | "initialization" => {
                matches!(self, Self::Salt | Self::Lora | Self::Dora)
            }
            "alpha" | "alpha-pattern" | "rank-stabilized" => matches!(self, Self::Lora | Self::Dora),
            "form" => matches!(self, Self::Salt | Self::Svd),
            "slices" | "layouts" => self.adapts(),
            _ => true,
        }
    }

    /// Why a key that the method does not take is an error.
    pub(super) fn refusal(self, key: &str) -> String {
        let takers: Vec<String> =
            Self::ALL.iter().filter(|method| method.takes(key)).map(|method| format!("`{}`", method.name())).collect();
        format!("method `{}` would ignore it; it belongs to {}", self.name(), takers.join(", "))
    }
}

/// Where SALT applies its ReLU, and how it writes the low-rank update.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum SaltForm {
    /// ReLU on the whole core matrix: the paper's equation. It clips half of the update's entries, which then get no gradient.
    Paper,
    /// ReLU on the scaled top singular values only: the update is the low-rank matrix that the paper describes.
    #[default]
    Diag,
    /// No ReLU.
    Linear,
    /// No ReLU, and the update `(I - U_r U_r^T) B A (I - V_r V_r^T)`: independent of signs and rotations of the basis, from a truncated decomposition.
    Projector,
}

/// The values of the trained factors before the first step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Initialization {
    /// The adapted model equals the base model at step 0. SALT: `X` Kaiming-uniform, `Y` zero. LoRA and DoRA: `A` Kaiming-uniform, `B` zero, as in PEFT.
    #[default]
    Identity,
    /// As the released code does it for SAM: SALT draws `X` and `Y` from N(0, 0.01^2), so the model changes at step 0;
    /// LoRA draws `A` from N(0, 1/rank^2) with `B` zero.
    ReleasedSam1,
    /// As the released code does it for SAM 2: SALT on linear layers with `Y` zero and `X` uniform in
    /// +-`sqrt(6 / rank)`, on convolutions as [`ReleasedSam1`](Self::ReleasedSam1).
    ReleasedSam2,
}
