//! The names of the files, and from parameters of a Burn module to names in them.

use crate::error::PeftError;
use crate::model::Site;
use regex::Regex;

/// Name of the configuration file.
pub const CONFIG_FILE: &str = "adapter_config.json";
/// Name of the weights file.
pub const WEIGHTS_FILE: &str = "adapter_model.safetensors";

/// What PEFT puts before every name.
pub(crate) const PREFIX: &str = "base_model.model.";

/// Renames module paths on their way into files: ordered pairs of a regular expression and its replacement (`$1` for groups), the first
/// match of each pair replaced. With it, an adapter of a Burn model opens on the Python model whose modules have other names.
///
/// ```
/// let keys = salt_peft::KeyMap::new([(r"^encoder\.", "image_encoder.")])?;
/// assert_eq!(keys.apply("encoder.blocks.0.attn.qkv"), "image_encoder.blocks.0.attn.qkv");
/// # Ok::<(), salt_peft::PeftError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct KeyMap {
    rules: Vec<(Regex, String)>,
}

impl KeyMap {
    /// From pairs of pattern and replacement.
    ///
    /// # Errors
    /// [`PeftError::Pattern`].
    pub fn new<P: AsRef<str>, R: Into<String>>(rules: impl IntoIterator<Item = (P, R)>) -> Result<Self, PeftError> {
        let rules = rules
            .into_iter()
            .map(|(pattern, replacement)| {
                let text = pattern.as_ref();
                let regex = Regex::new(text).map_err(|source| PeftError::Pattern {
                    field: "key map".into(),
                    pattern: text.to_owned(),
                    source: Box::new(source),
                })?;
                Ok((regex, replacement.into()))
            })
            .collect::<Result<_, PeftError>>()?;
        Ok(Self { rules })
    }

    /// The name of a module path in the file.
    pub fn apply(&self, path: &str) -> String {
        self.rules.iter().fold(path.to_owned(), |path, (pattern, replacement)| {
            pattern.replace(&path, replacement.as_str()).into_owned()
        })
    }

    /// The module's name in the file.
    pub(crate) fn module(&self, site: &Site) -> String {
        self.apply(site.module_path())
    }

    /// The parameter's name in the file.
    pub(crate) fn parameter(&self, site: &Site) -> String {
        let name = match (site.is_norm(), site.name()) {
            (true, "gamma") => "weight",
            (true, "beta") => "bias",
            (_, name) => name,
        };
        join(&self.module(site), name)
    }

    /// What the names of an adapter's factors follow: the module for a `weight`, else the parameter itself.
    pub(crate) fn adapted(&self, site: &Site) -> String {
        if site.name() == "weight" { self.module(site) } else { self.parameter(site) }
    }
}

/// `a.b`, or `b` for the root.
pub(crate) fn join(module: &str, name: &str) -> String {
    if module.is_empty() { name.to_owned() } else { format!("{module}.{name}") }
}

/// The key of a tensor.
pub(crate) fn key(module: &str, name: &str) -> String {
    format!("{PREFIX}{}", join(module, name))
}

/// The name of a parameter in a module that PEFT has wrapped: `qkv.bias` becomes `qkv.base_layer.bias`.
pub(crate) fn wrapped(name: &str) -> String {
    match name.rsplit_once('.') {
        Some((module, own)) => format!("{module}.base_layer.{own}"),
        None => format!("base_layer.{name}"),
    }
}
