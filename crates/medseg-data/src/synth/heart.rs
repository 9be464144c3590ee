//! Coronary arteries in three dimensions, in millimetres.
//!
//! The heart is half an ellipsoid: a point of its surface has an azimuth `theta` about the long axis (0 in the anterior
//! interventricular groove, growing towards the left lateral wall) and a height `p` (0 in the atrioventricular groove, 1 at the
//! apex). Arteries walk on that surface with a heading that is pulled towards the course anatomy gives them and disturbed by
//! smooth noise. Where a branch leaves, radii follow Murray's law: parent³ = child³ + rest³.

use crate::random::Stream;
use std::f64::consts::{FRAC_PI_2, PI};

pub(super) type Vec3 = [f64; 3];

pub(super) fn add(a: Vec3, b: Vec3, factor: f64) -> Vec3 {
    [a[0] + factor * b[0], a[1] + factor * b[1], a[2] + factor * b[2]]
}

pub(super) fn dot(a: Vec3, b: Vec3) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

fn cross(a: Vec3, b: Vec3) -> Vec3 {
    [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
}

pub(super) fn unit(a: Vec3) -> Vec3 {
    let length = libm::sqrt(dot(a, a)).max(1e-12);
    [a[0] / length, a[1] / length, a[2] / length]
}

/// A branch: its centre line, radii, and the SYNTAX category that ARCADE would give it.
#[derive(Debug, Clone)]
pub(super) struct Branch {
    pub(super) points: Vec<Vec3>,
    pub(super) radii: Vec<f64>,
    /// Radius of the parent where the branch leaves it; 0 for the root.
    pub(super) parent_radius: f64,
    pub(super) category: u32,
    /// First and last point of a narrowing, if there is one.
    pub(super) stenosis: Option<(usize, usize)>,
}

/// Which coronary artery is injected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Artery {
    Left,
    Right,
}

/// The heart's frame in the patient: x to the left, y to the head, z to the front.
#[derive(Debug, Clone)]
pub(super) struct Heart {
    pub(super) center: Vec3,
    axis: Vec3,
    front: Vec3,
    side: Vec3,
    pub(super) radius: f64,
    pub(super) length: f64,
    beat: [f64; 4],
}

impl Heart {
    pub(super) fn new(stream: &mut Stream) -> Self {
        let lean = |s: &mut Stream| s.range(-0.08, 0.08);
        let axis = unit([0.66 + lean(stream), -0.52 + lean(stream), 0.54 + lean(stream)]);
        let ahead = [0.1, 0.45, 0.85];
        let front = unit(add(ahead, axis, -dot(ahead, axis)));
        let mut side = cross(axis, front);
        if dot(side, [0.6, 0.4, -0.7]) < 0.0 {
            side = side.map(|v| -v);
        }
        let phase = |s: &mut Stream| s.range(0.0, 2.0 * PI);
        let beat = [phase(stream), phase(stream), phase(stream), phase(stream)];
        Self {
            center: [0.0; 3],
            axis,
            front,
            side,
            radius: stream.range(39.0, 46.0),
            length: stream.range(72.0, 86.0),
            beat,
        }
    }

    /// A point at azimuth `theta`, height `p`, `lift` millimetres above the surface. Negative `p` lies above the groove.
    fn surface(&self, theta: f64, p: f64, lift: f64) -> Vec3 {
        let (s, c) = (libm::sin(p * FRAC_PI_2), libm::cos(p * FRAC_PI_2));
        // The cross-section is no circle: the right ventricle bulges.
        let bulge = 1.0 + 0.10 * libm::cos(2.0 * theta + self.beat[0]) + 0.05 * libm::cos(3.0 * theta + self.beat[1]);
        let ring = self.radius * c * bulge + lift;
        let depth = self.length * s;
        let mut point = add(self.center, self.front, ring * libm::cos(theta));
        point = add(point, self.side, ring * libm::sin(theta));
        add(point, self.axis, depth)
    }

