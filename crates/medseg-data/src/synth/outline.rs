//! Outlines of masks as polygons that fill back to the same pixels.

use medseg_metrics::Mask;
use std::collections::BTreeMap;

/// The corners of a polygon: x and y in pixels.
type Corners = Vec<(f64, f64)>;

/// Polygons along pixel borders whose union, filled by [`fill_polygon`](crate::coco::fill_polygon), is exactly `mask`.
///
/// COCO polygons cannot have holes: a region with a hole is cut into a left and a right part through the hole.
pub fn outlines(mask: &Mask) -> Vec<Corners> {
    let mut out = Vec::new();
    let mut waiting = split(mask.pixels().map(|(row, column)| (column, row)).collect());
    while let Some(region) = waiting.pop() {
        match trace(&region) {
            Traced::Polygon(points) => out.push(points),
            Traced::Hole(column) => {
                let (left, right): (Vec<_>, Vec<_>) = region.into_iter().partition(|p| p.0 <= column);
                waiting.extend(split(left));
                waiting.extend(split(right));
            }
        }
    }
    out.sort_by(|a, b| a[0].1.total_cmp(&b[0].1).then(a[0].0.total_cmp(&b[0].0)));
    out
}

/// Splits a set of pixels (x, y) into its 4-connected regions.
fn split(pixels: Vec<(usize, usize)>) -> Vec<Vec<(usize, usize)>> {
    let mut left: std::collections::BTreeSet<(usize, usize)> = pixels.into_iter().collect();
    let mut regions = Vec::new();
    while let Some(first) = left.pop_first() {
        let (mut region, mut next) = (Vec::new(), vec![first]);
        while let Some((x, y)) = next.pop() {
            region.push((x, y));
            let around = [(x + 1, y), (x.wrapping_sub(1), y), (x, y + 1), (x, y.wrapping_sub(1))];
            next.extend(around.into_iter().filter(|p| left.remove(p)));
        }
        regions.push(region);
    }
    regions
}

enum Traced {
    Polygon(Corners),
    /// A column of pixels left of or through a hole.
    Hole(usize),
}

/// Directions in clockwise order: right, down, left, up.
const STEPS: [(i64, i64); 4] = [(1, 0), (0, 1), (-1, 0), (0, -1)];

/// Walks around a 4-connected region with the region on the right hand. Where two pixels meet at a corner only, the walk turns
/// right, which keeps it on its own pixel.
fn trace(region: &[(usize, usize)]) -> Traced {
    let inside: std::collections::HashSet<(i64, i64)> = region.iter().map(|&(x, y)| (x as i64, y as i64)).collect();
    let mut edges: BTreeMap<(i64, i64), [bool; 4]> = BTreeMap::new();
    for &(x, y) in &inside {
        let sides = [
            ((x, y - 1), (x, y), 0),
            ((x + 1, y), (x + 1, y), 1),
            ((x, y + 1), (x + 1, y + 1), 2),
            ((x - 1, y), (x, y + 1), 3),
        ];
        for (neighbour, start, direction) in sides {
            if !inside.contains(&neighbour) {
                edges.entry(start).or_default()[direction] = true;
            }
        }
    }
    // The outer border passes through the topmost of the leftmost corners.
    let Some((&start, _)) = edges.first_key_value() else { return Traced::Polygon(Vec::new()) };
    let (mut at, mut direction, mut points) = (start, 3usize, Vec::new());
    loop {
        let turns = [(direction + 1) % 4, direction, (direction + 3) % 4];
        let Some(taken) = edges.get_mut(&at).and_then(|out| {
            let taken = turns.into_iter().find(|&d| out[d])?;
            out[taken] = false;
            Some(taken)
        }) else {
            break;
        };
        if taken != direction || points.is_empty() {
            points.push((at.0 as f64, at.1 as f64));
        }
        direction = taken;
        at = (at.0 + STEPS[taken].0, at.1 + STEPS[taken].1);
    }
    // Corners are ordered by x first: an edge that is left over belongs to a hole, whose leftmost corner comes first.
    match edges.iter().find(|(_, out)| out.contains(&true)) {
        Some((&(x, _), _)) => Traced::Hole(x.max(0) as usize),
        None => Traced::Polygon(points),
    }
}
