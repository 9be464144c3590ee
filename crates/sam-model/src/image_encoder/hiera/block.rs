//! One block of the trunk.

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor};
use burn_kernels::layer::linear;

use super::attention::HieraAttention;
use crate::config::HieraBlockShape;
use crate::nn::{LayerNorm, Mlp};
use burn_kernels::halve_by_maximum;

/// Epsilon of the trunk's norms.
const NORM_EPSILON: f64 = 1e-6;

/// Norm, attention, norm, MLP, each pair with a residual connection; the first block of a stage halves the grid and doubles the
/// width on the way.
#[derive(Module, Debug)]
pub struct HieraBlock {
    /// Before the attention, as wide as the input.
    pub norm1: LayerNorm,
    /// The attention.
    pub attn: HieraAttention,
    /// Where the width changes: from the normalised input to the residual connection.
    pub proj: Option<Linear>,
    /// Before the MLP, as wide as the output.
    pub norm2: LayerNorm,
    /// Two layers with the exact (error function) GELU between them.
    pub mlp: Mlp,
}

/// A block from the inside; all maps are channels last.
#[derive(Debug, Clone)]
pub struct HieraBlockParts {
    /// The normalised input.
    pub norm1: Tensor<4>,
    /// The projected residual connection before pooling, where the width changes.
    pub proj: Option<Tensor<4>>,
    /// What the attention adds.
    pub attention: Tensor<4>,
    /// The normalised sum.
    pub norm2: Tensor<4>,
    /// What the MLP adds.
    pub mlp: Tensor<4>,
    /// The block's result.
    pub output: Tensor<4>,
}

impl HieraBlock {
    pub(super) fn new(shape: HieraBlockShape, mlp_ratio: f64, device: &Device) -> Self {
        let HieraBlockShape { from, to, .. } = shape;
        Self {
            norm1: LayerNorm::new(from, NORM_EPSILON, device),
            attn: HieraAttention::new(shape, device),
            proj: (from != to).then(|| LinearConfig::new(from, to).init(device)),
            norm2: LayerNorm::new(to, NORM_EPSILON, device),
            mlp: Mlp::new(to, (to as f64 * mlp_ratio) as usize, to, 2, device),
        }
    }

    /// `[N, h, w, from]` to `[N, h, w, to]`, or to `[N, h / 2, w / 2, to]` where the queries are pooled.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let Entry { norm1, shortcut, .. } = self.entry(x);
        let x = self.attn.forward_onto(norm1, shortcut);
        self.mlp.forward_gelu(self.norm2.forward(x.clone()), Some(x))
    }

    /// The same step by step, without fusing a sum into what comes before it.
    pub(super) fn forward_parts(&self, x: Tensor<4>) -> HieraBlockParts {
        let Entry { norm1, proj, shortcut } = self.entry(x);
        let attention = self.attn.forward(norm1.clone());
        let x = shortcut + attention.clone();
        let norm2 = self.norm2.forward(x.clone());
        let mlp = self.mlp.forward_gelu(norm2.clone(), None);
        HieraBlockParts { norm1, proj, attention, norm2, output: x + mlp.clone(), mlp }
    }

    fn entry(&self, x: Tensor<4>) -> Entry {
        let norm1 = self.norm1.forward(x.clone());
        // The raw input is no part of the residual connection where the width changes.
        let proj = self.proj.as_ref().map(|proj| linear(proj, norm1.clone()));
        let shortcut = proj.clone().unwrap_or(x);
        let shortcut = if self.attn.pools { halve_by_maximum(shortcut) } else { shortcut };
        Entry { norm1, proj, shortcut }
    }
}

/// The normalised input, its projection, and the residual connection.
struct Entry {
    norm1: Tensor<4>,
    proj: Option<Tensor<4>>,
    shortcut: Tensor<4>,
}
