//! The courses that strokes take: smooth curves, handwriting, cracks, outlines, grids. None of them branches: every course
//! is one open or closed line, and a picture of lines that meet is made of courses that cross.

use super::canvas::Point;
use super::draws::Draws;
use std::f32::consts::{PI, TAU};

/// A kind of line drawing. One scene mixes a few of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    /// Long curves whose curvature drifts.
    Smooth,
    /// Straight lines and segments.
    Straight,
    /// Jagged lines of short pieces, as cracks in glass.
    Crack,
    /// Loops and arcs along a base line, as handwriting.
    Script,
    /// Circles and ellipses, closed or in part.
    Ring,
    /// Outlines of polygons.
    Polygon,
    /// Spirals.
    Spiral,
    /// Sine waves and zigzags.
    Wave,
    /// A regular grid, rotated and bent.
    Grid,
    /// Curves that run side by side.
    Hatch,
    /// Many short arcs, as hairs.
    Hairs,
}

impl Family {
    /// Every family.
    pub(crate) const ALL: [Family; 11] = [
        Family::Smooth,
        Family::Straight,
        Family::Crack,
        Family::Script,
        Family::Ring,
        Family::Polygon,
        Family::Spiral,
        Family::Wave,
        Family::Grid,
        Family::Hatch,
        Family::Hairs,
    ];

    /// Whether the courses of this family belong together and count as one object (a grid), or each is an object of its own.
    pub(crate) fn is_one_object(self) -> bool {
        matches!(self, Family::Grid | Family::Hatch)
    }

    /// The courses of one drawing, in pixels on a canvas of `size` pixels.
    pub(crate) fn courses(self, size: f32, draws: &mut Draws) -> Vec<Vec<Point>> {
        let many = |draws: &mut Draws, low, high, one: fn(f32, &mut Draws) -> Vec<Point>| {
            let count = draws.count(low, high);
            (0..count).map(|_| one(size, draws)).collect::<Vec<_>>()
        };
        match self {
            Family::Smooth => many(draws, 2, 8, smooth),
            Family::Straight => many(draws, 1, 7, straight),
            Family::Crack => many(draws, 1, 5, crack),
            Family::Script => many(draws, 1, 3, script),
            Family::Ring => many(draws, 1, 5, ring),
            Family::Polygon => many(draws, 1, 4, polygon),
            Family::Spiral => many(draws, 1, 1, spiral),
            Family::Wave => many(draws, 1, 4, wave),
            Family::Grid => grid(size, draws),
            Family::Hatch => hatch(size, draws),
            Family::Hairs => many(draws, 8, 24, hair),
        }
    }
}

fn place(size: f32, draws: &mut Draws) -> Point {
    (draws.within(-0.05, 1.05) * size, draws.within(-0.05, 1.05) * size)
}

/// A walk whose heading changes by a curvature that itself drifts; `restless` sets how fast.
fn walk(start: Point, heading: f32, length: f32, curvature: f32, restless: f32, draws: &mut Draws) -> Vec<Point> {
    const STEP: f32 = 2.0;
    let (mut at, mut heading, mut bend) = (start, heading, curvature * draws.normal());
    let mut course = vec![at];
    for _ in 0..(length / STEP) as usize {
        bend = 0.93 * bend + restless * draws.normal();
        heading += bend * STEP;
        at = (at.0 + STEP * heading.cos(), at.1 + STEP * heading.sin());
        course.push(at);
    }
    course
}

fn smooth(size: f32, draws: &mut Draws) -> Vec<Point> {
    let start = place(size, draws);
    let heading = draws.within(0.0, TAU);
    let length = draws.within(0.25, 1.4) * size;
    let restless = draws.log_within(0.002, 0.03);
    walk(start, heading, length, 0.02, restless, draws)
}

fn hair(size: f32, draws: &mut Draws) -> Vec<Point> {
    let start = place(size, draws);
    let heading = draws.within(0.0, TAU);
    let length = draws.within(0.08, 0.35) * size;
    walk(start, heading, length, 0.05, 0.01, draws)
}

