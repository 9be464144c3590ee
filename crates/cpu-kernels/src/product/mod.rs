//! Products of matrices.

use crate::check;
use crate::memory::written;
use crate::{Matrix, Precision};
use gemm::{Parallelism, gemm};

/// `a b`.
///
/// # Panics
///
/// If the inner sizes differ, or the machine cannot compute with `precision` ([`Precision::check`]).
pub fn product(a: Matrix, b: Matrix, precision: Precision) -> Vec<f32> {
    check_operands(a, b, precision);
    // SAFETY: `multiply` without accumulation writes all of the product.
    unsafe { written(a.rows() * b.columns(), |out| multiply(out.as_mut_ptr().cast(), a, b, false)) }
}

/// `a b`, plus `bias[j]` in column j.
///
/// # Panics
///
/// As [`product`], and if `bias` does not have as many elements as `b` has columns.
pub fn product_with_bias(a: Matrix, b: Matrix, bias: &[f32], precision: Precision) -> Vec<f32> {
    check::length("bias", bias.len(), &[b.columns()]);
    let mut out = product(a, b, precision);
    for row in out.chunks_exact_mut(bias.len().max(1)) {
        for (out, bias) in row.iter_mut().zip(bias) {
            *out += bias;
        }
    }
    out
}

/// `out += a b`.
///
/// # Panics
///
/// As [`product`], and if `out` does not have as many elements as the product.
pub fn add_product(out: &mut [f32], a: Matrix, b: Matrix, precision: Precision) {
    check_operands(a, b, precision);
    check::length("out", out.len(), &[a.rows(), b.columns()]);
    multiply(out.as_mut_ptr(), a, b, true);
}

#[track_caller]
fn check_operands(a: Matrix, b: Matrix, precision: Precision) {
    assert!(a.columns() == b.rows(), "b has {} rows, expected {}, the columns of a", b.rows(), a.columns());
    let possible = precision.check();
    assert!(possible.is_ok(), "{possible:?}");
}

fn multiply(out: *mut f32, a: Matrix, b: Matrix, accumulate: bool) {
    let (m, n, k) = (a.rows(), b.columns(), a.columns());
    // SAFETY: the views were checked when they were made, and `out` has m * n elements.
    unsafe {
        gemm(
            m,
            n,
            k,
            out,
            1,
            n as isize,
            accumulate,
            a.as_ptr(),
            a.column_stride() as isize,
            a.row_stride() as isize,
            b.as_ptr(),
            b.column_stride() as isize,
            b.row_stride() as isize,
            1.0,
            1.0,
            false,
            false,
            false,
            Parallelism::Rayon(0),
        );
    }
}
