//! What to adapt and how: the configuration that users write in TOML or JSON.

use crate::error::PeftError;
use salt_linalg::RankRule;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The parameter-efficient method.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Method {
    /// SALT: the top `svd_rank` singular values get a trained scale and shift, the rest a low-rank update of rank `lora_rank`.
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

/// Where SALT applies its ReLU, and how it writes the low-rank update.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum SaltForm {
    /// ReLU on the whole core matrix: the paper's equation.
    #[default]
    Paper,
    /// ReLU on the scaled top singular values only.
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
    /// As the released code does it for SAM 2: SALT on linear layers as [`Identity`](Self::Identity), on convolutions as [`ReleasedSam1`](Self::ReleasedSam1).
    ReleasedSam2,
}

/// How many directions: a number, or a rule of `salt-linalg` on the size or the spectrum of each weight.
///
/// In a file: `svd_rank = 200`, or `svd_rank = { rule = "fraction", share = 0.1 }`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum Rank {
    /// This many; 0 is allowed and leaves the singular values alone.
    Fixed(usize),
    /// A rule.
    Rule(RankRule),
}

impl Rank {
    /// This share of `min(out, in)`, rounded down, at least 1.
    pub fn fraction(share: f64) -> Self {
        Self::Rule(RankRule::Fraction { share })
    }

    /// The smallest rank that keeps this share of the squared Frobenius norm.
    pub fn energy(share: f64) -> Self {
        Self::Rule(RankRule::Energy { share })
    }

    /// The rank for `k` possible directions, where it does not depend on the values of the weight.
    pub(crate) fn without_values(&self, k: usize) -> Option<usize> {
        match self {
            Self::Fixed(rank) | Self::Rule(RankRule::Fixed { rank }) => Some(*rank),
            Self::Rule(RankRule::Fraction { share }) => Some(((share * k as f64) as usize).clamp(1, k)),
            Self::Rule(_) => None,
        }
    }

    fn validate(&self, field: &str) -> Result<(), PeftError> {
        match self {
            Self::Rule(RankRule::Fraction { share } | RankRule::Energy { share })
                if !(*share > 0.0 && *share <= 1.0) =>
            {
                Err(PeftError::config(format!("{field}.share"), format!("expected a number in (0, 1], found {share}")))
            }
            _ => Ok(()),
        }
    }
}

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

/// What to adapt and how.
///
/// Patterns are regular expressions, searched for anywhere in the path of a parameter (`blocks.0.attn.qkv.weight`), so plain words work.
/// Unknown fields are errors.
///
/// ```
/// use salt_peft::{AdapterConfig, Method};
///
/// let config: AdapterConfig = serde_json::from_str(r#"{
///     "method": "salt", "include": ["qkv", "proj"], "svd_rank": 200, "lora_rank": 256, "train": ["norm", "pos_embed"]
/// }"#)?;
/// assert_eq!(config.method, Method::Salt);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AdapterConfig {
    /// The method.
    pub method: Method,
    /// Weights to adapt; empty means every `Linear` and convolution weight. Each pattern must match.
    pub include: Vec<String>,
    /// Weights to leave alone although `include` names them.
    pub exclude: Vec<String>,
    /// SALT: how many of the largest singular values get a scale and a shift (`r` in the paper).
    pub svd_rank: Rank,
    /// `svd_rank` for the weights that a pattern matches.
    pub svd_rank_pattern: BTreeMap<String, Rank>,
    /// Rank of the low-rank update: LoRA's and DoRA's `r`, SALT's `d_lora`.
    pub lora_rank: usize,
    /// `lora_rank` for the weights that a pattern matches.
    pub lora_rank_pattern: BTreeMap<String, usize>,
    /// LoRA and DoRA: the update is scaled by `alpha / rank`; none means a scale of 1.
    pub alpha: Option<f64>,
    /// `alpha` for the weights that a pattern matches.
    pub alpha_pattern: BTreeMap<String, f64>,
    /// LoRA and DoRA: scale by `alpha / sqrt(rank)` instead (rsLoRA).
    pub rank_stabilized: bool,
    /// SALT's form; for SVD tuning `linear` drops the ReLU.
    pub form: SaltForm,
    /// Values before the first step.
    pub initialization: Initialization,
    /// Fused weights that are adapted in parts.
    pub slices: BTreeMap<String, Slices>,
    /// How to read weights that are neither `Linear` nor convolutions.
    pub layouts: BTreeMap<String, Layout>,
    /// Further parameters that are trained in full: norms, positions, a prompt token, a decoder. Each pattern must match.
    pub train: Vec<String>,
    /// Seed of the initial values; every factor draws from a stream of its own.
    pub seed: u64,
}

