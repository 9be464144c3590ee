//! Products of matrices.

mod blocked;
mod ending;
mod last_term;
mod packed;
mod small;
#[cfg(target_arch = "x86_64")]
mod tiled;

use crate::isa::Level;
use crate::memory::written;
use crate::{Matrix, Precision, check};
use ending::Ending;
use std::ops::Range;

pub(crate) use blocked::Threads;
pub use last_term::{Before, LastTerm};
pub use packed::{Packed, RightFactor};

/// `a b`.
///
/// # Panics
///
/// If the inner sizes differ, or the machine cannot compute with `precision` ([`Precision::check`]).
pub fn product<'a>(a: Matrix<'a>, b: impl Into<RightFactor<'a>>, precision: Precision) -> Vec<f32> {
    LastTerm { before: Before::Nothing, a, b: b.into(), precision }.sum()
}

/// `out + a b` in `f32`, to `out`.
///
/// # Panics
///
/// If sizes do not fit.
pub(crate) fn add_product(out: &mut [f32], a: Matrix, b: Matrix) {
    let b = RightFactor::from(b);
    check_operands(a, b, Precision::F32);
    // SAFETY: this ending writes nothing else.
    unsafe { add(out, a, b, Ending::Sum, Precision::F32) }
}

/// `a b` in `f32` with a right factor of so many columns that is packed, `[panel][depth][32]`, and a bias for each row, to rows that
/// lie `step` elements apart.
///
/// # Safety
///
/// These elements from `out` on have to be there and the caller's.
pub(crate) unsafe fn packed_product(
    a: Matrix,
    (packed, columns): (&[f32], usize),
    bias: Option<&[f32]>,
    (out, step): (*mut f32, usize),
    threads: Threads,
) {
    let start = bias.map_or(Start::Zero, Start::RowBias);
    let target = Target { out, steps: [step, 1] };
    // SAFETY: promised by the caller.
    unsafe { blocked::multiply_packed(Level::current(), a, (packed, columns), start, target, Ending::Sum, threads) }
}

/// # Safety
///
/// A matrix that an ending writes has as many elements as the product, and they are the caller's.
unsafe fn add(out: &mut [f32], a: Matrix, b: RightFactor, ending: Ending, precision: Precision) {
    check::length("out", out.len(), &[a.rows(), b.columns()]);
    let target = Target { out: out.as_mut_ptr(), steps: [b.columns(), 1] };
    // SAFETY: `out` has as many elements as the product, all of them initialised; the rest is promised by the caller.
    unsafe { multiply(a, b, Start::Out, target, ending, precision) }
}

/// # Safety
///
/// A matrix that an ending writes has as many elements as the product, and they are the caller's.
unsafe fn fresh(a: Matrix, b: RightFactor, start: Start, ending: Ending, precision: Precision) -> Vec<f32> {
    // SAFETY: `multiply` writes every element of the product, and reads none where it does not start from `Out`; the rest is promised by
    // the caller.
    unsafe {
        written(a.rows() * b.columns(), |out| {
            let target = Target { out: out.as_mut_ptr().cast(), steps: [b.columns(), 1] };
            multiply(a, b, start, target, ending, precision);
        })
    }
}

#[track_caller]
fn check_operands(a: Matrix, b: RightFactor, precision: Precision) {
    assert!(a.columns() == b.rows(), "b has {} rows, expected {}, the columns of a", b.rows(), a.columns());
    precision.expect_possible();
}

/// What a product is added to.
#[derive(Clone, Copy)]
enum Start<'a> {
    Zero,
    /// One number for each column.
    Bias(&'a [f32]),
    /// One number for each row.
    RowBias(&'a [f32]),
    Out,
}

impl Start<'_> {
    /// What element (i, j) is added to.
    ///
    /// # Safety
    ///
    /// The element has to be there, and initialised if the product starts from it.
    unsafe fn at(self, target: Target, i: usize, j: usize) -> f32 {
        match self {
            Self::Zero => 0.0,
            Self::Bias(bias) => bias[j],
            Self::RowBias(bias) => bias[i],
            // SAFETY: promised by the caller.
            Self::Out => unsafe { *target.at(i, j) },
        }
    }

    fn transposed(self) -> Self {
        match self {
            Self::Bias(bias) => Self::RowBias(bias),
            Self::RowBias(bias) => Self::Bias(bias),
            same => same,
        }
    }
}

/// Where a product goes: element (i, j) to `i * steps[0] + j * steps[1]`.
#[derive(Clone, Copy)]
struct Target {
    out: *mut f32,
    steps: [usize; 2],
}

// SAFETY: each task writes elements of its own.
unsafe impl Send for Target {}
// SAFETY: as above.
unsafe impl Sync for Target {}

impl Target {
    /// The address of element (i, j).
    fn at(self, i: usize, j: usize) -> *mut f32 {
        self.out.wrapping_add(i * self.steps[0] + j * self.steps[1])
    }
}

/// The part of `0..whole` that belongs to one of several equal shares.
fn share(whole: usize, index: usize, shares: usize) -> Range<usize> {
    index * whole / shares..(index + 1) * whole / shares
}

/// Below so many multiplications a product is not worth packing its factors.
pub(crate) const SMALL: usize = 1 << 16;

/// # Safety
///
/// All elements of the target have to be the caller's, and initialised if the product starts from them; those that an ending writes have to
/// be there and the caller's.
unsafe fn multiply(a: Matrix, b: RightFactor, start: Start, target: Target, ending: Ending, precision: Precision) {
    let level = Level::current();
    let packed = b.packed_for(precision);
    let b = b.matrix();
    let work = a.rows() * b.columns() * a.columns();
    // SAFETY: promised by the caller.
    unsafe {
        if work < SMALL {
            return small::multiply(level, a, b, start, target, ending);
        }
        #[cfg(target_arch = "x86_64")]
        {
            use crate::Isa;
            use crate::amx::Hardware;
            use crate::dot::Dot;
            use tiled::Terms::{One, Three};
            match (precision, level.isa()) {
                (Precision::F32, _) => {}
                (Precision::F32OnAmx, _) => {
                    return tiled::multiply::<Hardware>(level, a, b, packed, start, target, ending, Three);
                }
                (Precision::Bf16, Isa::Amx) => {
                    return tiled::multiply::<Hardware>(level, a, b, packed, start, target, ending, One);
                }
                (Precision::Bf16, _) => {
                    return tiled::multiply::<Dot>(level, a, b, packed, start, target, ending, One);
                }
            }
        }
        let _ = precision;
        if a.rows() < crate::tile::ROWS && b.columns() > a.rows() && b.column_stride() != 1 {
            // Few rows: as columns they cost a packed panel and not the waste of a tile.
            let turned = Target { steps: [target.steps[1], target.steps[0]], ..target };
            blocked::multiply(level, b.transposed(), a.transposed(), start.transposed(), turned, Ending::Sum);
            ending.apply(level, target, [a.rows(), b.columns()]);
        } else {
            match packed {
                Some(packed) => {
                    let right = (packed.values(), b.columns());
                    blocked::multiply_packed(level, a, right, start, target, ending, Threads::All);
                }
                None => blocked::multiply(level, a, b, start, target, ending),
            }
        }
    }
}
