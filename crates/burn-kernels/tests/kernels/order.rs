use crate::support::{Inputs, compare};
use burn::tensor::{Device, Tensor, TensorData};
use burn_kernels::{halve_by_maximum, permute};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn axes_in_another_order_and_their_gradient(
        sizes in [1usize..5, 1usize..20, 1usize..20, 1usize..6], keys in any::<[u32; 4]>(),
    ) {
        let mut axes = [0, 1, 2, 3];
        axes.sort_by_key(|axis| keys[*axis]);
        compare(&format!("{sizes:?} {axes:?}"), &Inputs::new(&[&sizes]), |tensors| {
            // What comes in is a view already, and the gradient, too.
            let x = tensors[0].clone().reshape(sizes).swap_dims(1, 2);
            permute(x, axes).swap_dims(0, 3) * 2.0
        });
    }

    #[test]
    fn halves_and_their_gradient(sizes in [1usize..3, 1usize..6, 1usize..6, 1usize..30]) {
        let [n, height, width, channels] = sizes;
        let sizes = [n, 2 * height, 2 * width, channels];
        compare(&format!("{sizes:?}"), &Inputs::new(&[&sizes]), |tensors| {
            halve_by_maximum(tensors[0].clone().reshape(sizes))
        });
    }
}

/// The plain way, in `f64`, is Burn's: equal cells are told apart in the same way, and what is not a number passes.
#[test]
fn equal_cells_and_cells_that_are_not_numbers() {
    let device = Device::flex().autodiff();
    let cells = [1.0, 1.0, 1.0, 1.0, 0.0, 2.0, 2.0, 1.0, 0.0, 1.0, 2.0, 2.0];
    let map = Tensor::<1>::from_data(TensorData::from(cells), &device).reshape([3, 2, 2, 1]);
    let by = |map: Tensor<4>| {
        let map = map.require_grad();
        let gradients = halve_by_maximum(map.clone()).sum().backward();
        map.grad(&gradients).unwrap().into_data().convert::<f32>().try_into_vec::<f32>().unwrap()
    };
    let found = by(map.clone());
    assert_eq!(found, [1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0]);
    assert_eq!(by(map.clone().cast(burn::tensor::FloatDType::F64)), found);
    let with = map.slice_fill([0..1, 1..2, 1..2, 0..1], f32::NAN);
    let halved: Vec<f32> = halve_by_maximum(with).into_data().try_into_vec().unwrap();
    assert!(halved[0].is_nan() && halved[1..] == [2.0, 2.0]);
}

#[test]
#[should_panic(expected = "[0, 0, 2] are not the 3 axes of a tensor")]
fn an_axis_twice_is_refused() {
    permute(Tensor::<3>::zeros([1, 2, 3], &Device::flex()), [0, 0, 2]);
}
