//! The running statistics of batch norms: what training changes beside the parameters.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Tensor, TensorData};

use crate::network::{body_path, is_statistic};
use crate::{Architecture, BaselineError, Network};

impl Network {
    /// The running means and variances of all batch norms, by the reference package's names; `[channels]` each.
    ///
    /// They have no gradients, so an optimizer does not know them, and a training checkpoint that asks for what requires
    /// gradients misses them. A clone of a network shares them with the original, as in Burn's own batch norm: training one
    /// moves the other's. [`valid`](Module::valid) copies them.
    pub fn statistics(&self) -> BTreeMap<String, TensorData> {
        let mut collect =
            Collect { architecture: &self.config().architecture, path: Vec::new(), statistics: BTreeMap::new() };
        self.visit(&mut collect);
        collect.statistics
    }

    /// Puts running statistics in their places, all or nothing.
    ///
    /// # Errors
    /// [`BaselineError::Value`] if they are not those of the network: another set of names, or other numbers of channels.
    pub fn with_statistics(self, statistics: &BTreeMap<String, TensorData>) -> Result<Self, BaselineError> {
        let own = self.statistics();
        let fits =
            |(name, data): (&String, &TensorData)| statistics.get(name).is_some_and(|s| s.shape() == data.shape());
        if let Some((name, data)) = own.iter().find(|entry| !fits(*entry)) {
            let found = statistics.get(name).map_or_else(|| "none".to_owned(), |data| data.shape().to_string());
            return Err(BaselineError::value("running statistics", format!("`{name}` of {}", data.shape()), found));
        }
        if let Some(name) = statistics.keys().find(|name| !own.contains_key(*name)) {
            return Err(BaselineError::value("running statistics", "those of the network", format!("also `{name}`")));
        }
        let architecture = self.config().architecture.clone();
        Ok(self.map(&mut Restore { architecture: &architecture, path: Vec::new(), statistics }))
    }
}

/// The name of a statistic at a path; nothing for parameters.
fn statistic_name(architecture: &Architecture, path: &[String]) -> Option<String> {
    let path = body_path(path);
    let key = architecture.key(&path)?;
    is_statistic(&path).then_some(key.name)
}

struct Collect<'a> {
    architecture: &'a Architecture,
    path: Vec<String>,
    statistics: BTreeMap<String, TensorData>,
}

impl ModuleVisitor for Collect<'_> {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(name) = statistic_name(self.architecture, &self.path) {
            self.statistics.insert(name, param.val().into_data());
        }
    }
}

struct Restore<'a> {
    architecture: &'a Architecture,
    path: Vec<String>,
    statistics: &'a BTreeMap<String, TensorData>,
}

impl ModuleMapper for Restore<'_> {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let name = statistic_name(self.architecture, &self.path);
        match name.and_then(|name| self.statistics.get(&name)) {
            Some(data) => {
                let (id, device) = (param.id, param.lazy_device());
                param.transform_for_load(Tensor::from_data(data.clone(), &device), id)
            }
            None => param,
        }
    }
}
