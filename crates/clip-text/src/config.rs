//! The shape of a text tower.

use serde::{Deserialize, Serialize};

use crate::ClipError;

/// The activation of the perceptrons.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// `x * sigmoid(1.702 x)`: OpenAI's models. The default.
    #[default]
    QuickGelu,
    /// The exact GELU: most of the models that others trained.
    Gelu,
}

/// The shape of a CLIP text tower.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClipTextConfig {
    /// Number of tokens; the last one ends a text.
    pub vocabulary: usize,
    /// Most tokens of a text, start and end included.
    pub context: usize,
    /// Width of the transformer.
    pub width: usize,
    /// Attention heads; a divisor of the width.
    pub heads: usize,
    /// Blocks.
    pub layers: usize,
    /// Width of the hidden layer of the perceptrons.
    pub mlp: usize,
    /// Width of the features.
    pub embed: usize,
    /// The activation of the perceptrons.
    #[serde(default)]
    pub activation: Activation,
}

impl ClipTextConfig {
    /// The text tower of OpenAI's ViT-B/32 (and B/16): 63,428,096 parameters.
    pub fn vit_b32() -> Self {
        Self {
            vocabulary: 49408,
            context: 77,
            width: 512,
            heads: 8,
            layers: 12,
            mlp: 2048,
            embed: 512,
            activation: Activation::QuickGelu,
        }
    }

    /// The token that ends a text.
    pub fn end_of_text(&self) -> u32 {
        (self.vocabulary - 1) as u32
    }

    /// Checks every field.
    ///
    /// # Errors
    /// [`ClipError::Config`] with the field, what it may be and what it is.
    pub fn validate(&self) -> Result<(), ClipError> {
        for (field, value, most) in [
            ("vocabulary", self.vocabulary, 1 << 20),
            ("context", self.context, 1 << 16),
            ("width", self.width, 1 << 16),
            ("heads", self.heads, 1 << 16),
            ("layers", self.layers, 1 << 10),
            ("mlp", self.mlp, 1 << 18),
            ("embed", self.embed, 1 << 16),
        ] {
            if !(1..=most).contains(&value) {
                return Err(ClipError::config(field, format!("1 to {most}"), value));
            }
        }
        if !self.width.is_multiple_of(self.heads) {
            return Err(ClipError::config("heads", format!("a divisor of the width {}", self.width), self.heads));
        }
        Ok(())
    }
}
