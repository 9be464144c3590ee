//! Cuts thin lines into polylines at their ends and branching points.

use crate::Mask;
use std::collections::HashSet;

type Pixel = (usize, usize);

/// The polylines of `lines`: every pixel is on at least one, every link between neighbouring pixels on exactly one.
///
/// Two pixels are linked when they share a side, or a corner around which no third pixel of the line connects them; without
/// that exception every step of a staircase would look like a branching point.
pub(super) fn polylines(lines: &Mask) -> Vec<Vec<Pixel>> {
    let mut walked: HashSet<(Pixel, Pixel)> = HashSet::new();
    let mut found = Vec::new();
    let pixels: Vec<Pixel> = lines.pixels().collect();
    for &pixel in &pixels {
        let links = linked(lines, pixel);
        if links.is_empty() {
            found.push(vec![pixel]);
        } else if links.len() != 2 {
            found.extend(links.into_iter().filter_map(|next| walk(lines, pixel, next, &mut walked)));
        }
    }
    // What is left has neither end nor branch: closed loops.
    for &pixel in &pixels {
        if let [next, _] = linked(lines, pixel)[..] {
            found.extend(walk(lines, pixel, next, &mut walked));
        }
    }
    found
}

/// From `start` through `next` to the next end or branching point, or back to `start`; `None` if that link was walked before.
fn walk(lines: &Mask, start: Pixel, next: Pixel, walked: &mut HashSet<(Pixel, Pixel)>) -> Option<Vec<Pixel>> {
    let mut take = |from: Pixel, to: Pixel| walked.insert((from.min(to), from.max(to)));
    if !take(start, next) {
        return None;
    }
    let mut points = vec![start, next];
    let (mut before, mut here) = (start, next);
    while here != start {
        let [a, b] = linked(lines, here)[..] else { break };
        let ahead = if a == before { b } else { a };
        if !take(here, ahead) {
            break;
        }
        points.push(ahead);
        (before, here) = (here, ahead);
    }
    Some(points)
}

/// Pixels linked to `pixel`, in a fixed order.
fn linked(lines: &Mask, (row, column): Pixel) -> Vec<Pixel> {
    let at = |dr: isize, dc: isize| {
        let pixel = (row.checked_add_signed(dr)?, column.checked_add_signed(dc)?);
        lines.get(pixel.0, pixel.1).then_some(pixel)
    };
    let sides = [(-1, 0), (0, -1), (0, 1), (1, 0)].into_iter().filter_map(|(dr, dc)| at(dr, dc));
    let corners = [(-1, -1), (-1, 1), (1, -1), (1, 1)]
        .into_iter()
        .filter(|&(dr, dc)| at(dr, 0).is_none() && at(0, dc).is_none())
        .filter_map(|(dr, dc)| at(dr, dc));
    sides.chain(corners).collect()
}
