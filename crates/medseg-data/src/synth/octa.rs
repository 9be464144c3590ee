//! An en-face OCT angiogram of the superficial plexus around the fovea, 3 mm x 3 mm.
//!
//! Arterioles and venules grow from the border towards the fovea ([`colonise`](super::colonise)) and spare the foveal
//! avascular zone. Between them lies the capillary bed: two layers of warped cells whose borders are capillaries, thinned out
//! beside arterioles and ending in a ring around the avascular zone. The scan adds speckle, rows that saccades have shifted,
//! rows of different gain, and the projection of deeper and shallower layers.

use super::colonise::{Growth, Root, chains, colonise};
use super::plane::{Dot, Plane, blank, clouds, lumen, smoothstep, stroke, union, white};
use super::{Piece, Synthetic};
use crate::random::Stream;
use crate::raster::Image;
use medseg_metrics::Mask;
use std::f64::consts::PI;

/// The avascular zone: a wavy ellipse.
struct Fovea {
    x: f64,
    y: f64,
    radius: f64,
    stretch: f64,
    waves: [(f64, f64); 4],
}

impl Fovea {
    fn new(n: f64, stream: &mut Stream) -> Self {
        Self {
            x: n * stream.range(0.42, 0.58),
            y: n * stream.range(0.42, 0.58),
            radius: n * stream.range(0.062, 0.105),
            stretch: stream.range(0.85, 1.18),
            waves: [2.0, 3.0, 5.0, 8.0].map(|k| (stream.range(0.0, 0.16) / libm::sqrt(k), stream.range(0.0, 2.0 * PI))),
        }
    }

    /// Distance from the border of the zone in pixels, negative inside.
    fn distance(&self, x: f64, y: f64) -> f64 {
        let (dx, dy) = ((x - self.x) * self.stretch, (y - self.y) / self.stretch);
        let angle = libm::atan2(dy, dx);
        let wave: f64 =
            self.waves.iter().zip([2.0, 3.0, 5.0, 8.0]).map(|((a, phase), k)| a * libm::cos(k * angle + phase)).sum();
        libm::sqrt(dx * dx + dy * dy) - self.radius * (1.0 + wave)
    }
}

/// One scan, `size` x `size` pixels. `number` counts images of one seed.
pub(super) fn render(size: usize, seed: u64, number: u64) -> Synthetic {
    let stream = |part: &str| Stream::new(seed, number, "octa", part);
    let n = size as f64;
    let fovea = Fovea::new(n, &mut stream("fovea"));
    let trees = trees(size, &fovea, &mut stream("trees"));
    let far = Plane::from_fn(size, size, |x, y| fovea.distance(x, y));
    let (flow, halo) = vessels(&trees, size);
    let capillaries = capillaries(size, &far, &halo, &mut stream("capillaries"));
    let mut tissue = Plane::new(size, size, 0.0);
    let mut look = stream("look");
    let background = look.range(0.08, 0.13);
    let density = look.range(0.24, 0.38);
    let patches = clouds(size, size, n * 0.3, 3, 0.6, &mut stream("perfusion"));
    for i in 0..tissue.data.len() {
        let d = f64::from(far.data[i]);
        let perfusion = (1.0 + 0.10 * f64::from(patches.data[i])).clamp(0.4, 1.5);
        let floor = background * (0.45 + 0.55 * smoothstep(-4.0, 0.30 * n, d)) * perfusion;
        tissue.data[i] = (floor + density * perfusion * f64::from(capillaries.data[i])) as f32;
    }
    project_layers(&mut tissue, &flow, &mut stream("projection"));
    for (t, f) in tissue.data.iter_mut().zip(&flow.data) {
        *t = t.max(*f) + 0.08 * f;
    }
    let shifts = saccades(size, &mut stream("saccades"));
    let image = scan(&tissue.blur(0.55), &shifts, size, &mut stream("speckle"));
    let pieces: Vec<Piece> = pieces(&trees, size)
        .into_iter()
        .map(|mask| Piece { category: 1, mask: shift_mask(&mask, &shifts), stenosis: None })
        .collect();
    let mask = union(pieces.iter().map(|piece| &piece.mask), size);
    Synthetic { image, mask, pieces }
}

