//! Polygon filling with the pixel rule of the COCO API.
//!
//! The rule: coordinates are scaled by 5 and rounded; each edge is walked as a digital line; where the walk crosses from one
//! fine column to the next at the middle of a pixel column, the (rounded up) row at which it crosses toggles inside and
//! outside, read column by column. Filling in this way is the one under which published COCO areas are defined.

use crate::error::Result;
use medseg_metrics::Mask;

const SCALE: f64 = 5.0;

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
    Ok(points)
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
    let mut toggles = Vec::new();
    let mut previous: Option<(i64, i64)> = None;
    for (i, &start) in fine.iter().enumerate() {
        walk(start, fine[(i + 1) % fine.len()], |u, v| {
            if let Some((pu, pv)) = previous {
                toggles.extend(crossing((pu, pv), (u, v), width, height));
            }
            previous = Some((u, v));
        });
    }
    toggles.sort_unstable();
    for pair in toggles.chunks(2) {
        let end = pair.get(1).copied().unwrap_or(width * height);
        for position in pair[0]..end {
            mask.insert(position % height, position / height);
        }
    }
    Ok(mask)
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

    #[test]
    fn what_lies_beyond_the_image_is_cut_off() {
        let mask = fill_polygon(&[(-5.0, -5.0), (4.0, -5.0), (4.0, 20.0), (-5.0, 20.0)], 6, 6).unwrap();
        assert_eq!(mask.count(), 24);
    }
}
