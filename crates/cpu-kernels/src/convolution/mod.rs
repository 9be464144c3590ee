//! Convolutions of maps as products: each pixel of the output is a row of what the kernel covers there.
//!
//! The matrix of these rows, many times as large as the input, never exists as a whole. A forward pass gathers it panel by panel in the
//! order in which tiles read it, the gradient of the weight strip by strip.

mod depthwise;
mod forward;
mod transposed;
mod unfold;
mod weight_gradient;

use crate::check;

/// A convolution of `x [batch, channels[0], height, width]` with a weight `[channels[1], channels[0], kernel height, kernel width]`, all of them
/// row by row, to `y [batch, channels[1], height, width]` of the size that [`Convolution::output`] says.
///
/// In pairs of sizes the first is along the height.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Convolution {
    /// Images.
    pub batch: usize,
    /// Channels of the input and of the output.
    pub channels: [usize; 2],
    /// Height and width of the input, px.
    pub input: [usize; 2],
    /// Height and width of the kernel, px.
    pub kernel: [usize; 2],
    /// Pixels of the input from one pixel of the output to the next.
    pub stride: [usize; 2],
    /// Zeros before and behind the pixels of the input.
    pub padding: [(usize, usize); 2],
    /// Pixels of the input from one element of the kernel to the next.
    pub dilation: [usize; 2],
}

impl Convolution {
    /// Height and width of the output, px; zero where the kernel does not fit into the padded input.
    ///
    /// # Panics
    ///
    /// If a size of the kernel, a stride or a dilation is zero.
    pub fn output(&self) -> [usize; 2] {
        let steps = [self.kernel, self.stride, self.dilation];
        assert!(!steps.as_flattened().contains(&0), "expected no zero among kernel, stride and dilation: {self:?}");
        std::array::from_fn(|axis| {
            let (before, behind) = self.padding[axis];
            let padded = self.input[axis] + before + behind;
            let covered = self.covered(axis);
            if covered > padded { 0 } else { (padded - covered) / self.stride[axis] + 1 }
        })
    }

    /// Pixels from the first to the last element of the kernel, both included.
    fn covered(&self, axis: usize) -> usize {
        self.dilation[axis] * (self.kernel[axis] - 1) + 1
    }

    /// Numbers of the input behind one number of the output.
    fn depth(&self) -> usize {
        self.channels[0] * self.kernel[0] * self.kernel[1]
    }

    /// Pixels of an image of the output.
    fn pixels(&self) -> usize {
        let [height, width] = self.output();
        height * width
    }

    /// Numbers of an image of the input.
    fn image(&self) -> usize {
        self.channels[0] * self.input[0] * self.input[1]
    }

    #[track_caller]
    fn check_input(&self, x: &[f32]) {
        check::length("x", x.len(), &[self.batch, self.channels[0], self.input[0], self.input[1]]);
    }

    #[track_caller]
    fn check_weight(&self, weight: &[f32]) {
        check::length("weight", weight.len(), &[self.channels[1], self.depth()]);
    }

    #[track_caller]
    fn check_output(&self, dy: &[f32]) {
        check::length("dy", dy.len(), &[self.batch, self.channels[1], self.pixels()]);
    }
}
