use crate::support::{assert_same_bits_on_any_threads, assert_sums, numbers, on_every_isa, rounding};
use cpu_kernels::{Before, Isa, KernelError, LastTerm, Matrix, Packed, Precision, RightFactor, add, gelu, product};
use proptest::prelude::*;

/// The product, and the product of magnitudes.
fn expected(a: &[f32], b: &[f32], [m, k, n]: [usize; 3]) -> (Vec<f64>, Vec<f64>) {
    let (mut out, mut magnitudes) = (vec![0.0; m * n], vec![0.0; m * n]);
    for i in 0..m {
        for p in 0..k {
            for j in 0..n {
                let term = f64::from(a[i * k + p]) * f64::from(b[p * n + j]);
                out[i * n + j] += term;
                magnitudes[i * n + j] += term.abs();
            }
        }
    }
    (out, magnitudes)
}

/// The elements of a row-major matrix, laid out otherwise: `(data, strides)`.
fn laid_out(values: &[f32], [rows, columns]: [usize; 2], layout: usize) -> (Vec<f32>, [usize; 2]) {
    let strides = match layout {
        0 => [columns, 1],
        1 => [1, rows],
        2 => [columns + 3, 1],
        3 => [1, rows + 5],
        _ => [2 * columns + 1, 2],
    };
    let mut data = vec![f32::NAN; (rows - 1) * strides[0] + (columns - 1) * strides[1] + 1];
    for i in 0..rows {
        for j in 0..columns {
            data[i * strides[0] + j * strides[1]] = values[i * columns + j];
        }
    }
    (data, strides)
}

/// The nearest bf16 number; ties go to even.
fn bf16(x: f32) -> f32 {
    let bits = x.to_bits();
    f32::from_bits((bits + 0x7fff + (bits >> 16 & 1)) & 0xffff_0000)
}

/// What ends a sum in the cache has the bits of a pass over it.
pub(crate) fn endings_are_passes(term: &LastTerm, sum: &[f32], residual: &[f32]) {
    let bits = |values: &[f32]| values.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    let same = |found: &[f32], expected: &[f32]| assert!(bits(found) == bits(expected), "{term:?}");
    same(&term.clone().plus(residual), &add(sum, residual));
    let activated = gelu(sum);
    same(&term.clone().gelu(), &activated);
    let [kept, beside] = term.clone().sum_and_gelu();
    same(&kept, sum);
    same(&beside, &activated);
}

pub(crate) fn check([m, k, n]: [usize; 3], layouts: [usize; 2], seed: u64) {
    let (a, b, bias, before) =
        (numbers(m * k, seed), numbers(k * n, seed + 1), numbers(n, seed + 2), numbers(m * n, seed + 3));
    let [exact, rounded] = [false, true].map(|rounded| {
        // Small products are computed in f32 whatever is asked for.
        let round = |x: &f32| if rounded && m * k * n >= 1 << 16 { bf16(*x) } else { *x };
        let [a, b] = [&a, &b].map(|values| values.iter().map(round).collect::<Vec<_>>());
        let (product, magnitudes) = expected(&a, &b, [m, k, n]);
        let with_bias: Vec<f64> = product.iter().enumerate().map(|(i, x)| x + f64::from(bias[i % n])).collect();
        let added: Vec<f64> = product.iter().zip(&before).map(|(x, y)| x + f64::from(*y)).collect();
        ([product, with_bias, added], magnitudes)
    });
    let magnitudes = exact.1;
    let more: Vec<f64> = magnitudes.iter().map(|x| x + 1.0).collect();
    let (a, a_strides) = laid_out(&a, [m, k], layouts[0]);
    let (b, b_strides) = laid_out(&b, [k, n], layouts[1]);
    let (a, b) = (Matrix::strided(&a, [m, k], a_strides), Matrix::strided(&b, [k, n], b_strides));
    let compare = |precision, [product_of, with_bias, added]: &[Vec<f64>; 3]| {
        let sums = [
            (Before::Nothing, product_of, &magnitudes),
            (Before::Bias(&bias), with_bias, &more),
            (Before::Terms(before.clone()), added, &more),
        ];
        for (before, expected, magnitudes) in sums {
            assert_sums(&LastTerm { before, a, b: b.into(), precision }.sum(), expected, magnitudes, rounding(k + 1));
        }
    };
    on_every_isa(|isa| {
        compare(Precision::F32, &exact.0);
        assert_eq!(Precision::Bf16.check().is_ok(), isa >= Isa::Avx512Bf16);
        if isa >= Isa::Avx512Bf16 {
            compare(Precision::Bf16, &rounded.0);
        }
    });
}

