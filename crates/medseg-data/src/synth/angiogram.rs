//! A frame of a coronary angiogram.
//!
//! A coronary tree ([`heart`](super::heart)) is looked at from one of the usual projections, which foreshortens its vessels. What
//! the detector sees is a sum of path lengths: contrast medium in vessels and catheter, heart, lung, diaphragm, spine, ribs.
//! Photons are counted with quantum noise; the picture is their logarithm, edges lifted as on a viewing station.

use super::heart::{Artery, Branch, Heart, Vec3, add, coronary_tree, dot, unit};
use super::plane::{Dot, Plane, clouds, lumen, smoothstep, stroke, union, white};
use super::{Piece, Synthetic};
use crate::random::Stream;
use crate::raster::Image;
use std::f64::consts::PI;

/// A projection: where the detector stands.
struct View {
    towards: Vec3,
    right: Vec3,
    up: Vec3,
    /// Angle to the patient's left in radians; moves the spine.
    oblique: f64,
}

impl View {
    /// Angles in degrees: left anterior oblique positive, cranial positive.
    fn new(oblique: f64, cranial: f64) -> Self {
        let (a, b) = (oblique.to_radians(), cranial.to_radians());
        let (sa, ca, sb, cb) = (libm::sin(a), libm::cos(a), libm::sin(b), libm::cos(b));
        Self { towards: [cb * sa, sb, cb * ca], right: [ca, 0.0, -sa], up: [-sb * sa, cb, -sb * ca], oblique: a }
    }

    /// The usual projections of each artery.
    fn draw(artery: Artery, stream: &mut Stream) -> Self {
        const LEFT: [(f64, f64); 6] =
            [(-30.0, -22.0), (-12.0, 32.0), (-28.0, 18.0), (38.0, 22.0), (2.0, -26.0), (-35.0, 2.0)];
        const RIGHT: [(f64, f64); 4] = [(40.0, 0.0), (32.0, 16.0), (46.0, -4.0), (-30.0, 0.0)];
        let choices: &[(f64, f64)] = if artery == Artery::Left { &LEFT } else { &RIGHT };
        let (oblique, cranial) = choices[stream.below(choices.len() as u32) as usize];
        Self::new(oblique + stream.range(-6.0, 6.0), cranial + stream.range(-5.0, 5.0))
    }
}

/// A branch on the detector: dots with radius in pixels, and the path length through the middle in mm.
struct Shadow<'a> {
    branch: &'a Branch,
    dots: Vec<Dot>,
}

/// One frame, `size` x `size` pixels. `number` counts images of one seed.
pub(super) fn render(size: usize, seed: u64, number: u64) -> Synthetic {
    let stream = |part: &str| Stream::new(seed, number, "angiogram", part);
    let mut choice = stream("choices");
    let artery = if choice.chance(0.66) { Artery::Left } else { Artery::Right };
    let heart = Heart::new(&mut stream("heart"));
    let branches = coronary_tree(&heart, artery, &mut stream("tree"));
    let view = View::draw(artery, &mut stream("view"));
    let scale = size as f64 / choice.range(104.0, 126.0);
    let placing = place(&branches, &view, scale, size, &mut choice);
    let shadows: Vec<Shadow<'_>> = branches.iter().map(|b| shadow(b, &view, scale, placing)).collect();

    let contrast = vessels(&shadows, size, &mut stream("contrast"));
    let body = body(size, scale, &view, &heart, placing, &mut stream("body"));
    let ostium = (shadows[0].dots[0], shadows[0].dots[shadows[0].dots.len().min(8) - 1]);
    let tube = catheter(size, scale, ostium, artery, &mut stream("catheter"));
    let mut path = body;
    let density = choice.range(0.062, 0.105) as f32;
    for ((p, c), t) in path.data.iter_mut().zip(&contrast.data).zip(&tube.data) {
        *p += (density * c).max(*t);
    }
    extras(&mut path, size, scale, &mut stream("extras"));
    let image = expose(&path, size, &mut stream("quanta"));

    let pieces = pieces(&shadows, size);
    let mask = union(pieces.iter().map(|piece| &piece.mask), size);
    Synthetic { image, mask, pieces }
}