impl Default for AdapterConfig {
    fn default() -> Self {
        Self {
            method: Method::Salt,
            include: Vec::new(),
            exclude: Vec::new(),
            svd_rank: Rank::fraction(0.1),
            svd_rank_pattern: BTreeMap::new(),
            lora_rank: 4,
            lora_rank_pattern: BTreeMap::new(),
            alpha: None,
            alpha_pattern: BTreeMap::new(),
            rank_stabilized: false,
            form: SaltForm::Paper,
            initialization: Initialization::Identity,
            slices: BTreeMap::new(),
            layouts: BTreeMap::new(),
            train: Vec::new(),
            seed: 0,
        }
    }
}

impl AdapterConfig {
    /// SALT in the paper's form with a fixed rank.
    pub fn salt(svd_rank: usize, lora_rank: usize) -> Self {
        Self { svd_rank: Rank::Fixed(svd_rank), lora_rank, ..Self::default() }
    }

    /// SVD tuning (S-SAM).
    pub fn svd() -> Self {
        Self { method: Method::Svd, ..Self::default() }
    }

    /// LoRA with scale `alpha / rank`.
    pub fn lora(rank: usize, alpha: f64) -> Self {
        Self { method: Method::Lora, lora_rank: rank, alpha: Some(alpha), ..Self::default() }
    }

    /// DoRA with scale `alpha / rank`.
    pub fn dora(rank: usize, alpha: f64) -> Self {
        Self { method: Method::Dora, ..Self::lora(rank, alpha) }
    }

    /// The same, adapting the weights that these patterns match.
    #[must_use]
    pub fn with_include<S: Into<String>>(mut self, patterns: impl IntoIterator<Item = S>) -> Self {
        self.include = patterns.into_iter().map(Into::into).collect();
        self
    }

    /// The same, leaving alone the weights that these patterns match.
    #[must_use]
    pub fn with_exclude<S: Into<String>>(mut self, patterns: impl IntoIterator<Item = S>) -> Self {
        self.exclude = patterns.into_iter().map(Into::into).collect();
        self
    }

    /// The same, training in full the parameters that these patterns match.
    #[must_use]
    pub fn with_train<S: Into<String>>(mut self, patterns: impl IntoIterator<Item = S>) -> Self {
        self.train = patterns.into_iter().map(Into::into).collect();
        self
    }

    /// The same in another form.
    #[must_use]
    pub fn with_form(mut self, form: SaltForm) -> Self {
        self.form = form;
        self
    }

    /// The same with other initial values.
    #[must_use]
    pub fn with_initialization(mut self, initialization: Initialization) -> Self {
        self.initialization = initialization;
        self
    }

    /// The same with another seed.
    #[must_use]
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Checks every value that can be checked without a module.
    ///
    /// # Errors
    /// [`PeftError::Config`] naming the field.
    pub fn validate(&self) -> Result<(), PeftError> {
        self.svd_rank.validate("svd_rank")?;
        for (pattern, rank) in &self.svd_rank_pattern {
            rank.validate(&format!("svd_rank_pattern.\"{pattern}\""))?;
        }
        if matches!(self.method, Method::Lora | Method::Dora) && self.lora_rank == 0 {
            return Err(PeftError::config("lora_rank", "expected at least 1, found 0"));
        }
        let alphas = self.alpha_pattern.iter().map(|(pattern, alpha)| (format!("alpha_pattern.\"{pattern}\""), *alpha));
        for (field, alpha) in self.alpha.map(|alpha| ("alpha".to_owned(), alpha)).into_iter().chain(alphas) {
            if !alpha.is_finite() {
                return Err(PeftError::config(field, format!("expected a finite number, found {alpha}")));
            }
        }
        if self.method == Method::Svd && self.form == SaltForm::Projector {
            return Err(PeftError::config(
                "form",
                "`projector` has no meaning for SVD tuning, which has no low-rank update",
            ));
        }
        if self.method == Method::Named && self.include.is_empty() {
            return Err(PeftError::config("include", "method `named` needs at least one pattern"));
        }
        for (pattern, slices) in &self.slices {
            let field = format!("slices.\"{pattern}\"");
            let mut sorted = slices.adapt.clone();
            sorted.sort_unstable();
            sorted.dedup();
            if slices.parts < 2 {
                return Err(PeftError::config(
                    field + ".parts",
                    format!("expected at least 2, found {}", slices.parts),
                ));
            }
            if sorted.is_empty()
                || sorted.len() != slices.adapt.len()
                || sorted.iter().any(|part| *part >= slices.parts)
            {
                let found = &slices.adapt;
                return Err(PeftError::config(
                    field + ".adapt",
                    format!("expected different numbers below {}, found {found:?}", slices.parts),
                ));
            }
        }
        Ok(())
    }
}
