//! Depthwise convolutions: each channel with a kernel of its own. They have too little to add up for products; rows are added to rows.

use super::Convolution;
use crate::check;
use crate::elementwise::CHUNK;
use crate::isa::Level;
use crate::math::dot;
use crate::vectorise::{Arithmetic, vectorised};
use rayon::prelude::*;
use std::ops::Range;

impl Convolution {
    /// Where each channel has a kernel of its own, `weight [channels, kernel height, kernel width]`: the output, with a bias for each channel
    /// or none.
    ///
    /// # Panics
    ///
    /// If input and output have different numbers of channels, if an argument does not have the size of its shape, or if a size that
    /// [`Convolution::output`] forbids is zero.
    pub fn depthwise(&self, x: &[f32], weight: &[f32], bias: Option<&[f32]>) -> Vec<f32> {
        self.check_input(x);
        self.check_depthwise(weight);
        if let Some(bias) = bias {
            check::length("bias", bias.len(), &[self.channels[1]]);
        }
        let (stretches, stride) = (self.stretches(), self.stride[1]);
        self.planes([self.pixels(), self.input[0] * self.input[1]], x, |level, channel, from, to| {
            to.fill(bias.map_or(0.0, |bias| bias[channel]));
            gather(level, &stretches, stride, from, self.own(weight, channel), to);
        })
    }

    /// The gradient of the input of [`Convolution::depthwise`].
    ///
    /// # Panics
    ///
    /// As there.
    pub fn depthwise_input_gradient(&self, weight: &[f32], dy: &[f32]) -> Vec<f32> {
        self.check_output(dy);
        self.check_depthwise(weight);
        let (stretches, stride) = (self.stretches(), self.stride[1]);
        self.planes([self.input[0] * self.input[1], self.pixels()], dy, |level, channel, from, to| {
            scatter(level, &stretches, stride, from, self.own(weight, channel), to);
        })
    }

    /// The gradient of the weight of [`Convolution::depthwise`].
    ///
    /// # Panics
    ///
    /// As there.
    pub fn depthwise_weight_gradient(&self, x: &[f32], dy: &[f32]) -> Vec<f32> {
        self.check_input(x);
        self.check_output(dy);
        let mut gradient = vec![0.0; self.channels[1] * self.kernel[0] * self.kernel[1]];
        self.check_depthwise(&gradient);
        let (level, channels) = (Level::current(), self.channels[1]);
        let [plane, pixels] = [self.input[0] * self.input[1], self.pixels()];
        let together = (CHUNK / (self.batch * pixels).max(1)).max(1);
        let own = self.kernel[0] * self.kernel[1];
        let (stretches, stride) = (self.stretches(), self.stride[1]);
        gradient.par_chunks_exact_mut(own).with_min_len(together).enumerate().for_each(|(channel, gradient)| {
            let mut sums = vec![0.0f64; own];
            for image in (0..self.batch).map(|image| image * channels + channel) {
                let (x, dy) = (&x[image * plane..][..plane], &dy[image * pixels..][..pixels]);
                correlate(level, &stretches, stride, x, dy, &mut sums);
            }
            for (gradient, sum) in gradient.iter_mut().zip(&sums) {
                *gradient = *sum as f32;
            }
        });
        gradient
    }

    #[track_caller]
    fn check_depthwise(&self, weight: &[f32]) {
        let [inputs, outputs] = self.channels;
        assert!(inputs == outputs, "a depthwise convolution of {inputs} channels to {outputs}");
        check::length("weight", weight.len(), &[inputs, self.kernel[0], self.kernel[1]]);
    }

