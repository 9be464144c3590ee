//! The base models that a user names instead of a file.

use sam_model::{SamConfig, ShippedModel};

/// The models that are part of the program.
pub const MODELS: [&ShippedModel; 2] = [&sam_mini::MODEL, &sam2_mini::MODEL];

/// The shipped model of this name.
pub fn model(name: &str) -> Option<&'static ShippedModel> {
    MODELS.into_iter().find(|model| model.name == name)
}

/// Whether `base` names a model by itself: a shipped one, or random weights. Everything else is a file.
pub fn is_name(base: &str) -> bool {
    base == "random" || model(base).is_some()
}

/// The configuration of a base model that is no file, where a run gives none: random weights are those of a sam-mini.
pub fn config(base: &str) -> Option<SamConfig> {
    match model(base) {
        Some(model) => Some((model.config)()),
        None => (base == "random").then(sam_mini::config),
    }
}
