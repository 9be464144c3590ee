//! Planes of numbers, and the few operations that the generators share: blur, smooth noise, strokes.
//!
//! All functions of a real argument come from `libm`, so that the same seed gives the same bytes on every platform.

use crate::random::Stream;
use medseg_metrics::Mask;

/// A plane of f32 values in row-major order.
#[derive(Debug, Clone)]
pub(super) struct Plane {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) data: Vec<f32>,
}

impl Plane {
    pub(super) fn new(width: usize, height: usize, value: f32) -> Self {
        Self { width, height, data: vec![value; width * height] }
    }

    /// A plane from a function of the pixel's column and row.
    pub(super) fn from_fn(width: usize, height: usize, f: impl Fn(f64, f64) -> f64) -> Self {
        let mut data = Vec::with_capacity(width * height);
        for y in 0..height {
            data.extend((0..width).map(|x| f(x as f64, y as f64) as f32));
        }
        Self { width, height, data }
    }

    /// Adds `factor` times another plane of the same size.
    pub(super) fn add(&mut self, other: &Plane, factor: f32) {
        for (a, b) in self.data.iter_mut().zip(&other.data) {
            *a += factor * b;
        }
    }

    /// Gaussian blur with standard deviation `sigma` in pixels; the border is continued.
    pub(super) fn blur(&self, sigma: f64) -> Plane {
        let reach = libm::ceil(3.0 * sigma) as usize;
        let mut kernel: Vec<f32> = (0..=2 * reach)
            .map(|i| {
                let d = i as f64 - reach as f64;
                libm::exp(-d * d / (2.0 * sigma * sigma)) as f32
            })
            .collect();
        let sum: f32 = kernel.iter().sum();
        kernel.iter_mut().for_each(|k| *k /= sum);
        let (width, height) = (self.width, self.height);
        let mut rows = vec![0f32; self.data.len()];
        let mut line = vec![0f32; width + 2 * reach];
        for (source, target) in self.data.chunks_exact(width).zip(rows.chunks_exact_mut(width)) {
            line[..reach].fill(source[0]);
            line[reach..reach + width].copy_from_slice(source);
            line[reach + width..].fill(source[width - 1]);
            for (value, window) in target.iter_mut().zip(line.windows(kernel.len())) {
                *value = window.iter().zip(&kernel).map(|(v, k)| v * k).sum();
            }
        }
        let mut out = Plane::new(width, height, 0.0);
        for (y, target) in out.data.chunks_exact_mut(width).enumerate() {
            for (i, k) in kernel.iter().enumerate() {
                let row = (y + i).saturating_sub(reach).min(height - 1);
                for (value, v) in target.iter_mut().zip(&rows[row * width..(row + 1) * width]) {
                    *value += k * v;
                }
            }
        }
        out
    }

    /// The value at a real position, bilinear, continued at the border.
    pub(super) fn sample(&self, x: f64, y: f64) -> f32 {
        let x = x.clamp(0.0, (self.width - 1) as f64);
        let y = y.clamp(0.0, (self.height - 1) as f64);
        let (x0, y0) = (x as usize, y as usize);
        let (x1, y1) = ((x0 + 1).min(self.width - 1), (y0 + 1).min(self.height - 1));
        let (u, v) = ((x - x0 as f64) as f32, (y - y0 as f64) as f32);
        let at = |x: usize, y: usize| self.data[y * self.width + x];
        let top = at(x0, y0) + (at(x1, y0) - at(x0, y0)) * u;
        let bottom = at(x0, y1) + (at(x1, y1) - at(x0, y1)) * u;
        top + (bottom - top) * v
    }
}

/// White noise: independent normal deviates.
pub(super) fn white(width: usize, height: usize, stream: &mut Stream) -> Plane {
    let mut plane = Plane::new(width, height, 0.0);
    plane.data.iter_mut().for_each(|v| *v = stream.normal() as f32);
    plane
}

