//! Products that are not worth packing, on the calling thread.

use super::{Ending, Start, Target};
use crate::Matrix;
use crate::isa::Level;
use crate::math::dot;
use crate::vectorise::{Arithmetic, vectorised};

/// # Safety
///
/// As [`super::multiply`], with a target whose rows have no gaps.
pub(super) unsafe fn multiply(level: Level, a: Matrix, b: Matrix, start: Start, target: Target, ending: Ending) {
    debug_assert_eq!(target.steps[1], 1);
    let (mut left, mut sums) = (vec![0.0; a.columns()], vec![0.0; b.columns()]);
    for i in 0..a.rows() {
        for (p, left) in left.iter_mut().enumerate() {
            *left = a.at(i, p);
        }
        // SAFETY: row i of the target.
        let out = unsafe {
            std::slice::from_raw_parts_mut(target.at(i, 0).cast::<std::mem::MaybeUninit<f32>>(), b.columns())
        };
        match start {
            Start::Zero => sums.fill(0.0),
            Start::Bias(bias) => sums.copy_from_slice(bias),
            Start::RowBias(bias) => sums.fill(bias[i]),
            Start::Out => {
                for (sum, out) in sums.iter_mut().zip(out.iter()) {
                    // SAFETY: a product that starts from `Out` finds it initialised.
                    *sum = unsafe { out.assume_init() };
                }
            }
        }
        add_row(level, &left, b, &mut sums);
        for (out, sum) in out.iter_mut().zip(&sums) {
            out.write(*sum);
        }
    }
    // SAFETY: all of it is written; the rest is promised by the caller.
    unsafe { ending.apply(level, target, [a.rows(), b.columns()]) };
}

vectorised! {
    fn add_row(left: &[f32], b: Matrix, sums: &mut [f32]) = add_row_body;
}

#[inline(always)]
fn add_row_body<A: Arithmetic>(left: &[f32], b: Matrix, sums: &mut [f32]) {
    if b.column_stride() == 1 {
        for (p, &left) in left.iter().enumerate() {
            for (sum, right) in sums.iter_mut().zip(b.row(p)) {
                *sum = A::mul_add(left, *right, *sum);
            }
        }
    } else if b.row_stride() == 1 {
        for (j, sum) in sums.iter_mut().enumerate() {
            *sum += dot::<A>(left, b.column(j));
        }
    } else {
        for (p, &left) in left.iter().enumerate() {
            for (j, sum) in sums.iter_mut().enumerate() {
                *sum = A::mul_add(left, b.at(p, j), *sum);
            }
        }
    }
}