/// Where the view's origin falls: the tree's middle near the picture's, most of the tree inside.
fn place(branches: &[Branch], view: &View, scale: f64, size: usize, stream: &mut Stream) -> (f64, f64) {
    let mut bounds = [f64::MAX, f64::MIN, f64::MAX, f64::MIN];
    for point in branches.iter().flat_map(|b| &b.points) {
        let (x, y) = (scale * dot(*point, view.right), -scale * dot(*point, view.up));
        bounds = [bounds[0].min(x), bounds[1].max(x), bounds[2].min(y), bounds[3].max(y)];
    }
    let room = |low: f64, high: f64, wish: f64| {
        let middle = size as f64 * wish - (low + high) / 2.0;
        // Large trees keep their beginning in the picture rather than their end.
        middle.clamp(24.0 - low, (size as f64 - 24.0 - high).max(24.0 - low))
    };
    let wish = (stream.range(0.42, 0.56), stream.range(0.42, 0.52));
    (room(bounds[0], bounds[1], wish.0), room(bounds[2], bounds[3], wish.1))
}

/// Source to detector 1000 mm, source to heart 750 mm: what is nearer to the source looks larger.
fn project(point: Vec3, view: &View, scale: f64, placing: (f64, f64)) -> (f64, f64, f64) {
    let zoom = 750.0 / (750.0 + dot(point, view.towards));
    (placing.0 + scale * zoom * dot(point, view.right), placing.1 - scale * zoom * dot(point, view.up), scale * zoom)
}

fn shadow<'a>(branch: &'a Branch, view: &View, scale: f64, placing: (f64, f64)) -> Shadow<'a> {
    let last = branch.points.len() - 1;
    let dots = branch
        .points
        .iter()
        .zip(&branch.radii)
        .enumerate()
        .map(|(i, (&point, &radius))| {
            let ahead = add(branch.points[(i + 1).min(last)], branch.points[i.saturating_sub(1)], -1.0);
            let along = dot(unit(ahead), view.towards);
            // A vessel that runs towards the detector is crossed over a longer way.
            let foreshortening = 1.0 / libm::sqrt((1.0 - along * along).max(0.4));
            let (x, y, zoom) = project(point, view, scale, placing);
            Dot { x, y, radius: radius * zoom, value: foreshortening * 2.0 * radius }
        })
        .collect();
    Shadow { branch, dots }
}

