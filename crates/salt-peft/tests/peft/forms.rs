//! Both sides of every choice of the cost model give the same output and gradients, and the model counts what it says it counts.

use super::support::{doubles, gradients, perturb, relative_error, values};
use burn::module::{Module, Param};
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{Linear, LinearConfig, PaddingConfig2d};
use burn::tensor::{Device, Tensor, TensorData};
use burn_kernels::layer::{conv2d, linear};
use salt_peft::{
    AdapterConfig, AttachOptions, Kind, LinearForm, LinearShape, Rank, SaltForm, TailPath, attach, conv2d_by,
    linear_by, linear_cost, linear_form, tail_cost, tail_path,
};

fn layer(inputs: usize, outputs: usize, device: &Device) -> Linear {
    let mut layer = LinearConfig::new(inputs, outputs).init(device);
    layer.weight = Param::from_data(TensorData::new(values(inputs * outputs, 1, 0.3), [inputs, outputs]), device);
    layer.bias = Some(Param::from_data(TensorData::new(values(outputs, 2, 0.3), [outputs]), device));
    layer
}

fn configs() -> Vec<(&'static str, AdapterConfig)> {
    let salt = |svd_rank, lora_rank, form| AdapterConfig {
        svd_rank: Rank::Fixed(svd_rank),
        lora_rank,
        form,
        ..AdapterConfig::default()
    };
    vec![
        ("lora", AdapterConfig::lora(3, 6.0)),
        ("svd", AdapterConfig::svd()),
        ("paper", salt(4, 2, SaltForm::Paper)),
        ("paper, few remain", salt(10, 6, SaltForm::Paper)),
        ("diag", salt(4, 2, SaltForm::Diag)),
        ("linear, few remain", salt(10, 6, SaltForm::Linear)),
        ("linear, no top", salt(0, 2, SaltForm::Linear)),
        ("linear, no rest", salt(12, 2, SaltForm::Linear)),
        ("projector", salt(4, 2, SaltForm::Projector)),
    ]
}

type Outcome = (Vec<f64>, Vec<f64>, std::collections::BTreeMap<String, Vec<f64>>);

fn run<M: Module>(model: &M, x: &Tensor<3>, forward: impl Fn(&M, Tensor<3>) -> Tensor<3>) -> Outcome {
    let x = x.clone().require_grad();
    let y = forward(model, x.clone());
    let weights = Tensor::from_data(TensorData::new(values(y.shape().num_elements(), 9, 1.0), y.shape()), &y.device());
    let grads = (y.clone() * weights).sum().backward();
    let input = x.grad(&grads).expect("x is tracked");
    (doubles(y.into_data()), doubles(input.into_data()), gradients(model, &grads))
}

#[test]
fn every_form_of_an_adapted_linear_layer_gives_the_same_output_and_gradients() {
    let device = Device::default().autodiff();
    for (name, config) in configs() {
        for (inputs, outputs) in [(12, 20), (20, 12)] {
            let (model, _) = attach(layer(inputs, outputs, &device), &config, &AttachOptions::default()).expect(name);
            let model = perturb(model, 30);
            let x = Tensor::<3>::from_data(TensorData::new(values(2 * 7 * inputs, 4, 1.0), [2, 7, inputs]), &device);
            let ordinary = run(&model, &x, |layer, x| layer.forward(x));
            let mut compared = 0;
            let chosen = run(&model, &x, linear);
            assert!(relative_error(&chosen.0, &ordinary.0) < 3e-6, "{name}: chosen form");
            for form in LinearForm::ALL {
                if linear_by(&model, x.clone(), form).is_none() {
                    continue;
                }
                compared += 1;
                let found = run(&model, &x, |layer, x| linear_by(layer, x, form).expect("checked above"));
                for (what, found, expected) in [("y", &found.0, &ordinary.0), ("d_x", &found.1, &ordinary.1)] {
                    let error = relative_error(found, expected);
                    assert!(error < 3e-6, "{name} {form:?} {what}: {error:e}");
                }
                assert_eq!(
                    found.2.keys().collect::<Vec<_>>(),
                    ordinary.2.keys().collect::<Vec<_>>(),
                    "{name} {form:?}"
                );
                for (path, expected) in &ordinary.2 {
                    let error = relative_error(&found.2[path], expected);
                    assert!(error < 1e-5, "{name} {form:?} {path}: {error:e}");
                }
            }
            let expected = match name {
                "lora" | "projector" => 2,
                "svd" | "linear, no rest" => 3,
                _ => 4,
            };
            assert_eq!(compared, expected, "{name}");
        }
    }
}

