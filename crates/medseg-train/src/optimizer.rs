//! Optimisers by name, set as PyTorch sets them.
//!
//! Burn's defaults for AdamW are epsilon 1e-5 and weight decay 1e-4, PyTorch's (and the paper's) are 1e-8 and 1e-2.

use crate::error::{Result, TrainError};
use burn::optim::{
    AdamWState, AdaptiveMomentumState, LearningRate, ModuleOptimizer, Optimizer, SgdConfig, decay::WeightDecayConfig,
    momentum::MomentumConfig,
};
use burn::tensor::{Device, Tensor};
use burn_kernels::Moments;
use serde::{Deserialize, Serialize};

/// Which optimiser, with its constants.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum OptimizerConfig {
    /// Adam with decoupled weight decay.
    AdamW {
        /// Decay of the mean of gradients.
        #[serde(default = "beta_1")]
        beta_1: f32,
        /// Decay of the mean of squared gradients.
        #[serde(default = "beta_2")]
        beta_2: f32,
        /// Added to the root of the second moment.
        #[serde(default = "epsilon")]
        epsilon: f32,
        /// Decoupled weight decay, a factor on the learning rate.
        #[serde(default = "weight_decay")]
        weight_decay: f32,
    },
    /// Stochastic gradient descent.
    Sgd {
        /// Momentum, 0 for none.
        #[serde(default)]
        momentum: f64,
        /// Decay added to the gradient.
        #[serde(default)]
        weight_decay: f32,
    },
}

fn beta_1() -> f32 {
    0.9
}
fn beta_2() -> f32 {
    0.999
}
fn epsilon() -> f32 {
    1e-8
}
fn weight_decay() -> f32 {
    1e-2
}

impl Default for OptimizerConfig {
    fn default() -> Self {
        Self::AdamW { beta_1: beta_1(), beta_2: beta_2(), epsilon: epsilon(), weight_decay: weight_decay() }
    }
}

impl OptimizerConfig {
    /// Checks the constants.
    ///
    /// # Errors
    /// The first constant outside its range.
    pub fn validate(&self) -> Result<()> {
        let check = |name: &str, value: f64, range: std::ops::Range<f64>| {
            if range.contains(&value) {
                Ok(())
            } else {
                Err(TrainError::config(
                    format!("optimizer.{name}"),
                    format!("must lie in {}..{}, found {value}", range.start, range.end),
                ))
            }
        };
        match *self {
            Self::AdamW { beta_1, beta_2, epsilon, weight_decay } => {
                check("beta-1", beta_1.into(), 0.0..1.0)?;
                check("beta-2", beta_2.into(), 0.0..1.0)?;
                check("epsilon", epsilon.into(), f64::MIN_POSITIVE..1.0)?;
                check("weight-decay", weight_decay.into(), 0.0..10.0)
            }
            Self::Sgd { momentum, weight_decay } => {
                check("momentum", momentum, 0.0..1.0)?;
                check("weight-decay", weight_decay.into(), 0.0..10.0)
            }
        }
    }

    /// Burn's optimiser with these constants and no state yet.
    pub fn init(&self) -> ModuleOptimizer {
        match *self {
            Self::AdamW { beta_1, beta_2, epsilon, weight_decay } => {
                ModuleOptimizer::from(AdamW { beta_1, beta_2, epsilon, weight_decay })
            }
            Self::Sgd { momentum, weight_decay } => {
                let mut config = SgdConfig::new();
                if momentum > 0.0 {
                    config = config.with_momentum(Some(MomentumConfig { momentum, dampening: 0.0, nesterov: false }));
                }
                if weight_decay > 0.0 {
                    config = config.with_weight_decay(Some(WeightDecayConfig { penalty: weight_decay }));
                }
                config.init()
            }
        }
    }
}

/// AdamW in one pass over each parameter. Its state is that of Burn's own AdamW.
#[derive(Clone, Debug)]
struct AdamW {
    beta_1: f32,
    beta_2: f32,
    epsilon: f32,
    weight_decay: f32,
}

impl Optimizer for AdamW {
    type State<const D: usize> = AdamWState<D>;

