//! One resampling for rotation, scale, crop and elastic deformation together: each extra resampling would blur thin vessels.

use crate::random::Stream;
use crate::raster::Image;

/// Maps output pixels to input pixels: an affine map about the centre, plus an optional smooth displacement.
#[derive(Debug, Clone)]
pub(super) struct Warp {
    size: (usize, usize),
    matrix: [[f64; 2]; 2],
    offset: (f64, f64),
    field: Option<Field>,
}

impl Warp {
    /// Rotation by `degrees` (counter-clockwise), magnification by `scale`; then the view is cut to the share `crop` of both
    /// sides, placed at `place` (0 to 1 of the free room in x and y).
    pub(super) fn new(size: (usize, usize), degrees: f64, scale: f64, crop: f64, place: (f64, f64)) -> Self {
        let (sin, cos) = degrees.to_radians().sin_cos();
        let zoom = crop / scale;
        let matrix = [[cos * zoom, -sin * zoom], [sin * zoom, cos * zoom]];
        // The centre of the crop window relative to the centre of the image, taken through the rotation as well.
        let shift = ((place.0 - 0.5) * (1.0 - crop) * size.0 as f64, (place.1 - 0.5) * (1.0 - crop) * size.1 as f64);
        let offset = ((cos * shift.0 - sin * shift.1) / scale, (sin * shift.0 + cos * shift.1) / scale);
        Self { size, matrix, offset, field: None }
    }

    pub(super) fn with_field(mut self, field: Field) -> Self {
        self.field = Some(field);
        self
    }

    /// The input positions of one row of output pixels.
    fn positions(&self, row: usize, out: &mut [(f32, f32)]) {
        let (width, height) = self.size;
        let (cx, cy) = ((width as f64 - 1.0) / 2.0, (height as f64 - 1.0) / 2.0);
        let [[a, b], [c, d]] = self.matrix;
        let y = row as f64 - cy;
        let start = (a * -cx + b * y + cx + self.offset.0, c * -cx + d * y + cy + self.offset.1);
        for (column, at) in out.iter_mut().enumerate() {
            *at = ((start.0 + a * column as f64) as f32, (start.1 + c * column as f64) as f32);
        }
        if let Some(field) = &self.field {
            for (column, at) in out.iter_mut().enumerate() {
                let (dx, dy) = field.at(column as f64 / width as f64, row as f64 / height as f64);
                *at = (at.0 + dx as f32, at.1 + dy as f32);
            }
        }
    }

    /// Image and mask (zeros and ones) through the same map: the image bilinearly with black outside, the mask bilinearly and
    /// then cut at one half.
    pub(super) fn apply(&self, image: &Image, mask: &Image) -> (Image, Image) {
        let mut pixels = vec![0u8; image.data().len()];
        let mut labels = vec![0u8; mask.data().len()];
        match image.channels() {
            1 => self.run::<1>(image.data(), mask.data(), &mut pixels, &mut labels),
            _ => self.run::<3>(image.data(), mask.data(), &mut pixels, &mut labels),
        }
        let (width, height) = self.size;
        (Image::from_parts(width, height, image.channels(), pixels), Image::from_parts(width, height, 1, labels))
    }

