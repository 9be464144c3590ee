use crate::support::{Inputs, compare_sums};
use burn::nn::PaddingConfig2d;
use burn::nn::conv::Conv2dConfig;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Distribution, Tensor};
use burn_kernels::{conv2d, layer};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn convolution_and_all_its_gradients(
        (batch, channels, input) in (1usize..3, [1usize..9, 1usize..14], [4usize..12, 4usize..38]),
        (kernel, stride, dilation) in ([1usize..4, 1usize..4], [1usize..4, 1usize..4], [1usize..3, 1usize..3]),
        padding in [(0usize..3, 0usize..3), (0usize..3, 0usize..3)],
        bias in any::<bool>(),
        tracked in any::<[bool; 2]>(),
        transposed in any::<bool>(),
    ) {
        let covered = |axis: usize| dilation[axis] * (kernel[axis] - 1) + 1;
        prop_assume!((0..2).all(|axis| covered(axis) <= input[axis] + padding[axis].0 + padding[axis].1));
        let (x, weight) = ([batch, channels[0], input[0], input[1]], [channels[1], channels[0], kernel[0], kernel[1]]);
        let mut inputs = Inputs::new(&[&x, &weight, &[channels[1]]]);
        inputs.tracked = vec![tracked[0], tracked[1] || !tracked[0], bias];
        let options = ConvOptions::new_with_padding(stride, padding, dilation, 1);
        compare_sums(&format!("{x:?} {weight:?} {options:?} {tracked:?}"), &inputs, |tensors| {
            let x = match transposed {
                // Channels last in memory.
                true => tensors[0].clone().reshape([x[0], x[2], x[3], x[1]]).permute([0, 3, 1, 2]),
                false => tensors[0].clone().reshape(x),
            };
            let bias = bias.then(|| tensors[2].clone());
            conv2d(x, tensors[1].clone().reshape(weight), bias, options.clone())
        });
    }
}

#[test]
fn a_layer_is_burns_with_any_padding_and_in_groups() {
    let device = Device::flex();
    let x = Tensor::<4>::random([2, 4, 9, 11], Distribution::Default, &device);
    let config = || Conv2dConfig::new([4, 8], [3, 2]);
    let explicit = PaddingConfig2d::Explicit(1, 0, 2, 3);
    for config in [
        config(),
        config().with_padding(explicit.clone()),
        config().with_padding(PaddingConfig2d::Same),
        config().with_stride([2, 3]).with_dilation([1, 2]).with_bias(false),
        config().with_groups(4).with_padding(explicit),
    ] {
        let conv = config.init(&device);
        let (found, expected) = (layer::conv2d(&conv, x.clone()), conv.forward(x.clone()));
        assert_eq!(found.dims(), expected.dims(), "{conv:?}");
        assert!((found - expected).abs().max().into_scalar::<f32>() < 1e-5, "{conv:?}");
    }
}

#[test]
#[should_panic(expected = "weight: expected 4 channels of input, found 3")]
fn a_weight_for_other_channels_is_refused() {
    let device = Device::flex();
    let (x, weight) = (Tensor::<4>::ones([1, 4, 5, 5], &device), Tensor::<4>::ones([2, 3, 3, 3], &device));
    conv2d(x, weight, None, ConvOptions::new([1, 1], [0, 0], [1, 1], 1));
}