fn straight(size: f32, draws: &mut Draws) -> Vec<Point> {
    vec![place(size, draws), place(size, draws)]
}

fn crack(size: f32, draws: &mut Draws) -> Vec<Point> {
    let (mut at, heading) = (place(size, draws), draws.within(0.0, TAU));
    let (piece, jag) = (draws.log_within(0.02, 0.1) * size, draws.within(0.3, 0.9));
    let mut course = vec![at];
    for _ in 0..draws.count(6, 26) {
        let (turn, length) = (heading + jag * draws.normal(), piece * draws.within(0.4, 1.6));
        at = (at.0 + length * turn.cos(), at.1 + length * turn.sin());
        course.push(at);
    }
    course
}

fn script(size: f32, draws: &mut Draws) -> Vec<Point> {
    let (start, tilt) = ((draws.within(0.0, 0.4) * size, draws.within(0.1, 0.9) * size), draws.within(-0.5, 0.5));
    let (height, advance) = (draws.within(0.04, 0.16) * size, draws.within(0.015, 0.05) * size);
    let (loops, phase) = (draws.within(0.3, 1.3), draws.within(0.0, TAU));
    let (mut rise, mut course) = (height, Vec::new());
    for step in 0..draws.count(40, 160) {
        let angle = step as f32 * 0.35;
        if step % 18 == 0 {
            rise = height * draws.within(0.4, 1.5);
        }
        let x = advance * step as f32 * 0.35 + loops * rise * 0.6 * (angle + phase).sin();
        let y = rise * angle.cos();
        course.push((start.0 + x * tilt.cos() - y * tilt.sin(), start.1 + x * tilt.sin() + y * tilt.cos()));
    }
    course
}

fn ring(size: f32, draws: &mut Draws) -> Vec<Point> {
    let (centre, radius) = (place(size, draws), draws.log_within(0.04, 0.45) * size);
    let (flat, tilt, from) = (draws.within(0.4, 1.0), draws.within(0.0, PI), draws.within(0.0, TAU));
    let sweep = if draws.chance(0.6) { TAU } else { draws.within(0.8, TAU) };
    let (wobble, waves) = (draws.within(0.0, 0.12), draws.count(2, 7) as f32);
    let steps = (sweep * radius / 2.0).clamp(16.0, 300.0) as usize;
    (0..=steps)
        .map(|step| {
            let angle = from + sweep * step as f32 / steps as f32;
            let reach = radius * (1.0 + wobble * (waves * (angle - from) * TAU / sweep.max(1.0)).sin());
            let (x, y) = (reach * angle.cos(), reach * flat * angle.sin());
            (centre.0 + x * tilt.cos() - y * tilt.sin(), centre.1 + x * tilt.sin() + y * tilt.cos())
        })
        .collect()
}

fn polygon(size: f32, draws: &mut Draws) -> Vec<Point> {
    let (centre, radius) = (place(size, draws), draws.log_within(0.06, 0.4) * size);
    let (corners, turn) = (draws.count(3, 8), draws.within(0.0, TAU));
    let mut course: Vec<Point> = (0..corners)
        .map(|corner| {
            let angle = turn + TAU * (corner as f32 + draws.within(-0.3, 0.3)) / corners as f32;
            let reach = radius * draws.within(0.6, 1.2);
            (centre.0 + reach * angle.cos(), centre.1 + reach * angle.sin())
        })
        .collect();
    course.push(course[0]);
    course
}

fn spiral(size: f32, draws: &mut Draws) -> Vec<Point> {
    let (centre, turns) = (place(size, draws), draws.within(1.5, 4.0));
    let (outer, from) = (draws.within(0.15, 0.45) * size, draws.within(0.0, TAU));
    (0..200)
        .map(|step| {
            let part = step as f32 / 199.0;
            let (angle, reach) = (from + turns * TAU * part, outer * part);
            (centre.0 + reach * angle.cos(), centre.1 + reach * angle.sin())
        })
        .collect()
}