    fn run<const C: usize>(&self, image: &[u8], mask: &[u8], pixels: &mut [u8], labels: &mut [u8]) {
        let (width, height) = self.size;
        let (right, bottom) = (width as f32 - 1.0, height as f32 - 1.0);
        let mut at = vec![(0f32, 0f32); width];
        let rows = pixels.chunks_exact_mut(width * C).zip(labels.chunks_exact_mut(width));
        for (row, (pixels, labels)) in rows.enumerate() {
            self.positions(row, &mut at);
            for ((pixel, label), &(x, y)) in pixels.chunks_exact_mut(C).zip(labels).zip(&at) {
                if x >= 0.0 && y >= 0.0 && x < right && y < bottom {
                    // All four neighbours are inside: by far the most frequent case.
                    let (left, top) = (x as i32, y as i32);
                    let (u, v) = (x - left as f32, y - top as f32);
                    let first = top as usize * width + left as usize;
                    let (upper, lower) = (&mask[first..][..2], &mask[first + width..][..2]);
                    *label = match upper[0] + upper[1] + lower[0] + lower[1] {
                        0 => 0,
                        4 => 1,
                        _ => u8::from(mix([upper[0], upper[1], lower[0], lower[1]], u, v) >= 0.5),
                    };
                    let (above, below) = (&image[first * C..][..2 * C], &image[(first + width) * C..][..2 * C]);
                    for (c, value) in pixel.iter_mut().enumerate() {
                        *value = (mix([above[c], above[C + c], below[c], below[C + c]], u, v) + 0.5) as u8;
                    }
                } else if x > -1.0 && y > -1.0 && x < right + 1.0 && y < bottom + 1.0 {
                    self.at_border::<C>(image, mask, (x, y), pixel, label);
                }
            }
        }
    }

    /// A position with some of its four neighbours outside: those count as black and background.
    fn at_border<const C: usize>(&self, image: &[u8], mask: &[u8], at: (f32, f32), pixel: &mut [u8], label: &mut u8) {
        let (width, height) = (self.size.0 as isize, self.size.1 as isize);
        let (left, top) = (at.0.floor(), at.1.floor());
        let (u, v) = (at.0 - left, at.1 - top);
        let place = |corner: isize| {
            let (x, y) = (left as isize + (corner & 1), top as isize + (corner >> 1));
            ((0..width).contains(&x) && (0..height).contains(&y)).then_some((y * width + x) as usize)
        };
        let places = [0, 1, 2, 3].map(place);
        let covered = mix(places.map(|p| p.map_or(0, |p| mask[p])), u, v);
        *label = u8::from(covered >= 0.5);
        for (c, value) in pixel.iter_mut().enumerate() {
            *value = (mix(places.map(|p| p.map_or(0, |p| image[p * C + c])), u, v) + 0.5) as u8;
        }
    }
}

/// Bilinear interpolation between (left, right) above and (left, right) below.
fn mix(values: [u8; 4], u: f32, v: f32) -> f32 {
    let [a, b, c, d] = values.map(f32::from);
    let (above, below) = (a + (b - a) * u, c + (d - c) * u);
    above + (below - above) * v
}

/// A smooth displacement: uniform cubic B-splines over a coarse grid of random vectors.
#[derive(Debug, Clone)]
pub(super) struct Field {
    cells: usize,
    vectors: Vec<(f64, f64)>,
}

impl Field {
    /// `cells` grid cells along each side; every vector component has the standard deviation `amplitude` in pixels.
    pub(super) fn new(cells: usize, amplitude: f64, stream: &mut Stream) -> Self {
        let vectors = (0..(cells + 3) * (cells + 3))
            .map(|_| (amplitude * stream.normal(), amplitude * stream.normal()))
            .collect();
        Self { cells, vectors }
    }

    /// The displacement at (x, y), both 0 to 1.
    fn at(&self, x: f64, y: f64) -> (f64, f64) {
        let split = |t: f64| {
            let scaled = t * self.cells as f64;
            let cell = (scaled as usize).min(self.cells - 1);
            (cell, spline(scaled - cell as f64))
        };
        let ((column, across), (row, down)) = (split(x), split(y));
        let mut sum = (0.0, 0.0);
        for (j, wy) in down.into_iter().enumerate() {
            for (i, wx) in across.into_iter().enumerate() {
                let (dx, dy) = self.vectors[(row + j) * (self.cells + 3) + column + i];
                sum = (sum.0 + wx * wy * dx, sum.1 + wx * wy * dy);
            }
        }
        sum
    }
}

fn spline(t: f64) -> [f64; 4] {
    let s = 1.0 - t;
    [s * s * s, 3.0 * t * t * t - 6.0 * t * t + 4.0, 3.0 * s * s * s - 6.0 * s * s + 4.0, t * t * t].map(|w| w / 6.0)
}
