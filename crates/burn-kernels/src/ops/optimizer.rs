//! The optimiser's step.

use burn::tensor::Tensor;

/// The numbers of one step of AdamW (Loshchilov and Hutter, 2019).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamW {
    /// Learning rate.
    pub learning_rate: f32,
    /// How much of the mean of gradients is kept.
    pub beta_1: f32,
    /// How much of the mean of squared gradients is kept.
    pub beta_2: f32,
    /// Added to the root of the corrected second moment.
    pub epsilon: f32,
    /// Decay of the parameters, decoupled from the gradient: they are multiplied by `1 - learning_rate * weight_decay`.
    pub weight_decay: f32,
    /// Number of this step, the first being 1.
    pub time: i32,
}

/// What one parameter has in an optimiser, all of one shape.
#[derive(Clone, Debug)]
pub struct Moments<const D: usize> {
    /// The parameter.
    pub parameter: Tensor<D>,
    /// The mean of its gradients.
    pub first: Tensor<D>,
    /// The mean of its squared gradients.
    pub second: Tensor<D>,
}

impl AdamW {
    /// The parameter and its moments after a step along `gradient`, of the parameter's shape. On a CPU everything is changed in place, in
    /// one pass, where nobody else holds the tensors.
    ///
    /// # Panics
    /// If shapes differ.
    pub fn step<const D: usize>(&self, moments: Moments<D>, gradient: Tensor<D>) -> Moments<D> {
        let shape = moments.parameter.dims();
        for (name, tensor) in [("gradient", &gradient), ("first", &moments.first), ("second", &moments.second)] {
            assert!(tensor.dims() == shape, "{name}: expected {shape:?}, found {:?}", tensor.dims());
        }
        #[cfg(feature = "cpu")]
        if super::is_fused(&gradient) && !gradient.is_autodiff() && !moments.parameter.is_autodiff() {
            return crate::fused::adamw(self, moments, gradient);
        }
        crate::plain::adamw(self, moments, gradient)
    }

    /// `1 - beta^time` for both.
    pub(crate) fn corrections(&self) -> [f32; 2] {
        [self.beta_1, self.beta_2].map(|beta| 1.0 - beta.powi(self.time))
    }
}
