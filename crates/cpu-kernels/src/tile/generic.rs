//! Tiles in pieces that fit the registers of AVX2, or of a machine with sixteen registers of four numbers.

use super::{Left, Tile};
use crate::Isa;
use crate::isa::Level;
use crate::vectorise::{Arithmetic, Plain};

/// # Safety
///
/// As [`super::tile`].
pub(super) unsafe fn tile<L: Left>(level: Level, columns: usize, tile: Tile) {
    let columns = if columns <= 16 { 16 } else { 32 };
    #[cfg(target_arch = "x86_64")]
    if level.isa() >= Isa::Avx2 {
        // SAFETY: `Level` is proof of the instructions; the rest is promised by the caller.
        return unsafe { avx2::<L>(columns, tile) };
    }
    debug_assert_eq!(level.isa(), Isa::Portable);
    // SAFETY: promised by the caller.
    unsafe { pieces::<Plain, L, 4, 8>(columns, tile) }
}

/// # Safety
///
/// As [`super::tile`], on a machine with AVX2 and FMA.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn avx2<L: Left>(columns: usize, tile: Tile) {
    use crate::vectorise::Fused;
    // SAFETY: promised by the caller.
    unsafe {
        if L::ROWS.is_multiple_of(6) {
            pieces::<Fused, L, 6, 16>(columns, tile);
        } else {
            pieces::<Fused, L, 4, 16>(columns, tile);
        }
    }
}

/// The tile in pieces of `R x C`.
#[inline(always)]
unsafe fn pieces<A: Arithmetic, L: Left, const R: usize, const C: usize>(columns: usize, tile: Tile) {
    for j in (0..columns).step_by(C) {
        for i in (0..L::ROWS).step_by(R) {
            // SAFETY: a piece of the tile, all of which the caller promises.
            unsafe {
                piece::<A, L, R, C>(Tile {
                    a: tile.a.add(i * L::ROW_STEP),
                    b: tile.b.add(j),
                    start: tile.start.add(i * tile.start_step + j),
                    out: tile.out.add(i * tile.out_step + j),
                    ..tile
                });
            }
        }
    }
}

#[inline(always)]
unsafe fn piece<A: Arithmetic, L: Left, const R: usize, const C: usize>(tile: Tile) {
    // SAFETY: the caller promises R rows and C columns of every operand.
    unsafe {
        let mut sums = [[0.0f32; C]; R];
        for p in 0..tile.depth {
            let right = tile.b.add(p * tile.b_step).cast::<[f32; C]>().read();
            let left = tile.a.add(p * L::DEPTH_STEP);
            for (i, row) in sums.iter_mut().enumerate() {
                let left = *left.add(i * L::ROW_STEP);
                for (sum, right) in row.iter_mut().zip(right) {
                    *sum = A::mul_add(left, right, *sum);
                }
            }
        }
        for (i, row) in sums.iter_mut().enumerate() {
            // Added last: the products are rounded at their own size, not at that of the start.
            let start = tile.start.add(i * tile.start_step).cast::<[f32; C]>().read();
            for (sum, start) in row.iter_mut().zip(start) {
                *sum += start;
            }
            tile.out.add(i * tile.out_step).cast::<[f32; C]>().write(*row);
        }
    }
}