fn wave(size: f32, draws: &mut Draws) -> Vec<Point> {
    let (start, heading) = (place(size, draws), draws.within(0.0, TAU));
    let (length, period) = (draws.within(0.4, 1.3) * size, draws.log_within(0.06, 0.5) * size);
    let (height, sharp) = (period * draws.within(0.1, 0.45), draws.chance(0.35));
    let steps = (length / if sharp { period / 4.0 } else { 2.0 }).max(4.0) as usize;
    (0..=steps)
        .map(|step| {
            let along = length * step as f32 / steps as f32;
            let phase = TAU * along / period;
            let across = height * if sharp { phase.sin().asin() * 2.0 / PI } else { phase.sin() };
            (
                start.0 + along * heading.cos() - across * heading.sin(),
                start.1 + along * heading.sin() + across * heading.cos(),
            )
        })
        .collect()
}

fn grid(size: f32, draws: &mut Draws) -> Vec<Vec<Point>> {
    let (tilt, skew) = (draws.within(0.0, PI), draws.within(-0.4, 0.4));
    let pitch = [draws.log_within(0.07, 0.3) * size, draws.log_within(0.07, 0.3) * size];
    let extent = draws.within(0.25, 0.9) * size;
    let (bend, wavelength, phase) =
        (draws.within(0.0, 0.06) * size, draws.within(0.4, 1.2) * size, draws.within(0.0, TAU));
    let centre = (draws.within(0.2, 0.8) * size, draws.within(0.2, 0.8) * size);
    let mut courses = Vec::new();
    for (axis, pitch) in pitch.into_iter().enumerate() {
        let direction = tilt + axis as f32 * (PI / 2.0 + skew);
        let lines = ((2.0 * extent / pitch) as usize).clamp(1, 14);
        for line in 0..=lines {
            let offset = -extent + 2.0 * extent * line as f32 / lines as f32;
            let course = (0..=40)
                .map(|step| {
                    let along = -extent + 2.0 * extent * step as f32 / 40.0;
                    let across = offset + bend * (TAU * along / wavelength + phase).sin();
                    (
                        centre.0 + along * direction.cos() - across * direction.sin(),
                        centre.1 + along * direction.sin() + across * direction.cos(),
                    )
                })
                .collect();
            courses.push(course);
        }
    }
    courses
}

fn hatch(size: f32, draws: &mut Draws) -> Vec<Vec<Point>> {
    let spine = smooth(size, draws);
    let pitch = draws.log_within(0.05, 0.15) * size;
    (0..draws.count(3, 7))
        .map(|line| {
            let offset = pitch * line as f32;
            spine
                .windows(2)
                .map(|pair| {
                    let (dx, dy) = (pair[1].0 - pair[0].0, pair[1].1 - pair[0].1);
                    let length = (dx * dx + dy * dy).sqrt().max(1e-6);
                    (pair[0].0 - offset * dy / length, pair[0].1 + offset * dx / length)
                })
                .collect::<Vec<Point>>()
        })
        .filter(|course| course.len() >= 2)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{Draws, Family};

    #[test]
    fn every_family_draws_lines_on_the_canvas() {
        for family in Family::ALL {
            let mut on_canvas = 0;
            for index in 0..50 {
                let courses = family.courses(128.0, &mut Draws::new(5, index, "", "test"));
                assert!(courses.iter().all(|course| course.len() >= 2), "{family:?}");
                let points = courses.iter().flatten();
                assert!(points.clone().all(|point| point.0.is_finite() && point.1.is_finite()), "{family:?}");
                on_canvas +=
                    usize::from(points.clone().any(|p| (0.0..128.0).contains(&p.0) && (0.0..128.0).contains(&p.1)));
            }
            assert!(on_canvas >= 45, "{family:?} is on the canvas in {on_canvas} of 50 drawings");
        }
    }
}
