//! Surfaces of a mask, found 64 pixels at a time.

use crate::Mask;
use crate::words::{left_neighbours, right_neighbours};

/// The row above or below, which is background beyond the image.
fn row_or_blank<'a>(mask: &'a Mask, row: Option<usize>, blank: &'a [u64]) -> &'a [u64] {
    row.filter(|&r| r < mask.height()).map_or(blank, |r| mask.row(r))
}

impl Mask {
    /// Surface pixels: foreground with at least one of the four neighbours in the background or outside the image
    /// (mask XOR its erosion by the 3 x 3 cross).
    #[must_use]
    pub fn surface(&self) -> Self {
        let mut surface = Self::blank(self.height(), self.width());
        let blank = vec![0; self.row_words()];
        for r in 0..self.height() {
            let (up, here, down) =
                (row_or_blank(self, r.checked_sub(1), &blank), self.row(r), row_or_blank(self, Some(r + 1), &blank));
            for (w, out) in surface.row_mut(r).iter_mut().enumerate() {
                let inner = up[w] & down[w] & left_neighbours(here, w) & right_neighbours(here, w);
                *out = here[w] & !inner;
            }
        }
        surface
    }

    /// Surface pixels when everything outside the image counts as inside the mask: pixels at the image edge are surface
    /// only if a neighbour within the image is background.
    #[must_use]
    pub fn surface_with_open_border(&self) -> Self {
        let mut surface = Self::blank(self.height(), self.width());
        let (full, last) = (vec![u64::MAX; self.row_words()], (self.width() - 1) % 64);
        for r in 0..self.height() {
            let (up, here, down) =
                (row_or_blank(self, r.checked_sub(1), &full), self.row(r), row_or_blank(self, Some(r + 1), &full));
            let final_word = here.len() - 1;
            for (w, out) in surface.row_mut(r).iter_mut().enumerate() {
                let left = left_neighbours(here, w) | u64::from(w == 0);
                let right = right_neighbours(here, w) | u64::from(w == final_word) << last;
                *out = here[w] & !(up[w] & down[w] & left & right);
            }
        }
        surface
    }
}

/// Contour elements between pixels, on the lattice of pixel corners: corner (i, j) touches the pixels (i-1, j-1),
/// (i-1, j), (i, j-1) and (i, j), and carries an element when some but not all of them are foreground.
pub(crate) struct Contour {
    /// Corners that carry an element: (height + 1) x (width + 1).
    pub(crate) elements: Mask,
    /// Elements that run along the row direction of the image (two upper or two lower pixels set).
    horizontal: Mask,
    /// Elements that run along the column direction.
    vertical: Mask,
    /// Corners with two pixels set across the diagonal: two diagonal elements.
    double: Mask,
}

/// Kinds of contour element, each with one length; the rest cut one corner diagonally.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Element {
    Diagonal,
    Horizontal,
    Vertical,
    DoubleDiagonal,
}

impl Contour {
    pub(crate) fn new(mask: &Mask) -> Self {
        let blank = || Mask::blank(mask.height() + 1, mask.width() + 1);
        let mut contour = Self { elements: blank(), horizontal: blank(), vertical: blank(), double: blank() };
        let words = contour.elements.row_words();
        // One spare word, so that a corner right of the last column reads background.
        let padded = |row: Option<usize>| {
            let mut copy = vec![0; words];
            if let Some(source) = row.filter(|&r| r < mask.height()) {
                copy[..mask.row_words()].copy_from_slice(mask.row(source));
            }
            copy
        };
        let mut upper = padded(None);
        for i in 0..=mask.height() {
            let lower = padded(Some(i));
            for w in 0..words {
                let (north_west, north_east) = (left_neighbours(&upper, w), upper[w]);
                let (south_west, south_east) = (left_neighbours(&lower, w), lower[w]);
                let (upper_differ, lower_differ) = (north_west ^ north_east, south_west ^ south_east);
                let (left_differ, right_differ) = (north_west ^ south_west, north_east ^ south_east);
                let elements = upper_differ | lower_differ | left_differ;
                if elements != 0 {
                    contour.elements.row_mut(i)[w] = elements;
                    contour.horizontal.row_mut(i)[w] = !(upper_differ | lower_differ) & left_differ;
                    contour.vertical.row_mut(i)[w] = !(left_differ | right_differ) & upper_differ;
                    contour.double.row_mut(i)[w] = upper_differ & lower_differ & left_differ & right_differ;
                }
            }
            upper = lower;
        }
        contour
    }

    /// Kind of the element at `bit` of word `word` of row `row`.
    pub(crate) fn element(&self, row: usize, word: usize, bit: usize) -> Element {
        let set = |plane: &Mask| plane.row(row)[word] >> bit & 1 == 1;
        if set(&self.horizontal) {
            Element::Horizontal
        } else if set(&self.vertical) {
            Element::Vertical
        } else if set(&self.double) {
            Element::DoubleDiagonal
        } else {
            Element::Diagonal
        }
    }
}
