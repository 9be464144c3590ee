//! Large products: the right factor is packed once by all threads, the left one by each task for its own rows.

use super::{Start, Target};
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

/// # Safety
///
/// As [`super::multiply`].
pub(super) unsafe fn multiply(level: Level, a: Matrix, b: Matrix, start: Start, target: Target) {
    let (depth, columns) = (a.columns(), b.columns());
    let threads = rayon::current_num_threads();
    let panels = columns.div_ceil(COLUMNS);
    let mut right = Scratch::new(panels * depth * COLUMNS);
    let right = &mut right.as_mut_slice()[..panels * depth * COLUMNS];
    pack_right(level, b, right);
    let right = &*right;

    // Equal shares of the row panels, and of the columns where there are few rows. Sums do not depend on the shares.
    let rows = a.rows().div_ceil(ROWS);
    let most = (a.rows() * columns * depth / TASK).max(1);
    let by_rows = rows.div_ceil(TASK_PANELS).next_multiple_of(threads).min(rows).min(most);
    let by_columns =
        if by_rows < threads { threads.div_ceil(by_rows).min(panels).min(most.div_ceil(by_rows)) } else { 1 };
    let task = |index: usize| {
        let rows = share(rows, index / by_columns, by_rows);
        let panels = share(panels, index % by_columns, by_columns);
        // SAFETY: the shares do not overlap.
        unsafe { Block { level, a, right, columns, start, target }.compute(rows, panels) }
    };
    match by_rows * by_columns {
        1 => task(0),
        tasks => (0..tasks).into_par_iter().with_max_len(1).for_each(task),
    }
}

/// The part of `0..whole` that belongs to one of several equal shares.
fn share(whole: usize, index: usize, shares: usize) -> Range<usize> {
    index * whole / shares..(index + 1) * whole / shares
}

/// Panels of 32 columns one after the other, `[panel][depth][32]`.
fn pack_right(level: Level, b: Matrix, right: &mut [f32]) {
    /// Neighbouring panels that one task fills stretch by stretch, so that it reads long parts of rows.
    const GROUP: usize = 8;
    const STRETCH: usize = 64;
    let depth = b.rows();
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

struct Block<'a> {
    level: Level,
    a: Matrix<'a>,
    right: &'a [f32],
    columns: usize,
    start: Start<'a>,
    target: Target,
}

impl Block<'_> {
    /// The product of some row panels with some column panels.
    ///
    /// # Safety
    ///
    /// These elements of the target have to be this task's alone.
    unsafe fn compute(&self, rows: Range<usize>, panels: Range<usize>) {
        let depth = self.a.columns();
        let stretches = depth.div_ceil(DEPTH);
        let mut left = Scratch::new(rows.len() * ROWS * depth.div_ceil(stretches));
        for index in 0..stretches {
            let stretch = share(depth, index, stretches);
            for (i, panel) in
                left.as_mut_slice().chunks_exact_mut(ROWS * stretch.len()).zip(rows.clone()).map(|(p, i)| (i, p))
            {
                pack::<ROWS>(self.level, self.a.transposed(), stretch.clone(), i * ROWS, panel);
            }
            let start = if index == 0 { self.start } else { Start::Out };
            let together = (RIGHT / (stretch.len() * COLUMNS)).max(1);
            for first in panels.clone().step_by(together) {
                for (i, left) in rows.clone().zip(left.as_mut_slice().chunks_exact(ROWS * stretch.len())) {
                    for j in first..(first + together).min(panels.end) {
                        let right = &self.right[(j * depth + stretch.start) * COLUMNS..][..stretch.len() * COLUMNS];
                        // SAFETY: promised by the caller.
                        unsafe { self.tile(left, right, [i * ROWS, j * COLUMNS], start) };
                    }
                }
            }
        }
    }

    /// One tile, at row `i` and column `j` of the target.
    ///
    /// # Safety
    ///
    /// Its elements of the target have to be this task's alone.
    unsafe fn tile(&self, left: &[f32], right: &[f32], [i, j]: [usize; 2], start: Start) {
        let (rows, columns) = ((self.a.rows() - i).min(ROWS), (self.columns - j).min(COLUMNS));
        let out = self.target.at(i, j);
        let out_step = self.target.steps[0];
        let mut whole = Tile {
            a: left.as_ptr(),
            b: right.as_ptr(),
            b_step: COLUMNS,
            depth: right.len() / COLUMNS,
            start: ZEROS.as_ptr(),
            start_step: 0,
            out,
            out_step,
        };
        let direct = rows == ROWS && self.target.steps[1] == 1 && (columns == 16 || columns == COLUMNS);
        match start {
            Start::Zero => {}
            Start::Bias(bias) if direct => whole.start = bias[j..][..columns].as_ptr(),
            Start::Out if direct => (whole.start, whole.start_step) = (out, out_step),
            _ => {}
        }
        if direct && !matches!(start, Start::RowBias(_)) {
            // SAFETY: the panels hold all of the depth, the target 12 rows of `columns` elements.
            return unsafe { tile::<Panel<ROWS>>(self.level, columns, whole) };
        }
        // At the edges, and where the target is transposed, by way of a tile of its own.
        let mut own = [[0.0f32; COLUMNS]; ROWS];
        for (r, row) in own.iter_mut().enumerate().take(rows) {
            for (c, own) in row.iter_mut().enumerate().take(columns) {
                *own = match start {
                    Start::Zero => 0.0,
                    Start::Bias(bias) => bias[j + c],
                    Start::RowBias(bias) => bias[i + r],
                    // SAFETY: an element of the target, initialised where the product starts from it.
                    Start::Out => unsafe { *self.target.at(i + r, j + c) },
                };
            }
        }
        let address = own.as_mut_ptr().cast::<f32>();
        (whole.start, whole.start_step, whole.out, whole.out_step) = (address, COLUMNS, address, COLUMNS);
        // SAFETY: the panels hold all of the depth, and `own` a whole tile.
        unsafe { tile::<Panel<ROWS>>(self.level, columns, whole) };
        for (r, row) in own.iter().enumerate().take(rows) {
            for (c, own) in row.iter().enumerate().take(columns) {
                // SAFETY: an element of the target, this task's alone.
                unsafe { *self.target.at(i + r, j + c) = *own };
            }
        }
    }
}