/// Path length through contrast medium in mm. Within a branch the longest way counts, branches add up where they cross.
fn vessels(shadows: &[Shadow<'_>], size: usize, stream: &mut Stream) -> Plane {
    let mut sum = Plane::new(size, size, 0.0);
    let filling = stream.range(0.0, 0.45);
    let mut own = vec![(0f32, false); size * size];
    for shadow in shadows {
        // Blood and contrast medium do not mix evenly, and the far end has not filled as well.
        let period = stream.range(40.0, 90.0);
        let (phase, depth) = (stream.range(0.0, 2.0 * PI), stream.range(0.03, 0.14));
        let parent = shadow.branch.parent_radius;
        let joined = (2.5 * parent / 0.4) as usize;
        let mut along = 0.0;
        let dots: Vec<Dot> = shadow
            .dots
            .iter()
            .map(|dot| {
                along += 0.4;
                let streaming = 1.0 - depth * (0.5 + 0.5 * libm::sin(2.0 * PI * along / period + phase));
                let far = 1.0 - filling * smoothstep(20.0, 120.0, along + 25.0 * parent);
                Dot { value: dot.value * streaming * far, ..*dot }
            })
            .collect();
        let mut touched = Vec::new();
        let mut lay = |dots: &[Dot], mark: bool| {
            stroke(size, size, dots, 0.0, |at, distance, radius, value| {
                let chord = libm::sqrt((1.0 - (distance / radius) * (distance / radius)).max(0.0));
                // The flat front of contrast medium in a lumen that is no perfect circle.
                let value = (value * libm::sqrt(chord) * (0.35 + 0.65 * chord)) as f32;
                if own[at] == (0.0, false) {
                    touched.push(at);
                }
                own[at] = (own[at].0.max(value), own[at].1 || mark);
            });
        };
        // Next to its parent a branch shares the parent's lumen: there the longer way counts, farther on both.
        let near = joined.min(dots.len() - 1);
        lay(&dots[..=near], true);
        lay(&dots[near..], false);
        for at in touched {
            let (value, shared) = std::mem::take(&mut own[at]);
            sum.data[at] = if shared { sum.data[at].max(value) } else { sum.data[at] + value };
        }
    }
    sum
}

/// Attenuation of everything but contrast medium.
fn body(size: usize, scale: f64, view: &View, heart: &Heart, placing: (f64, f64), stream: &mut Stream) -> Plane {
    let n = size as f64;
    let mut sum = Plane::new(size, size, 1.0);
    for (share, octaves, fade, amount) in [(0.55, 2, 0.5, 0.075), (0.16, 3, 0.6, 0.030), (0.035, 3, 0.7, 0.012)] {
        sum.add(&clouds(size, size, n * share, octaves, fade, stream), amount);
    }
    // The heart's silhouette: an ellipse of the projected half ellipsoid, with a wavy border. Outside on the patient's left
    // lies the lung, bright and mottled.
    let (hx, hy, _) = project(heart.along(0.35), view, scale, placing);
    let (tx, ty, _) = project(heart.along(1.0), view, scale, placing);
    let tilt = libm::atan2(ty - hy, tx - hx);
    let (long, wide) = (scale * (0.62 * heart.length + 12.0), scale * (heart.radius + 12.0));
    let wave = (stream.range(0.0, 6.3), stream.range(0.0, 6.3));
    let lung = clouds(size, size, n * 0.05, 3, 0.7, stream);
    let lung_depth = stream.range(0.22, 0.42);
    let lung_side = libm::cos(view.oblique + 0.35);
    let soft = stream.range(0.02, 0.05);
    let inside = Plane::from_fn(size, size, |x, y| {
        let (dx, dy) = (x - hx, y - hy);
        let (u, v) = (dx * libm::cos(tilt) + dy * libm::sin(tilt), -dx * libm::sin(tilt) + dy * libm::cos(tilt));
        let angle = libm::atan2(v / wide, u / long);
        let border = 1.0 + 0.04 * libm::sin(3.0 * angle + wave.0) + 0.02 * libm::sin(7.0 * angle + wave.1);
        libm::sqrt(u * u / (long * long) + v * v / (wide * wide)) / border
    });
    for (i, (value, &d)) in sum.data.iter_mut().zip(&inside.data).enumerate() {
        let x = (i % size) as f64 / n;
        let outside = smoothstep(1.0 - soft, 1.0 + soft, f64::from(d));
        let leftwards = smoothstep(0.35, 0.75, x * lung_side + (1.0 - lung_side) * 0.5);
        let air = outside * leftwards * (lung_depth + 0.25 * (f64::from(d) - 1.0).clamp(0.0, 0.5));
        let veil = 1.0 - smoothstep(0.55, 1.25, f64::from(d));
        *value += (0.07 * veil - air + air * 0.10 * f64::from(lung.data[i])) as f32;
    }
    spine(&mut sum, size, scale, view, stream);
    ribs(&mut sum, size, scale, stream);
    diaphragm(&mut sum, size, scale, stream);
    sum
}

/// Vertebrae stand behind the heart; turning the detector to the left moves them to the right of the picture.
fn spine(sum: &mut Plane, size: usize, scale: f64, view: &View, stream: &mut Stream) {
    let n = size as f64;
    let middle = 0.36 * n + scale * 75.0 * libm::sin(view.oblique) + stream.range(-12.0, 12.0);
    let half = scale * stream.range(17.0, 21.0);
    let height = scale * stream.range(24.0, 29.0);
    let offset = stream.range(0.0, height);
    let strength = stream.range(0.05, 0.15);
    let lean = stream.range(-0.06, 0.06);
    let grain = clouds(size, size, n * 0.02, 2, 0.7, stream);
    for (i, value) in sum.data.iter_mut().enumerate() {
        let (x, y) = ((i % size) as f64, (i / size) as f64);
        let u = (x - middle - lean * (y - n / 2.0)).abs() / half;
        let row = (y + offset) / height;
        let t = row - libm::floor(row);
        let waist = 1.0 - 0.12 * libm::sin(PI * t);
        let across = 1.0 - smoothstep(0.72 * waist, 1.12 * waist, u);
        let disc = 1.0 - smoothstep(0.05, 0.09, t.min(1.0 - t));
        let plate = libm::exp(-((t.min(1.0 - t) - 0.11) / 0.025) * ((t.min(1.0 - t) - 0.11) / 0.025));
        let cortex = libm::exp(-((u - 0.9 * waist) / 0.11) * ((u - 0.9 * waist) / 0.11));
        let bone = across * (1.0 - 0.4 * disc + 0.18 * plate) + 0.16 * cortex;
        *value += (strength * bone * (1.0 + 0.05 * f64::from(grain.data[i]))) as f32;
    }
}

/// Bands that cross the picture in shallow arcs: dense at their edges, thin in the middle.
fn ribs(sum: &mut Plane, size: usize, scale: f64, stream: &mut Stream) {
    let n = size as f64;
    let count = 3 + stream.below(3);
    let slope = stream.range(0.25, 0.6) * if stream.chance(0.75) { 1.0 } else { -1.0 };
    let spacing = scale * stream.range(30.0, 38.0);
    let start = stream.range(-0.3, 0.1) * n;
    for number in 0..count {
        let (bend, strength) = (stream.range(0.0004, 0.0011), stream.range(0.028, 0.065));
        let half = scale * stream.range(4.2, 6.0);
        let from = start + spacing * f64::from(number) + stream.range(-8.0, 8.0);
        let apex = stream.range(0.55, 1.1) * n;
        for (i, value) in sum.data.iter_mut().enumerate() {
            let (x, y) = ((i % size) as f64, (i / size) as f64);
            let centre = from + slope * x + bend * (x - apex) * (x - apex);
            let d = ((y - centre) / libm::sqrt(1.0 + slope * slope)).abs() / half;
            if d < 1.6 {
                let body = 1.0 - smoothstep(0.85, 1.1, d);
                let edge = libm::exp(-((d - 0.9) / 0.16) * ((d - 0.9) / 0.16));
                *value += (strength * (0.55 * body + 0.8 * edge)) as f32;
            }
        }
    }
}

/// The dome at the bottom of the picture, in about two of three projections.
fn diaphragm(sum: &mut Plane, size: usize, scale: f64, stream: &mut Stream) {
    let n = size as f64;
    let (present, cx, top) = (stream.chance(0.62), stream.range(0.2, 0.75) * n, stream.range(0.62, 0.95) * n);
    let (radius, strength) = (scale * stream.range(55.0, 95.0), stream.range(0.10, 0.24));
    let flat = stream.range(0.55, 0.85);
    if !present {
        return;
    }
    for (i, value) in sum.data.iter_mut().enumerate() {
        let (x, y) = ((i % size) as f64 - cx, ((i / size) as f64 - top) / flat - radius);
        let d = libm::sqrt(x * x + y * y) - radius;
        let edge = 1.0 - smoothstep(-5.0, 4.0, d);
        *value += (strength * edge * (0.75 + 0.25 * smoothstep(0.0, -0.5 * radius, d))) as f32;
    }
}

/// A guiding catheter from above, bent towards the ostium, its wall denser than its lumen.
fn catheter(size: usize, scale: f64, ostium: (Dot, Dot), artery: Artery, stream: &mut Stream) -> Plane {
    let n = size as f64;
    let (tip, next) = ostium;
    let (dx, dy) = (next.x - tip.x, next.y - tip.y);
    let length = libm::sqrt(dx * dx + dy * dy).max(1e-6);
    let (ux, uy) = (dx / length, dy / length);
    // It comes down behind the vessel's mouth, rests on the opposite wall of the aorta and turns up into the mouth.
    let back = scale * stream.range(12.0, 22.0);
    let sag = if artery == Artery::Left { scale * stream.range(2.0, 12.0) } else { scale * stream.range(-4.0, 6.0) };
    let top = (tip.x - ux * back + stream.range(-0.12, 0.12) * n, -12.0);
    let points = [
        (tip.x + 2.0 * ux, tip.y + 2.0 * uy),
        (tip.x - ux * back, tip.y - uy * back + sag),
        (tip.x - 1.5 * ux * back + stream.range(-10.0, 10.0), tip.y - scale * stream.range(22.0, 40.0)),
        top,
    ];
    let radius = scale * stream.range(0.95, 1.15);
    let dots: Vec<Dot> = (0..=160)
        .map(|i| {
            let t = f64::from(i) / 160.0;
            let s = 1.0 - t;
            let w = [s * s * s, 3.0 * s * s * t, 3.0 * s * t * t, t * t * t];
            let mix = |pick: fn(&(f64, f64)) -> f64| points.iter().zip(w).map(|(p, w)| pick(p) * w).sum();
            Dot { x: mix(|p| p.0), y: mix(|p| p.1), radius, value: 1.0 }
        })
        .collect();
    let mut own = Plane::new(size, size, 0.0);
    let (fill, wall) = (stream.range(0.14, 0.26), stream.range(0.10, 0.16));
    stroke(size, size, &dots, 0.0, |at, distance, radius, _| {
        let d = distance / radius;
        let chord = libm::sqrt((1.0 - d * d).max(0.0));
        let value = fill * libm::sqrt(chord) + wall * libm::exp(-((d - 0.82) / 0.12) * ((d - 0.82) / 0.12));
        own.data[at] = own.data[at].max(value as f32);
    });
    // A puff of contrast medium that has flowed back into the aortic root.
    let (puff, spread) = (stream.range(0.0, 0.10), scale * stream.range(7.0, 11.0));
    let swirl = clouds(size, size, n * 0.05, 2, 0.6, stream);
    for (i, value) in own.data.iter_mut().enumerate() {
        let (x, y) = ((i % size) as f64 - tip.x + 0.5 * ux * spread, (i / size) as f64 - tip.y + 0.5 * uy * spread);
        let d = libm::sqrt(x * x + y * y) / spread + 0.18 * f64::from(swirl.data[i]);
        *value += (puff * (1.0 - smoothstep(0.4, 1.3, d))) as f32;
    }
    own
}

/// Now and then: wire loops in the breast bone of patients who were operated on.
fn extras(path: &mut Plane, size: usize, scale: f64, stream: &mut Stream) {
    if !stream.chance(0.14) {
        return;
    }
    let n = size as f64;
    let (x, lean) = (stream.range(0.12, 0.4) * n, stream.range(-0.15, 0.15));
    for number in 0..2 + stream.below(3) {
        let y = (0.12 + 0.22 * f64::from(number)) * n + stream.range(-12.0, 12.0);
        let (a, b) = (scale * stream.range(6.0, 10.0), scale * stream.range(4.0, 7.0));
        let (phase, wobble) = (stream.range(0.0, 6.3), stream.range(0.1, 0.3));
        let dots: Vec<Dot> = (0..=90)
            .map(|i| {
                let t = phase + f64::from(i) / 90.0 * 2.15 * PI;
                let r = 1.0 + wobble * libm::sin(2.0 * t + phase) + 0.02 * f64::from(i) / 9.0;
                Dot {
                    x: x + lean * y + a * r * libm::cos(t),
                    y: y + b * r * libm::sin(t),
                    radius: 0.34 * scale,
                    value: 1.0,
                }
            })
            .collect();
        let mut own = vec![0f32; size * size];
        stroke(size, size, &dots, 0.0, |at, d, r, _| own[at] = own[at].max(libm::sqrt(1.0 - d / r * (d / r)) as f32));
        path.data.iter_mut().zip(&own).for_each(|(p, v)| *p += 0.5 * v);
    }
}

/// Photons through the path, counted with noise, shown as their logarithm.
fn expose(path: &Plane, size: usize, stream: &mut Stream) -> Image {
    let n = size as f64;
    let sharp = path.blur(stream.range(0.65, 0.9));
    // Scattered photons fill the shadows a little.
    let scatter = path.blur(n / 18.0);
    let photons = stream.range(1300.0, 4200.0);
    let noise = white(size, size, stream).blur(stream.range(0.5, 0.72));
    let spread: f64 = noise.data.iter().map(|&v| f64::from(v) * f64::from(v)).sum::<f64>() / noise.data.len() as f64;
    let normal = 1.0 / libm::sqrt(spread);
    let mut seen = Plane::new(size, size, 0.0);
    for (i, value) in seen.data.iter_mut().enumerate() {
        let count =
            photons * (0.86 * libm::exp(-f64::from(sharp.data[i])) + 0.14 * libm::exp(-f64::from(scatter.data[i])));
        let counted = count + libm::sqrt(count) * normal * f64::from(noise.data[i]);
        *value = -libm::log((counted / photons).max(0.01)) as f32;
    }
    let smooth = seen.blur(stream.range(2.2, 3.2));
    let lift = stream.range(0.15, 0.4) as f32;
    let gain = stream.range(120.0, 165.0);
    let mean = f64::from(seen.data.iter().sum::<f32>()) / seen.data.len() as f64;
    let level = stream.range(108.0, 138.0);
    let shutter = shutter(n, stream);
    let data = seen.data.iter().zip(&smooth.data).enumerate().map(|(i, (&v, &s))| {
        let shown = level - gain * (f64::from(v + lift * (v - s)) - mean);
        let open = shutter((i % size) as f64, (i / size) as f64);
        (shown.clamp(4.0, 252.0) * open + 3.0 * (1.0 - open) + 0.5) as u8
    });
    Image::from_parts(size, size, 1, data.collect())
}

/// The collimator's soft black border, in about a third of all pictures.
fn shutter(n: f64, stream: &mut Stream) -> impl Fn(f64, f64) -> f64 + use<> {
    let present = stream.chance(0.35);
    let edges = [0; 4].map(|_| if stream.chance(0.7) { stream.range(0.01, 0.035) * n } else { -10.0 });
    move |x, y| {
        if !present {
            return 1.0;
        }
        let inside = [x - edges[0], y - edges[1], n - 1.0 - x - edges[2], n - 1.0 - y - edges[3]];
        inside.into_iter().map(|d| smoothstep(-2.5, 2.5, d)).product()
    }
}

/// The lumen of every branch that can be seen, as exact masks: a pixel belongs to a vessel when its centre does. Within the
/// parent's lumen a branch shows nothing of its own; its mask begins there all the same, so that the tree hangs together.
fn pieces(shadows: &[Shadow<'_>], size: usize) -> Vec<Piece> {
    let mut pieces = Vec::new();
    for shadow in shadows {
        let mask = lumen(&shadow.dots, size);
        if mask.count() < 4 {
            continue;
        }
        let stenosis = shadow.branch.stenosis.map(|(from, to)| lumen(&shadow.dots[from..=to], size));
        let stenosis = stenosis.filter(|m| m.count() >= 4);
        pieces.push(Piece { category: shadow.branch.category, mask, stenosis });
    }
    pieces
}
