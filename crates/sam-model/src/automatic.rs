//! Prompts that need no user: one token per label.

use std::path::Path;

use burn::module::{Module, Param, RunningState};
use burn::nn::Initializer;
use burn::tensor::{Device, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use crate::checkpoint::{TensorFile, save_module, transpose};
use crate::{SamError, TextAffine, TextNormKind, TextSource};

/// The metadata key under which a prompt's file holds its labels' names.
const LABELS_KEY: &str = "labels";

/// The prompt of automatic segmentation: one prompt token per label, learned, or made from text features.
#[derive(Module, Debug)]
pub struct AutomaticPrompt {
    /// Learned: the tokens `[labels, C]`, trainable. From text: the features `[labels, features]`, fixed.
    pub token: Param<Tensor<2>>,
    /// The paper's text affine layer; absent for learned tokens.
    pub text_affine: Option<TextAffine>,
}

impl AutomaticPrompt {
    /// One learnable token per label, standard normal like every embedding of the model, from the device's generator
    /// (`device.seed` fixes it).
    pub fn learned(labels: usize, channels: usize, device: &Device) -> Self {
        let token = Initializer::Normal { mean: 0.0, std: 1.0 }.init([labels, channels], device);
        Self { token, text_affine: None }
    }

    /// Text features, one row per label, `[labels, features]`, through a learnable affine layer to `channels`, each text normalised
    /// by itself ([`TextNormKind::PerText`]).
    pub fn from_text(features: Tensor<2>, channels: usize, device: &Device) -> Self {
        let [_, width] = features.dims();
        Self::from_affine(features, TextAffine::new([width, channels], TextNormKind::PerText, device))
    }

    /// Text features, one row per label, `[labels, features]`, through a layer that takes features of this width.
    pub fn from_affine(features: Tensor<2>, affine: TextAffine) -> Self {
        Self { token: Param::from_tensor(features).set_require_grad(false), text_affine: Some(affine) }
    }

    /// As [`from_text`](Self::from_text), from a safetensors file with one tensor `text_features` `[labels, features]`,
    /// for example what CLIP makes of the labels' names.
    ///
    /// # Errors
    /// [`SamError::Io`]; [`SamError::Format`] if the file holds anything but that one tensor.
    pub fn from_text_file(path: impl AsRef<Path>, channels: usize, device: &Device) -> Result<Self, SamError> {
        let path = path.as_ref();
        let mut file = TensorFile::read(path)?;
        let features = take(&mut file, path, "text_features")?;
        expect_empty(&file, path)?;
        Ok(Self::from_text(Tensor::from_data(features, device), channels, device))
    }

    /// Writes the prompt and the labels' names, one for each row, to a safetensors file; with them the texts, where there are any.
    ///
    /// # Errors
    /// [`SamError::Shape`] if there is not one name per label; [`SamError::Io`].
    pub fn save(&self, path: impl AsRef<Path>, labels: &[String]) -> Result<(), SamError> {
        if labels.len() != self.labels() {
            return Err(SamError::shape("label names", format!("{} names", self.labels()), &[labels.len()]));
        }
        let path = path.as_ref();
        let source = self.text_affine.as_ref().and_then(|affine| affine.source.clone());
        let text = match source {
            None => serde_json::to_string(labels),
            Some(source) => serde_json::to_string(&Names::WithTexts { labels: labels.to_vec(), source }),
        };
        let text = text.map_err(|e| SamError::format(path, format!("the labels cannot be written: {e}")))?;
        save_module(self, path, LABELS_KEY, text)
    }

    /// Reads what [`save`](Self::save) wrote: the prompt and its labels' names.
    ///
    /// # Errors
    /// [`SamError::Io`] and [`SamError::Format`].
    pub fn load(path: impl AsRef<Path>, device: &Device) -> Result<(Self, Vec<String>), SamError> {
        let path = path.as_ref();
        let mut file = TensorFile::read(path)?;
        let json = file.metadata.get(LABELS_KEY).ok_or_else(|| SamError::format(path, "not an automatic prompt"))?;
        let names: Names =
            serde_json::from_str(json).map_err(|e| SamError::format(path, format!("metadata `{LABELS_KEY}`: {e}")))?;
        let (labels, source) = match names {
            Names::Plain(labels) => (labels, None),
            Names::WithTexts { labels, source } => (labels, Some(source)),
        };
        let token = take(&mut file, path, "token")?;
        let rows = token.shape()[0];
        if rows != labels.len() || rows == 0 {
            let reason = format!("`token`: expected one row for each of {} labels, found {rows}", labels.len());
            return Err(SamError::format(path, reason));
        }
        let prompt = if file.tensors.is_empty() {
            Self { token: Param::from_data(token, device), text_affine: None }
        } else {
            let width = token.shape()[1];
            let weight = take(&mut file, path, "text_affine.linear.weight")?;
            let [channels, features] = [weight.shape()[0], weight.shape()[1]];
            if features != width {
                let reason = format!("`text_affine.linear.weight`: expected [_, {width}], found [_, {features}]");
                return Err(SamError::format(path, reason));
            }
            let values: Vec<f32> = weight.iter().collect();
            let weight = TensorData::new(transpose(&values, channels, features), [features, channels]);
            let is_batch_norm = file.tensors.contains_key("text_affine.norm.running_mean");
            let mut vector = |name: &str| match file.tensors.remove(name) {
                Some((shape, values)) if shape == [channels] => Ok(TensorData::new(values, [channels])),
                _ => Err(SamError::format(path, format!("expected a tensor `{name}` of shape [{channels}]"))),
            };
            let bias = vector("text_affine.linear.bias")?;
            let (scale, shift) = (vector("text_affine.norm.weight")?, vector("text_affine.norm.bias")?);
            let running = match is_batch_norm {
                true => Some([vector("text_affine.norm.running_mean")?, vector("text_affine.norm.running_var")?]),
                false => None,
            };
            let kind = if running.is_some() { TextNormKind::Batch } else { TextNormKind::PerText };
            let mut affine = TextAffine::new([width, channels], kind, device);
            affine.linear.weight = Param::from_data(weight, device);
            affine.linear.bias = Some(Param::from_data(bias, device));
            affine.norm.weight = Param::from_data(scale, device);
            affine.norm.bias = Param::from_data(shift, device);
            if let Some([mean, variance]) = running {
                affine.norm.running_mean = Some(RunningState::new(Tensor::from_data(mean, device)));
                affine.norm.running_var = Some(RunningState::new(Tensor::from_data(variance, device)));
            }
            affine.source = source;
            Self::from_affine(Tensor::from_data(token, device), affine)
        };
        expect_empty(&file, path)?;
        Ok((prompt, labels))
    }

    /// Number of labels.
    pub fn labels(&self) -> usize {
        self.token.lazy_shape().dims::<2>()[0]
    }

    /// The prompt tokens, `[labels, C]`, of one image.
    pub fn tokens(&self) -> Tensor<2> {
        self.tokens_of(1)
    }

    /// The prompt tokens, `[labels, C]`, for a batch of so many images: a batch norm in training counts the texts of every image.
    pub fn tokens_of(&self, images: usize) -> Tensor<2> {
        let token = self.token.val();
        match &self.text_affine {
            None => token,
            Some(affine) => affine.forward(token, images),
        }
    }
}

/// What a file says of its rows.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Names {
    Plain(Vec<String>),
    WithTexts {
        labels: Vec<String>,
        #[serde(flatten)]
        source: TextSource,
    },
}

fn take(file: &mut TensorFile, path: &Path, name: &str) -> Result<TensorData, SamError> {
    match file.tensors.remove(name) {
        Some((shape, values)) if shape.len() == 2 => Ok(TensorData::new(values, shape)),
        Some((shape, _)) => Err(SamError::format(path, format!("`{name}`: expected two axes, found {shape:?}"))),
        None => Err(SamError::format(path, format!("expected a tensor `{name}`"))),
    }
}

fn expect_empty(file: &TensorFile, path: &Path) -> Result<(), SamError> {
    match file.tensors.keys().next() {
        Some(name) => Err(SamError::format(path, format!("a tensor `{name}` that does not belong here"))),
        None => Ok(()),
    }
}
