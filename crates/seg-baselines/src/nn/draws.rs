//! Dropout whose draws depend on nothing but a seed, a step and the layer's name.

use burn::tensor::{Tensor, TensorData};
use keyed_random::Stream;

/// Where the random numbers of one training step come from.
///
/// The mask of a layer is a function of (seed, step, layer), so a run that is stopped after step 10 and resumed goes on with
/// the masks that it would have had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Draws {
    seed: u64,
    step: u64,
}

impl Draws {
    /// The draws of one step of a run.
    pub fn new(seed: u64, step: u64) -> Self {
        Self { seed, step }
    }

    /// `count` factors, 0 with probability `rate` and `1 / (1 - rate)` otherwise.
    fn factors(&self, layer: &str, rate: f64, count: usize) -> Vec<f32> {
        let mut stream = Stream::new(self.seed, self.step, layer, "dropout");
        let kept = (1.0 / (1.0 - rate)) as f32;
        let threshold = (rate * (1u64 << 32) as f64) as u64;
        (0..count).map(|_| if u64::from(stream.next_u32()) < threshold { 0.0 } else { kept }).collect()
    }
}

/// Zeroes single values; nothing without draws or at rate 0.
pub(crate) fn dropout(map: Tensor<4>, rate: f64, layer: &str, draws: Option<&Draws>) -> Tensor<4> {
    let Some(draws) = draws.filter(|_| rate > 0.0) else { return map };
    let dims = map.dims();
    let factors = draws.factors(layer, rate, dims.iter().product());
    let device = map.device();
    map * Tensor::from_data(TensorData::new(factors, dims), &device)
}

/// Drops a residual branch `[batch, tokens, width]` for whole images; nothing without draws or at rate 0.
pub(crate) fn drop_path(branch: Tensor<3>, rate: f64, layer: &str, draws: Option<&Draws>) -> Tensor<3> {
    let Some(draws) = draws.filter(|_| rate > 0.0) else { return branch };
    let [batch, ..] = branch.dims();
    let factors = draws.factors(layer, rate, batch);
    let device = branch.device();
    branch * Tensor::<3>::from_data(TensorData::new(factors, [batch, 1, 1]), &device)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_belong_to_seed_step_and_layer_and_keep_the_mean() {
        let draws = Draws::new(3, 7);
        let mask = draws.factors("head", 0.25, 100_000);
        assert_eq!(mask, Draws::new(3, 7).factors("head", 0.25, 100_000));
        for other in [
            Draws::new(4, 7).factors("head", 0.25, 100),
            Draws::new(3, 8).factors("head", 0.25, 100),
            draws.factors("tail", 0.25, 100),
        ] {
            assert_ne!(mask[..100], other[..]);
        }
        let mean = mask.iter().sum::<f32>() / mask.len() as f32;
        assert!((mean - 1.0).abs() < 0.01, "{mean}");
    }
}
