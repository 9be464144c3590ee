//! How the parameters of a network appear in a file.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;

use super::Key;
use crate::network::body_path;
use crate::{Architecture, Network};

/// A parameter's place in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Slot {
    pub(super) key: Key,
    /// The shape of the file's tensor, of which the parameter may be a part.
    pub(super) file_shape: Vec<usize>,
    /// Linear weights are `[out, in]` in files and `[in, out]` in Burn.
    pub(super) transposed: bool,
}

/// Walks a network and knows where it is.
#[derive(Debug)]
pub(super) struct Place<'a> {
    architecture: &'a Architecture,
    path: Vec<String>,
    containers: Vec<String>,
}

impl<'a> Place<'a> {
    pub(super) fn new(architecture: &'a Architecture) -> Self {
        Self { architecture, path: Vec::new(), containers: Vec::new() }
    }

    pub(super) fn enter(&mut self, name: &str, container: &str) {
        self.path.push(name.to_owned());
        self.containers.push(container.to_owned());
    }

    pub(super) fn exit(&mut self) {
        self.path.pop();
        self.containers.pop();
    }

    /// The path in the architecture.
    pub(super) fn path(&self) -> String {
        body_path(&self.path).join(".")
    }

    /// Nothing for a parameter that the architecture does not have.
    pub(super) fn slot(&self, shape: &[usize]) -> Option<Slot> {
        let key = self.architecture.key(&body_path(&self.path))?;
        let transposed = shape.len() == 2 && self.containers.last().is_some_and(|c| c == "Struct:Linear");
        let mut file_shape = shape.to_vec();
        if transposed {
            file_shape.reverse();
        }
        if let (Some((_, parts)), Some(rows)) = (key.part, file_shape.first_mut()) {
            *rows *= parts;
        }
        Some(Slot { key, file_shape, transposed })
    }
}

struct Collect<'a> {
    place: Place<'a>,
    slots: BTreeMap<String, Slot>,
}

impl ModuleVisitor for Collect<'_> {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.place.enter(name, container_type);
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.place.exit();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(slot) = self.place.slot(&param.lazy_shape().dims::<D>()) {
            self.slots.insert(self.place.path(), slot);
        }
    }
}

/// Every parameter of a network by its path, without initialising any.
pub(super) fn slots(network: &Network) -> BTreeMap<String, Slot> {
    let mut collect = Collect { place: Place::new(&network.config().architecture), slots: BTreeMap::new() };
    network.visit(&mut collect);
    collect.slots
}

/// Row-major `[rows, columns]` to row-major `[columns, rows]`.
pub(super) fn transpose(values: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    let mut out = Vec::with_capacity(values.len());
    for column in 0..columns {
        out.extend((0..rows).map(|row| values[row * columns + column]));
    }
    out
}
