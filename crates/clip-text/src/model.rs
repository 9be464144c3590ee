//! The network.

use burn::module::{Module, ModuleVisitor, Param};
use burn::nn::{Initializer, Linear, LinearConfig};
use burn::tensor::activation::{gelu, sigmoid, softmax};
use burn::tensor::module::layer_norm;
use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::{Activation, ClipError, ClipTextConfig};

const EPSILON: f64 = 1e-5;

/// CLIP's text tower with its projection.
///
/// Linear weights are stored `[in, out]`, and so is [`text_projection`](Self::text_projection), as in OpenAI's files.
#[derive(Module, Debug)]
pub struct ClipText {
    /// `[vocabulary, width]`.
    pub token_embedding: Param<Tensor<2>>,
    /// `[context, width]`.
    pub positional_embedding: Param<Tensor<2>>,
    blocks: Vec<Block>,
    final_norm: LayerNorm,
    /// `[width, embed]`.
    pub text_projection: Param<Tensor<2>>,
    #[module(skip)]
    config: ClipTextConfig,
}

#[derive(Module, Debug)]
struct LayerNorm {
    weight: Param<Tensor<1>>,
    bias: Param<Tensor<1>>,
}

impl LayerNorm {
    fn new(width: usize, device: &Device) -> Self {
        Self { weight: Initializer::Ones.init([width], device), bias: Initializer::Zeros.init([width], device) }
    }

    fn forward<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        layer_norm(input, self.weight.val(), Some(self.bias.val()), EPSILON)
    }
}

/// One pre-norm block with causal attention.
#[derive(Module, Debug)]
struct Block {
    norm1: LayerNorm,
    query: Linear,
    key: Linear,
    value: Linear,
    output: Linear,
    norm2: LayerNorm,
    expand: Linear,
    contract: Linear,
}

impl Block {
    fn new(config: &ClipTextConfig, device: &Device) -> Self {
        let width = config.width;
        let linear = |from, to| LinearConfig::new(from, to).init(device);
        Self {
            norm1: LayerNorm::new(width, device),
            query: linear(width, width),
            key: linear(width, width),
            value: linear(width, width),
            output: linear(width, width),
            norm2: LayerNorm::new(width, device),
            expand: linear(width, config.mlp),
            contract: linear(config.mlp, width),
        }
    }

    /// `[texts, tokens, width]` to the same shape; `mask` is `[1, 1, tokens, tokens]`, added to the scores.
    fn forward(&self, x: Tensor<3>, mask: Tensor<4>, config: &ClipTextConfig) -> Tensor<3> {
        let [texts, tokens, width] = x.dims();
        let (heads, depth) = (config.heads, width / config.heads);
        let normed = self.norm1.forward(x.clone());
        let split =
            |linear: &Linear| linear.forward(normed.clone()).reshape([texts, tokens, heads, depth]).swap_dims(1, 2);
        let query = split(&self.query) * (depth as f64).sqrt().recip();
        let scores = query.matmul(split(&self.key).swap_dims(2, 3)) + mask;
        let mixed = softmax(scores, 3).matmul(split(&self.value));
        let x = x + self.output.forward(mixed.swap_dims(1, 2).reshape([texts, tokens, width]));

        let hidden = self.expand.forward(self.norm2.forward(x.clone()));
        let hidden = match config.activation {
            Activation::QuickGelu => sigmoid(hidden.clone() * 1.702) * hidden,
            Activation::Gelu => gelu(hidden),
        };
        x + self.contract.forward(hidden)
    }
}

impl ClipTextConfig {
    /// A tower whose weights come into being when they are first asked for (random, then).
    pub(crate) fn empty(&self, device: &Device) -> Result<ClipText, ClipError> {
        self.validate()?;
        let table = |rows, columns| Initializer::Normal { mean: 0.0, std: 0.02 }.init([rows, columns], device);
        Ok(ClipText {
            token_embedding: table(self.vocabulary, self.width),
            positional_embedding: table(self.context, self.width),
            blocks: (0..self.layers).map(|_| Block::new(self, device)).collect(),
            final_norm: LayerNorm::new(self.width, device),
            text_projection: table(self.width, self.embed),
            config: self.clone(),
        })
    }

