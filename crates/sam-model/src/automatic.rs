//! Prompts that need no user: one token per label.

use burn::module::{Module, Param};
use burn::nn::{Initializer, Linear, LinearConfig};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};

use crate::nn::LayerNorm;

/// The prompt of automatic segmentation: one prompt token per label, learned, or made from text features.
#[derive(Module, Debug)]
pub struct AutomaticPrompt {
    /// Learned: the tokens `[labels, C]`, trainable. From text: the features `[labels, features]`, fixed.
    pub token: Param<Tensor<2>>,
    /// The paper's text affine layer; absent for learned tokens.
    pub text_affine: Option<TextAffine>,
}

/// The paper's text affine layer: linear, ReLU, norm.
#[derive(Module, Debug)]
pub struct TextAffine {
    /// `features -> C`.
    pub linear: Linear,
    /// Over the `C` features of each label.
    pub norm: LayerNorm,
}

impl AutomaticPrompt {
    /// One learnable token per label, standard normal like every embedding of the model.
    pub fn learned(labels: usize, channels: usize, device: &Device) -> Self {
        let token = Initializer::Normal { mean: 0.0, std: 1.0 }.init([labels, channels], device);
        Self { token, text_affine: None }
    }

    /// Text features, one row per label, `[labels, features]`, through a learnable affine layer to `channels`.
    ///
    /// The released code normalises with batch statistics over the texts of a batch. When every text is the same, as in its
    /// experiments, the result is the norm's bias whatever the text, and a batch of one is an error; this layer
    /// normalises each label's features instead (the form that the authors' own SAM 2 code uses). The number of
    /// parameters is the same.
    pub fn from_text(features: Tensor<2>, channels: usize, device: &Device) -> Self {
        let [_, width] = features.dims();
        Self {
            token: Param::from_tensor(features).set_require_grad(false),
            text_affine: Some(TextAffine {
                linear: LinearConfig::new(width, channels).init(device),
                norm: LayerNorm::new(channels, 1e-5, device),
            }),
        }
    }

    /// Number of labels.
    pub fn labels(&self) -> usize {
        self.token.lazy_shape().dims::<2>()[0]
    }

    /// The prompt tokens, `[labels, C]`.
    pub fn tokens(&self) -> Tensor<2> {
        let token = self.token.val();
        match &self.text_affine {
            None => token,
            Some(affine) => affine.norm.forward(relu(affine.linear.forward(token))),
        }
    }
}
