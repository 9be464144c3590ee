//! One call in both precisions, compared with all its gradients.

use burn::tensor::{DType, Device, Tensor, TensorData};

/// The inputs of a call: shapes and values that a seed fixes, the same in both precisions.
#[derive(Debug)]
pub(crate) struct Inputs {
    pub(crate) shapes: Vec<Vec<usize>>,
    pub(crate) tracked: Vec<bool>,
}

impl Inputs {
    pub(crate) fn new(shapes: &[&[usize]]) -> Self {
        Self { shapes: shapes.iter().map(|shape| shape.to_vec()).collect(), tracked: vec![true; shapes.len()] }
    }
}

/// Values in (-1, 1) that `seed` fixes, exactly representable in `f32`.
pub(crate) fn values(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..count)
        .map(|_| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            ((state >> 40) as i32 - (1 << 23)) as f32 / (1 << 23) as f32
        })
        .collect()
}

/// An output and the gradients of the inputs.
pub(crate) type Outcome = (Vec<f64>, Vec<Option<Vec<f64>>>);

pub(crate) fn run<const D: usize>(inputs: &Inputs, dtype: DType, call: &impl Fn(&[Tensor<1>]) -> Tensor<D>) -> Outcome {
    run_on(inputs, dtype, call, values)
}

fn run_on<const D: usize>(
    inputs: &Inputs,
    dtype: DType,
    call: &impl Fn(&[Tensor<1>]) -> Tensor<D>,
    values: impl Fn(usize, u64) -> Vec<f32>,
) -> Outcome {
    let device = Device::flex().autodiff();
    let tensors: Vec<Tensor<1>> = inputs
        .shapes
        .iter()
        .zip(&inputs.tracked)
        .enumerate()
        .map(|(index, (shape, tracked))| {
            let count = shape.iter().product();
            let data = TensorData::new(values(count, index as u64 + 1), [count]).convert_dtype(dtype);
            let tensor = Tensor::from_data(data, (&device, dtype));
            if *tracked { tensor.require_grad() } else { tensor }
        })
        .collect();
    let y = call(&tensors);
    let count = y.shape().num_elements();
    let weights = TensorData::new(values(count, 99), [count]).convert_dtype(dtype);
    let weights = Tensor::<1>::from_data(weights, (&device, dtype)).reshape(y.shape());
    let gradients = (y.clone() * weights).sum().backward();
    let doubles = |data: TensorData| data.convert::<f64>().try_into_vec::<f64>().expect("doubles");
    let found = tensors.iter().map(|tensor| tensor.grad(&gradients).map(|gradient| doubles(gradient.into_data())));
    (doubles(y.into_data()), found.collect())
}

pub(crate) fn relative_error(found: &[f64], expected: &[f64]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let differences: Vec<f64> = found.iter().zip(expected).map(|(found, expected)| found - expected).collect();
    norm(&differences) / norm(expected).max(1e-30)
}

fn norm(values: &[f64]) -> f64 {
    values.iter().map(|value| value * value).sum::<f64>().sqrt()
}

/// Asserts that the output agrees within 1e-6 of its norm and the gradients within 2e-6 of theirs, and that the same inputs have gradients.
///
/// A gradient may be the small rest of large terms: those of a softmax cancel, the more so the fewer keys there are. Its rounding is that
/// of the terms, so a twentieth of the tolerance counts on the largest of all gradients.
pub(crate) fn compare<const D: usize>(name: &str, inputs: &Inputs, call: impl Fn(&[Tensor<1>]) -> Tensor<D>) {
    let (fused, fused_gradients) = run(inputs, DType::F32, &call);
    let (plain, plain_gradients) = run(inputs, DType::F64, &call);
    let error = relative_error(&fused, &plain);
    assert!(error < 1e-6, "{name}: output differs by {error:e} of its norm");
    let largest = plain_gradients.iter().flatten().map(|gradient| norm(gradient)).fold(0.0, f64::max);
    for (index, (found, expected)) in fused_gradients.iter().zip(&plain_gradients).enumerate() {
        match (found, expected) {
            (Some(found), Some(expected)) => {
                let (error, own) = (relative_error(found, expected), norm(expected).max(1e-30));
                let tolerance = 2e-6 + 1e-7 * largest / own;
                assert!(error < tolerance, "{name}: the gradient of input {index} differs by {error:e} of its norm");
            }
            (None, None) => assert!(!inputs.tracked[index], "{name}: input {index} has no gradient"),
            (found, expected) => assert_eq!(
                found.is_some(),
                expected.is_some(),
                "{name}: input {index} has a gradient in one precision only"
            ),
        }
    }
}

/// As [`compare`], for calls that are sums of products. An element may be the small rest of large terms, and its rounding is that of the
/// terms, so differences are held against the sums of the terms' magnitudes: what the same call gives for the magnitudes of its inputs.
pub(crate) fn compare_sums<const D: usize>(name: &str, inputs: &Inputs, call: impl Fn(&[Tensor<1>]) -> Tensor<D>) {
    let magnitudes = |count, seed| values(count, seed).into_iter().map(f32::abs).collect();
    let (fused, plain) = (run(inputs, DType::F32, &call), run(inputs, DType::F64, &call));
    let terms = run_on(inputs, DType::F64, &call, magnitudes);
    let check = |what: &str, found: &[f64], expected: &[f64], terms: &[f64]| {
        let differences: Vec<f64> = found.iter().zip(expected).map(|(found, expected)| found - expected).collect();
        let error = norm(&differences) / norm(terms).max(1e-30);
        assert!(error < 5e-7, "{name}: {what} differs by {error:e} of its terms");
    };
    check("the output", &fused.0, &plain.0, &terms.0);
    for (index, ((found, expected), terms)) in fused.1.iter().zip(&plain.1).zip(&terms.1).enumerate() {
        assert_eq!(
            (found.is_some(), expected.is_some()),
            (inputs.tracked[index], inputs.tracked[index]),
            "{name}: gradient of input {index}"
        );
        if let (Some(found), Some(expected), Some(terms)) = (found, expected, terms) {
            check(&format!("the gradient of input {index}"), found, expected, terms);
        }
    }
}
