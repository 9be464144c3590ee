use crate::support::{assert_close, numbers, on_every_isa};
use cpu_kernels::{Matrix, Precision, product};
use proptest::prelude::*;

fn expected(a: &[f32], b: &[f32], [m, k, n]: [usize; 3]) -> Vec<f64> {
    let mut out = vec![0.0; m * n];
    for i in 0..m {
        for p in 0..k {
            for j in 0..n {
                out[i * n + j] += f64::from(a[i * k + p]) * f64::from(b[p * n + j]);
            }
        }
    }
    out
}

proptest! {
    #[test]
    fn products_are_those_of_plain_loops(m in 1usize..70, k in 1usize..70, n in 1usize..70) {
        let (a, b) = (numbers(m * k, 1), numbers(k * n, 2));
        let expected = expected(&a, &b, [m, k, n]);
        on_every_isa(|_| {
            assert_close(&product(Matrix::new(&a, m, k), Matrix::new(&b, k, n), Precision::F32), &expected, 1e-6);
        });
    }
}
