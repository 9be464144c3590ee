//! Every network against the reference package: outputs in both modes, running statistics, every gradient.

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, Gradients, Tensor};
use seg_baselines::Network;

use crate::support::{NAMES, Reference, Tensors, stored, values};

/// Outputs, running statistics and gradients agree within this much of the tensor's largest value.
const TOLERANCE: f64 = 1e-4;
/// A gradient that nearly cancels is the sum of large ones: it may also be off by this much of the network's largest gradient.
const OF_LARGEST: f64 = 1e-5;

fn largest(values: &[f32]) -> f64 {
    values.iter().fold(0.0, |largest, value| f64::max(largest, f64::from(value.abs())))
}

fn distance(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len());
    // A NaN counts as infinitely far.
    let far = |d: f64| if d.is_nan() { f64::INFINITY } else { d };
    a.iter().zip(b).fold(0.0, |most, (a, b)| f64::max(most, far((f64::from(*a) - f64::from(*b)).abs())))
}

/// The largest relative deviation of a group, after asserting that each is within the tolerance.
fn compare(what: &str, expected: &Tensors, found: &Tensors, slack: f64) -> f64 {
    let mut worst = 0.0;
    for (name, (shape, values)) in expected {
        let (found_shape, found) = found.get(name).unwrap_or_else(|| panic!("{what}: no {name}"));
        assert_eq!(shape, found_shape, "{what}: {name}");
        let (far, most) = (distance(values, found), largest(values));
        assert!(far <= TOLERANCE * most + slack, "{what}: {name} is off by {far:.2e}, its largest value is {most:.2e}");
        worst = f64::max(worst, far / (most + slack / TOLERANCE));
    }
    worst
}

fn one(name: &str, values: Vec<f32>) -> Tensors {
    [(name.to_owned(), (vec![values.len()], values))].into()
}

fn check(name: &str) {
    let reference = Reference::read(name);
    let expected = |name: &str| one(name, reference.tensors[name].1.clone());

    let device = Device::default();
    let network = reference.network(&device);
    assert_eq!(network.num_parameters() as u64, reference.info["parameters"].as_u64().unwrap());
    let output = network.forward(reference.tensor("input", &device)).unwrap();
    let eval = compare(name, &expected("output_eval"), &one("output_eval", values(output)), 0.0);
    // Without gradients the mode is the same on every device.
    assert_eq!(stored(&network), reference.weights(), "{name}: evaluation changes nothing");

    let device = device.autodiff();
    let network = reference.network(&device);
    let input = reference.tensor("input", &device).require_grad();
    let output = network.forward(input.clone()).unwrap();
    let train = compare(name, &expected("output_train"), &one("output_train", values(output.clone().inner())), 0.0);

    let after = stored(&network);
    let running = compare(name, &reference.group("running_after."), &after, 0.0);

    let gradients = (output * reference.tensor("cotangent", &device)).sum().backward();
    let mut found = stored(&network.map(&mut ToGradients { gradients: &gradients }));
    let input_gradient = values(input.grad(&gradients).unwrap());
    found.insert("input".to_owned(), (reference.tensors["input"].0.clone(), input_gradient));
    let expected = reference.group("grad.");
    let most = expected.values().map(|(_, values)| largest(values)).fold(0.0, f64::max);
    let gradient = compare(name, &expected, &found, OF_LARGEST * most);
    let parameters = reference.weights().keys().filter(|key| !key.contains(".running_")).count();
    assert_eq!(expected.len(), parameters + 1, "every parameter's gradient, and the input's");
    eprintln!("{name:<18} eval {eval:.1e}  train {train:.1e}  running {running:.1e}  gradients {gradient:.1e}");
}

/// Puts every parameter's gradient in its place, so that saving names it.
struct ToGradients<'a> {
    gradients: &'a Gradients,
}

impl ModuleMapper for ToGradients<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        match param.val().grad(self.gradients) {
            Some(gradient) => {
                let id = param.id;
                param.transform_for_load(Tensor::from_inner(gradient), id)
            }
            None => param,
        }
    }
}

#[test]
fn unet() {
    check("unet");
}

#[test]
fn unetr() {
    check("unetr");
}

#[test]
fn regunet() {
    check("regunet");
}

#[test]
fn regunet_with_its_decoder() {
    check("regunet_decoder");
}

#[test]
fn segnet() {
    check("segnet");
}

#[test]
fn deeplabv3plus() {
    check("deeplabv3plus");
}

#[test]
fn segformer() {
    check("segformer");
}

#[test]
fn segformer_on_resnet() {
    check("segformer_resnet");
}

#[test]
fn segformer_of_the_other_package() {
    check("segformer_smp");
}

/// Two passes move the running statistics twice, and `valid` takes them along.
#[test]
fn running_statistics_are_up_to_date_at_once() {
    let reference = Reference::read("unet");
    let device = Device::default().autodiff();
    let network = reference.network(&device);
    let input = reference.tensor("input", &device);
    let statistics = |network: &Network| {
        let mut all = stored(network);
        all.retain(|name, _| name.contains("running_"));
        all
    };
    let before = statistics(&network);
    network.forward(input.clone()).unwrap();
    let once = statistics(&network);
    network.forward(input).unwrap();
    let twice = statistics(&network);
    assert_eq!(statistics(&network.valid()), twice);
    for (name, (_, before)) in &before {
        for ((before, once), twice) in before.iter().zip(&once[name].1).zip(&twice[name].1) {
            // 0.9 (0.9 a + 0.1 b) + 0.1 b, from a and 0.9 a + 0.1 b.
            let expected = 1.9 * once - 0.9 * before;
            assert!((twice - expected).abs() < 1e-5 * expected.abs().max(1.0), "{name}");
        }
    }
}

#[test]
fn every_network_has_a_reference() {
    for name in NAMES {
        assert!(!Reference::read(name).group("grad.").is_empty(), "{name}");
    }
}