/// Vessels as strokes; the value is the brightness of flow.
fn trees(size: usize, fovea: &Fovea, stream: &mut Stream) -> Vec<Vec<Dot>> {
    let n = size as f64;
    let margin = 0.12 * n;
    // Vessels enter from all sides, the thick ones from above and below the fovea.
    let count = 6 + stream.below(3);
    let turn = stream.range(0.0, 2.0 * PI);
    let roots: Vec<Root> = (0..count)
        .map(|i| {
            let angle = turn + 2.0 * PI * (f64::from(i) + stream.range(-0.28, 0.28)) / f64::from(count);
            let (c, s) = (libm::cos(angle), libm::sin(angle));
            let reach = (0.5 * n + margin) / c.abs().max(s.abs());
            let (x, y) = (0.5 * n + reach * c, 0.5 * n + reach * s);
            let aim = stream.range(-0.55, 0.55);
            let inwards = libm::atan2(fovea.y - y, fovea.x - x) + aim;
            ((x, y), (libm::cos(inwards), libm::sin(inwards)))
        })
        .collect();
    let mut tissue = Vec::new();
    let ring = stream.range(0.035, 0.055) * n;
    while tissue.len() < 2000 {
        let (x, y) = (stream.range(-margin, n + margin), stream.range(-margin, n + margin));
        let d = fovea.distance(x, y);
        // Supply is denser away from the fovea.
        if d > ring && stream.chance(0.35 + 0.65 * smoothstep(0.0, 0.25 * n, d)) {
            tissue.push((x, y));
        }
    }
    let growth = Growth {
        reach: 0.26 * n,
        supplied: 0.030 * n,
        step: 0.0105 * n,
        tip: stream.range(0.92, 1.1) * n / 304.0,
        stiffness: 0.62,
    };
    let nodes = colonise(&roots, tissue, &growth, stream);
    let brightness: Vec<f64> = roots.iter().map(|_| stream.range(0.9, 1.08)).collect();
    let waves: Vec<(f64, f64)> = roots.iter().map(|_| (stream.range(0.0, 6.3), stream.range(0.05, 0.11))).collect();
    chains(&nodes)
        .into_iter()
        .map(|chain| {
            chain
                .into_iter()
                .map(|i| {
                    let node = &nodes[i];
                    let (phase, pace) = waves[node.tree];
                    // A slight waviness, the same function of place for the whole tree so that forks stay closed.
                    let wobble = 0.9 * libm::sin(pace * 3.0 * (node.x + node.y) + phase);
                    let radius = node.radius.min(0.019 * n);
                    let small = smoothstep(0.6, 2.4, radius * 304.0 / n);
                    Dot {
                        x: node.x + wobble,
                        y: node.y - wobble,
                        radius,
                        value: brightness[node.tree] * (0.70 + 0.30 * small),
                    }
                })
                .collect()
        })
        .collect()
}

/// The flow signal of vessels, and the zone beside them where capillaries are rare: 1 on a vessel, 0 far away.
fn vessels(trees: &[Vec<Dot>], size: usize) -> (Plane, Plane) {
    let mut flow = Plane::new(size, size, 0.0);
    let mut halo = Plane::new(size, size, 0.0);
    for dots in trees {
        stroke(size, size, dots, 7.0, |at, distance, radius, value| {
            let inside = (value * (1.0 - smoothstep(radius - 0.6, radius + 0.6, distance))) as f32;
            flow.data[at] = flow.data[at].max(inside);
            let strength = smoothstep(1.2, 3.0, radius);
            let beside = (strength * (1.0 - smoothstep(radius, radius + 5.5, distance))) as f32;
            halo.data[at] = halo.data[at].max(beside);
        });
    }
    (flow, halo)
}

/// The capillary bed, 0 to 1: borders of the cells of scattered points, bent by noise.
fn capillaries(size: usize, far: &Plane, halo: &Plane, stream: &mut Stream) -> Plane {
    let n = size as f64;
    let unit = n / 304.0;
    let (bend_x, bend_y) =
        (clouds(size, size, 14.0 * unit, 2, 0.6, stream), clouds(size, size, 14.0 * unit, 2, 0.6, stream));
    let mut sum = Plane::new(size, size, 0.0);
    for (cell, width, strength) in [(8.5, 1.15, 1.0), (6.2, 0.9, 0.62)] {
        let cell = cell * unit * stream.range(0.92, 1.1);
        let columns = (n / cell) as usize + 6;
        let points: Vec<(f64, f64)> = (0..columns * columns).map(|_| (stream.uniform(), stream.uniform())).collect();
        let level = clouds(size, size, 9.0 * unit, 2, 0.7, stream);
        for y in 0..size {
            for x in 0..size {
                let at = y * size + x;
                let u = (x as f64 + 3.2 * unit * f64::from(bend_x.data[at])) / cell + 2.0;
                let v = (y as f64 + 3.2 * unit * f64::from(bend_y.data[at])) / cell + 2.0;
                let (first, second) = two_nearest(u, v, &points, columns);
                let edge = (second - first) * cell;
                let line = 1.0 - smoothstep(0.35 * width, 1.7 * width, edge);
                let open = smoothstep(-0.9, 0.35, f64::from(level.data[at]));
                let value = (strength * line * (0.35 + 0.65 * open)) as f32;
                sum.data[at] = sum.data[at].max(value);
            }
        }
    }
    for (i, value) in sum.data.iter_mut().enumerate() {
        let d = f64::from(far.data[i]);
        let outside = smoothstep(-1.0, 2.0, d);
        // The last arcade around the avascular zone.
        let ring = 0.8 * libm::exp(-(d - 1.0) * (d - 1.0) / 1.3);
        let bed = f64::from(*value) * outside * (1.0 - 0.8 * f64::from(halo.data[i]));
        *value = bed.max(ring) as f32;
    }
    sum
}

