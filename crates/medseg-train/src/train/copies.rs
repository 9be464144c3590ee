//! The model on several devices: what is frozen goes to each of them once, what is trained at every step.

use crate::device::stopover;
use crate::model::Segmenter;
use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

/// A copy of the model for each device of a run, plain: it becomes trainable for a step and no longer (see
/// [`replica`](crate::gradients::replica)).
pub(super) struct Copies {
    devices: Vec<Device>,
    kept: Vec<Arc<Mutex<Option<Segmenter>>>>,
}

/// The model as it is now, for all devices.
#[derive(Clone)]
pub(super) struct Newest {
    model: Segmenter,
    device: Device,
    trained: Arc<BTreeSet<ParamId>>,
}

impl Copies {
    /// None yet; the model itself is on the first device.
    pub(super) fn new(devices: &[Device]) -> Self {
        Self { devices: devices.to_vec(), kept: devices.iter().map(|_| Arc::default()).collect() }
    }

    /// What [`on`](Self::on) brings to the devices.
    pub(super) fn newest(&self, model: &Segmenter) -> Newest {
        let mut trained = Trained(BTreeSet::new());
        model.visit(&mut trained);
        Newest { model: model.valid(), device: self.devices[0].clone(), trained: Arc::new(trained.0) }
    }

    /// Makes the model on the device of this number, trainable; to be called on the thread of that device.
    pub(super) fn on(&self, index: usize, newest: &Newest) -> impl FnOnce() -> Segmenter + Send + use<> {
        let (kept, device, newest) = (self.kept[index].clone(), self.devices[index].clone(), newest.clone());
        move || {
            let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
            let copy = match kept.take() {
                Some(copy) => newest.refreshed(copy, &device),
                None => match stopover(&newest.device, &device) {
                    Some(place) => newest.model.to_device(&place).to_device(&device),
                    None => newest.model.to_device(&device),
                },
            };
            kept.insert(copy).clone().train()
        }
    }
}

impl Newest {
    /// The copy with the trained values of today.
    fn refreshed(&self, copy: Segmenter, device: &Device) -> Segmenter {
        let mut values = Values { of: &self.trained, found: GradientsParams::new() };
        self.model.visit(&mut values);
        let values = moved(values.found, &copy, [&self.device, device]);
        copy.map(&mut Refresh { values })
    }
}

/// Tensors of the parameters of a model, brought from one device to another.
pub(super) fn moved(tensors: GradientsParams, model: &Segmenter, [from, to]: [&Device; 2]) -> GradientsParams {
    let tensors = match stopover(from, to) {
        Some(place) => tensors.to_device(&place, model),
        None => tensors,
    };
    tensors.to_device(to, model)
}

/// Finds what is trained.
struct Trained(BTreeSet<ParamId>);

impl ModuleVisitor for Trained {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if param.is_require_grad() {
            self.0.insert(param.id);
        }
    }
}

/// Collects values by parameter: Burn's container of gradients holds any tensors.
struct Values<'a> {
    of: &'a BTreeSet<ParamId>,
    found: GradientsParams,
}

impl ModuleVisitor for Values<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if self.of.contains(&param.id) {
            self.found.register(param.id, param.base());
        }
    }
}

/// Replaces those values in a copy.
struct Refresh {
    values: GradientsParams,
}

impl ModuleMapper for Refresh {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        match self.values.remove::<D>(param.id) {
            Some(value) => param.map(|_| value),
            None => param,
        }
    }
}
