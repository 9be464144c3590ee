use crate::support::{Inputs, compare, compare_sums};
use burn::nn::PaddingConfig2d;
use burn::nn::conv::{Conv2dConfig, ConvTranspose2dConfig};
use burn::tensor::ops::{ConvOptions, ConvTransposeOptions};
use burn::tensor::{Device, Distribution, Tensor};
use burn_kernels::{batch_norm, batch_norm_train, conv_transpose2d, conv2d, layer, prelu};
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
        groups in 0usize..3,
    ) {
        // One group, a group for each channel, or two.
        let (channels, groups) = match groups {
            0 => (channels, 1),
            1 => ([channels[1]; 2], channels[1]),
            _ => (channels.map(|count| 2 * count), 2),
        };
        let covered = |axis: usize| dilation[axis] * (kernel[axis] - 1) + 1;
        prop_assume!((0..2).all(|axis| covered(axis) <= input[axis] + padding[axis].0 + padding[axis].1));
        let x = [batch, channels[0], input[0], input[1]];
        let weight = [channels[1], channels[0] / groups, kernel[0], kernel[1]];
        let mut inputs = Inputs::new(&[&x, &weight, &[channels[1]]]);
        inputs.tracked = vec![tracked[0], tracked[1] || !tracked[0], bias];
        let options = ConvOptions::new_with_padding(stride, padding, dilation, groups);
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

    #[test]
    fn transposed_convolution_and_all_its_gradients(
        (batch, channels, input) in (1usize..3, [1usize..9, 1usize..14], [1usize..9, 1usize..20]),
        (kernel, stride, dilation) in ([1usize..4, 1usize..4], [1usize..4, 1usize..4], [1usize..3, 1usize..3]),
        (padding, padding_out) in ([0usize..2, 0usize..2], [0usize..4, 0usize..4]),
        bias in any::<bool>(),
        tracked in any::<[bool; 2]>(),
    ) {
        prop_assume!((0..2).all(|axis| {
            (input[axis] - 1) * stride[axis] + dilation[axis] * (kernel[axis] - 1) + padding_out[axis] >= 2 * padding[axis]
        }));
        let (x, weight) = ([batch, channels[0], input[0], input[1]], [channels[0], channels[1], kernel[0], kernel[1]]);
        let mut inputs = Inputs::new(&[&x, &weight, &[channels[1]]]);
        inputs.tracked = vec![tracked[0], tracked[1] || !tracked[0], bias];
        let options = ConvTransposeOptions::new(stride, padding, padding_out, dilation, 1);
        compare_sums(&format!("{x:?} {weight:?} {options:?} {tracked:?}"), &inputs, |tensors| {
            let bias = bias.then(|| tensors[2].clone());
            conv_transpose2d(tensors[0].clone().reshape(x), tensors[1].clone().reshape(weight), bias, options.clone())
        });
    }

    #[test]
    fn batch_norm_and_all_its_gradients(shape in [1usize..4, 1usize..5, 2usize..9, 2usize..20], parameters in any::<[bool; 2]>()) {
        let channels = shape[1];
        let mut inputs = Inputs::new(&[&shape, &[channels], &[channels]]);
        inputs.tracked = vec![true, parameters[0], parameters[1]];
        compare(&format!("{shape:?} {parameters:?}"), &inputs, |tensors| {
            batch_norm_train(tensors[0].clone().reshape(shape), tensors[1].clone(), tensors[2].clone(), 1e-5).output
        });
    }

    #[test]
    fn rectifier_and_its_gradients(shape in [2usize..4, 2usize..5, 4usize..9], tracked in any::<bool>()) {
        let mut inputs = Inputs::new(&[&shape, &[1]]);
        inputs.tracked = vec![tracked, true];
        compare_sums(&format!("{shape:?}"), &inputs, |tensors| {
            // Below zero, where the slope counts, also for the magnitudes of its terms.
            prelu(tensors[0].clone().reshape(shape) - 0.75, tensors[1].clone())
        });
    }
}

#[test]
fn statistics_of_a_batch_norm_are_burns() {
    let device = Device::flex();
    let x = Tensor::<4>::random([2, 3, 7, 5], Distribution::Default, &device);
    let (weight, bias) = (Tensor::<1>::ones([3], &device), Tensor::<1>::zeros([3], &device));
    let found = batch_norm_train(x.clone(), weight.clone(), bias.clone(), 1e-5);
    let expected = burn::tensor::module::batch_norm_train(x, weight, bias, 1e-5);
    for (found, expected) in [(found.mean, expected.mean), (found.variance, expected.variance)] {
        assert!((found - expected).abs().max().into_scalar::<f32>() < 1e-6);
    }
}

#[test]
fn a_batch_norm_by_given_statistics_is_burns_and_has_its_gradients() {
    let device = Device::flex();
    let random = |device: &Device| Tensor::<1>::random([3], Distribution::Uniform(0.5, 2.0), device);
    for device in [device.clone(), device.autodiff()] {
        let x = Tensor::<4>::random([2, 3, 7, 5], Distribution::Default, &device);
        let [weight, bias, mean, variance] = std::array::from_fn(|_| random(&device));
        let (weight, bias) = if device.is_autodiff() { (weight.require_grad(), bias) } else { (weight, bias) };
        let found = batch_norm(x.clone(), weight.clone(), bias.clone(), [mean.clone(), variance.clone()], 1e-5);
        let expected = burn::tensor::module::batch_norm(x, weight.clone(), bias, mean, variance, 1e-5);
        assert!((found.clone() - expected).abs().max().into_scalar::<f32>() < 1e-5);
        if device.is_autodiff() {
            assert!(weight.grad(&found.sum().backward()).is_some());
        }
    }
}

#[test]
fn a_transposed_layer_is_burns() {
    let device = Device::flex();
    let x = Tensor::<4>::random([2, 4, 5, 6], Distribution::Default, &device);
    let config = || ConvTranspose2dConfig::new([4, 6], [3, 2]);
    for config in [
        config(),
        config().with_stride([2, 2]).with_padding([1, 0]).with_padding_out([1, 0]).with_bias(false),
        config().with_stride([2, 1]).with_padding_out([1, 2]),
        config().with_groups(2).with_stride([2, 2]),
    ] {
        let conv = config.init(&device);
        let (found, expected) = (layer::conv_transpose2d(&conv, x.clone()), conv.forward(x.clone()));
        assert_eq!(found.dims(), expected.dims(), "{conv:?}");
        assert!((found - expected).abs().max().into_scalar::<f32>() < 1e-5, "{conv:?}");
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