/// Distances, in cells, to the nearest and second nearest of the points scattered one to a cell.
fn two_nearest(u: f64, v: f64, points: &[(f64, f64)], columns: usize) -> (f64, f64) {
    let (cx, cy) = (libm::floor(u) as isize, libm::floor(v) as isize);
    let (mut first, mut second) = (f64::MAX, f64::MAX);
    for j in cy - 1..=cy + 1 {
        for i in cx - 1..=cx + 1 {
            let clamp = |k: isize| k.clamp(0, columns as isize - 1) as usize;
            let (px, py) = points[clamp(j) * columns + clamp(i)];
            let (dx, dy) = (i as f64 + px - u, j as f64 + py - v);
            let d = dx * dx + dy * dy;
            if d < first {
                (first, second) = (d, first);
            } else if d < second {
                second = d;
            }
        }
    }
    (libm::sqrt(first), libm::sqrt(second))
}

/// Flow in shallower layers casts tails into this one: a displaced, blurred ghost of the large vessels.
fn project_layers(tissue: &mut Plane, flow: &Plane, stream: &mut Stream) {
    let ghost = flow.blur(stream.range(2.2, 3.4));
    let (dx, dy) = (stream.range(-7.0, 7.0), stream.range(-7.0, 7.0));
    let strength = stream.range(0.06, 0.16) as f32;
    let width = tissue.width;
    for (i, value) in tissue.data.iter_mut().enumerate() {
        *value += strength * ghost.sample((i % width) as f64 + dx, (i / width) as f64 + dy);
    }
}

/// How far each row is shifted: nothing, but for a few bands after an eye movement.
fn saccades(size: usize, stream: &mut Stream) -> Vec<isize> {
    let mut shifts = vec![0isize; size];
    for _ in 0..stream.below(4) {
        let start = stream.below(size as u32) as usize;
        let length = 6 + stream.below((size / 6) as u32) as usize;
        let by = (1 + stream.below(3) as isize) * if stream.chance(0.5) { 1 } else { -1 };
        for (i, shift) in shifts.iter_mut().skip(start).take(length).enumerate() {
            // The eye drifts back.
            let back = 1.0 - i as f64 / length as f64;
            *shift += libm::round(by as f64 * libm::sqrt(back)) as isize;
        }
    }
    shifts
}

/// The source pixel of a shifted row; the border is continued.
fn shifted(x: usize, shift: isize, size: usize) -> usize {
    (x as isize + shift).clamp(0, size as isize - 1) as usize
}

fn shift_mask(mask: &Mask, shifts: &[isize]) -> Mask {
    let size = mask.width();
    let mut out = blank(size);
    for (row, &shift) in shifts.iter().enumerate() {
        (0..size).filter(|&x| mask.get(row, shifted(x, shift, size))).for_each(|x| out.insert(row, x));
    }
    out
}

/// Row by row: gain, speckle, noise floor, the device's contrast curve.
fn scan(tissue: &Plane, shifts: &[isize], size: usize, stream: &mut Stream) -> Image {
    let shade = clouds(size, size, size as f64 * 0.6, 1, 1.0, stream);
    let looks = stream.range(5.5, 12.0);
    let grain = white(size, size, stream);
    let fine = white(size, size, stream).blur(0.6);
    let streaks = stream.range(0.015, 0.05);
    let gain = stream.range(255.0, 300.0);
    let gamma = stream.range(0.85, 1.05);
    let floor = stream.range(0.015, 0.035);
    let mut rows: Vec<f64> = (0..size).map(|_| 1.0 + streaks * stream.normal()).collect();
    for _ in 0..stream.below(3) {
        // A row in which the eye moved: everything moved, so everything looks like flow.
        let row = stream.below(size as u32) as usize;
        rows[row] *= stream.range(1.25, 1.6);
    }
    let mut data = Vec::with_capacity(size * size);
    for y in 0..size {
        for x in 0..size {
            let at = y * size + x;
            let signal = f64::from(tissue.data[y * size + shifted(x, shifts[y], size)]);
            // Fully developed speckle averaged over some looks: noise grows with the signal.
            let speckle = 1.0 + (0.75 * f64::from(grain.data[at]) + 1.1 * f64::from(fine.data[at])) / libm::sqrt(looks);
            let value = signal * speckle.max(0.0) * rows[y] * (1.0 + 0.07 * f64::from(shade.data[at]))
                + floor * libm::fabs(f64::from(grain.data[at]));
            data.push((gain * libm::pow(value.clamp(0.0, 1.2), gamma) + 0.5).clamp(0.0, 255.0) as u8);
        }
    }
    Image::from_parts(size, size, 1, data)
}

/// The lumen of every vessel (not of capillaries): a pixel belongs to a vessel when its centre does.
fn pieces(trees: &[Vec<Dot>], size: usize) -> Vec<Mask> {
    trees.iter().map(|dots| lumen(dots, size)).filter(|mask| !mask.is_empty()).collect()
}
