//! Generated scenes: the only data that the base model is pre-trained on.
//!
//! A scene holds lines (smooth curves, handwriting, cracks, rings, polygons, spirals, waves, grids, hatching, hairs, nets of
//! cells) and filled shapes (ellipses, polygons, blobs, bars, annuli) over a textured background, brighter or darker than
//! what lies behind them, often faint, with blur, uneven light and grain. It holds no vessels: no line branches, nothing
//! tapers over generations, no anatomy is drawn. Lines that meet are lines that cross.
//!
//! A scene is a function of (seed, index, size, difficulty) alone. Difficulty 0 is bright lines on a dark, plain ground; difficulty 1
//! is everything above. Starting with easy scenes matters: with both polarities, faint lines and distractors from the
//! first step on, a model with random weights answered "nothing anywhere" for 400 steps, and its loss did not move.

mod canvas;
mod curves;
mod draws;
mod shapes;
mod sheet;
mod texture;

pub use sheet::contact_sheet;

use canvas::{Canvas, Footprint, Point, Profile, Vertex};
use curves::Family;
pub(crate) use draws::Draws;

/// An object to be found by a prompt: by the point or by the box.
#[derive(Debug, Clone)]
pub struct SceneTarget {
    /// A pixel of the object, (x, y).
    pub point: [f32; 2],
    /// The object's bounding box with some play, (left, top, right, bottom) in pixels.
    pub bounds: [f32; 4],
    /// The object's visible pixels, row by row, 1 inside and 0 outside.
    pub mask: Vec<u8>,
}

/// A generated picture with what is to be found in it.
#[derive(Debug, Clone)]
pub struct Scene {
    /// Width and height in pixels.
    pub size: usize,
    /// Red, green and blue planes, row by row, whole numbers in 0..=255.
    pub planes: [Vec<f32>; 3],
    /// Every line of the scene, row by row, 1 on a line and 0 elsewhere: the target of the automatic token.
    pub lines: Vec<u8>,
    /// One object and its prompt.
    pub target: SceneTarget,
}

/// Objects smaller than this many pixels are not asked for.
const SMALLEST_TARGET: usize = 12;

impl Scene {
    /// Scene `index` of the stream `seed`, `size` x `size` pixels, with a difficulty in 0 to 1.
    ///
    /// ```
    /// use sam_mini_pretrain::Scene;
    /// let scene = Scene::generate(0, 7, 64, 1.0);
    /// assert_eq!(scene.planes[0].len(), 64 * 64);
    /// assert!(scene.lines.contains(&1));
    /// assert_eq!(scene.planes, Scene::generate(0, 7, 64, 1.0).planes);
    /// ```
    #[must_use]
    pub fn generate(seed: u64, index: u64, size: usize, difficulty: f32) -> Self {
        // A scene without a line or without an object worth asking for is drawn again under the next key.
        (0..)
            .find_map(|attempt: u32| {
                let key = format!("size {size}, attempt {attempt}");
                compose(size, difficulty.clamp(0.0, 1.0), &mut Draws::new(seed, index, &key, "scene"))
            })
            .unwrap_or_else(|| unreachable!("an endless iterator ends only by finding"))
    }
}

/// What a painted footprint is to the targets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    /// A line: target of the automatic token and of prompts.
    Line,
    /// A filled shape: target of prompts, hides what lies under it.
    Shape,
    /// Only hides what lies under it.
    Cover,
}

struct Object {
    footprint: Footprint,
    role: Role,
}

