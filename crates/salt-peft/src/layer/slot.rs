//! What hangs on one parameter: its named adapters, of which at most one is active.

use super::adapter::Adapter;
use super::basis::widened;
use super::matrix::matrix_shape;
use super::spec::LayerSpec;
use crate::config::Layout;
use burn::module::{Devices, Module, ModuleMapper, ModuleVisitor, Reparameterization};
use burn::tensor::{DType, Device, Tensor};
use burn_kernels::release_set_aside;
use std::cell::Cell;
use std::sync::Arc;

/// The path component between a parameter and its adapters: `proj.weight.peft.default.a`.
pub const SLOT_NAME: &str = "peft";

/// Marks an adapter in a module traversal; its [`LayerSpec`] follows as JSON, so that a traversal sees how to rebuild it.
pub(crate) const TAG: &str = "Adapter:";

thread_local! {
    static DISMANTLED: Cell<bool> = const { Cell::new(false) };
}

/// Runs `action` on this thread with every slot transparent: effective weights are the stored bases.
/// This is how slots are taken off a module without computing the weights that they would give.
pub(crate) fn dismantled<T>(action: impl FnOnce() -> T) -> T {
    struct Reset(bool);
    impl Drop for Reset {
        fn drop(&mut self) {
            DISMANTLED.set(self.0);
        }
    }
    let _reset = Reset(DISMANTLED.replace(true));
    action()
}

/// Whether this thread is within [`dismantled`].
pub(crate) fn are_dismantled() -> bool {
    DISMANTLED.get()
}

/// The adapters of one parameter, attached by [`attach`](crate::attach) through Burn's reparameterization.
#[derive(Clone, Debug)]
pub struct AdapterSlot {
    entries: Vec<Entry>,
}

/// One named adapter of one parameter.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) spec: Arc<LayerSpec>,
    tag: Arc<str>,
    pub(crate) parts: Vec<Adapter>,
}

impl Entry {
    pub(crate) fn new(spec: LayerSpec, parts: Vec<Adapter>) -> Self {
        let json = serde_json::to_string(&spec).expect("a specification holds only numbers, names and lists");
        Self { tag: format!("{TAG}{json}").into(), spec: Arc::new(spec), parts }
    }

    fn map_parts(mut self, mut action: impl FnMut(usize, Adapter) -> Adapter) -> Self {
        self.parts = self.parts.into_iter().enumerate().map(|(index, part)| action(index, part)).collect();
        self
    }
}

impl AdapterSlot {
    pub(crate) fn new(entries: Vec<Entry>) -> Self {
        crate::forward::answer_layers();
        Self { entries }
    }

    /// The active adapter: its specification and its parts.
    pub fn active(&self) -> Option<(&LayerSpec, &[Adapter])> {
        let entry = self.entries.iter().find(|entry| entry.spec.active)?;
        Some((&entry.spec, &entry.parts))
    }

    /// Names of the adapters, in the order of attachment.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|entry| entry.spec.adapter.as_str())
    }
}

/// The effective matrix of a weight with adapted parts.
pub(crate) fn effective(spec: &LayerSpec, parts: &[Adapter], base: Tensor<2>) -> Tensor<2> {
    let axis = match spec.layout {
        Layout::OutIn => 0,
        Layout::InOut => 1,
    };
    let outputs = base.dims()[axis];
    if let ([part], [only]) = (parts, spec.parts.as_slice())
        && only.len == outputs
    {
        return part.effective(base, spec.layout);
    }
    let range = |base: &Tensor<2>, start: usize, end: usize| match axis {
        0 => base.clone().slice(start..end),
        _ => base.clone().slice([0..base.dims()[0], start..end]),
    };
    let mut pieces = Vec::with_capacity(2 * parts.len() + 1);
    let mut end = 0;
    for (part, place) in parts.iter().zip(&spec.parts) {
        if place.start > end {
            pieces.push(range(&base, end, place.start));
        }
        end = place.start + place.len;
        pieces.push(part.effective(range(&base, place.start, end), spec.layout));
    }
    if end < outputs {
        pieces.push(range(&base, end, outputs));
    }
    // What is not adapted may be stored in half precision.
    let dtype = pieces.iter().map(Tensor::dtype).find(|dtype| *dtype != DType::F16).unwrap_or(DType::F16);
    Tensor::cat(pieces.into_iter().map(|piece| widened(piece, dtype)).collect(), axis)
}

impl Reparameterization for AdapterSlot {
    const NAME: &'static str = SLOT_NAME;

    fn apply<const D: usize>(&self, base: Tensor<D>) -> Tensor<D> {
        if are_dismantled() {
            return base;
        }
        match self.active() {
            None => base,
            Some((_, [Adapter::Full(full)])) => full.value.reshaped(base.shape()),
            Some((spec, parts)) => {
                let shape = base.shape();
                let matrix = matrix_shape(shape.as_slice());
                let weight = effective(spec, parts, base.reshape(matrix)).reshape(shape);
                // Where the base lies on a disk, its values are not needed again for long.
                release_set_aside();
                weight
            }
        }
    }
}

impl Module for AdapterSlot {
    fn collect_devices(&self, devices: Devices) -> Devices {
        self.entries.iter().flat_map(|entry| &entry.parts).fold(devices, |devices, part| part.collect_devices(devices))
    }

    fn fork(self, device: &Device) -> Self {
        self.map_entries(|entry| entry.map_parts(|_, part| part.fork(device)))
    }

    fn to_device(self, device: &Device) -> Self {
        self.map_entries(|entry| entry.map_parts(|_, part| part.to_device(device)))
    }

    fn train(self) -> Self {
        self.map_entries(|entry| entry.map_parts(|_, part| Module::train(part)))
    }

    fn valid(&self) -> Self {
        self.clone().map_entries(|entry| entry.map_parts(|_, part| part.valid()))
    }

    fn materialize(self) -> Self {
        self
    }

    fn visit<V: ModuleVisitor>(&self, visitor: &mut V) {
        for entry in &self.entries {
            visitor.enter_module(&entry.spec.adapter, &entry.tag);
            for (index, part) in entry.parts.iter().enumerate() {
                if entry.parts.len() > 1 {
                    let name = index.to_string();
                    visitor.enter_module(&name, "Vec");
                    part.visit(visitor);
                    visitor.exit_module(&name, "Vec");
                } else {
                    part.visit(visitor);
                }
            }
            visitor.exit_module(&entry.spec.adapter, &entry.tag);
        }
    }

    fn map<M: ModuleMapper>(self, mapper: &mut M) -> Self {
        self.map_entries(|entry| {
            let (spec, tag, many) = (entry.spec.clone(), entry.tag.clone(), entry.parts.len() > 1);
            mapper.enter_module(&spec.adapter, &tag);
            let entry = entry.map_parts(|index, part| {
                if many {
                    let name = index.to_string();
                    mapper.enter_module(&name, "Vec");
                    let part = part.map(mapper);
                    mapper.exit_module(&name, "Vec");
                    part
                } else {
                    part.map(mapper)
                }
            });
            mapper.exit_module(&spec.adapter, &tag);
            entry
        })
    }
}

impl AdapterSlot {
    fn map_entries(mut self, action: impl FnMut(Entry) -> Entry) -> Self {
        self.entries = self.entries.into_iter().map(action).collect();
        self
    }
}
