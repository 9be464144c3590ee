//! The forward pass.

use super::Convolution;
use crate::memory::written;
use crate::product::{Threads, packed_product};
use crate::scratch::Scratch;
use crate::tile::COLUMNS;
use crate::{Matrix, check};
use rayon::prelude::*;
use std::ops::Range;

/// Elements of unfolded input that a task has before itself: they stay in the second cache while the weight passes by.
const GATHERED: usize = 160 << 10;

/// The most panels of a task.
const TASK_PANELS: usize = 16;

/// Where all images go. Each task writes pixels of its own.
struct Output(*mut f32);

// SAFETY: each task writes elements of its own.
unsafe impl Sync for Output {}

impl Output {
    /// The address of an element.
    fn at(&self, index: usize) -> *mut f32 {
        self.0.wrapping_add(index)
    }
}

impl Convolution {
    /// `y`, with a bias for each channel of the output or none.
    ///
    /// # Panics
    ///
    /// If an argument does not have the size of its shape, or a size that [`Convolution::output`] forbids is zero.
    pub fn forward(&self, x: &[f32], weight: &[f32], bias: Option<&[f32]>) -> Vec<f32> {
        self.check_input(x);
        self.check_weight(weight);
        if let Some(bias) = bias {
            check::length("bias", bias.len(), &[self.channels[1]]);
        }
        let (pixels, outputs) = (self.pixels(), self.channels[1]);
        let whole = self.batch * outputs * pixels;
        if whole == 0 {
            return Vec::new();
        }
        if self.depth() == 0 {
            let bias = |index: usize| bias.map_or(0.0, |bias| bias[index / pixels % outputs]);
            return (0..whole).map(bias).collect();
        }
        let weight = Matrix::new(weight, outputs, self.depth());
        let strip = (GATHERED / (self.depth() * COLUMNS)).clamp(1, TASK_PANELS) * COLUMNS;
        let strips = pixels.div_ceil(strip);
        let tasks = self.batch * strips;
        // Where there are few tasks, threads share each of them too. No sum depends on that.
        let threads = if tasks < 2 * rayon::current_num_threads() { Threads::All } else { Threads::One };
        // SAFETY: the tasks cover all pixels of all images, and each writes all channels of its own.
        unsafe {
            written(whole, |out| {
                let out = Output(out.as_mut_ptr().cast());
                let task = |index: usize| {
                    let (image, first) = (index / strips, index % strips * strip);
                    let range = first..(first + strip).min(pixels);
                    let columns = range.len();
                    let mut packed = Scratch::new(columns.div_ceil(COLUMNS) * self.depth() * COLUMNS);
                    let packed = &mut packed.as_mut_slice()[..columns.div_ceil(COLUMNS) * self.depth() * COLUMNS];
                    self.gather(&x[image * self.image()..][..self.image()], range, packed);
                    let target = (out.at(image * outputs * pixels + first), pixels);
                    packed_product(weight, (packed, columns), bias, target, threads);
                };
                match tasks {
                    1 => task(0),
                    _ => (0..tasks).into_par_iter().with_max_len(1).for_each(task),
                }
            })
        }
    }

    /// What the kernel covers at some pixels of the output, in panels `[panel][depth][32]`. Pixels that are not there become zero.
    fn gather(&self, image: &[f32], pixels: Range<usize>, packed: &mut [f32]) {
        let plane = self.input[0] * self.input[1];
        let rows = self.kernel[0] * self.kernel[1];
        for (index, panel) in packed.chunks_exact_mut(self.depth() * COLUMNS).enumerate() {
            let first = pixels.start + index * COLUMNS;
            let range = first..(first + COLUMNS).min(pixels.end);
            for (channel, part) in panel.chunks_exact_mut(rows * COLUMNS).enumerate() {
                self.unfold_channel(&image[channel * plane..][..plane], range.clone(), part, COLUMNS);
            }
            if range.len() < COLUMNS {
                for row in panel.chunks_exact_mut(COLUMNS) {
                    row[range.len()..].fill(0.0);
                }
            }
        }
    }
}
