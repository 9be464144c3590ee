//! The gradient of the weight: a product over all pixels.

use super::Convolution;
use crate::Matrix;
use crate::product::add_product;
use crate::scratch::Scratch;
use rayon::prelude::*;

/// Elements of the unfolded input that exist at a time.
const UNFOLDED: usize = 1 << 20;

/// Rows of the unfolded input are no power of two apart: a transposition reads sixteen of them at a time, from different sets of the cache.
const GAP: usize = 16;

impl Convolution {
    /// The gradient of the weight, from that of the output.
    ///
    /// # Panics
    ///
    /// If an argument does not have the size of its shape, or a size that [`Convolution::output`] forbids is zero.
    pub fn weight_gradient(&self, x: &[f32], dy: &[f32]) -> Vec<f32> {
        self.check_input(x);
        self.check_output(dy);
        let (pixels, outputs, depth) = (self.pixels(), self.channels[1], self.depth());
        let mut gradient = vec![0.0; outputs * depth];
        if gradient.is_empty() || pixels == 0 {
            return gradient;
        }
        let plane = self.input[0] * self.input[1];
        let rows = self.kernel[0] * self.kernel[1];
        let strip = (UNFOLDED / depth).max(256).min(pixels);
        let step = strip.next_multiple_of(GAP) + GAP;
        let mut unfolded = Scratch::new(depth * step);
        let unfolded = &mut unfolded.as_mut_slice()[..depth * step];
        for image in 0..self.batch {
            let input = &x[image * self.image()..][..self.image()];
            for first in (0..pixels).step_by(strip) {
                let length = strip.min(pixels - first);
                unfolded.par_chunks_mut(rows * step).enumerate().for_each(|(channel, part)| {
                    self.unfold_channel(&input[channel * plane..][..plane], first..first + length, part, step);
                });
                let dy = &dy[image * outputs * pixels + first..];
                let dy = Matrix::strided(dy, [outputs, length], [pixels, 1]);
                let covered = Matrix::strided(unfolded, [depth, length], [step, 1]);
                add_product(&mut gradient, dy, covered.transposed());
            }
        }
        gradient
    }
}
