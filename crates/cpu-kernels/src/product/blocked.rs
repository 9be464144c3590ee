//! Large products: the right factor is packed once by all threads, the left one by each task for its own rows.
//!
//! Where the left factor has few rows, packing the right one would cost more than it saves, and tiles read it where it is.

use super::{Ending, Start, Target, share};
use crate::Matrix;
use crate::isa::Level;
use crate::pack::pack;
use crate::scratch::Scratch;
use crate::tile::{COLUMNS, Panel, ROWS, Tile, ZEROS, tile};
use rayon::prelude::*;
use std::ops::Range;

/// The longest stretch of the inner dimension that is summed in registers: a left panel of it fits the nearest cache.
const DEPTH: usize = 768;

/// Row panels of a task: its packed rows stay in the second cache, beside as much of the right factor.
const TASK_PANELS: usize = 8;

/// Elements of the right factor that stay in the second cache while the rows of a task pass by.
const RIGHT: usize = 80 << 10;

/// Multiplications that are worth a task.
const TASK: usize = 1 << 18;

/// Rows up to which the right factor is read in place, if its rows have no gaps.
const FEW_ROWS: usize = 64;

/// # Safety
///
/// As [`super::multiply`].
pub(super) unsafe fn multiply(level: Level, a: Matrix, b: Matrix, start: Start, target: Target, ending: Ending) {
    let depth = b.rows();
    let in_place = if is_in_place(b, a.rows()) { b.columns() / COLUMNS } else { 0 };
    let rest = b.part([0, in_place * COLUMNS], [depth, b.columns() - in_place * COLUMNS]);
    let len = packed_len(rest);
    let mut packed = Scratch::new(len);
    let packed = &mut packed.as_mut_slice()[..len];
    pack_right(level, rest, packed);
    let right = Right { depth, columns: b.columns(), in_place: b.part([0, 0], [depth, in_place * COLUMNS]), packed };
    // SAFETY: promised by the caller.
    unsafe { Product { level, a, right, start, target, ending }.compute_by(Threads::All) }
}

/// Whether whole panels of a right factor are read where they are.
fn is_in_place(b: Matrix, rows: usize) -> bool {
    rows <= FEW_ROWS && b.column_stride() == 1
}

/// Whether a product with a left factor of `rows` rows packs its right one, or would rather have it as its left one.
pub(super) fn packs(b: Matrix, rows: usize) -> bool {
    rows >= ROWS && !is_in_place(b, rows)
}

/// A product with a right factor of so many columns that is packed already, `[panel][depth][32]`.
///
/// # Safety
///
/// As [`super::multiply`].
pub(super) unsafe fn multiply_packed(
    level: Level,
    a: Matrix,
    (packed, columns): (&[f32], usize),
    start: Start,
    target: Target,
    ending: Ending,
    threads: Threads,
) {
    let depth = a.columns();
    assert!(packed.len() == columns.div_ceil(COLUMNS) * depth * COLUMNS);
    let right = Right { depth, columns, in_place: Matrix::new(&[], depth, 0), packed };
    // SAFETY: promised by the caller.
    unsafe { Product { level, a, right, start, target, ending }.compute_by(threads) }
}

/// Who computes a product.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Threads {
    All,
    /// The calling one.
    One,
}

/// Elements of a packed right factor.
pub(super) fn packed_len(b: Matrix) -> usize {
    b.columns().div_ceil(COLUMNS) * b.rows() * COLUMNS
}

/// Panels of 32 columns one after the other, `[panel][depth][32]`.
pub(super) fn pack_right(level: Level, b: Matrix, right: &mut [f32]) {
    /// Neighbouring panels that one task fills stretch by stretch, so that it reads long parts of rows.
    const GROUP: usize = 8;
    const STRETCH: usize = 64;
    let depth = b.rows();
    debug_assert_eq!(right.len(), packed_len(b));
    if right.is_empty() {
        return;
    }
    let group = |(index, group): (usize, &mut [f32])| {
        for start in (0..depth).step_by(STRETCH) {
            let stretch = start..(start + STRETCH).min(depth);
            for (p, panel) in group.chunks_exact_mut(depth * COLUMNS).enumerate() {
                let first = (index * GROUP + p) * COLUMNS;
                pack::<COLUMNS>(level, b, stretch.clone(), first, &mut panel[start * COLUMNS..]);
            }
        }
    };
    if right.len() < TASK / 4 {
        right.chunks_mut(GROUP * depth * COLUMNS).enumerate().for_each(group);
    } else {
        right.par_chunks_mut(GROUP * depth * COLUMNS).enumerate().for_each(group);
    }
}

