//! Where a number that is not finite appeared first.

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;

struct Search<'a> {
    path: Vec<String>,
    /// Look at gradients instead of values.
    grads: Option<&'a GradientsParams>,
    found: Option<String>,
}

fn is_finite<const D: usize>(tensor: Tensor<D>) -> bool {
    tensor.into_data().convert::<f32>().iter::<f32>().all(f32::is_finite)
}

impl ModuleVisitor for Search<'_> {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if self.found.is_some() {
            return;
        }
        let finite = match self.grads {
            None => is_finite(param.base()),
            Some(grads) => grads.get::<D>(param.id).is_none_or(is_finite),
        };
        if !finite {
            self.found = Some(self.path.join("."));
        }
    }
}

/// The first parameter, in the module's order, that holds a number that is not finite, by its path.
pub fn first_broken_parameter<M: Module>(module: &M) -> Option<String> {
    let mut search = Search { path: Vec::new(), grads: None, found: None };
    module.visit(&mut search);
    search.found
}

/// The first parameter, in the module's order, whose gradient holds a number that is not finite, by its path.
pub fn first_broken_gradient<M: Module>(module: &M, grads: &GradientsParams) -> Option<String> {
    let mut search = Search { path: Vec::new(), grads: Some(grads), found: None };
    module.visit(&mut search);
    search.found
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::nn::{Linear, LinearConfig};
    use burn::tensor::Device;

    #[derive(Module, Debug)]
    struct Two {
        first: Linear,
        second: Linear,
    }

    #[test]
    fn the_first_place_is_named() {
        let device = Device::flex().autodiff();
        let mut two =
            Two { first: LinearConfig::new(2, 2).init(&device), second: LinearConfig::new(2, 1).init(&device) };
        assert_eq!(first_broken_parameter(&two), None);
        let input = Tensor::<2>::from_floats([[1.0, 2.0]], &device);
        let forward = |two: &Two| two.second.forward(two.first.forward(input.clone())).sum();
        let grads = GradientsParams::from_grads(forward(&two).backward(), &two);
        assert_eq!(first_broken_gradient(&two, &grads), None);
        two.second.weight = Param::from_tensor(Tensor::from_floats([[f32::NAN], [1.0]], &device));
        assert_eq!(first_broken_parameter(&two).as_deref(), Some("second.weight"));
        let grads = GradientsParams::from_grads(forward(&two).backward(), &two);
        assert_eq!(first_broken_gradient(&two, &grads).as_deref(), Some("first.weight"));
    }
}
