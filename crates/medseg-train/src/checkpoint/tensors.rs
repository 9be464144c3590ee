//! The trainable tensors of a module, by path, as bytes and back.

use crate::error::{Result, TrainError};
use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::tensor::{DType, Tensor, TensorData};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// Tensors by module path.
pub type NamedTensors = BTreeMap<String, TensorData>;

struct StableIds {
    path: Vec<String>,
}

impl ModuleMapper for StableIds {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, mut param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let digest = Sha256::digest(self.path.join(".").as_bytes());
        let mut first = [0; 8];
        first.copy_from_slice(&digest[..8]);
        param.id = ParamId::from(u64::from_le_bytes(first));
        param
    }
}

/// Gives every parameter an id that follows from its path, so that an optimiser state saved by one process fits the model
/// of another: Burn keys optimiser states by parameter id, and draws ids at random.
pub fn stable_ids<M: Module>(module: M) -> M {
    module.map(&mut StableIds { path: Vec::new() })
}

struct Collect {
    path: Vec<String>,
    tensors: NamedTensors,
}

impl ModuleVisitor for Collect {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if param.is_require_grad() || is_statistic(&self.path) {
            self.tensors.insert(self.path.join("."), param.base().into_data());
        }
    }
}

/// Whether a path is that of a batch norm's running statistic, which training changes although it is no parameter.
fn is_statistic(path: &[String]) -> bool {
    path.last().is_some_and(|name| name == "running_mean" || name == "running_var")
}

/// The tensors that training changes, by module path (those of adapters and running statistics included).
pub fn trainable_tensors<M: Module>(module: &M) -> BTreeMap<String, TensorData> {
    let mut visitor = Collect { path: Vec::new(), tensors: BTreeMap::new() };
    module.visit(&mut visitor);
    visitor.tensors
}

struct Restore {
    path: Vec<String>,
    tensors: NamedTensors,
    problem: Option<String>,
}

impl ModuleMapper for Restore {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if !param.is_require_grad() && !is_statistic(&self.path) {
            return param;
        }
        let path = self.path.join(".");
        let Some(data) = self.tensors.remove(&path) else {
            self.problem.get_or_insert_with(|| format!("{path} is missing"));
            return param;
        };
        if data.shape() != &param.shape() {
            let problem = format!("{path}: expected shape {}, found {}", param.shape(), data.shape());
            self.problem.get_or_insert(problem);
            return param;
        }
        let tensor = Tensor::from_data(data, &param.device());
        let id = param.id;
        param.transform_for_load(tensor, id)
    }
}

/// Puts saved tensors back; the trainable parameters and the tensors must be the same set.
///
/// # Errors
/// A tensor that is missing, not expected, or of another shape.
pub fn restore_tensors<M: Module>(module: M, tensors: BTreeMap<String, TensorData>) -> Result<M> {
    let mut mapper = Restore { path: Vec::new(), tensors, problem: None };
    let module = module.map(&mut mapper);
    if let Some(path) = mapper.tensors.keys().next() {
        mapper.problem.get_or_insert(format!("{path} is not a trainable parameter"));
    }
    match mapper.problem {
        None => Ok(module),
        Some(problem) => Err(TrainError::Model(format!("saved state does not fit: {problem}"))),
    }
}

/// Tensors as a safetensors file; the same tensors give the same bytes.
///
/// # Errors
/// A type of number that the format does not have.
pub fn to_bytes(tensors: &NamedTensors) -> Result<Vec<u8>> {
    let fail = |name: &str, problem: String| TrainError::Model(format!("cannot save {name}: {problem}"));
    let views = tensors
        .iter()
        .map(|(name, data)| {
            if data.dtype() != DType::F32 {
                return Err(fail(name, format!("expected f32, found {:?}", data.dtype())));
            }
            let shape: Vec<usize> = data.shape().iter().copied().collect();
            let view = TensorView::new(Dtype::F32, shape, data.as_bytes()).map_err(|e| fail(name, e.to_string()))?;
            Ok((name.as_str(), view))
        })
        .collect::<Result<Vec<_>>>()?;
    safetensors::serialize(views, None).map_err(|error| fail("the weights", error.to_string()))
}

/// The reverse of [`to_bytes`].
///
/// # Errors
/// No safetensors file, or one with another type of number than f32.
pub fn from_bytes(content: &[u8]) -> Result<NamedTensors> {
    let fail = |problem: String| TrainError::Model(format!("saved weights: {problem}"));
    let file = SafeTensors::deserialize(content).map_err(|error| fail(error.to_string()))?;
    file.iter()
        .map(|(name, view)| {
            if view.dtype() != Dtype::F32 {
                return Err(fail(format!("{name}: expected f32, found {:?}", view.dtype())));
            }
            let data = TensorData::from_bytes_vec(view.data().to_vec(), view.shape().to_vec(), DType::F32);
            Ok((name.to_string(), data))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::nn::{Linear, LinearConfig};
    use burn::tensor::Device;

    #[derive(Module, Debug)]
    struct Pair {
        first: Linear,
        second: Linear,
    }

    fn pair() -> Pair {
        let device = Device::flex().autodiff();
        let model = Pair {
            first: LinearConfig::new(3, 2).init(&device).no_grad(),
            second: LinearConfig::new(2, 1).init(&device),
        };
        stable_ids(model)
    }

    #[test]
    fn trainable_tensors_survive_bytes_and_keep_their_gradients() {
        let model = pair();
        let tensors = trainable_tensors(&model);
        assert_eq!(tensors.keys().collect::<Vec<_>>(), ["second.bias", "second.weight"]);
        let bytes = to_bytes(&tensors).unwrap();
        assert_eq!(bytes, to_bytes(&from_bytes(&bytes).unwrap()).unwrap());
        let other = restore_tensors(pair(), from_bytes(&bytes).unwrap()).unwrap();
        assert_eq!(trainable_tensors(&other), tensors);
        assert_eq!(other.second.weight.id, model.second.weight.id);
        let grads = other.second.weight.val().sum().backward();
        assert!(other.second.weight.grad(&grads).is_some());
        assert!(!other.first.weight.is_require_grad());
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let mut tensors = trainable_tensors(&pair());
        let bias = tensors.remove("second.bias").unwrap();
        let message = restore_tensors(pair(), tensors.clone()).unwrap_err().to_string();
        assert!(message.contains("second.bias is missing"), "{message}");
        tensors.insert("second.bias".into(), TensorData::zeros::<f32, _>([7]));
        let message = restore_tensors(pair(), tensors.clone()).unwrap_err().to_string();
        assert!(message.contains("second.bias: expected shape"), "{message}");
        tensors.insert("second.bias".into(), bias.clone());
        tensors.insert("third".into(), bias);
        let message = restore_tensors(pair(), tensors).unwrap_err().to_string();
        assert!(message.contains("third is not a trainable parameter"), "{message}");
    }
}