    /// The number of parameters, counted in the module tree of a tower without weights.
    ///
    /// # Errors
    /// [`ClipError::Config`] if the configuration is not [valid](Self::validate).
    pub fn num_parameters(&self) -> Result<usize, ClipError> {
        let mut count = Count(0);
        self.empty(&Device::default())?.visit(&mut count);
        Ok(count.0)
    }
}

struct Count(usize);

impl ModuleVisitor for Count {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.0 += param.lazy_shape().dims::<D>().iter().product::<usize>();
    }
}

impl ClipText {
    /// The tower's configuration.
    pub fn config(&self) -> &ClipTextConfig {
        &self.config
    }

    /// The features of texts, `[texts, embed]`, not normalised; for similarities divide each by its length.
    ///
    /// `tokens` are as the [`Tokenizer`](crate::Tokenizer) gives them. Padding behind the end token may be there or not and may be
    /// any token: nothing sees it.
    ///
    /// # Errors
    /// [`ClipError::Value`] for no texts, a text without an end token, with a token outside the vocabulary, or with more tokens
    /// than the context before its end.
    pub fn encode(&self, tokens: &[Vec<u32>]) -> Result<Tensor<2>, ClipError> {
        let ends = tokens.iter().map(|text| self.end(text)).collect::<Result<Vec<usize>, _>>()?;
        let longest = ends.iter().max().map(|end| end + 1);
        let length = longest.ok_or_else(|| ClipError::value("texts", "at least one", "none"))?;
        let device = self.token_embedding.val().device();
        let texts = tokens.len();
        // What stands behind a text's end changes nothing.
        let padded = tokens.iter().zip(&ends).flat_map(|(text, &end)| {
            text[..=end].iter().map(|&token| token as i32).chain(std::iter::repeat_n(0, length - end - 1))
        });
        let ids = Tensor::<1, Int>::from_data(TensorData::new(padded.collect(), [texts * length]), &device);
        let width = self.config.width;
        let embedded = self.token_embedding.val().select(0, ids).reshape([texts, length, width]);
        let mut x = embedded + self.positional_embedding.val().narrow(0, 0, length).unsqueeze::<3>();
        let mask = causal_mask(length, &device);
        for block in &self.blocks {
            x = block.forward(x, mask.clone(), &self.config);
        }
        let rows: Vec<i32> = ends.iter().enumerate().map(|(text, &end)| (text * length + end) as i32).collect();
        let rows = Tensor::<1, Int>::from_data(TensorData::new(rows, [texts]), &device);
        let pooled = self.final_norm.forward(x.reshape([texts * length, width]).select(0, rows));
        Ok(pooled.matmul(self.text_projection.val()))
    }

    /// The place of the end token.
    fn end(&self, text: &[u32]) -> Result<usize, ClipError> {
        let last = self.config.end_of_text();
        if let Some(token) = text.iter().find(|&&token| token > last) {
            return Err(ClipError::value("token", format!("0 to {last}"), token));
        }
        let missing = || ClipError::value("tokens of a text", format!("an end token, {last}"), "none");
        let end = text.iter().position(|&token| token == last).ok_or_else(missing)?;
        if end >= self.config.context {
            let expected = format!("at most {} tokens", self.config.context);
            return Err(ClipError::value("tokens of a text", expected, end + 1));
        }
        Ok(end)
    }
}

/// Zero where a token may look, minus infinity at what comes after it.
fn causal_mask(length: usize, device: &Device) -> Tensor<4> {
    let cell = |index: usize| if index % length > index / length { f32::NEG_INFINITY } else { 0.0 };
    let values: Vec<f32> = (0..length * length).map(cell).collect();
    Tensor::from_data(TensorData::new(values, [1, 1, length, length]), device)
}
