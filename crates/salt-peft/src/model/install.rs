//! Puts slots on the parameters of a module.

use crate::layer::{AdapterSlot, Entry, dismantled};
use burn::module::{Module, Param, Reparameterizer};
use burn::tensor::Tensor;
use std::collections::BTreeMap;

/// Replaces all adapters of a module: `entries` by the path of their parameter. Every base parameter is frozen.
///
/// The slots that are there are taken off first, without computing a weight, so bases keep their bits and their memory.
pub(crate) fn install<M: Module>(module: M, entries: BTreeMap<String, Vec<Entry>>) -> M {
    dismantled(|| module.materialize()).apply_reparameterization(Installer { entries })
}

struct Installer {
    entries: BTreeMap<String, Vec<Entry>>,
}

impl Reparameterizer for Installer {
    type Reparam = AdapterSlot;

    fn reparameterize<const D: usize>(
        &mut self,
        path: &str,
        param: Param<Tensor<D>>,
    ) -> (Param<Tensor<D>>, Option<AdapterSlot>) {
        let slot = self.entries.remove(path).filter(|entries| !entries.is_empty()).map(AdapterSlot::new);
        (param.set_require_grad(false), slot)
    }
}
