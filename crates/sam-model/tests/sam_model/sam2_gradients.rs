//! Gradients of a SAM 2 against the original's automatic differentiation.
//!
//! The gradients to be met were computed in f64 arithmetic (`sam2_gradients.py`). In f64 the model meets them within 2e-5 of each
//! norm (`sam2_gradients_in_doubles`); in f32 neither it nor the original does, so there it must come as close as the original's own f32
//! arithmetic.

use burn::module::Module;
use burn::tensor::{Device, Int, Tensor};
use sam_model::{Checkpoint, MaskChoice, Prompts, SamConfig};

use super::gradients::{Compare, Reference};
use super::support::FixtureSet;

const GRADIENTS: &str = "sam2_gradients.safetensors";

/// The loss that `sam2_tiny.py` describes, from the image through the whole model.
pub(crate) fn compare(device: &Device, limit: impl Fn(&Reference, &Reference) -> f64) {
    let set = FixtureSet::sam2_with(&[GRADIENTS]);
    let reference = Reference::from(&set.path("sam2_tiny_io.safetensors"));
    let exact = Reference::from(&set.path(GRADIENTS));
    let checkpoint = Checkpoint::open(set.path("sam2_tiny.pt")).unwrap();
    let (sam, _) = checkpoint.load(&SamConfig::read(set.path("sam2_tiny.json")).unwrap(), device).unwrap();
    let labels: Tensor<2, Int> = reference.tensor::<2>("points.labels", device).int();
    let points = Prompts::none(1).with_point_tensors(reference.tensor("points.coords", device), labels).unwrap();
    let features = sam.encode(reference.tensor("image", device)).unwrap();
    let answer = sam.decode(features, &points, MaskChoice::All).unwrap();
    let weight = reference.tensor::<4>("grad.mask_weight", device);
    let loss = (answer.low_resolution * weight).mean() + answer.iou.sum() + answer.object_score.unwrap().sum();
    let (value, expected) = (loss.clone().into_scalar::<f32>(), exact.0["grad.loss"].1[0]);
    assert!((value - expected).abs() <= 1e-5 * expected.abs().max(1.0), "loss {value}, expected {expected}");

    let gradients = loss.backward();
    let mut compare = Compare::new(&exact, &gradients, "grad.");
    compare.limit = limit(&reference, &exact);
    sam.visit(&mut compare);
    eprintln!("{} gradients, at most {:.2e} of the norm away", compare.compared, compare.largest);
    assert!(compare.problems.is_empty(), "limit {:.2e}: {:#?}", compare.limit, compare.problems);
    assert!(compare.compared >= 240, "only {} gradients were compared", compare.compared);
}

/// How far the gradients of the original's f32 arithmetic are from those of its f64 arithmetic, at most, in shares of the norm.
fn distance_of_the_original(single: &Reference, exact: &Reference) -> f64 {
    let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>().sqrt();
    let distance = |(name, (_, exact)): (&String, &(Vec<usize>, Vec<f32>))| {
        let found = &single.0[name].1;
        let scale = norm(&mut exact.iter().map(|v| f64::from(*v)));
        let distance = norm(&mut exact.iter().zip(found).map(|(a, b)| f64::from(*a) - f64::from(*b)));
        if scale > 1e-4 { distance / scale } else { 0.0 }
    };
    exact.0.iter().map(distance).fold(0.0, f64::max)
}

#[test]
fn in_single_precision_they_are_as_close_as_the_originals_own() {
    compare(&Device::default().autodiff(), distance_of_the_original);
}
