//! What is made of a sum once its last term is there, while it is still in the nearest cache.

use super::Target;
use crate::gelu;
use crate::isa::Level;
use crate::tile::COLUMNS;
use std::mem::MaybeUninit;
use std::slice::from_raw_parts;

/// What happens to the elements of a finished sum.
#[derive(Clone, Copy)]
pub(super) enum Ending<'a> {
    /// They stay as they are.
    Sum,
    /// A matrix of the same shape, row by row without gaps, is added.
    Residual(&'a [f32]),
    /// Their GELU goes elsewhere, to the same places of a matrix of the same shape.
    Gelu(Target),
    /// Their GELU takes their place.
    InPlace,
}

/// The most rows that are ended together.
const ROWS: usize = 32;

impl Ending<'_> {
    /// Writes finished sums, or what is made of them, to `columns` elements of as many rows of the target as there are rows of sums, from row
    /// `i` and column `j` on. Sums that the target has no place for are ignored.
    ///
    /// The sums lie close together. Read back from a target whose rows are pages apart, they would wait for each other.
    ///
    /// # Safety
    ///
    /// These elements have to be there and the caller's alone, and those of a matrix for the GELU too; the rows of the target have no gaps.
    pub(super) unsafe fn write(
        self,
        level: Level,
        sums: &[[f32; COLUMNS]],
        target: Target,
        [i, j]: [usize; 2],
        columns: usize,
    ) {
        let into = match self {
            // SAFETY: promised by the caller.
            Self::Sum => return unsafe { copy(sums, target, [i, j], columns) },
            Self::Residual(residual) => {
                for (r, sums) in sums.iter().enumerate() {
                    let residual = &residual[(i + r) * target.steps[0] + j..][..columns];
                    let out = target.at(i + r, j);
                    // Whole rows are the rule, and their loop has a known length.
                    // SAFETY: promised by the caller.
                    unsafe {
                        match <&[f32; COLUMNS]>::try_from(residual) {
                            Ok(residual) => {
                                out.cast::<[f32; COLUMNS]>().write(std::array::from_fn(|c| sums[c] + residual[c]))
                            }
                            Err(_) => {
                                for (c, residual) in residual.iter().enumerate() {
                                    out.add(c).write(sums[c] + residual);
                                }
                            }
                        }
                    }
                }
                return;
            }
            Self::Gelu(into) => {
                // SAFETY: promised by the caller.
                unsafe { copy(sums, target, [i, j], columns) };
                into
            }
            Self::InPlace => target,
        };
        let mut activated = [[MaybeUninit::uninit(); COLUMNS]; ROWS];
        let activated = &mut activated[..sums.len()];
        gelu::forward(level, sums.as_flattened(), activated.as_flattened_mut());
        // SAFETY: promised by the caller.
        unsafe { copy(activated, into, [i, j], columns) };
    }

    /// Asks for what [`Ending::write`] will read and write: rows of a target are far apart, and nothing else announces them.
    pub(super) fn ask_for(self, target: Target, [i, j]: [usize; 2], [rows, columns]: [usize; 2]) {
        #[cfg(target_arch = "x86_64")]
        {
            use std::arch::x86_64::{_MM_HINT_ET0, _MM_HINT_T0, _mm_prefetch};
            for row in i..i + rows {
                for column in (j..j + columns).step_by(16) {
                    // SAFETY: prefetching faults nowhere.
                    unsafe {
                        _mm_prefetch::<_MM_HINT_ET0>(target.at(row, column).cast());
                        match self {
                            Self::Sum | Self::InPlace => {}
                            Self::Gelu(into) => _mm_prefetch::<_MM_HINT_ET0>(into.at(row, column).cast()),
                            Self::Residual(residual) => {
                                let residual = residual.as_ptr().wrapping_add(row * target.steps[0] + column);
                                _mm_prefetch::<_MM_HINT_T0>(residual.cast());
                            }
                        }
                    }
                }
            }
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = (target, i, j, rows, columns);
    }

    /// Ends sums that the target holds already.
    ///
    /// # Safety
    ///
    /// As [`Ending::write`], and they have to be initialised.
    pub(super) unsafe fn apply(self, level: Level, target: Target, [rows, columns]: [usize; 2]) {
        if matches!(self, Self::Sum) {
            return;
        }
        let mut sums = [[0.0; COLUMNS]; ROWS];
        for i in (0..rows).step_by(ROWS) {
            let sums = &mut sums[..(rows - i).min(ROWS)];
            for j in (0..columns).step_by(COLUMNS) {
                let columns = (columns - j).min(COLUMNS);
                // SAFETY: promised by the caller.
                unsafe {
                    for (r, sums) in sums.iter_mut().enumerate() {
                        sums[..columns].copy_from_slice(from_raw_parts(target.at(i + r, j), columns));
                    }
                    self.write(level, sums, target, [i, j], columns);
                }
            }
        }
    }
}

/// Some columns of rows that lie close together, to the target.
///
/// # Safety
///
/// As [`Ending::write`].
unsafe fn copy<T: Copy>(rows: &[[T; COLUMNS]], target: Target, [i, j]: [usize; 2], columns: usize) {
    for (r, row) in rows.iter().enumerate() {
        let out = target.at(i + r, j).cast::<T>();
        // Whole rows are the rule, and copying them is no call.
        // SAFETY: promised by the caller.
        unsafe {
            match columns {
                COLUMNS => out.cast::<[T; COLUMNS]>().write(*row),
                _ => out.copy_from_nonoverlapping(row.as_ptr(), columns),
            }
        }
    }
}