/// Smooth noise of about unit variance with features of `scale` pixels and `octaves` finer layers, each with `fade` of the
/// amplitude of the one before.
pub(super) fn clouds(width: usize, height: usize, scale: f64, octaves: usize, fade: f64, stream: &mut Stream) -> Plane {
    let mut sum = Plane::new(width, height, 0.0);
    let (mut scale, mut amplitude, mut total) = (scale, 1.0, 0.0);
    for _ in 0..octaves {
        let columns = (width as f64 / scale) as usize + 4;
        let rows = (height as f64 / scale) as usize + 4;
        let grid = white(columns, rows, stream);
        let (dx, dy) = (stream.uniform(), stream.uniform());
        let ease = |t: f64| t * t * (3.0 - 2.0 * t);
        let warp = |t: f64| libm::floor(t) + ease(t - libm::floor(t));
        let layer = Plane::from_fn(width, height, |x, y| {
            f64::from(grid.sample(warp(x / scale + dx) + 1.0, warp(y / scale + dy) + 1.0))
        });
        sum.add(&layer, amplitude as f32);
        total += amplitude * amplitude;
        scale /= 2.0;
        amplitude *= fade;
    }
    let norm = 1.6 / libm::sqrt(total) as f32;
    sum.data.iter_mut().for_each(|v| *v *= norm);
    sum
}

/// 0 below `low`, 1 above `high`, smooth between.
pub(super) fn smoothstep(low: f64, high: f64, x: f64) -> f64 {
    let t = ((x - low) / (high - low)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

/// A point of a stroke: position and radius in pixels, and a value carried along.
#[derive(Debug, Clone, Copy)]
pub(super) struct Dot {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) radius: f64,
    pub(super) value: f64,
}

/// Visits every pixel within `margin` pixels of a tube along `dots`: index, distance to the centre line, radius and value there.
/// A pixel near several pieces of the tube is visited once for each.
pub(super) fn stroke(
    width: usize,
    height: usize,
    dots: &[Dot],
    margin: f64,
    mut visit: impl FnMut(usize, f64, f64, f64),
) {
    for pair in dots.windows(2) {
        let (a, b) = (pair[0], pair[1]);
        let reach = a.radius.max(b.radius) + margin;
        let bound = |low: f64, high: f64, size: usize| {
            let first = libm::floor(low - reach).max(0.0) as usize;
            let last = libm::ceil(high + reach).min(size as f64 - 1.0);
            (first, if last < 0.0 { 0 } else { last as usize + 1 })
        };
        let (left, right) = bound(a.x.min(b.x), a.x.max(b.x), width);
        let (top, bottom) = bound(a.y.min(b.y), a.y.max(b.y), height);
        let (dx, dy) = (b.x - a.x, b.y - a.y);
        let length2 = dx * dx + dy * dy;
        for y in top..bottom {
            for x in left..right {
                let (px, py) = (x as f64 - a.x, y as f64 - a.y);
                let t = if length2 > 0.0 { ((px * dx + py * dy) / length2).clamp(0.0, 1.0) } else { 0.0 };
                let (ex, ey) = (px - t * dx, py - t * dy);
                let distance2 = ex * ex + ey * ey;
                let radius = a.radius + t * (b.radius - a.radius);
                if distance2 <= (radius + margin) * (radius + margin) {
                    visit(y * width + x, libm::sqrt(distance2), radius, a.value + t * (b.value - a.value));
                }
            }
        }
    }
}

/// A mask of `size` x `size` pixels (a side that [`SIDES`](super::SIDES) allows) without foreground.
pub(super) fn blank(size: usize) -> Mask {
    Mask::new(size, size).expect("sides within SIDES are sides of a mask")
}

/// The pixels whose centre lies in a stroke, on a plane of `size` x `size` pixels.
pub(super) fn lumen(dots: &[Dot], size: usize) -> Mask {
    let mut mask = blank(size);
    stroke(size, size, dots, 0.0, |at, _, _, _| mask.insert(at / size, at % size));
    mask
}

/// The union of the masks of all pieces of an image of `size` x `size` pixels.
pub(super) fn union<'a>(masks: impl Iterator<Item = &'a Mask>, size: usize) -> Mask {
    let mut all = blank(size);
    for (row, column) in masks.flat_map(Mask::pixels) {
        all.insert(row, column);
    }
    all
}