    /// Direction into the heart at a point of the surface.
    fn inwards(&self, theta: f64) -> Vec3 {
        let toward = add(self.front.map(|v| -libm::cos(theta) * v), self.side, -libm::sin(theta));
        unit(add(toward, self.axis, 0.5))
    }
}

/// State of a walk on the surface.
#[derive(Debug, Clone, Copy)]
struct Walker {
    theta: f64,
    p: f64,
    heading: f64,
    curvature: f64,
}

/// What a walk is pulled towards.
#[derive(Debug, Clone, Copy)]
struct Course {
    /// Heading in radians: 0 along growing azimuth, pi/2 to the apex.
    heading: f64,
    /// Height that the vessel keeps to, with the strength of the pull.
    keep: Option<(f64, f64)>,
    pull: f64,
    wander: f64,
}

const STEP: f64 = 0.4;

/// What may leave a branch.
#[derive(Debug, Clone, Copy)]
struct Sprouting {
    /// Mean distance in mm.
    every: f64,
    /// Distance in mm before the first.
    start: f64,
    sides: Sides,
    ratio: (f64, f64),
    course: f64,
    categories: [u32; 3],
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Sides {
    Both,
    Left,
    Right,
}

/// Grows a tree into `branches`.
struct Grower<'a> {
    heart: &'a Heart,
    stream: &'a mut Stream,
    branches: Vec<Branch>,
    smallest: f64,
}

