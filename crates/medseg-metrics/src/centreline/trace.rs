//! Cuts thin lines into polylines at their ends and branching points.

use crate::Mask;

pub(super) type Pixel = (usize, usize);

/// Numbers the foreground pixels of a mask row by row.
pub(super) struct Numbering<'a> {
    mask: &'a Mask,
    /// Number of the first pixel of every row.
    starts: Vec<usize>,
}

impl<'a> Numbering<'a> {
    pub(super) fn new(mask: &'a Mask) -> Self {
        let mut next = 0;
        let starts = (0..mask.height()).map(|row| {
            let start = next;
            next += mask.row(row).iter().map(|word| word.count_ones() as usize).sum::<usize>();
            start
        });
        Self { mask, starts: starts.collect() }
    }

    pub(super) fn get(&self, (row, column): Pixel) -> Option<usize> {
        if !self.mask.get(row, column) {
            return None;
        }
        let (word, bit) = (column / 64, column % 64);
        let words = self.mask.row(row);
        let before: u32 = words[..word].iter().map(|w| w.count_ones()).sum();
        Some(self.starts[row] + (before + (words[word] & ((1 << bit) - 1)).count_ones()) as usize)
    }
}

/// Pixels that one pixel is linked to, and which of these links were walked. There are never more than four: a corner counts
/// only where neither of its sides does.
#[derive(Clone, Copy, Default)]
struct Links {
    to: [usize; 4],
    count: usize,
    walked: [bool; 4],
}

/// The polylines of `lines`: every pixel is on at least one, every link between neighbouring pixels on exactly one.
///
/// Two pixels are linked when they share a side, or a corner around which no third pixel of the line connects them; without
/// that exception every step of a staircase would look like a branching point.
pub(super) fn polylines(lines: &Mask, numbering: &Numbering<'_>) -> Vec<Vec<Pixel>> {
    let pixels: Vec<Pixel> = lines.pixels().collect();
    let mut links: Vec<Links> = pixels.iter().map(|&pixel| linked(numbering, pixel)).collect();
    let mut found = Vec::new();
    // From ends and branching points first. What is left then has neither: closed loops.
    for loops in [false, true] {
        for start in 0..pixels.len() {
            if links[start].count == 0 && !loops {
                found.push(vec![pixels[start]]);
            }
            if (links[start].count == 2) == loops {
                for slot in 0..links[start].count {
                    if !links[start].walked[slot] {
                        found.push(walk(&mut links, start, slot).into_iter().map(|at| pixels[at]).collect());
                    }
                }
            }
        }
    }
    found
}

/// From `start` along one of its links to the next end or branching point, or back to `start`.
fn walk(links: &mut [Links], start: usize, slot: usize) -> Vec<usize> {
    let mut line = vec![start];
    let (mut here, mut slot) = (start, slot);
    loop {
        let next = links[here].to[slot];
        links[here].walked[slot] = true;
        let back = links[next].to[..links[next].count].iter().position(|&to| to == here);
        if let Some(back) = back {
            links[next].walked[back] = true;
        }
        line.push(next);
        if next == start || links[next].count != 2 {
            return line;
        }
        (here, slot) = (next, if back == Some(0) { 1 } else { 0 });
    }
}

/// Links of one pixel, in a fixed order.
fn linked(numbering: &Numbering<'_>, (row, column): Pixel) -> Links {
    let at = |dr: isize, dc: isize| numbering.get((row.checked_add_signed(dr)?, column.checked_add_signed(dc)?));
    let (up, left, right, down) = (at(-1, 0), at(0, -1), at(0, 1), at(1, 0));
    let corner = |a: Option<usize>, b: Option<usize>, dr, dc| if a.or(b).is_none() { at(dr, dc) } else { None };
    let all = [
        up,
        left,
        right,
        down,
        corner(up, left, -1, -1),
        corner(up, right, -1, 1),
        corner(down, left, 1, -1),
        corner(down, right, 1, 1),
    ];
    let mut links = Links::default();
    for to in all.into_iter().flatten() {
        links.to[links.count] = to;
        links.count += 1;
    }
    links
}
