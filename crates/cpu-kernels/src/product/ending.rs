//! What is made of a sum once its last term is there, while it is still in the nearest cache.

use super::Target;
use crate::elementwise::accumulate;
use crate::gelu;
use crate::isa::Level;
use std::mem::MaybeUninit;
use std::slice::{from_raw_parts, from_raw_parts_mut};

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

/// Elements whose GELU is computed in one go.
const GROUP: usize = 128;

impl Ending<'_> {
    /// Ends `rows x columns` elements of the target from row `i` and column `j` on.
    ///
    /// # Safety
    ///
    /// These elements have to be there, initialised and the caller's alone, and those of a matrix for the GELU too; the rows of the target
    /// have no gaps.
    pub(super) unsafe fn apply(self, level: Level, target: Target, [i, j]: [usize; 2], [rows, columns]: [usize; 2]) {
        let into = match self {
            Self::Sum => return,
            Self::Residual(residual) => {
                for row in i..i + rows {
                    // SAFETY: promised by the caller.
                    let out = unsafe { from_raw_parts_mut(target.at(row, j), columns) };
                    accumulate(level, out, &residual[row * target.steps[0] + j..][..columns]);
                }
                return;
            }
            Self::Gelu(into) => into,
            Self::InPlace => target,
        };
        for first in (0..columns).step_by(GROUP) {
            let width = (columns - first).min(GROUP);
            let together = GROUP / width;
            for top in (i..i + rows).step_by(together) {
                let count = (i + rows - top).min(together);
                let mut sums = [0.0; GROUP];
                let mut activated = [MaybeUninit::uninit(); GROUP];
                for (sums, row) in sums.chunks_exact_mut(width).zip(top..top + count) {
                    // SAFETY: promised by the caller.
                    sums.copy_from_slice(unsafe { from_raw_parts(target.at(row, j + first), width) });
                }
                gelu::forward(level, &sums[..count * width], &mut activated[..count * width]);
                for (activated, row) in activated.chunks_exact(width).zip(top..top + count) {
                    // SAFETY: promised by the caller.
                    unsafe {
                        let out = from_raw_parts_mut(into.at(row, j + first).cast::<MaybeUninit<f32>>(), width);
                        out.copy_from_slice(activated);
                    }
                }
            }
        }
    }
}
