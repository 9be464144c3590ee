//! Polygon filling with the pixel rule of the COCO API.
//!
//! The rule: coordinates are scaled by 5 and rounded; each edge is walked as a digital line; where the walk crosses from one
//! fine column to the next at the middle of a pixel column, the (rounded up) row at which it crosses toggles inside and
//! outside, read column by column. Filling in this way is the one under which published COCO areas are defined.

use crate::error::Result;
use medseg_metrics::Mask;

const SCALE: f64 = 5.0;
/// An outline may be this many times as long as the image has pixels, and [`SPARE_LENGTH`] longer: more is no outline, and walking along
/// it would take longer than anybody waits.
const LENGTH_PER_PIXEL: f64 = 4.0;
/// In pixels; leaves room for detailed outlines on small images.
const SPARE_LENGTH: f64 = 1e6;

/// Checks a flat list x1, y1, x2, y2, ... and pairs it up.
pub(super) fn check(flat: &[f64], width: usize, height: usize) -> Result<Vec<(f64, f64)>, String> {
    if flat.len() < 6 || flat.len() % 2 == 1 {
        return Err(format!("expected a polygon of at least 3 points (x, y), found {} numbers", flat.len()));
    }
    let points: Vec<(f64, f64)> = flat.chunks_exact(2).map(|p| (p[0], p[1])).collect();
    let (w, h) = (width as f64, height as f64);
    // One image size beyond each border leaves room for sloppy outlines and bounds the walk along an edge.
    let near = |(x, y): &(f64, f64)| *x >= -w && *x <= 2.0 * w && *y >= -h && *y <= 2.0 * h;
    if let Some((x, y)) = points.iter().find(|p| !near(p)) {
        return Err(format!("expected polygon points on or near the {width}x{height} image, found ({x}, {y})"));
    }
    let outside = |beyond: &dyn Fn(&(f64, f64)) -> bool| points.iter().all(beyond);
    if outside(&|p| p.0 < 0.0) || outside(&|p| p.0 > w) || outside(&|p| p.1 < 0.0) || outside(&|p| p.1 > h) {
        let (x, y) = points[0];
        return Err(format!("the polygon at ({x}, {y}) lies outside the {width}x{height} image"));
    }
    let most = LENGTH_PER_PIXEL * w * h + SPARE_LENGTH;
    let length: f64 = edges(&points).map(|(a, b)| (a.0 - b.0).abs().max((a.1 - b.1).abs())).sum();
    if length > most {
        return Err(format!(
            "expected an outline of at most {most} px on a {width}x{height} image, found one of {length:.0} px"
        ));
    }
    Ok(points)
}

/// Each point with the next, the last with the first.
fn edges<T: Copy>(points: &[T]) -> impl Iterator<Item = (T, T)> + '_ {
    points.iter().enumerate().map(|(i, &point)| (point, points[(i + 1) % points.len()]))
}

/// Fills one polygon on a `width` x `height` grid; parts beyond the grid are cut off. Pixels enclosed twice are outside
/// (even-odd rule), as in the COCO API.
///
/// Points that are not finite, or farther than a million pixels away, fill nothing: [`Coco`](super::Coco) refuses them long
/// before, and says so.
///
/// # Errors
/// [`DataError::MaskSize`](crate::DataError::MaskSize) for a side of 0 or longer than [`Mask::MAX_SIDE`].
pub fn fill_polygon(points: &[(f64, f64)], width: usize, height: usize) -> Result<Mask> {
    let mut mask = Mask::new(height, width)?;
    if points.len() < 3 || points.iter().any(|p| !(p.0.abs() < 1e6 && p.1.abs() < 1e6)) {
        return Ok(mask);
    }
    let fine: Vec<(i64, i64)> =
        points.iter().map(|p| ((SCALE * p.0 + 0.5) as i64, (SCALE * p.1 + 0.5) as i64)).collect();
    let mut toggles = Toggles::new(&fine, width, height);
    let mut previous: Option<(i64, i64)> = None;
    for (start, end) in edges(&fine) {
        walk(start, end, |u, v| {
            if let Some((pu, pv)) = previous
                && let Some(position) = crossing((pu, pv), (u, v), width, height)
            {
                toggles.flip(position);
            }
            previous = Some((u, v));
        });
    }
    toggles.each_inside(|position| mask.insert(position % height, position / height));
    Ok(mask)
}

/// Positions, counted down the columns, at which inside becomes outside and the reverse: a bit each, over the columns that the polygon
/// reaches. Two at one position cancel. However often an outline crosses a column, the memory is that of its mask.
struct Toggles {
    bits: Vec<u64>,
    /// The first position of the first column.
    start: usize,
    /// One past the last position of the image.
    end: usize,
}

