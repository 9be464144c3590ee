//! A base model that is prompted with text.

use super::{BaseModel, PromptedSam, Segmenter};
use crate::config::ModelConfig;
use crate::error::{Result, TrainError};
use crate::text::TextFeatures;
use burn::tensor::Device;
use salt_peft::{AdapterConfig, Method, plan};
use sam_model::{AutomaticPrompt, SamConfig, SamVariant, TextAffine, TextNormKind};
use std::path::Path;

/// What loading a base model may need besides its configuration.
#[derive(Debug, Clone, Copy, Default)]
pub struct Assets<'a> {
    /// The folder that keeps text features between runs.
    pub cache: Option<&'a Path>,
    /// Text features at hand, for texts that need no CLIP.
    pub features: Option<&'a TextFeatures>,
}

/// The path of the features in the model. They are data, not parameters: no method trains them.
const FEATURES: &str = "prompt.token";

/// A batch norm where the paper's code has one: on SAM, not on SAM 2.
fn norm_kind(variant: SamVariant, sam: &SamConfig) -> TextNormKind {
    if variant == SamVariant::Paper && !sam.is_sam2() { TextNormKind::Batch } else { TextNormKind::PerText }
}

/// A prompt from features, with a layer whose initial values follow from the seed.
pub(super) fn prompt(
    features: &TextFeatures,
    kind: TextNormKind,
    channels: usize,
    seed: u64,
    device: &Device,
) -> AutomaticPrompt {
    let mut affine = TextAffine::new([features.width(), channels], kind, device).seeded(seed);
    affine.source = Some(features.source.clone());
    AutomaticPrompt::from_affine(features.tensor(device), affine)
}

impl BaseModel {
    /// The same, prompted with the features of its configuration's texts. A layer that came with the model's prompt stays.
    pub(super) fn with_text(self, config: &ModelConfig, features: &TextFeatures, device: &Device) -> Result<Self> {
        let PromptedSam { sam, prompt: own } = self.segmenter.require_sam("a text")?.clone();
        let (prompt, labels) = match own.text_affine {
            Some(mut affine) if affine.linear.weight.lazy_shape().dims::<2>()[0] == features.width() => {
                affine.source = Some(features.source.clone());
                (AutomaticPrompt::from_affine(features.tensor(device), affine), self.labels)
            }
            Some(affine) => {
                let expected = affine.linear.weight.lazy_shape().dims::<2>()[0];
                let problem = format!("the model's text layer takes {expected} numbers, found {}", features.width());
                return Err(TrainError::config("model.clip", problem));
            }
            None => {
                let kind = norm_kind(config.variant, sam.config());
                (prompt(features, kind, sam.config().output_channels, config.seed, device), None)
            }
        };
        let name = format!("{}, prompted with {:?}", self.card.name, config.text.join(", "));
        let segmenter = Segmenter::Sam(PromptedSam { sam, prompt });
        Ok(Self::of(segmenter, labels, name, self.card.pretrained, self.notes))
    }

    /// An adapter's configuration without the features of a text prompt, which patterns such as `prompt` would name.
    pub(super) fn without_features(&self, config: &AdapterConfig) -> AdapterConfig {
        let mut config = config.clone();
        if self.segmenter.sam().is_none_or(|model| model.prompt.text_affine.is_none()) {
            return config;
        }
        let exact = |path: &str| format!("^{}$", path.replace('.', r"\."));
        config.train = config.train.into_iter().flat_map(|pattern| self.without_feature_path(pattern, exact)).collect();
        if matches!(config.method, Method::Full | Method::Named) {
            config.exclude.push(exact(FEATURES));
        }
        config
    }

    /// A pattern as it is, or where it names the features, everything else that it names.
    fn without_feature_path(&self, pattern: String, exact: impl Fn(&str) -> String) -> Vec<String> {
        let alone = AdapterConfig { method: Method::Named, include: vec![pattern.clone()], ..AdapterConfig::default() };
        // A pattern that is none is reported where it is used.
        let Ok(found) = plan(&self.segmenter, &alone) else { return vec![pattern] };
        let (features, others): (Vec<_>, Vec<_>) =
            found.trained.iter().partition(|parameter| parameter.path == FEATURES);
        if features.is_empty() || others.is_empty() {
            return vec![pattern];
        }
        others.iter().map(|parameter| exact(&parameter.path)).collect()
    }
}
