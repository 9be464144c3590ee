//! The canvas: three planes of grey values in which strokes and shapes are painted with anti-aliased coverage, while each
//! object's own pixels are remembered exactly.

/// A point in pixels; (0, 0) is the outer corner of the first pixel, whose centre is (0.5, 0.5).
pub(crate) type Point = (f32, f32);

/// What one object covers: how strongly it colours each pixel, and which pixels belong to it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Footprint {
    /// (pixel index, coverage in (0, 1]), without repeats, in ascending order.
    pub(crate) coverage: Vec<(u32, f32)>,
    /// Pixel indices of the object's mask, in ascending order.
    pub(crate) mask: Vec<u32>,
}

/// A vertex of a stroke: where, how wide (half of the width, in pixels), how strong (0 to 1).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Vertex {
    pub(crate) at: Point,
    pub(crate) half_width: f32,
    pub(crate) strength: f32,
}

/// The cross-section of a stroke.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    /// Full strength up to the edge, as ink on paper.
    Flat,
    /// Strongest in the middle, as a cylinder under projection.
    Round,
    /// Weaker in the middle, as a shiny wire.
    Hollow,
}

/// A square image of `size` x `size` pixels with values of about 0 to 255 in three planes (red, green, blue).
#[derive(Debug, Clone)]
pub(crate) struct Canvas {
    pub(crate) size: usize,
    pub(crate) planes: [Vec<f32>; 3],
    scratch: Vec<f32>,
    inside: Vec<bool>,
}

impl Canvas {
    /// A canvas of one colour.
    pub(crate) fn new(size: usize, colour: [f32; 3]) -> Self {
        let area = size * size;
        Self {
            size,
            planes: colour.map(|value| vec![value; area]),
            scratch: vec![0.0; area],
            inside: vec![false; area],
        }
    }

    /// The footprint of a stroke through `vertices` (at least two). A pixel belongs to the mask if its centre lies within the
    /// stroke; strokes thinner than a pixel keep a mask one pixel wide.
    pub(crate) fn stroke(&mut self, vertices: &[Vertex], profile: Profile) -> Footprint {
        let mut touched: Vec<u32> = Vec::new();
        for pair in vertices.windows(2) {
            let ((ax, ay), (bx, by)) = (pair[0].at, pair[1].at);
            let reach = pair[0].half_width.max(pair[1].half_width).max(0.5) + 1.0;
            let Some((columns, rows)) =
                self.window(ax.min(bx) - reach, ay.min(by) - reach, ax.max(bx) + reach, ay.max(by) + reach)
            else {
                continue;
            };
            let (dx, dy) = (bx - ax, by - ay);
            let length2 = (dx * dx + dy * dy).max(1e-12);
            for row in rows {
                for column in columns.clone() {
                    let (x, y) = (column as f32 + 0.5 - ax, row as f32 + 0.5 - ay);
                    let along = ((x * dx + y * dy) / length2).clamp(0.0, 1.0);
                    let (ox, oy) = (x - along * dx, y - along * dy);
                    let distance = (ox * ox + oy * oy).sqrt();
                    let half = pair[0].half_width + along * (pair[1].half_width - pair[0].half_width);
                    let strength = pair[0].strength + along * (pair[1].strength - pair[0].strength);
                    let edge = (half + 0.5 - distance).clamp(0.0, 1.0) * (2.0 * half).min(1.0);
                    if edge <= 0.0 {
                        continue;
                    }
                    let relative = (distance / half.max(0.5)).min(1.0);
                    let shape = match profile {
                        Profile::Flat => 1.0,
                        Profile::Round => (1.0 - 0.75 * relative * relative).max(0.0),
                        Profile::Hollow => 0.45 + 0.55 * relative,
                    };
                    let index = row * self.size + column;
                    if self.scratch[index] == 0.0 {
                        touched.push(index as u32);
                    }
                    self.scratch[index] = self.scratch[index].max(edge * shape * strength);
                    if distance <= half.max(0.5) {
                        self.inside[index] = true;
                    }
                }
            }
        }
        self.collect(touched)
    }

    /// The footprint of a region given by a signed distance in pixels (negative inside), evaluated at pixel centres within the
    /// bounds (left, top, right, bottom). `softness` is the width of the edge in pixels.
    pub(crate) fn region(
        &mut self,
        bounds: (f32, f32, f32, f32),
        softness: f32,
        signed_distance: impl Fn(f32, f32) -> f32,
    ) -> Footprint {
        let mut touched = Vec::new();
        let margin = softness + 1.0;
        let window = self.window(bounds.0 - margin, bounds.1 - margin, bounds.2 + margin, bounds.3 + margin);
        if let Some((columns, rows)) = window {
            for row in rows {
                for column in columns.clone() {
                    let distance = signed_distance(column as f32 + 0.5, row as f32 + 0.5);
                    let coverage = (0.5 - distance / softness.max(1.0)).clamp(0.0, 1.0);
                    if coverage > 0.0 {
                        let index = row * self.size + column;
                        touched.push(index as u32);
                        self.scratch[index] = coverage;
                        self.inside[index] = distance <= 0.0;
                    }
                }
            }
        }
        self.collect(touched)
    }

