//! How the factors of attention's products are kept: as they are, or as pairs of bf16 numbers.

#[cfg(target_arch = "x86_64")]
use super::AttentionShape;
use super::strip::STRIP;
use crate::Matrix;
use crate::isa::Level;
use crate::pack::pack;
use crate::tile::{Left, Strip, Tile, tile};
use std::ops::Range;

/// An element of a packed factor. It has the size of an `f32`.
pub(super) trait Factor: Copy + Send + Sync {
    /// Numbers of an element: neighbours in depth, the dimension that a product sums over.
    const NUMBERS: usize;

    /// Rows of a strip as the rows of a left factor.
    type OfStrip: Left;

    /// Working memory as elements.
    fn of(memory: &mut [f32]) -> &mut [Self];

    /// Rows `depth` of columns `first .. first + W` of `source`, times `scale`: `[depth / NUMBERS][W]`. Columns that are not there become
    /// zero.
    fn pack<const W: usize>(
        level: Level,
        source: Matrix,
        depth: Range<usize>,
        first: usize,
        scale: f32,
        panel: &mut [Self],
    );

    /// `rows [depth][width]` as `[depth / NUMBERS][width]`: the rows themselves, or what is written to `memory`.
    fn down<'a>(level: Level, rows: &'a [f32], width: usize, memory: &'a mut [f32]) -> &'a [Self];

    /// `rows [..][64]`, whose depth is the row, as `[..][64 / NUMBERS]`: the rows themselves, or what is written to `memory`.
    fn along<'a>(level: Level, rows: &'a [f32], memory: &'a mut [f32]) -> &'a [Self];

    /// As [`crate::tile::tile`].
    ///
    /// # Safety
    ///
    /// As there.
    unsafe fn tile<L: Left>(level: Level, columns: usize, tile: Tile<Self>);

    /// Elements of so many numbers that are neighbours in depth.
    fn elements(depth: usize) -> usize {
        depth.div_ceil(Self::NUMBERS)
    }

    /// Memory for a copy of so many numbers, if there is to be one.
    fn copied(numbers: usize) -> usize {
        if Self::NUMBERS == 1 { 0 } else { Self::elements(numbers) }
    }
}

impl Factor for f32 {
    const NUMBERS: usize = 1;

    type OfStrip = Strip<STRIP>;

    fn of(memory: &mut [f32]) -> &mut [f32] {
        memory
    }

    fn pack<const W: usize>(
        level: Level,
        source: Matrix,
        depth: Range<usize>,
        first: usize,
        scale: f32,
        panel: &mut [f32],
    ) {
        let size = depth.len() * W;
        pack::<W>(level, source, depth, first, panel);
        if scale != 1.0 {
            panel[..size].iter_mut().for_each(|x| *x *= scale);
        }
    }

    fn down<'a>(_level: Level, rows: &'a [f32], _width: usize, _memory: &'a mut [f32]) -> &'a [f32] {
        rows
    }

    fn along<'a>(_level: Level, rows: &'a [f32], _memory: &'a mut [f32]) -> &'a [f32] {
        rows
    }

    unsafe fn tile<L: Left>(level: Level, columns: usize, product: Tile) {
        // SAFETY: promised by the caller.
        unsafe { tile::<L>(level, columns, product) }
    }
}

/// Whether the factors of an attention are rounded: where they are to be, and its products are not small.
#[cfg(target_arch = "x86_64")]
pub(super) fn are_rounded(level: Level, shape: AttentionShape) -> bool {
    use crate::{Isa, Precision};
    let work = shape.queries * shape.keys * shape.head_dim;
    shape.precision == Precision::Bf16 && level.isa() >= Isa::Avx512Bf16 && work >= crate::product::SMALL
}

#[cfg(target_arch = "x86_64")]
mod rounded {
    use super::{Factor, Left, Level, Matrix, Range, STRIP, Strip, Tile};
    use crate::Isa;
    use crate::bf16::{Pair, pair_along, pair_down};
    use crate::tile::pairs;

    /// Rows that are packed before they are rounded.
    const SOME: usize = 32;

    #[track_caller]
    fn check(level: Level) {
        assert!(level.isa() >= Isa::Avx512Bf16, "factors are rounded to bf16 on {:?}", level.isa());
    }

    impl Factor for Pair {
        const NUMBERS: usize = 2;

        type OfStrip = Strip<{ STRIP / 2 }>;

        fn of(memory: &mut [f32]) -> &mut [Self] {
            Self::of(memory)
        }

        fn pack<const W: usize>(
            level: Level,
            source: Matrix,
            depth: Range<usize>,
            first: usize,
            scale: f32,
            panel: &mut [Self],
        ) {
            const { assert!(W <= STRIP) };
            check(level);
            let mut rows = [0.0; SOME * STRIP];
            for (start, panel) in depth.clone().step_by(SOME).zip(panel.chunks_mut(SOME / 2 * W)) {
                let some = start..(start + SOME).min(depth.end);
                let rows = &mut rows[..some.len() * W];
                f32::pack::<W>(level, source, some, first, scale, rows);
                // SAFETY: `level` is proof of the instructions.
                unsafe { pair_down(rows, W, panel) };
            }
        }

        fn down<'a>(level: Level, rows: &'a [f32], width: usize, memory: &'a mut [f32]) -> &'a [Self] {
            check(level);
            let pairs = &mut Self::of(memory)[..(rows.len() / width.max(1)).div_ceil(2) * width];
            // SAFETY: `level` is proof of the instructions.
            unsafe { pair_down(rows, width.max(1), pairs) };
            pairs
        }

        fn along<'a>(level: Level, rows: &'a [f32], memory: &'a mut [f32]) -> &'a [Self] {
            check(level);
            let pairs = &mut Self::of(memory)[..rows.len() / 2];
            // SAFETY: `level` is proof of the instructions.
            unsafe { pair_along(rows, pairs) };
            pairs
        }

        unsafe fn tile<L: Left>(level: Level, columns: usize, product: Tile<Self>) {
            debug_assert!(level.isa() >= Isa::Avx512Bf16);
            // SAFETY: pairs are made where the machine has the instructions; the rest is promised by the caller.
            unsafe { pairs::tile::<L>(columns, product) }
        }
    }
}
