//! The way back: the gradient of the input, which is also what a transposed convolution computes.

use super::Convolution;
use crate::{Matrix, Precision, check, product};
use rayon::prelude::*;

/// Elements of a folded matrix that exist at a time in each task.
const FOLDED: usize = 256 << 10;

impl Convolution {
    /// The gradient of the input, from that of the output.
    ///
    /// # Panics
    ///
    /// If an argument does not have the size of its shape, or a size that [`Convolution::output`] forbids is zero.
    pub fn input_gradient(&self, weight: &[f32], dy: &[f32]) -> Vec<f32> {
        self.transposed(weight, dy, None)
    }

    /// The transposed convolution: of maps `y`, shaped as the output, to maps that are shaped as the input, with a bias for each of their
    /// channels or none.
    ///
    /// # Panics
    ///
    /// If an argument does not have the size of its shape, or a size that [`Convolution::output`] forbids is zero.
    pub fn transposed(&self, weight: &[f32], y: &[f32], bias: Option<&[f32]>) -> Vec<f32> {
        self.check_weight(weight);
        self.check_output(y);
        if let Some(bias) = bias {
            check::length("bias", bias.len(), &[self.channels[0]]);
        }
        match self.backwards() {
            Some(convolution) => convolution.forward(y, &self.turned(weight), bias),
            None => self.folded(weight, y, bias),
        }
    }

    /// The convolution of the output's gradient, with the [turned](Self::turned) weight, that gives the input's: there is one for a
    /// stride of one, unless pixels of the padding alone are covered.
    fn backwards(&self) -> Option<Self> {
        let [rows, columns] = [0, 1].map(|axis| {
            let (before, behind) = self.padding[axis];
            let reach = self.covered(axis) - 1;
            (self.stride[axis] == 1).then_some((reach.checked_sub(before)?, reach.checked_sub(behind)?))
        });
        let output = self.output();
        (output[0] > 0 && output[1] > 0).then_some(Self {
            channels: [self.channels[1], self.channels[0]],
            input: output,
            padding: [rows?, columns?],
            ..*self
        })
    }

    /// The weight with its channels exchanged and its kernels turned by half a turn.
    fn turned(&self, weight: &[f32]) -> Vec<f32> {
        let size = self.kernel[0] * self.kernel[1];
        let [inputs, outputs] = self.channels;
        let mut turned = vec![0.0; weight.len()];
        for (index, kernel) in turned.chunks_exact_mut(size).enumerate() {
            let (input, output) = (index / outputs, index % outputs);
            let source = &weight[(output * inputs + input) * size..][..size];
            for (to, from) in kernel.iter_mut().zip(source.iter().rev()) {
                *to = *from;
            }
        }
        turned
    }

    /// For any stride: what each output pixel gives to the pixels that it covers, added up channel by channel.
    fn folded(&self, weight: &[f32], y: &[f32], bias: Option<&[f32]>) -> Vec<f32> {
        let (pixels, depth, plane) = (self.pixels(), self.depth(), self.input[0] * self.input[1]);
        let rows = self.kernel[0] * self.kernel[1];
        let mut maps = vec![0.0; self.batch * self.image()];
        if maps.is_empty() {
            return maps;
        }
        if let Some(bias) = bias {
            for (index, plane) in maps.chunks_exact_mut(plane).enumerate() {
                plane.fill(bias[index % bias.len()]);
            }
        }
        if y.is_empty() {
            return maps;
        }
        let weight = Matrix::new(weight, self.channels[1], depth).transposed();
        let block = (FOLDED / (rows * pixels)).clamp(1, self.channels[0]);
        maps.par_chunks_mut(self.image()).zip(y.par_chunks(self.channels[1] * pixels)).for_each(|(image, y)| {
            let y = Matrix::new(y, self.channels[1], pixels);
            image.par_chunks_mut(block * plane).enumerate().for_each(|(index, planes)| {
                let part = [planes.len() / plane * rows, self.channels[1]];
                let given = product(weight.part([index * block * rows, 0], part), y, Precision::F32);
                for (plane, given) in planes.chunks_exact_mut(plane).zip(given.chunks_exact(rows * pixels)) {
                    self.fold_channel(given, plane);
                }
            });
        });
        maps
    }

    /// Adds rows of an unfolded channel to the pixels that they were unfolded from.
    fn fold_channel(&self, unfolded: &[f32], plane: &mut [f32]) {
        let [height, width] = self.input;
        let columns = self.output()[1];
        for (element, given) in unfolded.chunks_exact(self.pixels()).enumerate() {
            let (kernel_row, kernel_column) = (element / self.kernel[1], element % self.kernel[1]);
            for (row, given) in given.chunks_exact(columns).enumerate() {
                let y = (row * self.stride[0] + kernel_row * self.dilation[0]).checked_sub(self.padding[0].0);
                let Some(y) = y.filter(|&y| y < height) else { continue };
                let line = &mut plane[y * width..][..width];
                for (column, given) in given.iter().enumerate() {
                    let x = column * self.stride[1] + kernel_column * self.dilation[1];
                    if let Some(pixel) = x.checked_sub(self.padding[1].0).and_then(|x| line.get_mut(x)) {
                        *pixel += given;
                    }
                }
            }
        }
    }
}
