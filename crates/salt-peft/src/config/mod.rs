//! What to adapt and how: the configuration that users write in TOML or JSON.

mod decomposition;
mod file_form;
mod method;
mod rank;
mod slices;

pub use decomposition::{Decomposition, Sketch};
pub use method::{Initialization, Method, SaltForm};
pub use rank::Rank;
pub use slices::{Layout, Slices};

use crate::error::PeftError;
use file_form::FileForm;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What to adapt and how.
///
/// Patterns are regular expressions, searched for anywhere in the path of a parameter (`blocks.0.attn.qkv.weight`), so plain words work.
/// Unknown keys are errors, and so are keys that the method would ignore: `alpha` with SALT, `form` with LoRA.
///
/// In files keys are written with hyphens (`svd-rank`). The older spelling with underscores is read, with a `tracing` warning.
///
/// ```
/// use salt_peft::{AdapterConfig, Method};
///
/// let config: AdapterConfig = serde_json::from_str(r#"{
///     "method": "salt", "include": ["qkv", "proj"], "svd-rank": 200, "lora-rank": 256, "train": ["norm", "pos_embed"]
/// }"#)?;
/// assert_eq!(config.method, Method::Salt);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "FileForm", into = "FileForm")]
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
    /// SALT: how the singular vectors are computed.
    pub decomposition: Decomposition,
    /// Values before the first step.
    pub initialization: Initialization,
    /// Fused weights that are adapted in parts.
    pub slices: BTreeMap<String, Slices>,
    /// How to read weights that are neither `Linear` nor convolutions.
    pub layouts: BTreeMap<String, Layout>,
    /// Further parameters that are trained in full: norms, positions, a prompt token, a decoder. Each pattern must match.
    pub train: Vec<String>,
    /// Seed of the initial values; every factor draws from a stream of its own. None leaves the choice to the program (`salt` takes
    /// the seed of the run); [`attach`](crate::attach) takes 0.
    pub seed: Option<u64>,
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
            form: SaltForm::default(),
            decomposition: Decomposition::Exact,
            initialization: Initialization::Identity,
            slices: BTreeMap::new(),
            layouts: BTreeMap::new(),
            train: Vec::new(),
            seed: None,
        }
    }
}

impl AdapterConfig {
    /// SALT in the default form with a fixed rank.
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
        self.seed = Some(seed);
        self
    }

    /// The same with another decomposition.
    #[must_use]
    pub fn with_decomposition(mut self, decomposition: Decomposition) -> Self {
        self.decomposition = decomposition;
        self
    }

    /// Checks every value that can be checked without a module.
    ///
    /// # Errors
    /// [`PeftError::Config`] naming the field, for a value that makes no sense and for one that the method would ignore.
    pub fn validate(&self) -> Result<(), PeftError> {
        if let Some(key) = FileForm::from(self.clone()).ignored() {
            return Err(PeftError::config(key, self.method.refusal(key)));
        }
        self.svd_rank.validate("svd-rank")?;
        for (pattern, rank) in &self.svd_rank_pattern {
            rank.validate(&format!("svd-rank-pattern.\"{pattern}\""))?;
        }
        if matches!(self.method, Method::Lora | Method::Dora) && self.lora_rank == 0 {
            return Err(PeftError::config("lora-rank", "expected at least 1, found 0"));
        }
        let alphas = self.alpha_pattern.iter().map(|(pattern, alpha)| (format!("alpha-pattern.\"{pattern}\""), *alpha));
        for (field, alpha) in self.alpha.map(|alpha| ("alpha".to_owned(), alpha)).into_iter().chain(alphas) {
            if !alpha.is_finite() {
                return Err(PeftError::config(field, format!("expected a finite number, found {alpha}")));
            }
        }
        if self.method == Method::Svd && self.form == SaltForm::Projector {
            let reason = "`projector` has no meaning for SVD tuning, which has no low-rank update";
            return Err(PeftError::config("form", reason));
        }
        if self.method == Method::Named && self.include.is_empty() {
            return Err(PeftError::config("include", "method `named` needs at least one pattern"));
        }
        for (pattern, slices) in &self.slices {
            slices.validate(&format!("slices.\"{pattern}\""))?;
        }
        self.check_decomposition()
    }

    /// A sketch gives the leading singular vectors alone, of a number that is known beforehand.
    fn check_decomposition(&self) -> Result<(), PeftError> {
        if self.decomposition == Decomposition::Exact {
            return Ok(());
        }
        let updates = self.lora_rank > 0 || self.lora_rank_pattern.values().any(|rank| *rank > 0);
        if self.form != SaltForm::Projector && updates {
            let reason = "`randomized` computes the leading singular vectors alone, and this form is written in all of \
                          them; take `form = \"projector\"` or `decomposition = \"exact\"`";
            return Err(PeftError::config("decomposition", reason));
        }
        let ranks = std::iter::once(&self.svd_rank).chain(self.svd_rank_pattern.values());
        if ranks.into_iter().any(|rank| rank.without_values(usize::MAX).is_none()) {
            let reason = "`randomized` needs to know the rank beforehand, and a rule on the spectrum needs all singular \
                          values; give `svd-rank` as a number or a fraction";
            return Err(PeftError::config("decomposition", reason));
        }
        Ok(())
    }
}
