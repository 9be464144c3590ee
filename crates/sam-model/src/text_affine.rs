//! The paper's text affine layer: from the features of a text to a prompt token.

use burn::module::{Module, Param, RunningState};
use burn::nn::{Initializer, Linear, LinearConfig};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};
use burn_kernels::layer::linear;
use burn_kernels::layer_norm;
use serde::{Deserialize, Serialize};

const EPSILON: f64 = 1e-5;
const MOMENTUM: f64 = 0.1;

/// Linear, ReLU, norm: `[texts, features]` to `[texts, C]`.
#[derive(Module, Debug)]
pub struct TextAffine {
    /// `features -> C`.
    pub linear: Linear,
    /// Over the `C` values of each text, or over the texts.
    pub norm: TextNorm,
    /// Whose features the rows are; none where that is not known.
    #[module(skip)]
    pub source: Option<TextSource>,
}

/// Which texts were encoded, and by which weights.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TextSource {
    /// The texts, one for each row of features.
    pub texts: Vec<String>,
    /// What names the encoder's weights: a checksum.
    pub encoder: String,
}

/// How the layer normalises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TextNormKind {
    /// Each text by itself, as the authors' own SAM 2 code does: the text reaches the token whatever else is in the batch.
    #[default]
    PerText,
    /// Over the texts of a batch, as the released code does on SAM. Where every text is the same, as in its experiments, the result in
    /// training is the norm's bias whatever the text, and the linear layer has no gradient.
    Batch,
}

/// A layer norm, or with running statistics a batch norm. Both have as many parameters.
#[derive(Module, Debug)]
pub struct TextNorm {
    /// Scale, `[C]`, initially 1.
    pub weight: Param<Tensor<1>>,
    /// Shift, `[C]`, initially 0.
    pub bias: Param<Tensor<1>>,
    /// Batch norm: running mean, `[C]`, initially 0; not trained.
    pub running_mean: Option<RunningState<Tensor<1>>>,
    /// Batch norm: running variance, `[C]`, initially 1; not trained.
    pub running_var: Option<RunningState<Tensor<1>>>,
}

impl TextAffine {
    /// A layer from `features` to `channels`, with Burn's initial values from the device's generator;
    /// [`seeded`](Self::seeded) makes them follow from a number.
    pub fn new([features, channels]: [usize; 2], norm: TextNormKind, device: &Device) -> Self {
        let is_batch = norm == TextNormKind::Batch;
        let norm = TextNorm {
            weight: Initializer::Ones.init([channels], device),
            bias: Initializer::Zeros.init([channels], device),
            running_mean: is_batch.then(|| RunningState::new(Tensor::zeros([channels], device))),
            running_var: is_batch.then(|| RunningState::new(Tensor::ones([channels], device))),
        };
        Self { linear: LinearConfig::new(features, channels).init(device), norm, source: None }
    }

    /// How it normalises.
    pub fn norm_kind(&self) -> TextNormKind {
        if self.norm.running_mean.is_some() { TextNormKind::Batch } else { TextNormKind::PerText }
    }

    /// Features `[texts, features]` to tokens `[texts, C]`. A batch norm on an autodiff device takes the statistics of the texts of
    /// `images` images that all have these texts, and moves its running statistics a tenth towards them.
    pub fn forward(&self, features: Tensor<2>, images: usize) -> Tensor<2> {
        self.norm.forward(relu(linear(&self.linear, features)), images)
    }
}

impl TextNorm {
    fn forward(&self, x: Tensor<2>, images: usize) -> Tensor<2> {
        let (Some(running_mean), Some(running_var)) = (&self.running_mean, &self.running_var) else {
            return layer_norm(x, self.weight.val(), self.bias.val(), EPSILON);
        };
        let [texts, channels] = x.dims();
        let device = x.device();
        let row = |state: &RunningState<Tensor<1>>| state.value_sync().to_device(&device).reshape([1, channels]);
        let (mean, variance) = if device.is_autodiff() {
            let mean = x.clone().mean_dim(0);
            let variance = (x.clone() - mean.clone()).square().mean_dim(0);
            let values = (texts * images) as f64;
            // PyTorch refuses a single value in training: its spread is unknown, and the running statistics stay as they are.
            if values > 1.0 {
                advance(running_mean, row(running_mean), mean.clone());
                advance(running_var, row(running_var), variance.clone() * (values / (values - 1.0)));
            }
            (mean, variance)
        } else {
            (row(running_mean), row(running_var))
        };
        let normalised = (x - mean) / (variance + EPSILON).sqrt();
        normalised * self.weight.val().reshape([1, channels]) + self.bias.val().reshape([1, channels])
    }
}

/// Moves a running statistic by the momentum, visible at once.
fn advance(state: &RunningState<Tensor<1>>, old: Tensor<2>, new: Tensor<2>) {
    let [_, channels] = old.dims();
    state.update((old * (1.0 - MOMENTUM) + new * MOMENTUM).reshape([channels]).detach());
    state.value_sync();
}