#[test]
fn a_convolutional_lora_gives_the_same_output_as_two_convolutions() {
    let device = Device::default().autodiff();
    let config = AdapterConfig::lora(2, 3.0);
    for stride in [1, 2] {
        let conv: Conv2d = Conv2dConfig::new([5, 7], [3, 3])
            .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
            .with_stride([stride, stride])
            .init(&device);
        let (model, _) = attach(conv, &config, &AttachOptions::default()).expect("attaches");
        let model = perturb(model, 30);
        let x = Tensor::<4>::from_data(TensorData::new(values(2 * 5 * 6 * 9, 4, 1.0), [2, 5, 6, 9]), &device);
        let ordinary = model.forward(x.clone());
        let split = conv2d_by(&model, x.clone(), LinearForm::Activation).expect("a LoRA");
        let reads = |y: &Tensor<4>| doubles(y.clone().into_data());
        assert!(relative_error(&reads(&split), &reads(&ordinary)) < 3e-6);
        assert!(relative_error(&reads(&conv2d(&model, x)), &reads(&ordinary)) < 3e-6);
        let [one, two] = [ordinary, split].map(|y| gradients(&model, &y.square().sum().backward()));
        for (path, expected) in &one {
            assert!(relative_error(&two[path], expected) < 1e-5, "{path}");
        }
    }
}

#[test]
fn both_paths_of_the_low_rank_update_give_the_same_weight() {
    let device = Device::default();
    let config =
        AdapterConfig { svd_rank: Rank::Fixed(9), lora_rank: 6, form: SaltForm::Linear, ..AdapterConfig::default() };
    let (model, _) = attach(layer(20, 12, &device), &config, &AttachOptions::default()).expect("attaches");
    let model = perturb(model, 8);
    let slot = model.weight.reparameterization::<salt_peft::AdapterSlot>().expect("adapted");
    let Some((spec, [salt_peft::Adapter::Salt(salt)])) = slot.active() else { panic!("one part") };
    let tail = salt.tail.as_ref().expect("three singular values remain");
    let [one, two] =
        [TailPath::LowRank, TailPath::Core].map(|path| doubles(tail.delta_by(spec.layout, path).into_data()));
    assert!(relative_error(&one, &two) < 1e-6);
    assert!(one.iter().any(|value| value.abs() > 1e-2));
}

#[test]
fn the_cost_model_prefers_what_has_fewer_multiply_adds() {
    // Of 768 singular values 8 remain: 8 is a smaller inner dimension than 256.
    assert_eq!(tail_path(768, 2304, 8, 256), TailPath::Core);
    assert_eq!(tail_path(768, 3072, 718, 256), TailPath::LowRank);
    assert_eq!(tail_cost(10, 20, 3, 2, TailPath::LowRank), (10 + 20) * 3 * 2 + 10 * 20 * 2);
    assert_eq!(tail_cost(10, 20, 3, 2, TailPath::Core), 3 * 3 * 2 + 10 * 3 * 3 + 10 * 20 * 3);

    let shape = |tokens, training| LinearShape { tokens, inputs: 768, outputs: 2304, training };
    let lora = Kind::Lora { rank: 4, scale: 1.0 };
    // In training the weight form pays for the gradient of the whole weight.
    assert_eq!(linear_form(&lora, shape(1024, true)), LinearForm::Activation);
    // In evaluation of many tokens with a high rank, building the weight once is cheaper.
    let wide = Kind::Lora { rank: 256, scale: 1.0 };
    assert_eq!(linear_form(&wide, shape(4096, false)), LinearForm::Weight);
    assert_eq!(linear_form(&wide, shape(64, false)), LinearForm::Activation);
    let paper = Kind::Salt { svd_rank: 50, lora_rank: 256, form: SaltForm::Paper };
    assert_eq!(linear_form(&paper, shape(1024, true)), LinearForm::Folded);
    // With few tokens a product with the core costs less than folding it.
    assert_eq!(linear_form(&paper, shape(64, true)), LinearForm::Spectral);
    assert_eq!(linear_cost(&lora, shape(10, false), LinearForm::Weight), Some(4 * 768 * 2304 + 10 * 768 * 2304));
    assert_eq!(
        linear_cost(&lora, shape(10, false), LinearForm::Activation),
        Some(10 * 768 * 2304 + 10 * 4 * (768 + 2304))
    );
    assert_eq!(linear_cost(&lora, shape(10, false), LinearForm::Spectral), None);
    assert_eq!(linear_cost(&Kind::Dora { rank: 4, scale: 1.0 }, shape(10, true), LinearForm::Activation), None);
}
