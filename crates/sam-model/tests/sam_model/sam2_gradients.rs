//! Gradients of a SAM 2 against the original's automatic differentiation.

use burn::module::Module;
use burn::tensor::{Device, Int, Tensor};
use sam_model::{MaskChoice, Prompts};

use crate::gradients::{Compare, Reference};
use crate::support::{sam2_fixture, tiny_sam2};

/// The loss that `sam2_tiny.py` describes, from the image through the whole model.
#[test]
fn every_gradient_is_that_of_the_original() {
    let device = Device::default().autodiff();
    let reference = Reference::from(&sam2_fixture("sam2_tiny_io.safetensors"));
    let sam = tiny_sam2(&device);
    let labels: Tensor<2, Int> = reference.tensor::<2>("points.labels", &device).int();
    let points = Prompts::none(1).with_point_tensors(reference.tensor("points.coords", &device), labels).unwrap();
    let features = sam.encode(reference.tensor("image", &device)).unwrap();
    let answer = sam.decode(features, &points, MaskChoice::All).unwrap();
    let weight = reference.tensor::<4>("grad.mask_weight", &device);
    let loss = (answer.low_resolution * weight).mean() + answer.iou.sum() + answer.object_score.unwrap().sum();
    let (value, expected) = (loss.clone().into_scalar::<f32>(), reference.0["grad.loss"].1[0]);
    assert!((value - expected).abs() <= 1e-5 * expected.abs().max(1.0), "loss {value}, expected {expected}");

    let gradients = loss.backward();
    let mut compare = Compare::new(&reference, &gradients, "grad.");
    sam.visit(&mut compare);
    eprintln!("{} gradients, at most {:.2e} of the norm away", compare.compared, compare.largest);
    assert!(compare.problems.is_empty(), "{:#?}", compare.problems);
    assert!(compare.compared >= 240, "only {} gradients were compared", compare.compared);
}
