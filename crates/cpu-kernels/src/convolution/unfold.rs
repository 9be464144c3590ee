//! What the kernel covers, as columns of a matrix.

use super::Convolution;
use crate::tile::COLUMNS;
use std::ops::Range;

impl Convolution {
    /// Rows `channel * kernel height * kernel width ..` of the unfolded image, one channel's, in columns `pixels`: row r to
    /// `out[r * step..]`.
    pub(super) fn unfold_channel(&self, plane: &[f32], pixels: Range<usize>, out: &mut [f32], step: usize) {
        let [height, width] = self.input;
        let columns = self.output()[1];
        let mut at = 0;
        while at < pixels.len() {
            // As far as the row of the output goes.
            let (row, column) = ((pixels.start + at) / columns, (pixels.start + at) % columns);
            let length = (columns - column).min(pixels.len() - at);
            let mut rows = out.chunks_mut(step);
            for kernel_row in 0..self.kernel[0] {
                let y = (row * self.stride[0] + kernel_row * self.dilation[0]).checked_sub(self.padding[0].0);
                let line = y.filter(|&y| y < height).map(|y| &plane[y * width..][..width]);
                for kernel_column in 0..self.kernel[1] {
                    let Some(out) = rows.next() else { return };
                    // Where the first pixel lies behind the padding.
                    let first = column * self.stride[1] + kernel_column * self.dilation[1];
                    let first = first as isize - self.padding[1].0 as isize;
                    let out = &mut out[at..][..length];
                    match line {
                        Some(line) => copy(line, first, self.stride[1], out),
                        None => out.fill(0.0),
                    }
                }
            }
            at += length;
        }
    }
}

/// `line[first]`, `line[first + step]` and so on; zero outside of the line.
fn copy(line: &[f32], first: isize, step: usize, out: &mut [f32]) {
    if step > 1 {
        for (index, out) in out.iter_mut().enumerate() {
            let x = first + (index * step) as isize;
            *out = usize::try_from(x).ok().and_then(|x| line.get(x)).copied().unwrap_or(0.0);
        }
        return;
    }
    let before = first.min(0).unsigned_abs().min(out.len());
    let start = first.max(0).unsigned_abs().min(line.len());
    let inside = (out.len() - before).min(line.len() - start);
    if out.len() == COLUMNS && inside == COLUMNS {
        // A whole panel's width is the rule, and copying it is no call.
        let source: Option<&[f32; COLUMNS]> = line[start..].first_chunk();
        if let (Some(out), Some(source)) = (out.first_chunk_mut(), source) {
            *out = *source;
            return;
        }
    }
    out[..before].fill(0.0);
    out[before..before + inside].copy_from_slice(&line[start..start + inside]);
    out[before + inside..].fill(0.0);
}