impl Grower<'_> {
    fn advance(&mut self, walker: &mut Walker, course: &Course) {
        let mut target = course.heading;
        if let Some((height, strength)) = course.keep {
            target += strength * (height - walker.p);
        }
        let turn = wrap(target - walker.heading);
        walker.curvature += -walker.curvature * STEP / 6.0 + course.wander * libm::sqrt(STEP) * self.stream.normal();
        walker.heading += (course.pull * turn + walker.curvature) * STEP;
        let (s, c) = (libm::sin(walker.p * FRAC_PI_2), libm::cos(walker.p * FRAC_PI_2));
        let ring = (self.heart.radius * c).max(6.0);
        let arc = FRAC_PI_2
            * libm::sqrt(self.heart.radius * self.heart.radius * s * s + self.heart.length * self.heart.length * c * c);
        walker.theta += STEP * libm::cos(walker.heading) / ring;
        walker.p += STEP * libm::sin(walker.heading) / arc;
    }

    /// Grows one branch and everything that leaves it.
    #[expect(clippy::too_many_arguments, reason = "one call site a vessel; a struct would only repeat the names")]
    fn grow(
        &mut self,
        mut walker: Walker,
        start: Option<Vec3>,
        course: Course,
        length: f64,
        radius: f64,
        parent_radius: f64,
        category: u32,
        level: usize,
        sprouting: Sprouting,
    ) {
        let own = self.branches.len();
        self.branches.push(Branch { points: vec![], radii: vec![], parent_radius, category, stenosis: None });
        let steps = (length / STEP) as usize;
        let waves: [(f64, f64, f64); 3] = [
            (self.stream.range(0.15, 0.5), self.stream.range(9.0, 16.0), self.stream.range(0.0, 6.3)),
            (self.stream.range(0.2, 0.8), self.stream.range(18.0, 30.0), self.stream.range(0.0, 6.3)),
            (self.stream.range(0.05, 0.2), self.stream.range(4.0, 7.0), self.stream.range(0.0, 6.3)),
        ];
        let mut rest = radius;
        let taper = self.stream.range(0.15, 0.35);
        let mut next = sprouting.start + self.stream.range(0.0, 0.5) * sprouting.every;
        let mut left = self.stream.chance(0.5);
        let mut children = 0;
        let mut shift = [0.0; 3];
        for step in 0..steps {
            let along = step as f64 * STEP;
            let wave: f64 =
                waves.iter().map(|(a, period, phase)| a * libm::sin(2.0 * PI * along / period + phase)).sum();
            let sideways: f64 =
                waves.iter().map(|(a, period, phase)| a * libm::cos(2.3 * PI * along / period - phase)).sum();
            let (sine, cosine) = (libm::sin(walker.heading), libm::cos(walker.heading));
            let (theta, p) = (
                walker.theta - sideways * sine / self.heart.radius,
                walker.p + sideways * cosine / (FRAC_PI_2 * self.heart.length),
            );
            let mut point = self.heart.surface(theta, p, 2.0 + wave);
            if step == 0 {
                shift = start.map_or(shift, |start| add(start, point, -1.0));
            }
            // Leave the parent's centre line smoothly.
            let t = (along / 6.0).min(1.0);
            point = add(point, shift, 1.0 - t * t * (3.0 - 2.0 * t));
            let shrink = 1.0 - taper * along / length;
            // A vessel ends by becoming thin, not by being cut.
            let ending = ((length - along) / (0.3 * length)).min(1.0);
            let now = rest * shrink * (0.45 + 0.55 * libm::sqrt(ending));
            let branch = &mut self.branches[own];
            branch.points.push(point);
            branch.radii.push(now);
            if now < self.smallest || walker.p > 0.97 {
                break;
            }
            if along >= next && level < 2 && length - along > 8.0 {
                next = along + sprouting.every * (0.4 - 0.6 * libm::log(1.0 - self.stream.uniform()).max(-2.5));
                let parent = rest * shrink;
                let child = parent * self.stream.range(sprouting.ratio.0, sprouting.ratio.1);
                if child > self.smallest {
                    left = match sprouting.sides {
                        Sides::Both => !left,
                        Sides::Left => true,
                        Sides::Right => false,
                    };
                    let sign = if left { -1.0 } else { 1.0 };
                    let angle = sign * self.stream.range(0.6, 1.15);
                    self.sprout(walker, point, angle, child, parent, level, sprouting, children);
                    children += 1;
                    let cube = |r: f64| r * r * r;
                    rest = libm::cbrt(cube(parent) - cube(child)) / shrink;
                }
            }
            self.advance(&mut walker, &course);
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the state of the parent where the branch leaves")]
    fn sprout(
        &mut self,
        walker: Walker,
        point: Vec3,
        angle: f64,
        child: f64,
        parent: f64,
        level: usize,
        parent_sprouting: Sprouting,
        number: usize,
    ) {
        let heading = walker.heading + angle;
        let toward = parent_sprouting.course;
        let course = Course {
            heading: if level == 0 { toward } else { heading * 0.5 + toward * 0.5 },
            keep: None,
            pull: self.stream.range(0.02, 0.06),
            wander: self.stream.range(0.02, 0.045),
        };
        let category = if level == 0 {
            parent_sprouting.categories[number.min(2)]
        } else {
            self.branches.last().map_or(1, |_| parent_sprouting.categories[0])
        };
        let length = child * self.stream.range(42.0, 74.0) + 8.0;
        let sprouting = Sprouting {
            every: self.stream.range(13.0, 26.0),
            start: 8.0,
            sides: Sides::Both,
            ratio: (0.45, 0.8),
            course: toward,
            categories: [category; 3],
        };
        let walker = Walker { heading, curvature: 0.0, ..walker };
        self.grow(walker, Some(point), course, length, child, parent, category, level + 1, sprouting);
    }

    /// Straight thin branches from the anterior descending artery into the septum.
    fn septals(&mut self, trunk: usize) {
        let count = 3 + self.stream.below(4) as usize;
        let (points, radii) = (self.branches[trunk].points.clone(), self.branches[trunk].radii.clone());
        for i in 0..count {
            let at = points.len() * (i + 1) / (count + 3);
            let (mut point, inwards) = (points[at], self.heart.inwards(self.stream.range(-0.3, 0.3)));
            let mut direction = unit(add(inwards, points[(at + 10).min(points.len() - 1)], 0.0));
            let bend = [self.stream.normal(), self.stream.normal(), self.stream.normal()];
            let radius = self.stream.range(0.28, 0.45);
            let length = self.stream.range(14.0, 30.0);
            let mut branch =
                Branch { points: vec![], radii: vec![], parent_radius: radii[at], category: 7, stenosis: None };
            for step in 0..(length / STEP) as usize {
                let left = 1.0 - step as f64 * STEP / length;
                branch.points.push(point);
                branch.radii.push(radius * (0.5 + 0.5 * libm::sqrt(left)));
                direction = unit(add(direction, bend, 0.004));
                point = add(point, direction, STEP);
            }
            self.branches.push(branch);
        }
    }
}

fn wrap(angle: f64) -> f64 {
    angle - 2.0 * PI * libm::round(angle / (2.0 * PI))
}

/// The arteries of one injection. The first branch starts at the ostium.
pub(super) fn coronary_tree(heart: &Heart, artery: Artery, stream: &mut Stream) -> Vec<Branch> {
    let mut grower = Grower { heart, stream, branches: Vec::new(), smallest: 0.22 };
    match artery {
        Artery::Left => left_tree(&mut grower),
        Artery::Right => right_tree(&mut grower),
    }
    let Grower { mut branches, stream, .. } = grower;
    branches.retain(|b| b.points.len() > 8);
    narrow(&mut branches, stream);
    branches
}

fn left_tree(grower: &mut Grower) {
    let s = &mut *grower.stream;
    let main = s.range(1.9, 2.4);
    let share = s.range(0.42, 0.58);
    // Murray's law at the first fork.
    let descending = main * libm::cbrt(share);
    let circumflex = main * libm::cbrt(1.0 - share);
    let fork = (s.range(0.15, 0.35), s.range(-0.03, 0.03));
    let ostium = (fork.0 + s.range(0.14, 0.26), fork.1 - s.range(0.06, 0.12));
    // The main stem: from the aortic root, inside the ring, to the fork.
    let steps = 28;
    let mut stem = Branch { points: vec![], radii: vec![], parent_radius: 0.0, category: 5, stenosis: None };
    let bow = s.range(-2.0, 2.0);
    for i in 0..=steps {
        let t = f64::from(i) / f64::from(steps);
        let theta = ostium.0 + (fork.0 - ostium.0) * t;
        let p = ostium.1 + (fork.1 - ostium.1) * t;
        let lift = -9.0 * (1.0 - t) * (1.0 - t) + 2.0 * t + bow * libm::sin(PI * t);
        stem.points.push(grower.heart.surface(theta, p, lift));
        stem.radii.push(main * (1.0 - 0.05 * t));
    }
    let start = stem.points.last().copied();
    grower.branches.push(stem);
    let trunk = grower.branches.len();
    let s = &mut *grower.stream;
    let (lad_length, lcx_length) = (s.range(95.0, 130.0), s.range(55.0, 95.0));
    let (lad_heading, lcx_heading) = (s.range(1.5, 1.9), s.range(-0.1, 0.25));
    let down = s.range(0.55, 0.95);
    let steep = s.range(1.1, 1.5);
    grower.grow(
        Walker { theta: fork.0, p: fork.1, heading: lad_heading, curvature: 0.0 },
        start,
        Course { heading: FRAC_PI_2 + 0.05, keep: None, pull: 0.06, wander: 0.012 },
        lad_length,
        descending,
        main,
        6,
        0,
        Sprouting {
            every: 20.0,
            start: 9.0,
            sides: Sides::Left,
            ratio: (0.45, 0.68),
            course: down,
            categories: [9, 10, 10],
        },
    );
    grower.septals(trunk);
    grower.grow(
        Walker { theta: fork.0, p: fork.1, heading: lcx_heading, curvature: 0.0 },
        start,
        Course { heading: 0.12, keep: Some((0.06, 5.0)), pull: 0.08, wander: 0.012 },
        lcx_length,
        circumflex,
        main,
        13,
        0,
        Sprouting {
            every: 19.0,
            start: 11.0,
            sides: Sides::Right,
            ratio: (0.5, 0.78),
            course: steep,
            categories: [14, 16, 16],
        },
    );
}

fn right_tree(grower: &mut Grower) {
    let s = &mut *grower.stream;
    let main = s.range(1.6, 2.2);
    let start_at = (-s.range(0.55, 0.75), -s.range(0.12, 0.18));
    let length = s.range(105.0, 140.0);
    let keep = s.range(0.0, 0.08);
    grower.grow(
        Walker { theta: start_at.0, p: start_at.1, heading: PI - 0.5, curvature: 0.0 },
        None,
        Course { heading: PI, keep: Some((keep, -4.0)), pull: 0.09, wander: 0.014 },
        length,
        main,
        0.0,
        2,
        0,
        Sprouting {
            every: 22.0,
            start: 12.0,
            sides: Sides::Left,
            ratio: (0.35, 0.6),
            course: 1.9,
            categories: [2, 3, 4],
        },
    );
    // The crux: posterior descending and posterolateral arteries share the end of the trunk.
    let Some((end, radius)) = grower.branches.first().and_then(|b| {
        let at = b.points.len() * 3 / 4;
        Some((b.points.get(at).copied()?, b.radii.get(at).copied()?))
    }) else {
        return;
    };
    let s = &mut *grower.stream;
    let theta = start_at.0 - 0.75 * length / grower.heart.radius;
    let (first, second) = (s.range(0.55, 0.8), s.range(45.0, 70.0));
    let child = radius * first;
    grower.grow(
        Walker { theta, p: keep + 0.03, heading: 1.9, curvature: 0.0 },
        Some(end),
        Course { heading: FRAC_PI_2, keep: None, pull: 0.05, wander: 0.016 },
        second,
        child.max(0.5),
        radius,
        4,
        1,
        Sprouting {
            every: 12.0,
            start: 8.0,
            sides: Sides::Both,
            ratio: (0.4, 0.65),
            course: 1.4,
            categories: [4, 4, 4],
        },
    );
}

/// Narrows one or two of the larger branches over 5 to 12 mm by 40 to 80 %.
fn narrow(branches: &mut [Branch], stream: &mut Stream) {
    for _ in 0..1 + stream.below(2) {
        let large: Vec<usize> = (0..branches.len())
            .filter(|&i| branches[i].radii.first().is_some_and(|&r| r > 0.8) && branches[i].points.len() > 70)
            .collect();
        if large.is_empty() {
            return;
        }
        let branch = &mut branches[large[stream.below(large.len() as u32) as usize]];
        if branch.stenosis.is_some() {
            continue;
        }
        let half = stream.range(2.5, 6.0) / STEP;
        let room = branch.points.len() as f64;
        let at = stream.range(half + 8.0, (room * 0.75 - half).max(half + 9.0));
        let depth = stream.range(0.4, 0.8);
        for (i, radius) in branch.radii.iter_mut().enumerate() {
            let d = (i as f64 - at) / half;
            if d.abs() < 1.0 {
                *radius *= 1.0 - depth * 0.5 * (1.0 + libm::cos(PI * d));
            }
        }
        let last = branch.points.len() - 1;
        branch.stenosis = Some(((at - half).max(0.0) as usize, ((at + half) as usize).min(last)));
    }
}

impl Heart {
    /// A point on the long axis: 0 at the base, 1 at the apex.
    pub(super) fn along(&self, share: f64) -> Vec3 {
        add(self.center, self.axis, share * self.length)
    }
}
