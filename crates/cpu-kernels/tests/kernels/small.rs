//! Every kernel once on little input, for an interpreter that watches memory (Miri), where a larger case would take hours:
//! `MIRIFLAGS="-Zmiri-tree-borrows -Zmiri-disable-isolation -Zmiri-ignore-leaks" cargo +nightly miri test -p cpu-kernels --test kernels small::`.

use crate::attention::{check_cross, check_self};
use crate::convolution::{THREE_BY_THREE, check as check_convolution};
use crate::maps::{check_batch_norm, check_prelu};
use crate::product::{check, endings_are_passes};
use crate::reorder::{check_halves, check_order};
use crate::rows::{check_adamw, check_column_sums, check_layer_norm};
use crate::support::numbers;
use cpu_kernels::{
    AttentionShape, Before, Convolution, LastTerm, Matrix, Packed, Precision, RightFactor, gelu, gelu_backward,
};

#[test]
fn products() {
    // Below and above the size from which products are cut into tiles and shared among threads.
    check([3, 5, 4], [0, 1], 1);
    check([1, 9, 17], [2, 4], 2);
    check([25, 82, 33], [0, 3], 3);
}

#[test]
fn endings_of_products() {
    for [m, k, n] in [[3, 5, 4], [25, 82, 33]] {
        let (a, b, bias, residual) = (numbers(m * k, 1), numbers(k * n, 2), numbers(n, 3), numbers(m * n, 4));
        let (a, b, before) = (Matrix::new(&a, m, k), Matrix::new(&b, k, n), Before::Bias(&bias));
        let term = LastTerm { before, a, b: b.into(), precision: Precision::F32 };
        let sum = term.clone().sum();
        endings_are_passes(&term, &sum, &residual);
        let packed = Packed::new(b, Precision::F32);
        endings_are_passes(&LastTerm { b: RightFactor::packed(b, &packed), ..term }, &sum, &residual);
    }
}

#[test]
fn orders_and_halves() {
    check_order(&[2, 18, 17], &[0, 2, 1]);
    check_order(&[3, 2, 5, 2], &[3, 1, 0, 2]);
    check_order(&[4, 3, 20], &[1, 0, 2]);
    check_halves([2, 2, 4, 5], 1);
}

#[test]
fn convolutions() {
    check_convolution(THREE_BY_THREE, 1);
    check_convolution(Convolution { stride: [2, 3], dilation: [2, 1], ..THREE_BY_THREE }, 2);
    check_convolution(
        Convolution { channels: [8, 13], input: [4, 33], padding: [(2, 0), (0, 3)], ..THREE_BY_THREE },
        3,
    );
}

#[test]
fn maps() {
    check_batch_norm([2, 3, 70], 1);
    check_prelu(100, 0.25);
}

#[test]
fn attention() {
    check_self(1, 2, [3, 4], 5, true);
    check_self(2, 1, [1, 2], 9, false);
    check_cross(AttentionShape {
        batch: 1,
        heads: 2,
        queries: 3,
        keys: 17,
        head_dim: 4,
        scale: 0.5,
        precision: Precision::F32,
    });
}

#[test]
fn rows_and_elements() {
    check_layer_norm(3, 7, 1, 0.5);
    check_layer_norm(2, 33, 2, -1.0);
    check_column_sums(5, 18, 3);
    check_adamw(37, 0.01, 3);
    let (x, dy) = (numbers(35, 1), numbers(35, 2));
    assert!(gelu(&x).iter().chain(&gelu_backward(&x, &dy)).all(|y| y.is_finite()));
}
