//! The configuration as files have it: which keys were given, in which spelling.

use super::{AdapterConfig, Decomposition, Initialization, Layout, Method, Rank, SaltForm, Slices};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Every key, present or absent; those of two words a second time, in the older spelling.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(super) struct FileForm {
    method: Method,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    include: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    exclude: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    train: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lora_rank: Option<usize>,
    #[serde(rename = "lora_rank", skip_serializing)]
    old_lora_rank: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    alpha: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rank_stabilized: Option<bool>,
    #[serde(rename = "rank_stabilized", skip_serializing)]
    old_rank_stabilized: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    form: Option<SaltForm>,
    #[serde(skip_serializing_if = "Option::is_none")]
    initialization: Option<Initialization>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<u64>,
    // What becomes a table comes last, as TOML wants it.
    #[serde(skip_serializing_if = "Option::is_none")]
    svd_rank: Option<Rank>,
    #[serde(rename = "svd_rank", skip_serializing)]
    old_svd_rank: Option<Rank>,
    #[serde(skip_serializing_if = "Option::is_none")]
    decomposition: Option<Decomposition>,
    #[serde(skip_serializing_if = "Option::is_none")]
    svd_rank_pattern: Option<BTreeMap<String, Rank>>,
    #[serde(rename = "svd_rank_pattern", skip_serializing)]
    old_svd_rank_pattern: Option<BTreeMap<String, Rank>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lora_rank_pattern: Option<BTreeMap<String, usize>>,
    #[serde(rename = "lora_rank_pattern", skip_serializing)]
    old_lora_rank_pattern: Option<BTreeMap<String, usize>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    alpha_pattern: Option<BTreeMap<String, f64>>,
    #[serde(rename = "alpha_pattern", skip_serializing)]
    old_alpha_pattern: Option<BTreeMap<String, f64>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    slices: Option<BTreeMap<String, Slices>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    layouts: Option<BTreeMap<String, Layout>>,
}

impl FileForm {
    /// Moves values from the older spelling to the present one.
    fn modernise(&mut self) -> Result<(), String> {
        fn rename<T>(old: &mut Option<T>, new: &mut Option<T>, name: &str) -> Result<(), String> {
            let Some(value) = old.take() else { return Ok(()) };
            let old_name = name.replace('-', "_");
            if new.is_some() {
                return Err(format!("`{name}` is given twice, once in its older spelling `{old_name}`"));
            }
            tracing::warn!("adapter configuration: `{old_name}` is now written `{name}`");
            *new = Some(value);
            Ok(())
        }
        rename(&mut self.old_svd_rank, &mut self.svd_rank, "svd-rank")?;
        rename(&mut self.old_svd_rank_pattern, &mut self.svd_rank_pattern, "svd-rank-pattern")?;
        rename(&mut self.old_lora_rank, &mut self.lora_rank, "lora-rank")?;
        rename(&mut self.old_lora_rank_pattern, &mut self.lora_rank_pattern, "lora-rank-pattern")?;
        rename(&mut self.old_alpha_pattern, &mut self.alpha_pattern, "alpha-pattern")?;
        rename(&mut self.old_rank_stabilized, &mut self.rank_stabilized, "rank-stabilized")
    }

    /// The first key that is given although the method does not take it.
    pub(super) fn ignored(&self) -> Option<&'static str> {
        let given = [
            ("svd-rank", self.svd_rank.is_some()),
            ("svd-rank-pattern", self.svd_rank_pattern.is_some()),
            ("lora-rank", self.lora_rank.is_some()),
            ("lora-rank-pattern", self.lora_rank_pattern.is_some()),
            ("alpha", self.alpha.is_some()),
            ("alpha-pattern", self.alpha_pattern.is_some()),
            ("rank-stabilized", self.rank_stabilized.is_some()),
            ("form", self.form.is_some()),
            ("decomposition", self.decomposition.is_some()),
            ("initialization", self.initialization.is_some()),
            ("slices", self.slices.is_some()),
            ("layouts", self.layouts.is_some()),
        ];
        given.into_iter().find(|(key, given)| *given && !self.method.takes(key)).map(|(key, _)| key)
    }
}

impl TryFrom<FileForm> for AdapterConfig {
    type Error = String;

    fn try_from(mut file: FileForm) -> Result<Self, String> {
        file.modernise()?;
        if let Some(key) = file.ignored() {
            return Err(format!("key `{key}`: {}", file.method.refusal(key)));
        }
        let default = Self::default();
        Ok(Self {
            method: file.method,
            include: file.include,
            exclude: file.exclude,
            svd_rank: file.svd_rank.unwrap_or(default.svd_rank),
            svd_rank_pattern: file.svd_rank_pattern.unwrap_or_default(),
            lora_rank: file.lora_rank.unwrap_or(default.lora_rank),
            lora_rank_pattern: file.lora_rank_pattern.unwrap_or_default(),
            alpha: file.alpha,
            alpha_pattern: file.alpha_pattern.unwrap_or_default(),
            rank_stabilized: file.rank_stabilized.unwrap_or(default.rank_stabilized),
            form: file.form.unwrap_or(default.form),
            decomposition: file.decomposition.unwrap_or(default.decomposition),
            initialization: file.initialization.unwrap_or(default.initialization),
            slices: file.slices.unwrap_or_default(),
            layouts: file.layouts.unwrap_or_default(),
            train: file.train,
            seed: file.seed,
        })
    }
}

/// Defaults are written out, so that a stored file keeps its meaning when a default changes. Of the keys that the method ignores
/// only those are written that differ from their default, by which a reader sees the mistake.
impl From<AdapterConfig> for FileForm {
    fn from(config: AdapterConfig) -> Self {
        fn filled<K, V>(map: BTreeMap<K, V>) -> Option<BTreeMap<K, V>> {
            (!map.is_empty()).then_some(map)
        }
        let (method, default) = (config.method, AdapterConfig::default());
        fn given<T: PartialEq>(value: T, default: T, taken: bool) -> Option<T> {
            (taken || value != default).then_some(value)
        }
        Self {
            method,
            svd_rank: given(config.svd_rank, default.svd_rank, method.takes("svd-rank")),
            svd_rank_pattern: filled(config.svd_rank_pattern),
            lora_rank: given(config.lora_rank, default.lora_rank, method.takes("lora-rank")),
            lora_rank_pattern: filled(config.lora_rank_pattern),
            alpha: config.alpha,
            alpha_pattern: filled(config.alpha_pattern),
            rank_stabilized: given(config.rank_stabilized, false, method.takes("rank-stabilized")),
            form: given(config.form, default.form, method.takes("form")),
            decomposition: given(config.decomposition, default.decomposition, method.takes("decomposition")),
            initialization: given(config.initialization, default.initialization, method.takes("initialization")),
            slices: filled(config.slices),
            layouts: filled(config.layouts),
            include: config.include,
            exclude: config.exclude,
            train: config.train,
            seed: config.seed,
            ..Self::default()
        }
    }
}
