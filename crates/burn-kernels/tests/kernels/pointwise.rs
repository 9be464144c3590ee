use crate::support::{Inputs, compare};
use burn_kernels::{gelu, layer_norm};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

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
