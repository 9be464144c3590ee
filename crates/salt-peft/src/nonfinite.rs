//! Where the numbers went wrong: the first parameter or gradient that is not finite.

use crate::check::position;
use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;
use std::fmt;

/// A number that is NaN or infinite.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct NonFinite {
    /// Path of the parameter in the module.
    pub path: String,
    /// Where in the parameter, one index per axis.
    pub position: Vec<usize>,
    /// The number.
    pub value: f64,
}

impl fmt::Display for NonFinite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` holds {} at {:?}", self.path, self.value, self.position)
    }
}

/// The first stored parameter of a module, adapters included, that holds NaN or an infinity, in the order of its traversal.
///
/// Reads every parameter; made for the moment when a loss is no longer finite, not for every step.
pub fn first_non_finite<M: Module>(module: &M) -> Option<NonFinite> {
    search(module, None)
}

/// The same for the gradients of a step.
pub fn first_non_finite_gradient<M: Module>(module: &M, gradients: &GradientsParams) -> Option<NonFinite> {
    search(module, Some(gradients))
}

fn search<M: Module>(module: &M, gradients: Option<&GradientsParams>) -> Option<NonFinite> {
    let mut visitor = Search { path: Vec::new(), gradients, found: None };
    module.visit(&mut visitor);
    visitor.found
}

struct Search<'a> {
    path: Vec<String>,
    gradients: Option<&'a GradientsParams>,
    found: Option<NonFinite>,
}

impl ModuleVisitor for Search<'_> {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if self.found.is_some() {
            return;
        }
        let tensor = match self.gradients {
            None => Some(param.base().without_autodiff()),
            Some(gradients) => gradients.get::<D>(param.id),
        };
        let Some(tensor) = tensor else { return };
        let shape = tensor.dims();
        let wrong = tensor.into_data().iter::<f64>().enumerate().find(|(_, value)| !value.is_finite());
        self.found = wrong.map(|(index, value)| NonFinite {
            path: self.path.join("."),
            position: position(index, &shape),
            value,
        });
    }
}
