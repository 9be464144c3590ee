//! What fills the background and the shapes: smooth noise, gratings, gradients; and the damage a camera does: blur,
//! uneven light, grain.

use super::canvas::Canvas;
use super::draws::Draws;
use std::f32::consts::TAU;

/// A field of smooth noise over the canvas with mean near 0 and values mostly in [-1, 1]: random values on a lattice of
/// `pitch` pixels, interpolated with a smooth weight, and `octaves` finer copies at half the amplitude each.
pub(crate) fn smooth_noise(size: usize, pitch: f32, octaves: usize, draws: &mut Draws) -> Vec<f32> {
    let mut field = vec![0.0f32; size * size];
    let (mut pitch, mut amplitude) = (pitch, 1.0f32);
    for _ in 0..octaves {
        let side = (size as f32 / pitch).ceil() as usize + 2;
        let lattice: Vec<f32> = (0..side * side).map(|_| draws.within(-1.0, 1.0)).collect();
        let offset = (draws.unit(), draws.unit());
        let cell = |position: f32| {
            let whole = position.floor();
            let part = position - whole;
            (whole as usize, part * part * (3.0 - 2.0 * part))
        };
        let columns: Vec<(usize, f32)> = (0..size).map(|x| cell(x as f32 / pitch + offset.0)).collect();
        for (row, line) in field.chunks_exact_mut(size).enumerate() {
            let (top, weight) = cell(row as f32 / pitch + offset.1);
            let (upper, lower) = (&lattice[top * side..], &lattice[(top + 1) * side..]);
            for (value, &(left, across)) in line.iter_mut().zip(&columns) {
                let above = upper[left] + across * (upper[left + 1] - upper[left]);
                let below = lower[left] + across * (lower[left + 1] - lower[left]);
                *value += amplitude * (above + weight * (below - above));
            }
        }
        pitch = (pitch / 2.0).max(1.0);
        amplitude /= 2.0;
    }
    field
}

/// A texture with values mostly in [-1, 1], of a random kind: cloud, grating, checks, slope or spots.
pub(crate) fn texture(size: usize, draws: &mut Draws) -> Vec<f32> {
    let extent = size as f32;
    match draws.count(0, 5) {
        0 => {
            // A grating coarser than any stroke, so that its bars are no lines.
            let (period, heading) = (draws.within(0.2, 0.6) * extent, draws.within(0.0, TAU));
            let phase = draws.within(0.0, TAU);
            fill(size, |x, y| (TAU * (x * heading.cos() + y * heading.sin()) / period + phase).sin())
        }
        1 => {
            let (pitch, heading) = (draws.within(0.15, 0.4) * extent, draws.within(0.0, TAU));
            fill(size, |x, y| {
                let (u, v) = (x * heading.cos() - y * heading.sin(), x * heading.sin() + y * heading.cos());
                if ((u / pitch).floor() + (v / pitch).floor()) as i64 % 2 == 0 { 0.5 } else { -0.5 }
            })
        }
        2 => {
            let heading = draws.within(0.0, TAU);
            fill(size, |x, y| 2.0 * (x * heading.cos() + y * heading.sin()) / extent)
        }
        _ => {
            let pitch = draws.log_within(0.04, 0.5) * extent;
            let octaves = draws.count(1, 4);
            smooth_noise(size, pitch, octaves, draws)
        }
    }
}

/// A field that is constant along one direction of the pixel grid and rough across it, as a scanner's lines.
pub(crate) fn streaks(size: usize, draws: &mut Draws) -> Vec<f32> {
    let levels: Vec<f32> = (0..size).map(|_| draws.normal() / 2.0).collect();
    let upright = draws.chance(0.3);
    (0..size * size).map(|index| levels[if upright { index % size } else { index / size }]).collect()
}