/// Every ending of a product with a bias, and of one added to others.
fn check_endings([m, k, n]: [usize; 3], layouts: [usize; 2], seed: u64) {
    let (a, b, bias, before) =
        (numbers(m * k, seed), numbers(k * n, seed + 1), numbers(n, seed + 2), numbers(m * n, seed + 3));
    let (a, a_strides) = laid_out(&a, [m, k], layouts[0]);
    let (b, b_strides) = laid_out(&b, [k, n], layouts[1]);
    let (a, b) = (Matrix::strided(&a, [m, k], a_strides), Matrix::strided(&b, [k, n], b_strides));
    on_every_isa(|_| {
        for precision in [Precision::F32, Precision::Bf16] {
            if precision.check().is_err() {
                continue;
            }
            for so_far in [Before::Nothing, Before::Bias(&bias), Before::Terms(before.clone())] {
                let term = LastTerm { before: so_far, a, b: b.into(), precision };
                let sum = term.clone().sum();
                endings_are_passes(&term, &sum, &before);
                let packed = Packed::new(b, precision);
                let term = LastTerm { b: RightFactor::packed(b, &packed), ..term };
                endings_are_passes(&term, &sum, &before);
            }
        }
    });
}

proptest! {
    #[test]
    fn products_are_those_of_plain_loops(
        m in 1usize..90, k in 1usize..90, n in 1usize..90, a in 0usize..5, b in 0usize..5, seed in 0u64..1000,
    ) {
        check([m, k, n], [a, b], seed);
        check_endings([m, k, n], [a, b], seed);
    }
}

#[test]
fn thin_and_long_products_are_those_of_plain_loops() {
    for [m, k, n] in [
        [4, 300, 500],
        [500, 300, 4],
        [300, 4, 300],
        [8, 2000, 40],
        [40, 2000, 8],
        [100, 1700, 50],
        [3, 70, 1000],
        [1, 1000, 1000],
        [1000, 1000, 1],
        [50, 1, 2000],
        [12, 768, 32],
        [24, 769, 64],
        [13, 1537, 33],
        [256, 256, 256],
    ] {
        for a in [0, 1, 4] {
            for b in [0, 1, 4] {
                check([m, k, n], [a, b], 7);
                check_endings([m, k, n], [a, b], 7);
            }
        }
    }
}

#[test]
fn empty_products() {
    let none = Matrix::new(&[], 0, 3);
    assert!(product(none, Matrix::new(&[0.0; 6], 3, 2), Precision::F32).is_empty());
    let deepless = (Matrix::new(&[], 2, 0), Matrix::new(&[], 0, 3));
    assert_eq!(product(deepless.0, deepless.1, Precision::F32), [0.0; 6]);
    let before = Before::Bias(&[1.0, 2.0, 3.0]);
    let term = LastTerm { before, a: deepless.0, b: deepless.1.into(), precision: Precision::F32 };
    let sum = [1.0, 2.0, 3.0, 1.0, 2.0, 3.0];
    assert_eq!(term.clone().sum(), sum);
    for precision in [Precision::F32, Precision::Bf16] {
        if precision.check().is_ok() {
            let packed = Packed::new(deepless.1, precision);
            assert_eq!(LastTerm { b: RightFactor::packed(deepless.1, &packed), precision, ..term.clone() }.sum(), sum);
            assert_eq!(Packed::bytes(deepless.1, precision), 0);
        }
    }
}

/// A copy for one precision is left alone by products in another.
#[test]
fn a_packed_factor_serves_its_own_precision() {
    let [m, k, n] = [64, 96, 80];
    let (a, b) = (numbers(m * k, 1), numbers(k * n, 2));
    let (a, b) = (Matrix::new(&a, m, k), Matrix::new(&b, k, n));
    on_every_isa(|_| {
        for packed_for in [Precision::F32, Precision::Bf16] {
            for precision in [Precision::F32, Precision::Bf16] {
                if packed_for.check().is_ok() && precision.check().is_ok() {
                    let packed = Packed::new(b, packed_for);
                    assert_eq!(product(a, RightFactor::packed(b, &packed), precision), product(a, b, precision));
                }
            }
        }
    });
}

#[test]
#[should_panic(expected = "a packed copy of 3 x 2 with a matrix of 2 x 3")]
fn a_packed_factor_of_another_size_is_refused() {
    let values = [1.0; 6];
    let b = Matrix::new(&values, 3, 2);
    RightFactor::packed(b.transposed(), &Packed::new(b, Precision::F32));
}

