//! Filled shapes: what a scene holds besides lines. They are objects for point and box prompts, and for the automatic token
//! they are what must be left out.

use super::canvas::{Canvas, Footprint};
use super::draws::Draws;
use std::f32::consts::{PI, TAU};

/// Draws the footprint of one filled shape: ellipse, polygon, blob, bar or annulus, always much wider than a stroke.
pub(crate) fn shape(canvas: &mut Canvas, draws: &mut Draws) -> Footprint {
    let size = canvas.size as f32;
    let centre = (draws.within(0.0, 1.0) * size, draws.within(0.0, 1.0) * size);
    let radius = draws.log_within(0.09, 0.4) * size;
    let softness = if draws.chance(0.7) { draws.within(1.0, 2.5) } else { draws.within(3.0, 0.1 * size) };
    let tilt = draws.within(0.0, PI);
    let bounds = (centre.0 - 1.6 * radius, centre.1 - 1.6 * radius, centre.0 + 1.6 * radius, centre.1 + 1.6 * radius);
    let local = move |x: f32, y: f32| {
        let (x, y) = (x - centre.0, y - centre.1);
        (x * tilt.cos() + y * tilt.sin(), y * tilt.cos() - x * tilt.sin())
    };
    match draws.count(0, 4) {
        0 => {
            let flat = draws.within(0.5, 1.0);
            canvas.region(bounds, softness, |x, y| {
                let (u, v) = local(x, y);
                (u.hypot(v / flat) - radius) * flat
            })
        }
        1 => {
            // A convex polygon: the largest of the distances to its sides.
            let corners = draws.count(3, 7);
            let sides: Vec<(f32, f32)> = (0..corners)
                .map(|side| (TAU * (side as f32 + draws.within(-0.25, 0.25)) / corners as f32, draws.within(0.5, 0.9)))
                .collect();
            canvas.region(bounds, softness, |x, y| {
                let (u, v) = local(x, y);
                let cut = sides.iter().map(|(angle, reach)| u * angle.cos() + v * angle.sin() - reach * radius);
                cut.fold(u.hypot(v) - 1.5 * radius, f32::max)
            })
        }
        2 => {
            // A blob: a circle whose radius changes with the angle.
            let waves: Vec<(f32, f32, f32)> =
                (2..6).map(|n| (n as f32, draws.within(0.0, 0.5 / n as f32), draws.within(0.0, TAU))).collect();
            canvas.region(bounds, softness, |x, y| {
                let (u, v) = local(x, y);
                let angle = v.atan2(u);
                let wobble: f32 = waves.iter().map(|(n, height, phase)| height * (n * angle + phase).sin()).sum();
                u.hypot(v) - radius * (1.0 + wobble)
            })
        }
        3 => {
            let flat = draws.within(0.35, 0.9) * radius;
            canvas.region(bounds, softness, |x, y| {
                let (u, v) = local(x, y);
                (u.abs() - radius).max(v.abs() - flat)
            })
        }
        _ => {
            let hole = draws.within(0.2, 0.55);
            canvas.region(bounds, softness, |x, y| {
                let (u, v) = local(x, y);
                let distance = u.hypot(v);
                (distance - radius).max(hole * radius - distance)
            })
        }
    }
}

/// Draws the footprint of a spot of `radius` pixels: small and round, so that "small and bright" is not enough to be a line.
pub(crate) fn spot(canvas: &mut Canvas, radius: f32, draws: &mut Draws) -> Footprint {
    let size = canvas.size as f32;
    let (cx, cy) = (draws.unit() * size, draws.unit() * size);
    canvas.region((cx - radius, cy - radius, cx + radius, cy + radius), 1.5, |x, y| (x - cx).hypot(y - cy) - radius)
}

/// Draws the footprint of everything outside a round window: what a camera behind an eyepiece leaves black.
pub(crate) fn surround(canvas: &mut Canvas, draws: &mut Draws) -> Footprint {
    let size = canvas.size as f32;
    let (cx, cy) = (draws.within(0.4, 0.6) * size, draws.within(0.4, 0.6) * size);
    let radius = draws.within(0.4, 0.62) * size;
    canvas.region((0.0, 0.0, size, size), 1.5, |x, y| radius - (x - cx).hypot(y - cy))
}

/// Draws the footprint of the borders between the cells around scattered points, bent by a smooth field: a net of closed
/// cells, as dried mud, of lines `width` pixels wide.
pub(crate) fn cells(canvas: &mut Canvas, width: f32, draws: &mut Draws) -> Footprint {
    let size = canvas.size as f32;
    let count = draws.count(8, 60);
    let seeds: Vec<(f32, f32)> =
        (0..count).map(|_| (draws.within(-0.1, 1.1) * size, draws.within(-0.1, 1.1) * size)).collect();
    let (bend, wavelength) = (draws.within(0.0, 0.03) * size, draws.within(0.15, 0.5) * size);
    let phase = (draws.within(0.0, TAU), draws.within(0.0, TAU));
    let (centre, extent) =
        ((draws.within(0.2, 0.8) * size, draws.within(0.2, 0.8) * size), draws.within(0.3, 0.9) * size);
    let bounds = (centre.0 - extent, centre.1 - extent, centre.0 + extent, centre.1 + extent);
    canvas.region(bounds, 1.0, |x, y| {
        let (u, v) =
            (x + bend * (TAU * y / wavelength + phase.0).sin(), y + bend * (TAU * x / wavelength + phase.1).sin());
        let (mut near, mut next) = ((f32::MAX, 0), (f32::MAX, 0));
        for (index, seed) in seeds.iter().enumerate() {
            let distance = (u - seed.0).powi(2) + (v - seed.1).powi(2);
            if distance < near.0 {
                (next, near) = (near, (distance, index));
            } else if distance < next.0 {
                next = (distance, index);
            }
        }
        let (a, b) = (seeds[near.1], seeds[next.1]);
        let border = (next.0 - near.0) / (2.0 * (a.0 - b.0).hypot(a.1 - b.1).max(1e-6));
        let rim = (x - centre.0).hypot(y - centre.1) - extent;
        (border - width / 2.0).max(rim)
    })
}

#[cfg(test)]
mod tests {
    use super::{Canvas, Draws, cells, shape, spot};

    #[test]
    fn shapes_are_wide_and_spots_are_small() {
        let mut canvas = Canvas::new(128, [0.0; 3]);
        let areas: Vec<usize> =
            (0..40).map(|i| shape(&mut canvas, &mut Draws::new(i, 0, "", "test")).mask.len()).collect();
        assert!(areas.iter().filter(|&&area| area > 100).count() >= 36, "{areas:?}");
        for index in 0..40 {
            assert!(spot(&mut canvas, 2.0, &mut Draws::new(index, 0, "", "test")).mask.len() <= 16);
        }
    }

    #[test]
    fn cell_borders_are_thin() {
        let mut canvas = Canvas::new(128, [0.0; 3]);
        for index in 0..10 {
            let area = cells(&mut canvas, 2.0, &mut Draws::new(index, 0, "", "test")).mask.len();
            assert!(area > 50 && area < 128 * 128 / 2, "{area}");
        }
    }
}
