//! Gradients against finite differences, parameter by parameter.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Device, Gradients, Tensor, TensorData};
use sam_model::{AutomaticPrompt, Sam, SamConfig, SamVariant};

use super::gradients::config;
use super::support::automatic_prompt;

/// Moves one parameter along a direction.
struct Move<'a> {
    target: &'a str,
    direction: &'a TensorData,
    step: f32,
    path: Vec<String>,
}

impl ModuleMapper for Move<'_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }
    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if self.path.join(".") != self.target {
            return param;
        }
        let device = param.val().device();
        let direction = Tensor::<D>::from_data(self.direction.clone(), &device);
        param.map(|tensor| tensor + direction * self.step)
    }
}

/// Every parameter's path, gradient direction and gradient norm.
struct Directions<'a> {
    gradients: &'a Gradients,
    path: Vec<String>,
    found: Vec<(String, TensorData, f64)>,
}

impl ModuleVisitor for Directions<'_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }
    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let Some(gradient) = param.val().grad(self.gradients) else { return };
        let norm = f64::from(gradient.clone().powf_scalar(2.0).sum().sqrt().into_scalar::<f32>());
        if norm > 0.0 {
            self.found.push((self.path.join("."), (gradient / norm as f32).into_data(), norm));
        }
    }
}

/// Along its gradient's direction, a parameter's loss must rise by the gradient's norm. Prompts, size and variant are those
/// that the reference of `gradients` does not have: automatic tokens, a non-square input, and the paper's arithmetic.
#[test]
fn finite_differences_agree_for_every_kind_of_parameter() {
    for (variant, size) in [(SamVariant::Sam, [40, 56]), (SamVariant::Paper, [56, 56])] {
        let device = Device::default().autodiff();
        let config = SamConfig { variant, ..config() };
        let sam = config.init_seeded(11, &device).unwrap();
        let prompt = automatic_prompt(2, 16, &device);
        let values =
            |count: usize, seed: f32| (0..count).map(|i| ((i as f32 + seed) * 0.7311).sin()).collect::<Vec<_>>();
        let image = TensorData::new(values(3 * size[0] * size[1], 1.0), [1, 3, size[0], size[1]]);
        let grid = [4 * size[0] / 8, 4 * size[1] / 8];
        let mix = TensorData::new(values(2 * grid[0] * grid[1], 0.3), [1, 2, grid[0], grid[1]]);
        let loss = |sam: &Sam, prompt: &AutomaticPrompt, device: &Device| {
            let image = Tensor::<4>::from_data(image.clone(), device);
            let logits = sam.forward_automatic(image, prompt).unwrap();
            (logits * Tensor::from_data(mix.clone(), device)).sum()
        };
        let gradients = loss(&sam, &prompt, &device).backward();
        let mut directions = Directions { gradients: &gradients, path: Vec::new(), found: Vec::new() };
        sam.visit(&mut directions);
        prompt.visit(&mut directions);
        let found = directions.found;
        assert!(found.len() > 80, "{} parameters have a gradient", found.len());

        let (plain, plain_prompt) = (sam.valid(), prompt.valid());
        let inner = device.clone().inner();
        for (name, direction, norm) in &found {
            let at = |step: f32| {
                let mover = || Move { target: name, direction, step, path: Vec::new() };
                let sam = plain.clone().map(&mut mover());
                let prompt = plain_prompt.clone().map(&mut mover());
                f64::from(loss(&sam, &prompt, &inner).into_scalar::<f32>())
            };
            // The best of a few steps: a long one bends (the steeper, the sooner), a short one drowns in rounding.
            let error = [3e-2f32, 1e-2, 3e-3, 1e-3, 3e-4, 1e-4]
                .map(|step| ((at(step) - at(-step)) / (2.0 * f64::from(step)) - norm).abs() / norm)
                .into_iter()
                .fold(f64::INFINITY, f64::min);
            assert!(
                error < 2e-2 || norm * error < 2e-3,
                "{variant:?} {name}: relative error {error:.3}, norm {norm:.2e}"
            );
        }
    }
}