    /// Pulls every covered pixel towards `colour(pixel index)`, by coverage times `opacity`.
    pub(crate) fn paint(&mut self, footprint: &Footprint, opacity: f32, colour: impl Fn(usize) -> [f32; 3]) {
        for &(index, coverage) in &footprint.coverage {
            let index = index as usize;
            let target = colour(index);
            for (plane, value) in self.planes.iter_mut().zip(target) {
                plane[index] += coverage * opacity * (value - plane[index]);
            }
        }
    }

    /// Adds coverage times `amount` to every covered pixel: the texture underneath stays visible.
    pub(crate) fn add(&mut self, footprint: &Footprint, amount: [f32; 3]) {
        for &(index, coverage) in &footprint.coverage {
            for (plane, value) in self.planes.iter_mut().zip(amount) {
                plane[index as usize] += coverage * value;
            }
        }
    }

    /// Adds `depth` times a field of one value per pixel to all planes.
    pub(crate) fn shade(&mut self, field: &[f32], depth: f32) {
        for plane in &mut self.planes {
            plane.iter_mut().zip(field).for_each(|(value, offset)| *value += depth * offset);
        }
    }

    /// Columns and rows of the pixels whose centres may lie in the rectangle, or nothing where it misses the canvas.
    fn window(
        &self,
        left: f32,
        top: f32,
        right: f32,
        bottom: f32,
    ) -> Option<(std::ops::Range<usize>, std::ops::Range<usize>)> {
        let limit = self.size as f32;
        if !(right > 0.0 && bottom > 0.0 && left < limit && top < limit) {
            return None;
        }
        let first = |value: f32| value.max(0.0).floor() as usize;
        let last = |value: f32| (value.min(limit).ceil() as usize).min(self.size);
        Some((first(left)..last(right), first(top)..last(bottom)))
    }

    fn collect(&mut self, mut touched: Vec<u32>) -> Footprint {
        touched.sort_unstable();
        let mut footprint = Footprint::default();
        for index in touched {
            let at = index as usize;
            footprint.coverage.push((index, self.scratch[at]));
            if self.inside[at] {
                footprint.mask.push(index);
            }
            self.scratch[at] = 0.0;
            self.inside[at] = false;
        }
        footprint
    }
}

#[cfg(test)]
mod tests {
    use super::{Canvas, Profile, Vertex};

    fn vertex(x: f32, y: f32, half_width: f32) -> Vertex {
        Vertex { at: (x, y), half_width, strength: 1.0 }
    }

    #[test]
    fn a_horizontal_stroke_covers_its_rows_only() {
        let mut canvas = Canvas::new(16, [0.0; 3]);
        let footprint = canvas.stroke(&[vertex(-5.0, 8.0, 1.0), vertex(20.0, 8.0, 1.0)], Profile::Flat);
        let rows: Vec<u32> = footprint.mask.iter().map(|index| index / 16).collect();
        assert_eq!(footprint.mask.len(), 32);
        assert!(rows.iter().all(|&row| row == 7 || row == 8));
        canvas.add(&footprint, [10.0, 0.0, 0.0]);
        assert_eq!(canvas.planes[0][7 * 16 + 3], 10.0);
        assert_eq!(canvas.planes[0][3 * 16 + 3], 0.0);
    }

    #[test]
    fn a_hairline_keeps_a_mask_without_gaps_and_is_fainter() {
        let mut canvas = Canvas::new(16, [0.0; 3]);
        let footprint = canvas.stroke(&[vertex(0.0, 8.5, 0.25), vertex(16.0, 8.5, 0.25)], Profile::Flat);
        assert_eq!(footprint.mask, (8 * 16..9 * 16).collect::<Vec<u32>>());
        assert!(footprint.coverage.iter().all(|&(_, coverage)| coverage <= 0.5));
    }

    #[test]
    fn what_lies_outside_is_ignored() {
        let mut canvas = Canvas::new(8, [0.0; 3]);
        let footprint = canvas.stroke(&[vertex(-50.0, -50.0, 2.0), vertex(-40.0, -60.0, 2.0)], Profile::Round);
        assert!(footprint.coverage.is_empty() && footprint.mask.is_empty());
        let disc = canvas.region((20.0, 20.0, 30.0, 30.0), 1.0, |_, _| -1.0);
        assert!(disc.mask.is_empty());
    }
}