fn compose(size: usize, hard: f32, draws: &mut Draws) -> Option<Scene> {
    let palette = Palette::new(hard, draws);
    let mut canvas = Canvas::new(size, palette.background);
    // Faint lines come with little grain, so that a line can be told from the background at least along its length.
    let contrast = draws.log_within(70.0 - 56.0 * hard, 110.0);
    let cloth = texture::texture(size, draws);
    canvas.shade(&cloth, draws.within(0.0, 30.0) * hard);
    if draws.chance(0.35 * hard) {
        let weave = texture::smooth_noise(size, draws.within(1.5, 4.0), 1, draws);
        canvas.shade(&weave, contrast * draws.within(0.1, 0.7));
    }
    if draws.chance(0.12 * hard) {
        let streaks = texture::streaks(size, draws);
        canvas.shade(&streaks, contrast * draws.within(0.1, 0.5));
    }
    let mut objects = Vec::new();
    for _ in 0..if draws.chance(hard) { *draws.pick(&[0, 0, 1, 1, 2, 3]) } else { 0 } {
        objects.push(paint_shape(&mut canvas, &palette, draws));
    }
    if draws.chance(0.3 * hard) {
        paint_spots(&mut canvas, &palette, draws);
    }
    let grain = (contrast * draws.within(0.02, 0.45)).min(28.0) * (0.3 + 0.7 * hard);
    let lines = LineStyle {
        contrast,
        brighter: !draws.chance(0.5 * hard),
        mixed: draws.chance(0.25 * hard),
        ink: draws.chance(0.3),
    };
    for _ in 0..*draws.pick(&[1, 1, 2, 2, 3]) {
        paint_lines(&mut canvas, &palette, &lines, draws, &mut objects);
    }
    if draws.chance(0.15 * hard) {
        objects.push(paint_shape(&mut canvas, &palette, draws));
    }
    if draws.chance(0.2 * hard) {
        let footprint = shapes::surround(&mut canvas, draws);
        let level = draws.within(0.0, 25.0);
        canvas.paint(&footprint, 1.0, |_| [level; 3]);
        objects.push(Object { footprint, role: Role::Cover });
    }
    texture::blur(&mut canvas, draws.within(0.0, 1.1));
    let speckle = if draws.chance(0.3 * hard) { draws.within(0.02, 0.2) * (contrast / 60.0).min(1.0) } else { 0.0 };
    texture::expose(&mut canvas, grain, speckle, draws);
    finish(canvas, &objects, draws)
}

/// Works out what is visible and chooses the object to ask for.
fn finish(canvas: Canvas, objects: &[Object], draws: &mut Draws) -> Option<Scene> {
    let size = canvas.size;
    let mut lines = vec![0u8; size * size];
    for object in objects {
        // A shape painted later hides the lines under it; a line painted later lies on top.
        object.footprint.mask.iter().for_each(|&index| lines[index as usize] = u8::from(object.role == Role::Line));
    }
    let covered = lines.iter().filter(|&&value| value == 1).count();
    if covered < SMALLEST_TARGET || covered > size * size * 45 / 100 {
        return None;
    }
    let visible = |position: usize| {
        let object = &objects[position];
        let mut mask = vec![0u8; size * size];
        object.footprint.mask.iter().for_each(|&index| mask[index as usize] = 1);
        // Lines are thin: where they cross an object it stays one object. Later shapes hide what they cover.
        for later in objects[position + 1..].iter().filter(|later| later.role != Role::Line) {
            later.footprint.mask.iter().for_each(|&index| mask[index as usize] = 0);
        }
        mask
    };
    let choices: Vec<usize> = (0..objects.len())
        .filter(|&position| objects[position].role != Role::Cover)
        .filter(|&position| objects[position].footprint.mask.len() >= SMALLEST_TARGET)
        .collect();
    if choices.is_empty() {
        return None;
    }
    for _ in 0..4 {
        let mask = visible(*draws.pick(&choices));
        let inside: Vec<usize> = (0..mask.len()).filter(|&index| mask[index] == 1).collect();
        if inside.len() >= SMALLEST_TARGET {
            let index = *draws.pick(&inside);
            let point = [(index % size) as f32, (index / size) as f32];
            let bounds = loose_box(&inside, size, draws);
            let Canvas { planes, .. } = canvas;
            return Some(Scene { size, planes, lines, target: SceneTarget { point, bounds, mask } });
        }
    }
    None
}

/// The bounding box of some pixels, each side moved a little, as a hurried hand would draw it.
fn loose_box(inside: &[usize], size: usize, draws: &mut Draws) -> [f32; 4] {
    let (mut left, mut top, mut right, mut bottom) = (size, size, 0, 0);
    for index in inside {
        let (x, y) = (index % size, index / size);
        (left, top, right, bottom) = (left.min(x), top.min(y), right.max(x + 1), bottom.max(y + 1));
    }
    let play = |side: usize, draws: &mut Draws| (0.05 * side as f32 + 1.0) * draws.normal().clamp(-1.5, 1.5);
    let (width, height) = (right - left, bottom - top);
    let limit = size as f32;
    let x0 = (left as f32 + play(width, draws)).clamp(0.0, limit - 1.0);
    let y0 = (top as f32 + play(height, draws)).clamp(0.0, limit - 1.0);
    let x1 = (right as f32 + play(width, draws)).clamp(x0 + 1.0, limit);
    let y1 = (bottom as f32 + play(height, draws)).clamp(y0 + 1.0, limit);
    [x0, y0, x1, y1]
}

