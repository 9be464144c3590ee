//! Gradients around the backward pass: replicas of the model for shares of a step, and clipping by global norm.
//!
//! Burn accumulates (`GradientsAccumulator`); its clipping, however, takes the norm of each tensor alone, which changes the
//! direction of the step. Here the norm is that of all gradients together, as in PyTorch's `clip_grad_norm_`.

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor};

/// A copy of a module on `device` (without autodiff) for the gradients of one share of a step: the same values and
/// parameter ids, trainable where the original is, with leaves of its own. Burn joins the graphs of tensors that share a
/// leaf under one lock, so copies that shared them would wait for each other.
///
/// `Module::fork` promises the same, but Burn 0.22.1 records its move to the device as an operation on the original's leaves.
/// Nothing ever consumes that record, and every later backward pass searches all of them: a step took four times as long
/// after a thousand. Going through the plain module records nothing.
pub fn replica<M: Module>(module: &M, device: &Device) -> M {
    module.valid().to_device(device).train()
}

struct SumOfSquares<'a> {
    grads: &'a GradientsParams,
    sum: Option<Tensor<1>>,
}

impl ModuleVisitor for SumOfSquares<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(grad) = self.grads.get::<D>(param.id) {
            let square = grad.square().sum();
            self.sum = Some(match self.sum.take() {
                None => square,
                Some(sum) => sum + square,
            });
        }
    }
}

struct Scale<'a> {
    grads: &'a mut GradientsParams,
    factor: f32,
}

impl ModuleVisitor for Scale<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(grad) = self.grads.remove::<D>(param.id) {
            self.grads.register(param.id, grad * self.factor);
        }
    }
}

/// Euclidean norm of all gradients together; 0 when there is none.
pub fn global_norm<M: Module>(module: &M, grads: &GradientsParams) -> f32 {
    let mut visitor = SumOfSquares { grads, sum: None };
    module.visit(&mut visitor);
    visitor.sum.map_or(0.0, |sum| sum.into_scalar::<f32>().sqrt())
}

/// Multiplies every gradient by `factor`.
pub fn scale<M: Module>(module: &M, mut grads: GradientsParams, factor: f32) -> GradientsParams {
    if factor != 1.0 {
        module.visit(&mut Scale { grads: &mut grads, factor });
    }
    grads
}

/// Scales the gradients down to a global norm of `limit` where it is larger; returns them with the norm before.
pub fn clip_global_norm<M: Module>(module: &M, grads: GradientsParams, limit: f32) -> (GradientsParams, f32) {
    let norm = global_norm(module, &grads);
    if norm > limit { (scale(module, grads, limit / norm), norm) } else { (grads, norm) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::optim::GradientsAccumulator;
    use burn::tensor::Device;

    #[derive(Module, Debug)]
    struct Two {
        a: Param<Tensor<1>>,
        b: Param<Tensor<2>>,
    }

    fn model() -> Two {
        let device = Device::flex().autodiff();
        Two {
            a: Param::from_tensor(Tensor::from_floats([1.0], &device)),
            b: Param::from_tensor(Tensor::from_floats([[1.0, 1.0]], &device)),
        }
    }

    fn grads(model: &Two, factor: f32) -> GradientsParams {
        // d/da = 3 factor; d/db = [0, 4] factor: norm 5 factor.
        let pick = Tensor::<2>::from_floats([[0.0, 4.0]], &model.b.device());
        let loss = (model.a.val() * 3.0).sum() + (model.b.val() * pick).sum();
        GradientsParams::from_grads((loss * factor).backward(), model)
    }

    #[test]
    fn clipping_keeps_the_direction_over_all_tensors() {
        let model = model();
        let (clipped, norm) = clip_global_norm(&model, grads(&model, 1.0), 1.0);
        assert_eq!(norm, 5.0);
        assert!((clipped.get::<1>(model.a.id).unwrap().into_scalar::<f32>() - 0.6).abs() < 1e-6);
        assert!((clipped.get::<2>(model.b.id).unwrap().sum().into_scalar::<f32>() - 0.8).abs() < 1e-6);
        let (kept, _) = clip_global_norm(&model, grads(&model, 1.0), 6.0);
        assert_eq!(global_norm(&model, &kept), 5.0);
    }

    #[test]
    fn accumulated_halves_equal_the_whole() {
        let model = model();
        let mut sum = GradientsAccumulator::new();
        for _ in 0..2 {
            sum.accumulate(&model, grads(&model, 0.5));
        }
        assert_eq!(global_norm(&model, &sum.grads()), 5.0);
    }
}
