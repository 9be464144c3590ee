//! Resizing by cubic splines as scikit-image's `resize(order=3, anti_aliasing=True)`, which MedSAM prepares images with.
//!
//! Along each axis: a Gaussian of standard deviation `(input / output - 1) / 2` where that is positive, then the interpolating cubic
//! B-spline at the output's pixel centres. Beyond its ends a line is mirrored about its first and last pixel.

use crate::Image;

/// `[height, width, channels]` in grey levels, within the levels that the image has.
pub(crate) fn resize_spline(image: &Image, width: usize, height: usize) -> Vec<f64> {
    let (channels, target) = (image.channels(), (width.max(1), height.max(1)));
    let (columns, rows) = (Line::new(image.width(), target.0), Line::new(image.height(), target.1));
    // Rows of the image to columns of an intermediate `[width, channels, height]`.
    let mut turned = vec![0f64; target.0 * channels * image.height()];
    let mut line = vec![0f64; image.width()];
    let mut out = vec![0f64; target.0];
    for (y, row) in image.data().chunks_exact(image.width() * channels).enumerate() {
        for c in 0..channels {
            line.iter_mut().zip(row.iter().skip(c).step_by(channels)).for_each(|(v, &byte)| *v = f64::from(byte));
            columns.resample(&mut line, &mut out);
            for (x, &value) in out.iter().enumerate() {
                turned[(x * channels + c) * image.height() + y] = value;
            }
        }
    }
    let bytes = || image.data().iter().copied();
    let (low, high) = (f64::from(bytes().min().unwrap_or(0)), f64::from(bytes().max().unwrap_or(0)));
    let mut resized = vec![0f64; target.1 * target.0 * channels];
    let mut out = vec![0f64; target.1];
    for (at, column) in turned.chunks_exact_mut(image.height()).enumerate() {
        rows.resample(column, &mut out);
        for (y, &value) in out.iter().enumerate() {
            resized[y * target.0 * channels + at] = value.clamp(low, high);
        }
    }
    resized
}

/// How one axis is resampled.
struct Line {
    /// The Gaussian's weights from its middle outwards; empty where there is none.
    gaussian: Vec<f64>,
    /// For every output position the first of four coefficients (it may lie outside) and their weights.
    taps: Vec<(isize, [f64; 4])>,
}

/// Pole of the cubic B-spline's inverse filter.
const POLE: f64 = -0.267_949_192_431_122_7;

impl Line {
    fn new(input: usize, output: usize) -> Self {
        let scale = input as f64 / output as f64;
        let deviation = ((scale - 1.0) / 2.0).max(0.0);
        let weight = |offset: usize| (-0.5 * (offset as f64 / deviation).powi(2)).exp();
        // Cut at four deviations.
        let mut gaussian: Vec<f64> =
            if deviation > 1e-15 { (0..=(4.0 * deviation + 0.5) as usize).map(weight).collect() } else { Vec::new() };
        let sum: f64 = gaussian.iter().sum::<f64>() * 2.0 - gaussian.first().copied().unwrap_or(0.0);
        gaussian.iter_mut().for_each(|weight| *weight /= sum);
        let taps = |position: usize| {
            let at = (position as f64 + 0.5) * scale - 0.5;
            let (first, t) = (at.floor(), at - at.floor());
            let u = 1.0 - t;
            let near = |t: f64| (t * t * (t - 2.0) * 3.0 + 4.0) / 6.0;
            (first as isize - 1, [u * u * u / 6.0, near(t), near(u), t * t * t / 6.0])
        };
        // Where nothing is resized, nothing is interpolated: the weights would give the same numbers but for their rounding.
        Self { gaussian, taps: if input == output { Vec::new() } else { (0..output).map(taps).collect() } }
    }

    /// Overwrites `line` with what it needs on the way.
    fn resample(&self, line: &mut [f64], out: &mut [f64]) {
        if self.taps.is_empty() {
            out.copy_from_slice(line);
            return;
        }
        if !self.gaussian.is_empty() {
            self.smooth(line);
        }
        coefficients(line);
        for (value, (first, weights)) in out.iter_mut().zip(&self.taps) {
            *value = weights.iter().zip(*first..).map(|(weight, at)| weight * line[mirrored(at, line.len())]).sum();
        }
    }

    fn smooth(&self, line: &mut [f64]) {
        let source = line.to_vec();
        let read = |at: isize| source[mirrored(at, source.len())];
        for (value, at) in line.iter_mut().zip(0isize..) {
            let pairs = self.gaussian.iter().zip(0isize..).skip(1);
            let sides: f64 = pairs.map(|(weight, offset)| weight * (read(at - offset) + read(at + offset))).sum();
            *value = self.gaussian[0] * read(at) + sides;
        }
    }
}

/// A position beyond the ends, mirrored about the first and the last.
fn mirrored(at: isize, length: usize) -> usize {
    let (length, period) = (length as isize, 2 * (length as isize - 1));
    if (0..length).contains(&at) {
        return at as usize;
    }
    if period == 0 {
        return 0;
    }
    let at = at.rem_euclid(period);
    (if at < length { at } else { period - at }) as usize
}

/// Values to the coefficients of the cubic B-spline through them: a causal and an anticausal recursion (Unser, 1999).
fn coefficients(line: &mut [f64]) {
    let last = line.len() - 1;
    if last == 0 {
        return;
    }
    // The gain of both recursions.
    line.iter_mut().for_each(|value| *value *= 6.0);
    // The causal sum over the mirrored line, which has the period `2 * last`.
    let (mut sum, mut power, end) = (line[0] + POLE.powi(last as i32) * line[last], POLE, POLE.powi(last as i32));
    for at in 1..last {
        sum += power * (line[at] + end * line[last - at]);
        power *= POLE;
    }
    line[0] = sum / (1.0 - end * end);
    for at in 1..=last {
        line[at] += POLE * line[at - 1];
    }
    line[last] = (POLE * line[last - 1] + line[last]) * POLE / (POLE * POLE - 1.0);
    for at in (0..last).rev() {
        line[at] = POLE * (line[at + 1] - line[at]);
    }
}
