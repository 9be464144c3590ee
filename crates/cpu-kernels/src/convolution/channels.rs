//! The gradient of the bias.

use super::Convolution;
use rayon::prelude::*;

/// Numbers that are added in single precision, in sixteen sums.
const BLOCK: usize = 4096;

impl Convolution {
    /// The gradient of the bias, from that of the output: its sum for each channel.
    ///
    /// # Panics
    ///
    /// If `dy` does not have the size of its shape, or a size that [`Convolution::output`] forbids is zero.
    pub fn bias_gradient(&self, dy: &[f32]) -> Vec<f32> {
        self.check_output(dy);
        let (pixels, outputs) = (self.pixels(), self.channels[1]);
        let sum = |channel: usize| {
            let planes = (0..self.batch).map(|image| &dy[(image * outputs + channel) * pixels..][..pixels]);
            planes.flat_map(|plane| plane.chunks(BLOCK)).map(block).sum::<f64>() as f32
        };
        (0..outputs).into_par_iter().map(sum).collect()
    }
}

fn block(values: &[f32]) -> f64 {
    let mut sums = [0.0f32; 16];
    let (rows, rest) = values.as_chunks::<16>();
    for row in rows {
        for (sum, value) in sums.iter_mut().zip(row) {
            *sum += value;
        }
    }
    sums.iter().chain(rest).map(|&value| f64::from(value)).sum()
}