impl Toggles {
    /// For an outline of these vertices (in fifths of a pixel).
    fn new(fine: &[(i64, i64)], width: usize, height: usize) -> Self {
        let column = |u: i64| (u / SCALE as i64).clamp(0, width as i64 - 1) as usize;
        let first = fine.iter().map(|point| column(point.0)).min().unwrap_or(0).saturating_sub(1);
        let last = fine.iter().map(|point| column(point.0)).max().unwrap_or(0);
        let (start, columns) = (first * height, last + 1 - first);
        // A toggle may lie just behind the last row of the last column.
        Self { bits: vec![0; columns * height / 64 + 1], start, end: width * height }
    }

    fn flip(&mut self, position: usize) {
        let at = position - self.start;
        self.bits[at / 64] ^= 1 << (at % 64);
    }

    /// The positions that an odd number of toggles lies at or before.
    fn each_inside(&self, mut visit: impl FnMut(usize)) {
        let mut opened: Option<usize> = None;
        for (index, &word) in self.bits.iter().enumerate() {
            let mut word = word;
            while word != 0 {
                let at = self.start + 64 * index + word.trailing_zeros() as usize;
                word &= word - 1;
                match opened.take() {
                    Some(from) => (from..at).for_each(&mut visit),
                    None => opened = Some(at),
                }
            }
        }
        if let Some(from) = opened {
            (from..self.end).for_each(visit);
        }
    }
}

/// Visits the points of the digital line between two vertices, both included, from `start` to `end`.
fn walk(start: (i64, i64), end: (i64, i64), mut visit: impl FnMut(i64, i64)) {
    let (dx, dy) = ((end.0 - start.0).abs(), (end.1 - start.1).abs());
    if dx == 0 && dy == 0 {
        return;
    }
    let steep = dx < dy;
    // The slope is always taken from the lower to the higher end of the longer axis: rounding must not depend on direction.
    let flip = if steep { start.1 > end.1 } else { start.0 > end.0 };
    let (low, high) = if flip { (end, start) } else { (start, end) };
    let length = dx.max(dy);
    let slope = if steep { (high.0 - low.0) as f64 / length as f64 } else { (high.1 - low.1) as f64 / length as f64 };
    for step in 0..=length {
        let t = if flip { length - step } else { step };
        let across = |origin: i64| (origin as f64 + slope * t as f64 + 0.5) as i64;
        if steep {
            visit(across(low.0), low.1 + t);
        } else {
            visit(low.0 + t, across(low.1));
        }
    }
}

/// The position, counted down the columns, at which a step of the walk toggles inside and outside, if it does.
fn crossing(from: (i64, i64), to: (i64, i64), width: usize, height: usize) -> Option<usize> {
    if from.0 == to.0 {
        return None;
    }
    let column = if to.0 < from.0 { to.0 } else { to.0 - 1 };
    let column = (column as f64 + 0.5) / SCALE - 0.5;
    if column.floor() != column || column < 0.0 || column > (width - 1) as f64 {
        return None;
    }
    let row = (from.1.min(to.1) as f64 + 0.5) / SCALE - 0.5;
    let row = row.clamp(0.0, height as f64).ceil();
    Some(column as usize * height + row as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rectangle_on_the_grid_fills_its_pixels() {
        let mask = fill_polygon(&[(2.0, 3.0), (7.0, 3.0), (7.0, 5.0), (2.0, 5.0)], 10, 8).unwrap();
        assert_eq!(mask.count(), 10);
        for y in 0..8 {
            for x in 0..10 {
                assert_eq!(mask.get(y, x), (2..7).contains(&x) && (3..5).contains(&y), "({x}, {y})");
            }
        }
    }

    /// A path over the image to and fro: every pixel column is crossed as often as there are lines.
    #[test]
    fn threat_an_outline_that_crosses_every_column_often_takes_the_memory_of_its_mask() {
        let side = 2000.0;
        let line = |n: usize| [(0.0, n as f64 / 20.0), (side, n as f64 / 20.0)];
        let lines: Vec<(f64, f64)> =
            (0..8000).flat_map(|n| if n % 2 == 0 { line(n) } else { line(n).map(|(x, y)| (side - x, y)) }).collect();
        // Sixteen million crossings; as numbers in a list they would take 128 MB, as bits half a megabyte.
        let fine: Vec<(i64, i64)> = lines.iter().map(|p| ((SCALE * p.0) as i64, (SCALE * p.1) as i64)).collect();
        assert!(Toggles::new(&fine, 2000, 2000).bits.len() * 8 <= 2000 * 2000 / 8 + 8);
        assert!(fill_polygon(&lines, 2000, 2000).unwrap().count() <= 4_000_000);
        let flat: Vec<f64> = lines.iter().flat_map(|p| [p.0, p.1]).collect();
        check(&flat, 2000, 2000).unwrap();
        let longer = flat.repeat(2);
        let reason = check(&longer, 2000, 2000).unwrap_err();
        assert!(reason.contains("outline of at most 17000000 px"), "{reason}");
    }

    #[test]
    fn what_lies_beyond_the_image_is_cut_off() {
        let mask = fill_polygon(&[(-5.0, -5.0), (4.0, -5.0), (4.0, 20.0), (-5.0, 20.0)], 6, 6).unwrap();
        assert_eq!(mask.count(), 24);
    }
}