/// The products of rounded factors differ from those in double precision by the error that their documentation says.
#[test]
fn reduced_products_are_as_exact_as_documented() {
    let [m, k, n] = [130, 300, 170];
    let (a, b) = (numbers(m * k, 1), numbers(k * n, 2));
    let (expected, magnitudes) = expected(&a, &b, [m, k, n]);
    let (a, b) = (Matrix::new(&a, m, k), Matrix::new(&b, k, n));
    on_every_isa(|isa| {
        for (precision, needed, tolerance) in
            [(Precision::Bf16, Isa::Avx512Bf16, 4e-3), (Precision::F32OnAmx, Isa::Amx, 4e-6)]
        {
            if isa >= needed {
                assert_sums(&product(a, b, precision), &expected, &magnitudes, tolerance);
            } else {
                let error = precision.check().expect_err("too few instructions");
                assert_eq!(error, KernelError::NoInstructions { precision, isa });
            }
        }
    });
}

#[test]
#[should_panic(expected = "need AVX512-BF16")]
fn a_precision_that_the_instructions_lack_is_refused() {
    Isa::with(Isa::Portable, || product(Matrix::new(&[1.0], 1, 1), Matrix::new(&[1.0], 1, 1), Precision::Bf16));
}

#[test]
fn nan_and_infinity_pass_through() {
    on_every_isa(|_| {
        for size in [5, 100] {
            let (mut a, b) = (vec![1.0; size * size], vec![1.0; size * size]);
            a[2 * size + 3] = f32::NAN;
            a[4 * size + 1] = f32::INFINITY;
            for precision in [Precision::F32, Precision::Bf16] {
                if precision.check().is_err() {
                    continue;
                }
                let y = product(Matrix::new(&a, size, size), Matrix::new(&b, size, size), precision);
                for (i, row) in y.chunks_exact(size).enumerate() {
                    for x in row {
                        assert!(match i {
                            2 => x.is_nan(),
                            4 => *x == f32::INFINITY,
                            _ => *x == size as f32,
                        });
                    }
                }
                let term = LastTerm {
                    before: Before::Nothing,
                    a: Matrix::new(&a, size, size),
                    b: Matrix::new(&b, size, size).into(),
                    precision,
                };
                endings_are_passes(&term, &y, &y);
            }
        }
    });
}

#[test]
fn the_bits_do_not_depend_on_the_threads() {
    for [m, k, n] in [[200, 900, 330], [7, 1000, 900], [1000, 300, 9], [600, 5, 700]] {
        let (a, b, residual) = (numbers(m * k, 1), numbers(k * n, 2), numbers(m * n, 3));
        let (a, b) = (Matrix::new(&a, m, k), Matrix::new(&b, k, n));
        for precision in [Precision::F32, Precision::Bf16, Precision::F32OnAmx] {
            if precision.check().is_ok() {
                let term = LastTerm { before: Before::Nothing, a, b: b.into(), precision };
                assert_same_bits_on_any_threads(|| {
                    let [sum, activated] = term.clone().sum_and_gelu();
                    vec![product(a, b, precision), sum, activated, term.clone().plus(&residual)]
                });
            }
        }
    }
}

#[test]
fn what_ends_a_sum_has_its_size() {
    let (a, b) = ([1.0; 6], [1.0; 6]);
    let term = |before| LastTerm {
        before,
        a: Matrix::new(&a, 2, 3),
        b: Matrix::new(&b, 3, 2).into(),
        precision: Precision::F32,
    };
    let refused = |call: &dyn Fn() -> Vec<f32>| {
        let message = std::panic::catch_unwind(std::panic::AssertUnwindSafe(call)).expect_err("another size");
        message.downcast_ref::<String>().expect("a message").clone()
    };
    for (call, name) in [
        (&(|| term(Before::Nothing).plus(&[0.0; 5])) as &dyn Fn() -> Vec<f32>, "residual"),
        (&|| term(Before::Bias(&[0.0; 3])).gelu(), "bias"),
        (&|| term(Before::Terms(vec![0.0; 3])).sum(), "out"),
    ] {
        assert!(refused(call).contains(name), "{}", refused(call));
    }
}

#[test]
#[should_panic(expected = "b has 4 rows, expected 3, the columns of a")]
fn inner_sizes_have_to_agree() {
    product(Matrix::new(&[0.0; 6], 2, 3), Matrix::new(&[0.0; 8], 4, 2), Precision::F32);
}

#[test]
#[should_panic(expected = "does not fit into 5 elements")]
fn a_view_stays_inside_its_memory() {
    let _ = Matrix::strided(&[0.0; 5], [2, 3], [3, 1]);
}