/// The colours of a scene: half of the scenes are grey, the others lean to a random hue.
struct Palette {
    background: [f32; 3],
    hue: [f32; 3],
}

impl Palette {
    fn new(hard: f32, draws: &mut Draws) -> Self {
        let level = draws.within(25.0, 75.0 + 140.0 * hard);
        let grey = !draws.chance(0.5 * hard);
        let mut tint = |spread: f32| {
            if grey { [1.0; 3] } else { [0; 3].map(|_| 1.0 + spread * draws.within(-1.0, 1.0)) }
        };
        let (background, hue) = (tint(0.5), tint(0.6));
        Self { background: background.map(|value| level * value), hue }
    }

    /// A difference of `amount` grey levels, in this scene's hue.
    fn shift(&self, amount: f32) -> [f32; 3] {
        self.hue.map(|value| value * amount)
    }
}

fn paint_shape(canvas: &mut Canvas, palette: &Palette, draws: &mut Draws) -> Object {
    let footprint = shapes::shape(canvas, draws);
    let change = draws.within(15.0, 90.0) * if draws.chance(0.5) { 1.0 } else { -1.0 };
    let level = palette.background.map(|value| value + change * draws.within(0.7, 1.3));
    if draws.chance(0.5) {
        let cloth = texture::texture(canvas.size, draws);
        let depth = draws.within(0.0, 25.0);
        canvas.paint(&footprint, draws.within(0.6, 1.0), |index| level.map(|value| value + depth * cloth[index]));
    } else {
        canvas.paint(&footprint, draws.within(0.35, 1.0), |_| level);
    }
    Object { footprint, role: Role::Shape }
}

fn paint_spots(canvas: &mut Canvas, palette: &Palette, draws: &mut Draws) {
    for _ in 0..draws.count(2, 25) {
        let radius = draws.within(0.8, 3.5);
        let footprint = shapes::spot(canvas, radius, draws);
        let amount = draws.within(20.0, 90.0) * if draws.chance(0.5) { 1.0 } else { -1.0 };
        canvas.add(&footprint, palette.shift(amount));
    }
}

/// What the lines of one scene share.
struct LineStyle {
    /// Grey levels between a line and what lies behind it.
    contrast: f32,
    /// Brighter or darker than what lies behind.
    brighter: bool,
    /// Whether single lines may have the other polarity.
    mixed: bool,
    /// Whether lines replace what lies behind (ink) or add to it (light, shadow).
    ink: bool,
}

fn paint_lines(
    canvas: &mut Canvas,
    palette: &Palette,
    style: &LineStyle,
    draws: &mut Draws,
    objects: &mut Vec<Object>,
) {
    let size = canvas.size as f32;
    // Widths grow slower than the picture: detail is what a larger picture is for.
    let width = draws.log_within(0.9, 5.0) * (size / 128.0).sqrt();
    let profile = *draws.pick(&[Profile::Flat, Profile::Flat, Profile::Round, Profile::Round, Profile::Hollow]);
    let mut footprints = Vec::new();
    if draws.chance(0.12) {
        footprints.push(shapes::cells(canvas, width.min(3.0), draws));
    } else {
        let family = *draws.pick(&[Family::ALL.as_slice(), &[Family::Smooth, Family::Smooth, Family::Hairs]].concat());
        let strokes: Vec<Footprint> = family
            .courses(size, draws)
            .into_iter()
            .map(|course| {
                let vertices = dress(&course, width * draws.log_within(0.7, 1.4), draws);
                canvas.stroke(&vertices, profile)
            })
            .collect();
        if family.is_one_object() { footprints.push(merge(strokes)) } else { footprints.extend(strokes) }
    }
    for footprint in footprints {
        let brighter = if style.mixed { draws.chance(0.5) } else { style.brighter };
        let amount = style.contrast * draws.within(0.75, 1.25) * if brighter { 1.0 } else { -1.0 };
        let shift = palette.shift(amount);
        if style.ink {
            let background = palette.background;
            canvas.paint(&footprint, 0.9, |_| [0, 1, 2].map(|plane| background[plane] + shift[plane]));
        } else {
            canvas.add(&footprint, shift);
        }
        objects.push(Object { footprint, role: Role::Line });
    }
}

