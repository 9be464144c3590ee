use crate::support::{Inputs, compare, relative_error, values};
use burn::tensor::{DType, Device, Tensor, TensorData};
use burn_kernels::{AdamW, Moments, gelu, layer_norm};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn gelu_and_its_gradient(shape in [1usize..6, 1usize..6, 1usize..60]) {
        compare(&format!("{shape:?}"), &Inputs::new(&[&shape]), |tensors| {
            gelu(tensors[0].clone().reshape(shape) * 5.0)
        });
    }

    #[test]
    fn layer_norm_and_all_its_gradients(shape in [1usize..6, 1usize..6, 4usize..90], parameters in any::<[bool; 2]>()) {
        let width = shape[2];
        let mut inputs = Inputs::new(&[&shape, &[width], &[width]]);
        inputs.tracked = vec![true, parameters[0], parameters[1]];
        compare(&format!("{shape:?} {parameters:?}"), &inputs, |tensors| {
            layer_norm(tensors[0].clone().reshape(shape), tensors[1].clone(), tensors[2].clone(), 1e-6)
        });
    }
}

fn adamw(count: usize, dtype: DType) -> [Vec<f64>; 3] {
    let device = Device::flex();
    let tensor = |seed: u64| {
        Tensor::<1>::from_data(TensorData::new(values(count, seed), [count]).convert_dtype(dtype), (&device, dtype))
    };
    let mut moments = Moments { parameter: tensor(1), first: tensor(2) * 0.0, second: tensor(2) * 0.0 };
    for time in 1..=3 {
        let step = AdamW { learning_rate: 0.01, beta_1: 0.9, beta_2: 0.999, epsilon: 1e-8, weight_decay: 0.01, time };
        moments = step.step(moments, tensor(2 + time as u64));
    }
    [moments.parameter, moments.first, moments.second]
        .map(|tensor| tensor.into_data().convert::<f64>().try_into_vec::<f64>().expect("doubles"))
}

#[test]
fn steps_of_the_optimiser() {
    for count in [1, 7, 1000, 50_000] {
        let (found, expected) = (adamw(count, DType::F32), adamw(count, DType::F64));
        for (name, (found, expected)) in ["parameter", "first", "second"].iter().zip(found.iter().zip(&expected)) {
            let error = relative_error(found, expected);
            // The plain way computes with the same constants in f32.
            assert!(error < 1e-6, "{name} of {count}: {error:e}");
        }
    }
}
