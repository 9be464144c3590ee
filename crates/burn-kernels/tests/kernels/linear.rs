use crate::support::{Inputs, compare_sums, run};
use burn::tensor::{DType, Device, Tensor};
use burn_kernels::{Ending, LinearTerms, Scaled, linear};
use proptest::prelude::*;

/// Which terms a layer has.
#[derive(Clone, Copy, Debug)]
struct Present {
    weight: bool,
    scaled: bool,
    factors: bool,
    bias: bool,
}

/// Against sums in double precision; and with each ending against the same as an operation of its own, to the last bit.
fn check(sizes: [usize; 5], present: Present, tracked: [bool; 7], transposed: bool) {
    let [n, i, o, r, t] = sizes;
    let mut inputs = Inputs::new(&[&[n, i], &[i, o], &[i, r], &[r], &[r, o], &[i, t], &[t, o], &[o], &[n, o]]);
    let [x, weight, scale, first, second, bias, residual] = tracked;
    inputs.tracked = vec![
        x,
        weight && present.weight,
        false,
        scale && present.scaled,
        false,
        first && present.factors,
        second && present.factors,
        bias && present.bias,
        false,
    ];
    // Something has to have a gradient.
    inputs.tracked[0] |= !inputs.tracked.iter().any(|tracked| *tracked);
    let matrix = |tensors: &[Tensor<1>], index: usize, rows: usize, columns: usize| -> Tensor<2> {
        let tensor = tensors[index].clone();
        if transposed { tensor.reshape([columns, rows]).transpose() } else { tensor.reshape([rows, columns]) }
    };
    let layer = |tensors: &[Tensor<1>], ending: Ending| {
        let matrix = |index, rows, columns| matrix(tensors, index, rows, columns);
        let terms = LinearTerms {
            weight: present.weight.then(|| matrix(1, i, o)),
            scaled: present.scaled.then(|| Scaled {
                left: matrix(2, i, r),
                scale: tensors[3].clone(),
                right: matrix(4, r, o),
            }),
            factors: present.factors.then(|| (matrix(5, i, t), matrix(6, t, o))),
            bias: present.bias.then(|| tensors[7].clone()),
            ending,
        };
        linear(matrix(0, n, i), terms)
    };
    let name = format!("{sizes:?} {present:?} {tracked:?} {transposed}");
    compare_sums(&name, &inputs, |tensors| layer(tensors, Ending::Sum));
    let same_bits = |inputs: &Inputs, ending: &dyn Fn(&[Tensor<1>]) -> Ending| {
        let one = run(inputs, DType::F32, &|tensors: &[Tensor<1>]| layer(tensors, ending(tensors)));
        let two =
            run(inputs, DType::F32, &|tensors: &[Tensor<1>]| ending(tensors).applied_to(layer(tensors, Ending::Sum)));
        assert!(one == two, "{name}: {inputs:?}");
        for (gradient, tracked) in one.1.iter().zip(&inputs.tracked) {
            assert_eq!(gradient.is_some(), *tracked, "{name}");
        }
    };
    same_bits(&inputs, &|_| Ending::Gelu);
    inputs.tracked[8] = residual;
    same_bits(&inputs, &|tensors| Ending::Residual(matrix(tensors, 8, n, o)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn every_sum_of_terms_and_all_its_gradients(
        sizes in [1usize..40, 1usize..40, 1usize..40, 1usize..12, 1usize..12],
        (weight, scaled, factors) in (any::<bool>(), any::<bool>(), any::<bool>())
            .prop_filter("a layer has a term", |(weight, scaled, factors)| *weight || *scaled || *factors),
        bias in any::<bool>(),
        tracked in any::<[bool; 7]>(),
        transposed in any::<bool>(),
    ) {
        check(sizes, Present { weight, scaled, factors, bias }, tracked, transposed);
    }
}

#[test]
fn the_sizes_of_a_model() {
    let all = Present { weight: true, scaled: true, factors: true, bias: true };
    check([256, 384, 512, 50, 334], all, [true; 7], false);
    check([196, 768, 96, 90, 6], Present { weight: false, ..all }, [true, false, true, true, true, false, true], false);
}

#[test]
#[should_panic(expected = "second factor: expected [3, 8], found [3, 9]")]
fn shapes_that_do_not_fit_are_named() {
    let device = Device::flex();
    let zeros = |shape: [usize; 2]| Tensor::<2>::zeros(shape, &device);
    let terms = LinearTerms {
        weight: Some(zeros([4, 8])),
        factors: Some((zeros([4, 3]), zeros([3, 9]))),
        ..LinearTerms::default()
    };
    linear(zeros([2, 4]), terms);
}

#[test]
#[should_panic(expected = "residual: expected [2, 8], found [2, 9]")]
fn a_residual_connection_that_does_not_fit_is_named() {
    let device = Device::flex();
    let zeros = |shape: [usize; 2]| Tensor::<2>::zeros(shape, &device);
    let ending = Ending::Residual(zeros([2, 9]));
    linear(zeros([2, 4]), LinearTerms { weight: Some(zeros([4, 8])), ending, ..LinearTerms::default() });
}
