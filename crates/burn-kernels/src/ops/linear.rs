//! A linear layer as a sum of terms.

use burn::tensor::Tensor;

/// What a linear layer multiplies its input with: the terms of
///
/// `y = x W + ((x L) * d) R + (x A) B + bias`,
///
/// each of which may be absent, and what is made of their sum. `W` is a plain weight, `L diag(d) R` the scaled singular triplets of a
/// weight, `A B` a product of two factors: a low-rank update, or the rest of a decomposition with its core multiplied into one side.
///
/// `L` and `R` are constants: no gradient reaches them. The others get one where they are tracked.
#[derive(Clone, Debug, Default)]
pub struct LinearTerms {
    /// `W [in, out]`.
    pub weight: Option<Tensor<2>>,
    /// `L`, `d` and `R`.
    pub scaled: Option<Scaled>,
    /// `A [in, t]` and `B [t, out]`.
    pub factors: Option<(Tensor<2>, Tensor<2>)>,
    /// `[out]`.
    pub bias: Option<Tensor<1>>,
    /// What is made of the sum.
    pub ending: Ending,
}

/// What is made of the sum of a linear layer. On a CPU it happens while each piece of the sum is still in the nearest cache.
#[derive(Clone, Debug, Default)]
#[allow(clippy::large_enum_variant, reason = "made for one call, and a tensor is as large")]
pub enum Ending {
    /// Nothing.
    #[default]
    Sum,
    /// Its [GELU](crate::gelu).
    Gelu,
    /// The sum with a residual connection `[rows, out]`.
    Residual(Tensor<2>),
}

impl Ending {
    /// The ending as an operation of its own, on a sum `[rows, out]`.
    pub fn applied_to(self, sum: Tensor<2>) -> Tensor<2> {
        match self {
            Self::Sum => sum,
            Self::Gelu => super::gelu(sum),
            Self::Residual(residual) => residual + sum,
        }
    }
}

/// `L diag(d) R`.
#[derive(Clone, Debug)]
pub struct Scaled {
    /// `L [in, r]`, constant.
    pub left: Tensor<2>,
    /// `d [r]`.
    pub scale: Tensor<1>,
    /// `R [r, out]`, constant.
    pub right: Tensor<2>,
}

/// The sum of the [terms](LinearTerms) for `x [rows, in]`, or what is made of it: `[rows, out]`.
///
/// # Panics
/// If there is no term with a weight, or if shapes do not fit.
pub fn linear(x: Tensor<2>, terms: LinearTerms) -> Tensor<2> {
    #[cfg(feature = "cpu")]
    if super::is_fused(&x) {
        return crate::fused::linear(x, terms);
    }
    crate::plain::linear(x, terms)
}
