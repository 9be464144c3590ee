//! What two pictures of one thing share: the detail of a thumbnail, without its frame, its shading and its contrast.

use crate::raster::Image;
use crate::transform::resize_image;

/// Side of the thumbnails in pixels, whatever the image's size and shape.
pub(super) const SIDE: usize = 128;
/// Marks a pixel outside the field of view.
pub(super) const OUTSIDE: i8 = i8::MIN;
/// Steps of a stored value by one local standard deviation.
pub(super) const UNIT: f32 = 40.0;

/// Two bands of one thumbnail.
pub(super) struct Detail {
    /// Vessel scale, `[SIDE, SIDE]`: the thumbnail less its surroundings, over their standard deviation, in steps of 1/40;
    /// [`OUTSIDE`] outside the field of view.
    pub(super) vessels: Vec<i8>,
    /// The next coarser band likewise, 0 outside.
    pub(super) regions: Vec<i8>,
}

impl Detail {
    /// `None` for an image without any detail.
    pub(super) fn new(grey: &Image) -> Option<Self> {
        let thumbnail: Vec<f32> = resize_image(grey, SIDE, SIDE).data().iter().map(|&v| f32::from(v)).collect();
        let view = field_of_view(&thumbnail);
        let near = Surroundings::new(&view);
        let fine = near.mean(&thumbnail, 1, 1);
        let shading = near.mean(&thumbnail, 4, 2);
        let band: Vec<f32> = fine.iter().zip(&shading).zip(&view).map(|((f, s), v)| (f - s) * v).collect();
        let squares: Vec<f32> = band.iter().map(|v| v * v).collect();
        let area: f32 = view.iter().sum();
        let overall = (squares.iter().sum::<f32>() / area.max(1.0)).sqrt();
        if overall < 0.25 {
            return None;
        }
        let spread = near.mean(&squares, 6, 2);
        let core = shrink(&view, 2);
        let vessels = (0..SIDE * SIDE)
            .map(|i| {
                let value = band[i] / (spread[i].max(0.0).sqrt() + 0.2 * overall);
                if core[i] { (UNIT * value.clamp(-3.0, 3.0)).round() as i8 } else { OUTSIDE }
            })
            .collect();
        let (middle, coarse) = (near.mean(&thumbnail, 2, 2), near.mean(&thumbnail, 8, 2));
        let wide: Vec<f32> = middle.iter().zip(&coarse).zip(&view).map(|((m, c), v)| (m - c) * v).collect();
        let squares: Vec<f32> = wide.iter().map(|v| v * v).collect();
        let typical = (squares.iter().sum::<f32>() / area.max(1.0)).sqrt();
        let spread = near.mean(&squares, 8, 2);
        // A bright optic disc or the edge of a frame counts no more than a vessel.
        let local = |(v, s): (&f32, &f32)| {
            let value = v / (s.max(0.0).sqrt() + 0.1 * typical).max(1e-6);
            (UNIT * value.clamp(-3.0, 3.0)).round() as i8
        };
        let regions = wide.iter().zip(&spread).map(local).collect();
        Some(Self { vessels, regions })
    }
}

/// 1 inside the field of view, 0 in a dark surround: what is dark, smooth and joined to the border.
fn field_of_view(thumbnail: &[f32]) -> Vec<f32> {
    let smooth = Surroundings::new(&[1.0; SIDE * SIDE]).mean(thumbnail, 1, 2);
    let mut sorted = smooth.clone();
    sorted.sort_by(f32::total_cmp);
    let (low, high) = (sorted[0], sorted[SIDE * SIDE * 95 / 100]);
    let limit = low + 0.1 * (high - low);
    let mut surround = vec![false; SIDE * SIDE];
    let mut open: Vec<usize> =
        (0..SIDE).flat_map(|k| [k, (SIDE - 1) * SIDE + k, k * SIDE, k * SIDE + SIDE - 1]).collect();
    while let Some(i) = open.pop() {
        if surround[i] || smooth[i] > limit {
            continue;
        }
        surround[i] = true;
        let (x, y) = (i % SIDE, i / SIDE);
        let around = [
            (x > 0, i.wrapping_sub(1)),
            (x + 1 < SIDE, i + 1),
            (y > 0, i.wrapping_sub(SIDE)),
            (y + 1 < SIDE, i + SIDE),
        ];
        open.extend(around.into_iter().filter(|(there, _)| *there).map(|(_, j)| j));
    }
    let view: Vec<f32> = surround.iter().map(|s| f32::from(u8::from(!s))).collect();
    // A surround of more than two thirds is a dark picture, not a frame.
    if view.iter().sum::<f32>() < (SIDE * SIDE / 3) as f32 { vec![1.0; SIDE * SIDE] } else { view }
}

/// Where a square of `2 * reach + 1` pixels lies inside the view (the picture's border counts as inside).
fn shrink(view: &[f32], reach: usize) -> Vec<bool> {
    let outside: Vec<f32> = view.iter().map(|v| 1.0 - v).collect();
    box_sum(&outside, reach).into_iter().map(|v| v < 0.5).collect()
}

/// Means over the part of a neighbourhood that lies in the field of view (normalised convolution, Knutsson and Westin 1993).
struct Surroundings<'a> {
    view: &'a [f32],
}

impl<'a> Surroundings<'a> {
    fn new(view: &'a [f32]) -> Self {
        Self { view }
    }

    /// Boxes of `2 * reach + 1` pixels, `times` in turn.
    fn mean(&self, values: &[f32], reach: usize, times: usize) -> Vec<f32> {
        let mut sums: Vec<f32> = values.iter().zip(self.view).map(|(a, b)| a * b).collect();
        let mut weights = self.view.to_vec();
        for _ in 0..times {
            sums = box_sum(&sums, reach);
            weights = box_sum(&weights, reach);
        }
        sums.into_iter().zip(weights).map(|(s, w)| if w > 0.5 { s / w } else { 0.0 }).collect()
    }
}

/// Sums over squares of `2 * reach + 1` pixels; what lies beyond the picture counts 0.
fn box_sum(values: &[f32], reach: usize) -> Vec<f32> {
    let mut rows = vec![0.0; SIDE * SIDE];
    for (source, target) in values.chunks_exact(SIDE).zip(rows.chunks_exact_mut(SIDE)) {
        let mut sum: f32 = source[..reach].iter().sum();
        for x in 0..SIDE {
            if x + reach < SIDE {
                sum += source[x + reach];
            }
            if x > reach {
                sum -= source[x - reach - 1];
            }
            target[x] = sum;
        }
    }
    let mut out = vec![0.0; SIDE * SIDE];
    let mut sums = [0f32; SIDE];
    for row in rows.chunks_exact(SIDE).take(reach) {
        sums.iter_mut().zip(row).for_each(|(s, v)| *s += v);
    }
    for (y, target) in out.chunks_exact_mut(SIDE).enumerate() {
        if y + reach < SIDE {
            sums.iter_mut().zip(&rows[(y + reach) * SIDE..]).for_each(|(s, v)| *s += v);
        }
        if y > reach {
            sums.iter_mut().zip(&rows[(y - reach - 1) * SIDE..]).for_each(|(s, v)| *s -= v);
        }
        target.copy_from_slice(&sums);
    }
    out
}
