//! The two-way transformer: tokens attend to the image, and the image to the tokens.

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};
use burn_kernels::layer::linear;

use super::DecoderAttention;
use crate::nn::{LayerNorm, Mlp, alternatives};
use crate::{SamConfig, SamVariant};

/// Epsilon of the decoder's layer norms (PyTorch's default, unlike the encoder's).
const NORM_EPSILON: f64 = 1e-5;

/// Layers of two-way attention and a last attention from the tokens to the image.
#[derive(Module, Debug)]
pub struct TwoWayTransformer {
    /// The layers.
    pub layers: Vec<TwoWayBlock>,
    /// The last attention.
    pub final_attn_token_to_image: DecoderAttention,
    /// The norm after it.
    pub norm_final_attn: LayerNorm,
    #[module(skip)]
    variant: SamVariant,
}

/// Self-attention of the tokens, tokens to image, MLP, image to tokens; a norm after each.
#[derive(Module, Debug)]
pub struct TwoWayBlock {
    /// Self-attention of the tokens.
    pub self_attn: DecoderAttention,
    /// After the self-attention.
    pub norm1: LayerNorm,
    /// Tokens attend to the image.
    pub cross_attn_token_to_image: DecoderAttention,
    /// After it.
    pub norm2: LayerNorm,
    /// On the tokens.
    pub mlp: TwoWayMlp,
    /// After it.
    pub norm3: LayerNorm,
    /// After the attention of the image to the tokens.
    pub norm4: LayerNorm,
    /// The image attends to the tokens.
    pub cross_attn_image_to_token: DecoderAttention,
    /// The first layer's self-attention sees no positions and has no residual connection.
    is_first: bool,
}

/// Two linear layers with ReLU between them, under the names of the model's checkpoints.
#[derive(Debug, Clone)]
#[allow(clippy::large_enum_variant, reason = "there is one per layer")]
pub enum TwoWayMlp {
    /// SAM's `lin1` and `lin2`.
    Named(DecoderMlp),
    /// SAM 2's `layers.0` and `layers.1`.
    Stack(Mlp),
}

alternatives!(TwoWayMlp { Named, Stack });

/// Two linear layers with ReLU between them.
#[derive(Module, Debug)]
pub struct DecoderMlp {
    /// `C -> hidden`.
    pub lin1: Linear,
    /// `hidden -> C`.
    pub lin2: Linear,
}

/// The positional encodings of both sides, or neither (in the paper's variant).
#[derive(Debug, Clone)]
struct Positions {
    tokens: Option<Tensor<3>>,
    image: Option<Tensor<3>>,
}

impl TwoWayTransformer {
    pub(crate) fn new(config: &SamConfig, device: &Device) -> Self {
        Self {
            layers: (0..config.decoder_depth).map(|index| TwoWayBlock::new(config, index == 0, device)).collect(),
            final_attn_token_to_image: DecoderAttention::new(
                config.output_channels,
                config.decoder_heads,
                config.attention_downsample_rate,
                device,
            ),
            norm_final_attn: LayerNorm::new(config.output_channels, NORM_EPSILON, device),
            variant: config.variant,
        }
    }

    /// Image `[N, h * w, C]`, its positions `[1, h * w, C]` and tokens `[N, T, C]` to the updated tokens and image.
    pub fn forward(&self, image: Tensor<3>, image_positions: Tensor<3>, tokens: Tensor<3>) -> (Tensor<3>, Tensor<3>) {
        let positions = self.positions(image_positions, &tokens);
        let (mut queries, mut keys) = (tokens.clone(), image);
        for layer in &self.layers {
            (queries, keys) = layer.forward(queries, keys, &positions);
        }
        let query = queries.clone() + tokens;
        let key = add(&keys, &positions.image);
        let attended = self.final_attn_token_to_image.forward_onto([query, key, keys.clone()], queries);
        (self.norm_final_attn.forward(attended), keys)
    }
}

impl TwoWayTransformer {
    fn positions(&self, image: Tensor<3>, tokens: &Tensor<3>) -> Positions {
        match self.variant {
            SamVariant::Sam => Positions { tokens: Some(tokens.clone()), image: Some(image) },
            SamVariant::Paper => Positions { tokens: None, image: None },
        }
    }

    /// Tokens and image after the first layer, for stage-by-stage comparison.
    pub(crate) fn first_layer(
        &self,
        image: Tensor<3>,
        image_positions: Tensor<3>,
        tokens: Tensor<3>,
    ) -> Option<(Tensor<3>, Tensor<3>)> {
        let positions = self.positions(image_positions, &tokens);
        self.layers.first().map(|layer| layer.forward(tokens, image, &positions))
    }
}

impl TwoWayBlock {
    fn new(config: &SamConfig, is_first: bool, device: &Device) -> Self {
        let (channels, heads) = (config.output_channels, config.decoder_heads);
        let norm = || LayerNorm::new(channels, NORM_EPSILON, device);
        let cross = || DecoderAttention::new(channels, heads, config.attention_downsample_rate, device);
        Self {
            self_attn: DecoderAttention::new(channels, heads, 1, device),
            norm1: norm(),
            cross_attn_token_to_image: cross(),
            norm2: norm(),
            mlp: TwoWayMlp::new(config, device),
            norm3: norm(),
            norm4: norm(),
            cross_attn_image_to_token: cross(),
            is_first,
        }
    }

    fn forward(&self, queries: Tensor<3>, keys: Tensor<3>, positions: &Positions) -> (Tensor<3>, Tensor<3>) {
        let queries = if self.is_first {
            self.self_attn.forward(queries.clone(), queries.clone(), queries)
        } else {
            let query = add(&queries, &positions.tokens);
            self.self_attn.forward_onto([query.clone(), query, queries.clone()], queries)
        };
        let queries = self.norm1.forward(queries);

        let key = add(&keys, &positions.image);
        let query = add(&queries, &positions.tokens);
        let attended = self.cross_attn_token_to_image.forward_onto([query, key.clone(), keys.clone()], queries);
        let queries = self.norm2.forward(attended);

        let queries = self.norm3.forward(queries.clone() + self.mlp.forward(queries));

        let query = add(&queries, &positions.tokens);
        let attended = self.cross_attn_image_to_token.forward_onto([key, query, queries.clone()], keys);
        (queries, self.norm4.forward(attended))
    }
}

impl TwoWayMlp {
    fn new(config: &SamConfig, device: &Device) -> Self {
        let (channels, hidden) = (config.output_channels, config.decoder_mlp_dim);
        if config.is_sam2() {
            return Self::Stack(Mlp::new(channels, hidden, channels, 2, device));
        }
        Self::Named(DecoderMlp {
            lin1: LinearConfig::new(channels, hidden).init(device),
            lin2: LinearConfig::new(hidden, channels).init(device),
        })
    }

    /// `[N, T, C]` to the same shape.
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        match self {
            Self::Named(mlp) => mlp.forward(x),
            Self::Stack(mlp) => mlp.forward(x),
        }
    }
}

impl DecoderMlp {
    /// `[N, T, C]` to the same shape.
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        linear(&self.lin2, relu(linear(&self.lin1, x)))
    }
}

fn add(x: &Tensor<3>, positions: &Option<Tensor<3>>) -> Tensor<3> {
    match positions {
        Some(positions) => x.clone() + positions.clone(),
        None => x.clone(),
    }
}
