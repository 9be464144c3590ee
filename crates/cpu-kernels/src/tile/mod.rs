//! The innermost product: a few rows times 32 columns, summed in registers.
//!
//! All instruction sets share one geometry. The right factor is a *panel* `[depth][32]`, the left one a panel `[depth][rows]` of 12, 8
//! or 4 rows (see [`crate::pack`]) or twelve rows of a [`Strip`]. AVX-512 keeps a whole tile in registers; the others take it in pieces.

#[cfg(target_arch = "x86_64")]
mod avx512;
mod generic;
#[cfg(target_arch = "x86_64")]
pub(crate) mod pairs;

use crate::isa::Level;

/// Columns of a right panel.
pub(crate) const COLUMNS: usize = 32;

/// The most rows of a tile.
pub(crate) const ROWS: usize = 12;

/// How a left factor lies in memory: element (i, p) is at `i * ROW_STEP + p * DEPTH_STEP`.
pub(crate) trait Left {
    const ROWS: usize;
    const ROW_STEP: usize;
    const DEPTH_STEP: usize;
}

/// A packed panel `[depth][R]`.
pub(crate) struct Panel<const R: usize>;

impl<const R: usize> Left for Panel<R> {
    const ROWS: usize = R;
    const ROW_STEP: usize = 1;
    const DEPTH_STEP: usize = R;
}

/// Twelve rows of a matrix whose rows are `STEP` elements apart.
pub(crate) struct Strip<const STEP: usize>;

impl<const STEP: usize> Left for Strip<STEP> {
    const ROWS: usize = ROWS;
    const ROW_STEP: usize = STEP;
    const DEPTH_STEP: usize = 1;
}

/// One tile: `out = start + a b`, whose factors have elements `T`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tile<T = f32> {
    /// The left factor, as its [`Left`] says.
    pub(crate) a: *const T,
    /// The right factor: row p is at `p * b_step`.
    pub(crate) b: *const T,
    pub(crate) b_step: usize,
    /// Columns of the left and rows of the right factor.
    pub(crate) depth: usize,
    /// What the product is added to: row i is at `i * start_step`. It may be `out`.
    pub(crate) start: *const f32,
    pub(crate) start_step: usize,
    /// Row i is at `i * out_step`.
    pub(crate) out: *mut f32,
    pub(crate) out_step: usize,
}

/// A start for tiles that add to nothing (`start_step` 0).
pub(crate) static ZEROS: [f32; COLUMNS] = [0.0; COLUMNS];

/// Computes the first 16 columns of a tile if `columns` is at most 16, else all 32.
///
/// # Safety
///
/// All elements of the factors, of start and out in these columns and in `L::ROWS` rows have to be there, and `out` has to be the caller's.
#[inline]
pub(crate) unsafe fn tile<L: Left>(level: Level, columns: usize, tile: Tile) {
    #[cfg(target_arch = "x86_64")]
    if level.isa() >= crate::Isa::Avx512 {
        // SAFETY: `Level` is proof of the instructions; the rest is promised by the caller.
        return unsafe { avx512::tile::<L>(columns, tile) };
    }
    // SAFETY: promised by the caller.
    unsafe { generic::tile::<L>(level, columns, tile) }
}