/// The right factor.
struct Right<'a> {
    depth: usize,
    columns: usize,
    /// Its first panels, if they are read where they are.
    in_place: Matrix<'a>,
    /// The others.
    packed: &'a [f32],
}

impl Right<'_> {
    fn panels_in_place(&self) -> usize {
        self.in_place.columns() / COLUMNS
    }

    /// Address and row step of a stretch of column panel `j`.
    fn panel(&self, j: usize, stretch: Range<usize>) -> (*const f32, usize) {
        let in_place = self.panels_in_place();
        if j < in_place {
            let part = self.in_place.part([stretch.start, j * COLUMNS], [stretch.len(), COLUMNS]);
            (part.as_ptr(), part.row_stride())
        } else {
            let start = ((j - in_place) * self.depth + stretch.start) * COLUMNS;
            (self.packed[start..][..stretch.len() * COLUMNS].as_ptr(), COLUMNS)
        }
    }
}

struct Product<'a> {
    level: Level,
    a: Matrix<'a>,
    right: Right<'a>,
    start: Start<'a>,
    target: Target,
    ending: Ending<'a>,
}

impl Product<'_> {
    /// All of it.
    ///
    /// # Safety
    ///
    /// As [`super::multiply`].
    unsafe fn compute_by(&self, threads: Threads) {
        // SAFETY: promised by the caller.
        unsafe {
            match self.a.rows() {
                0..=4 => self.compute::<4>(threads),
                5..=8 => self.compute::<8>(threads),
                _ => self.compute::<ROWS>(threads),
            }
        }
    }

    /// All of it, with left panels of `R` rows.
    ///
    /// # Safety
    ///
    /// As [`super::multiply`].
    unsafe fn compute<const R: usize>(&self, threads: Threads) {
        let columns = self.right.columns;
        if threads == Threads::One {
            // SAFETY: promised by the caller.
            return unsafe { self.block::<R>(0..self.a.rows().div_ceil(R), 0..columns.div_ceil(COLUMNS)) };
        }
        // Equal shares of the row panels, and of the columns where there are few rows. Sums do not depend on the shares.
        let threads = rayon::current_num_threads();
        let (rows, panels) = (self.a.rows().div_ceil(R), columns.div_ceil(COLUMNS));
        let most = (self.a.rows() * columns * self.right.depth / TASK).max(1);
        let by_rows = rows.div_ceil(TASK_PANELS).next_multiple_of(threads).min(rows).min(most);
        let wanted = if by_rows < 2 * threads && self.right.panels_in_place() > 0 { 2 * threads } else { threads };
        let (by_rows, by_columns) = match self.right.panels_in_place() {
            0 => (by_rows, wanted.div_ceil(by_rows).min(panels).min(most.div_ceil(by_rows))),
            _ => (1, wanted.min(panels).min(most)),
        };
        let task = |index: usize| {
            let rows = share(rows, index / by_columns, by_rows);
            let panels = share(panels, index % by_columns, by_columns);
            // SAFETY: the shares do not overlap.
            unsafe { self.block::<R>(rows, panels) }
        };
        match by_rows * by_columns {
            1 => task(0),
            tasks => (0..tasks).into_par_iter().with_max_len(1).for_each(task),
        }
    }

    /// The product of some row panels with some column panels.
    ///
    /// # Safety
    ///
    /// These elements of the target have to be this task's alone.
    unsafe fn block<const R: usize>(&self, rows: Range<usize>, panels: Range<usize>) {
        let depth = self.a.columns();
        let stretches = depth.div_ceil(DEPTH);
        let mut left = Scratch::new(rows.len() * R * depth.div_ceil(stretches));
        for index in 0..stretches {
            let stretch = share(depth, index, stretches);
            for (panel, i) in left.as_mut_slice().chunks_exact_mut(R * stretch.len()).zip(rows.clone()) {
                pack::<R>(self.level, self.a.transposed(), stretch.clone(), i * R, panel);
            }
            let start = if index == 0 { self.start } else { Start::Out };
            let ending = if index + 1 == stretches { self.ending } else { Ending::Sum };
            let together = (RIGHT / (stretch.len() * COLUMNS)).max(1);
            for first in panels.clone().step_by(together) {
                for (i, left) in rows.clone().zip(left.as_mut_slice().chunks_exact(R * stretch.len())) {
                    for j in first..(first + together).min(panels.end) {
                        let at = [i * R, j * COLUMNS];
                        let size = [(self.a.rows() - at[0]).min(R), (self.right.columns - at[1]).min(COLUMNS)];
                        // SAFETY: promised by the caller.
                        unsafe { self.tile::<R>(left, self.right.panel(j, stretch.clone()), at, size, start, ending) };
                    }
                }
            }
        }
    }

    /// One tile, at row `i` and column `j` of the target, of which `rows` and `columns` are there.
    ///
    /// # Safety
    ///
    /// Its elements of the target have to be this task's alone.
    unsafe fn tile<const R: usize>(
        &self,
        left: &[f32],
        (b, b_step): (*const f32, usize),
        [i, j]: [usize; 2],
        [rows, columns]: [usize; 2],
        start: Start,
        ending: Ending,
    ) {
        let out = self.target.at(i, j);
        let out_step = self.target.steps[0];
        let mut whole = Tile {
            a: left.as_ptr(),
            b,
            b_step,
            depth: left.len() / R,
            start: ZEROS.as_ptr(),
            start_step: 0,
            out,
            out_step,
        };
        let own_start;
        let whole_tile = rows == R
            && self.target.steps[1] == 1
            && (columns == 16 || columns == COLUMNS)
            && !matches!(start, Start::RowBias(_));
        if whole_tile {
            match start {
                Start::Zero => {}
                Start::Bias(bias) => whole.start = bias[j..][..columns].as_ptr(),
                Start::Out => (whole.start, whole.start_step) = (out, out_step),
                Start::RowBias(_) => unreachable!("excluded above"),
            }
            if matches!(ending, Ending::Sum) {
                // SAFETY: the factors hold all of the depth, the target R rows of `columns` elements.
                return unsafe { tile::<Panel<R>>(self.level, columns, whole) };
            }
        } else {
            // At the edges, and where the target is transposed or rows have a bias, a tile of its own.
            own_start = std::array::from_fn::<[f32; COLUMNS], R, _>(|r| {
                std::array::from_fn(|c| {
                    // SAFETY: an element of the target, initialised where the product starts from it.
                    if r < rows && c < columns { unsafe { start.at(self.target, i + r, j + c) } } else { 0.0 }
                })
            });
            (whole.start, whole.start_step) = (own_start.as_ptr().cast(), COLUMNS);
        }
        ending.ask_for(self.target, [i, j], [rows, columns]);
        let mut own = [[0.0f32; COLUMNS]; R];
        (whole.out, whole.out_step) = (own.as_mut_ptr().cast(), COLUMNS);
        // SAFETY: the factors hold all of the depth, start and `own` a whole tile.
        unsafe { tile::<Panel<R>>(self.level, columns, whole) };
        if self.target.steps[1] == 1 {
            // SAFETY: elements of the target, this task's alone, whose rows have no gaps.
            return unsafe { ending.write(self.level, &own[..rows], self.target, [i, j], columns) };
        }
        for (r, row) in own.iter().enumerate().take(rows) {
            for (c, own) in row.iter().enumerate().take(columns) {
                // SAFETY: an element of the target, this task's alone.
                unsafe { *self.target.at(i + r, j + c) = *own };
            }
        }
    }
}