/// Gives a course its width and strength: constant, drifting, or thinning to one end.
fn dress(course: &[Point], width: f32, draws: &mut Draws) -> Vec<Vertex> {
    let last = (course.len() - 1).max(1) as f32;
    let taper = if draws.chance(0.35) { draws.within(0.3, 0.9) } else { 0.0 };
    let (swell, fade) = (draws.within(0.0, 0.25), if draws.chance(0.3) { draws.within(0.0, 0.55) } else { 0.0 });
    let (waves, phase) = (draws.within(1.0, 5.0), draws.within(0.0, 6.0));
    course
        .iter()
        .enumerate()
        .map(|(index, &at)| {
            let part = index as f32 / last;
            let beat = (waves * part * 6.0 + phase).sin();
            Vertex {
                at,
                half_width: (width / 2.0 * (1.0 - taper * part) * (1.0 + swell * beat)).max(0.3),
                strength: 1.0 - fade * (0.5 + 0.5 * beat),
            }
        })
        .collect()
}

fn merge(strokes: Vec<Footprint>) -> Footprint {
    let mut coverage: std::collections::BTreeMap<u32, f32> = std::collections::BTreeMap::new();
    let mut mask = std::collections::BTreeSet::new();
    for stroke in strokes {
        for (index, value) in stroke.coverage {
            let entry = coverage.entry(index).or_default();
            *entry = entry.max(value);
        }
        mask.extend(stroke.mask);
    }
    Footprint { coverage: coverage.into_iter().collect(), mask: mask.into_iter().collect() }
}

#[cfg(test)]
mod tests {
    use super::Scene;

    #[test]
    fn scenes_differ_by_index_seed_and_size() {
        let scene = Scene::generate(1, 2, 64, 1.0);
        assert_ne!(scene.planes, Scene::generate(1, 3, 64, 1.0).planes);
        assert_ne!(scene.planes, Scene::generate(2, 2, 64, 1.0).planes);
        assert_eq!(Scene::generate(1, 2, 96, 1.0).lines.len(), 96 * 96);
    }

    #[test]
    fn targets_and_prompts_agree() {
        let mut share = 0.0;
        for index in 0..200 {
            let Scene { lines, target, .. } = Scene::generate(11, index, 64, 1.0);
            let inside: Vec<usize> = (0..target.mask.len()).filter(|&i| target.mask[i] == 1).collect();
            assert!(inside.len() >= super::SMALLEST_TARGET);
            let [x, y] = target.point;
            assert!(inside.contains(&(y as usize * 64 + x as usize)), "scene {index}: the point misses its object");
            let [left, top, right, bottom] = target.bounds;
            assert!(0.0 <= left && left < right && right <= 64.0 && 0.0 <= top && top < bottom && bottom <= 64.0);
            // The play is at most 1.5 times (5 % of the side + 1 px), so most of the object lies in its box.
            let boxed = inside.iter().filter(|&&i| {
                let (x, y) = ((i % 64) as f32 + 0.5, (i / 64) as f32 + 0.5);
                (left - 7.0..right + 7.0).contains(&x) && (top - 7.0..bottom + 7.0).contains(&y)
            });
            assert_eq!(boxed.count(), inside.len(), "scene {index}: the box misses its object");
            share += lines.iter().map(|&value| f64::from(value)).sum::<f64>() / (64.0 * 64.0) / 200.0;
        }
        assert!((0.04..0.3).contains(&share), "lines cover {share:.3} of the pixels");
    }

    /// The bits of one scene, so that a change of the generator cannot pass unseen: shipped weights name the scenes they saw.
    #[test]
    fn the_generator_has_not_changed() {
        let scene = Scene::generate(0, 0, 64, 1.0);
        let sum: f64 = scene.planes.iter().flatten().map(|&value| f64::from(value)).sum();
        let lines: u32 = scene.lines.iter().map(|&value| u32::from(value)).sum();
        assert_eq!((sum, lines), (702_628.0, 321));
    }
}