/// A field from a function of the pixel's offset from the centre.
fn fill(size: usize, value: impl Fn(f32, f32) -> f32) -> Vec<f32> {
    let half = size as f32 / 2.0;
    (0..size * size)
        .map(|index| value((index % size) as f32 + 0.5 - half, (index / size) as f32 + 0.5 - half))
        .collect()
}

/// Blurs every plane with a Gaussian of `sigma` pixels (nothing below 0.2), edges repeated.
pub(crate) fn blur(canvas: &mut Canvas, sigma: f32) {
    if sigma < 0.2 {
        return;
    }
    let reach = (3.0 * sigma).ceil() as isize;
    let weights: Vec<f32> = (-reach..=reach).map(|k| (-0.5 * (k as f32 / sigma).powi(2)).exp()).collect();
    let total: f32 = weights.iter().sum();
    let size = canvas.size as isize;
    for plane in &mut canvas.planes {
        for stride in [1isize, size] {
            let source = plane.clone();
            for (index, value) in plane.iter_mut().enumerate() {
                let index = index as isize;
                let position = if stride == 1 { index % size } else { index / size };
                let sum: f32 = (-reach..=reach)
                    .zip(&weights)
                    .map(|(k, weight)| {
                        let moved = (position + k).clamp(0, size - 1) - position;
                        weight * source[(index + moved * stride) as usize]
                    })
                    .sum();
                *value = sum / total;
            }
        }
    }
}

/// Uneven light, grain (additive and multiplicative), a gamma curve; values end as whole
/// numbers in 0..=255, as an image file would hold them.
pub(crate) fn expose(canvas: &mut Canvas, grain: f32, speckle: f32, draws: &mut Draws) {
    let size = canvas.size;
    let extent = size as f32;
    let light = (draws.chance(0.6)).then(|| {
        let (strength, pitch) = (draws.within(0.05, 0.35), draws.within(0.4, 1.0) * extent);
        (strength, smooth_noise(size, pitch, 1, draws))
    });
    let gamma = draws.log_within(0.75, 1.35);
    let coloured = draws.chance(0.25);
    for index in 0..size * size {
        let gain = light.as_ref().map_or(1.0, |(strength, field)| 1.0 + strength * field[index]);
        let shared = (1.0 + speckle * draws.normal(), grain * draws.normal());
        for plane in &mut canvas.planes {
            let (times, plus) =
                if coloured { (1.0 + speckle * draws.normal(), grain * draws.normal()) } else { shared };
            let value = (plane[index] * gain * times + plus).clamp(0.0, 255.0) / 255.0;
            plane[index] = (value.powf(gamma) * 255.0).round();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Canvas, Draws, blur, expose, smooth_noise};

    #[test]
    fn noise_is_smooth_and_centred() {
        let field = smooth_noise(64, 16.0, 1, &mut Draws::new(3, 0, "", "test"));
        assert!(field.iter().all(|value| value.abs() <= 1.0));
        let steepest = field.chunks(64).flat_map(|row| row.windows(2)).map(|p| (p[0] - p[1]).abs()).fold(0.0, f32::max);
        assert!(steepest < 0.25, "{steepest}");
    }

    #[test]
    fn blur_keeps_the_mean_of_a_flat_image_and_spreads_a_point() {
        let mut canvas = Canvas::new(9, [7.0, 0.0, 0.0]);
        canvas.planes[1][40] = 100.0;
        blur(&mut canvas, 1.0);
        assert!(canvas.planes[0].iter().all(|value| (value - 7.0).abs() < 1e-4));
        assert!(canvas.planes[1][40] < 20.0 && canvas.planes[1][41] > 5.0);
    }

    #[test]
    fn an_exposed_canvas_holds_bytes() {
        let mut canvas = Canvas::new(16, [300.0, -20.0, 128.0]);
        expose(&mut canvas, 20.0, 0.2, &mut Draws::new(1, 0, "", "test"));
        assert!(canvas.planes.iter().flatten().all(|value| (0.0..=255.0).contains(value) && value.fract() == 0.0));
    }
}