    fn step<const D: usize>(
        &self,
        learning_rate: LearningRate,
        parameter: Tensor<D>,
        gradient: Tensor<D>,
        state: Option<Self::State<D>>,
    ) -> (Tensor<D>, Option<Self::State<D>>) {
        let (time, first, second) = match state {
            Some(AdamWState { momentum }) => (momentum.time, momentum.moment_1, momentum.moment_2),
            None => (0, gradient.zeros_like(), gradient.zeros_like()),
        };
        let time = time + 1;
        let step = burn_kernels::AdamW {
            learning_rate: learning_rate as f32,
            beta_1: self.beta_1,
            beta_2: self.beta_2,
            epsilon: self.epsilon,
            weight_decay: self.weight_decay,
            time: i32::try_from(time).unwrap_or(i32::MAX),
        };
        let Moments { parameter, first, second } = step.step(Moments { parameter, first, second }, gradient);
        (parameter, Some(AdamWState::new(AdaptiveMomentumState::new(time, first, second))))
    }

    fn to_device<const D: usize>(mut state: Self::State<D>, device: &Device) -> Self::State<D> {
        state.momentum = state.momentum.to_device(device);
        state
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::module::{Module, Param};
    use burn::optim::GradientsParams;
    use burn::tensor::{Device, Tensor};

    #[derive(Module, Debug)]
    struct One {
        weight: Param<Tensor<1>>,
    }

    fn steps(config: &OptimizerConfig, count: usize) -> f64 {
        let device = Device::flex().autodiff();
        let mut model = One { weight: Param::from_tensor(Tensor::from_floats([1.0], &device)) };
        let mut optimizer = config.init();
        for _ in 0..count {
            // Gradient 2 w.
            let loss = model.weight.val().square().sum();
            let grads = GradientsParams::from_grads(loss.backward(), &model);
            model = optimizer.step(0.1, model, grads);
        }
        f64::from(model.weight.val().into_scalar::<f32>())
    }

    /// The published update rules in f64.
    fn reference(config: &OptimizerConfig, count: usize) -> f64 {
        let (mut w, mut m, mut v) = (1.0f64, 0.0, 0.0);
        for t in 1..=count {
            let mut g = 2.0 * w;
            match *config {
                OptimizerConfig::AdamW { beta_1, beta_2, epsilon, weight_decay } => {
                    let (b1, b2) = (f64::from(beta_1), f64::from(beta_2));
                    m = b1 * m + (1.0 - b1) * g;
                    v = b2 * v + (1.0 - b2) * g * g;
                    w *= 1.0 - 0.1 * f64::from(weight_decay);
                    let root = (v / (1.0 - b2.powi(t as i32))).sqrt();
                    w -= 0.1 * (m / (1.0 - b1.powi(t as i32))) / (root + f64::from(epsilon));
                }
                OptimizerConfig::Sgd { momentum, weight_decay } => {
                    g += f64::from(weight_decay) * w;
                    m = if t == 1 { g } else { momentum * m + g };
                    w -= 0.1 * if momentum > 0.0 { m } else { g };
                }
            }
        }
        w
    }

    #[test]
    fn updates_follow_the_published_rules() {
        for config in [
            OptimizerConfig::default(),
            OptimizerConfig::Sgd { momentum: 0.0, weight_decay: 0.0 },
            OptimizerConfig::Sgd { momentum: 0.9, weight_decay: 0.05 },
        ] {
            let (found, expected) = (steps(&config, 5), reference(&config, 5));
            assert!((found - expected).abs() < 1e-5, "{config:?}: {found} against {expected}");
        }
    }

    #[test]
    fn constants_out_of_range_are_refused() {
        assert!(OptimizerConfig::Sgd { momentum: 1.0, weight_decay: 0.0 }.validate().is_err());
        let zero = OptimizerConfig::AdamW { beta_1: 0.9, beta_2: 0.999, epsilon: 0.0, weight_decay: 0.0 };
        assert!(zero.validate().unwrap_err().to_string().contains("epsilon"));
    }
}