    /// The kernel of a channel.
    fn own<'a>(&self, weight: &'a [f32], channel: usize) -> &'a [f32] {
        let size = self.kernel[0] * self.kernel[1];
        &weight[channel * size..][..size]
    }

    /// Planes of `to` zeros, filled from planes of `from` numbers by tasks of their own.
    fn planes(
        &self,
        [to, from]: [usize; 2],
        values: &[f32],
        fill: impl Fn(Level, usize, &[f32], &mut [f32]) + Sync,
    ) -> Vec<f32> {
        let (level, channels) = (Level::current(), self.channels[1]);
        let mut out = vec![0.0; self.batch * channels * to];
        if out.is_empty() {
            return out;
        }
        let together = (CHUNK / to).max(1);
        out.par_chunks_exact_mut(to).with_min_len(together).enumerate().for_each(|(plane, to)| {
            fill(level, plane % channels, &values[plane * from..][..from], to);
        });
        out
    }

    /// The places along an axis of the output that element `k` of the kernel serves, and the place of the input that the first of them reads.
    fn served(&self, axis: usize, k: usize) -> (Range<usize>, usize) {
        let (stride, before, ahead) = (self.stride[axis], self.padding[axis].0, k * self.dilation[axis]);
        let first = before.saturating_sub(ahead).div_ceil(stride);
        let end = (self.input[axis] + before).saturating_sub(ahead).div_ceil(stride).min(self.output()[axis]);
        (first..end.max(first), (first * stride + ahead).saturating_sub(before))
    }

    /// What each element of the kernel reads for each row of the output.
    fn stretches(&self) -> Vec<Stretch> {
        let ([height, width], [_, input_width]) = (self.output(), self.input);
        let [rows, columns] = self.kernel;
        let across: Vec<_> = (0..columns).map(|column| self.served(1, column)).collect();
        let down: Vec<_> = (0..rows).map(|row| self.served(0, row)).collect();
        let mut stretches = Vec::with_capacity(height * rows * columns);
        for y in 0..height {
            for (row, (served, start)) in down.iter().enumerate().filter(|(_, (served, _))| served.contains(&y)) {
                let read = start + (y - served.start) * self.stride[0];
                let across = across.iter().enumerate().filter(|(_, (served, _))| !served.is_empty());
                stretches.extend(across.map(|(column, (served, start))| Stretch {
                    element: row * columns + column,
                    output: y * width + served.start,
                    len: served.len(),
                    input: read * input_width + start,
                }));
            }
        }
        stretches
    }
}

/// What an element of the kernel reads for pixels of a row of the output.
#[derive(Clone, Copy)]
struct Stretch {
    element: usize,
    /// The first pixel of the output, and how many there are.
    output: usize,
    len: usize,
    /// The pixel of the input that is read for the first one.
    input: usize,
}

vectorised! {
    /// Adds what each element of the kernel reads to the output.
    fn gather(stretches: &[Stretch], stride: usize, x: &[f32], weight: &[f32], out: &mut [f32]) = gather_body;
}

#[inline(always)]
fn gather_body<A: Arithmetic>(stretches: &[Stretch], stride: usize, x: &[f32], weight: &[f32], out: &mut [f32]) {
    for stretch in stretches {
        let (weight, x, out) =
            (weight[stretch.element], &x[stretch.input..], &mut out[stretch.output..][..stretch.len]);
        if stride == 1 {
            for (out, x) in out.iter_mut().zip(x) {
                *out = A::mul_add(weight, *x, *out);
            }
        } else {
            for (out, x) in out.iter_mut().zip(x.iter().step_by(stride)) {
                *out = A::mul_add(weight, *x, *out);
            }
        }
    }
}

vectorised! {
    /// Adds the gradient of the output to what each element of the kernel read.
    fn scatter(stretches: &[Stretch], stride: usize, dy: &[f32], weight: &[f32], out: &mut [f32]) = scatter_body;
}

#[inline(always)]
fn scatter_body<A: Arithmetic>(stretches: &[Stretch], stride: usize, dy: &[f32], weight: &[f32], out: &mut [f32]) {
    for stretch in stretches {
        let (weight, dy, out) =
            (weight[stretch.element], &dy[stretch.output..][..stretch.len], &mut out[stretch.input..]);
        if stride == 1 {
            for (out, dy) in out.iter_mut().zip(dy) {
                *out = A::mul_add(weight, *dy, *out);
            }
        } else {
            for (out, dy) in out.iter_mut().step_by(stride).zip(dy) {
                *out = A::mul_add(weight, *dy, *out);
            }
        }
    }
}

vectorised! {
    /// Adds the products of the gradient of the output with what each element of the kernel read.
    fn correlate(stretches: &[Stretch], stride: usize, x: &[f32], dy: &[f32], sums: &mut [f64]) = correlate_body;
}

#[inline(always)]
fn correlate_body<A: Arithmetic>(stretches: &[Stretch], stride: usize, x: &[f32], dy: &[f32], sums: &mut [f64]) {
    for stretch in stretches {
        let (x, dy) = (&x[stretch.input..], &dy[stretch.output..][..stretch.len]);
        sums[stretch.element] += if stride == 1 {
            f64::from(dot::<A>(&x[..stretch.len], dy))
        } else {
            x.iter().step_by(stride).zip(dy).map(|(x, dy)| f64::from(*x) * f64::from(*dy)).sum()
        };
    }
}
