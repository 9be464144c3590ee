//! One adapter of one part of a weight, whatever its method.

use super::basis::{Basis, widened};
use super::full::{AnyRank, Delta, Full};
use super::low_rank::{Dora, Lora};
use super::salt::{Projector, Salt, SvdTuning, Tail, Top};
use super::spec::Kind;
use crate::config::{Layout, SaltForm};
use burn::module::{Devices, Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor};

/// The factors of one part.
#[derive(Clone, Debug)]
#[non_exhaustive]
#[expect(clippy::large_enum_variant, reason = "a model has dozens, each beside megabytes of factors")]
pub enum Adapter {
    /// LoRA.
    Lora(Lora),
    /// DoRA.
    Dora(Dora),
    /// SVD tuning.
    Svd(SvdTuning),
    /// SALT in the forms `paper`, `diag` and `linear`.
    Salt(Salt),
    /// SALT in the form `projector`.
    Projector(Projector),
    /// Trained in full.
    Full(Full),
    /// A frozen update.
    Delta(Delta),
}

macro_rules! each {
    ($self:expr, $inner:ident => $body:expr) => {
        match $self {
            Adapter::Lora($inner) => $body,
            Adapter::Dora($inner) => $body,
            Adapter::Svd($inner) => $body,
            Adapter::Salt($inner) => $body,
            Adapter::Projector($inner) => $body,
            Adapter::Full($inner) => $body,
            Adapter::Delta($inner) => $body,
        }
    };
    (rebuild $self:expr, $inner:ident => $body:expr) => {
        match $self {
            Adapter::Lora($inner) => Adapter::Lora($body),
            Adapter::Dora($inner) => Adapter::Dora($body),
            Adapter::Svd($inner) => Adapter::Svd($body),
            Adapter::Salt($inner) => Adapter::Salt($body),
            Adapter::Projector($inner) => Adapter::Projector($body),
            Adapter::Full($inner) => Adapter::Full($body),
            Adapter::Delta($inner) => Adapter::Delta($body),
        }
    };
}

impl Adapter {
    /// The effective part of the weight, `[rows, columns]` in storage order; none means that the base is unchanged.
    pub(crate) fn effective(&self, base: Tensor<2>, layout: Layout) -> Tensor<2> {
        match self {
            Self::Lora(lora) => sum(base, lora.delta(layout)),
            Self::Dora(dora) => dora.effective(base, layout),
            Self::Svd(svd) => sum(base, svd.top.delta(svd.relu)),
            Self::Salt(salt) => match salt.delta(layout) {
                Some(delta) => sum(base, delta),
                None => base,
            },
            Self::Projector(projector) => sum(base, projector.delta(layout)),
            Self::Full(full) => full.value.reshaped(base.shape()),
            Self::Delta(delta) => sum(base, delta.delta.val()),
        }
    }

    /// Rebuilds the adapter of `kind` from its parameters.
    pub(crate) fn rebuild(kind: &Kind, lookup: &mut dyn Lookup) -> Option<Self> {
        let adapter = match *kind {
            Kind::Lora { scale, .. } => Self::Lora(lora(lookup, "", scale)?),
            Kind::Dora { scale, .. } => Self::Dora(Dora {
                direction: lora(lookup, "direction.", scale)?,
                magnitude: lookup.vector("magnitude")?,
            }),
            Kind::Svd { relu } => Self::Svd(SvdTuning { top: top(lookup)?, relu }),
            Kind::Salt { form: SaltForm::Projector, .. } => {
                Self::Projector(Projector { top: top(lookup), a: lookup.matrix("a")?, b: lookup.matrix("b")? })
            }
            Kind::Salt { form, .. } => Self::Salt(Salt { top: top(lookup), tail: tail(lookup), form }),
            Kind::Full => Self::Full(Full { value: lookup.any("value")? }),
            Kind::Delta => Self::Delta(Delta { delta: lookup.matrix("delta")? }),
        };
        Some(adapter)
    }
}

/// A base and its update, in the numbers of the update: the base may be stored in [half precision](crate::store_frozen_in_half).
pub(super) fn sum(base: Tensor<2>, delta: Tensor<2>) -> Tensor<2> {
    widened(base, delta.dtype()) + delta
}

/// Gives out the parameters of an adapter by their path within it.
pub(crate) trait Lookup {
    fn vector(&mut self, path: &str) -> Option<Param<Tensor<1>>>;
    fn matrix(&mut self, path: &str) -> Option<Param<Tensor<2>>>;
    fn any(&mut self, path: &str) -> Option<AnyRank>;
}

fn lora(lookup: &mut dyn Lookup, prefix: &str, scale: f64) -> Option<Lora> {
    Some(Lora { a: lookup.matrix(&format!("{prefix}a"))?, b: lookup.matrix(&format!("{prefix}b"))?, scale })
}

fn basis(lookup: &mut dyn Lookup, prefix: &str) -> Option<Basis> {
    Some(Basis {
        left: lookup.matrix(&format!("{prefix}.basis.left"))?,
        sigma: lookup.vector(&format!("{prefix}.basis.sigma"))?,
        right: lookup.matrix(&format!("{prefix}.basis.right"))?,
    })
}

fn top(lookup: &mut dyn Lookup) -> Option<Top> {
    Some(Top { alpha: lookup.vector("top.alpha")?, beta: lookup.vector("top.beta")?, basis: basis(lookup, "top")? })
}

fn tail(lookup: &mut dyn Lookup) -> Option<Tail> {
    Some(Tail { x: lookup.matrix("tail.x")?, y: lookup.matrix("tail.y")?, basis: basis(lookup, "tail")? })
}

impl Module for Adapter {
    fn collect_devices(&self, devices: Devices) -> Devices {
        each!(self, inner => inner.collect_devices(devices))
    }

    fn fork(self, device: &Device) -> Self {
        each!(rebuild self, inner => inner.fork(device))
    }

    fn to_device(self, device: &Device) -> Self {
        each!(rebuild self, inner => inner.to_device(device))
    }

    fn train(self) -> Self {
        each!(rebuild self, inner => Module::train(inner))
    }

    fn valid(&self) -> Self {
        each!(rebuild self, inner => inner.valid())
    }

    fn materialize(self) -> Self {
        each!(rebuild self, inner => inner.materialize())
    }

    fn visit<V: ModuleVisitor>(&self, visitor: &mut V) {
        each!(self, inner => inner.visit(visitor));
    }

    fn map<M: ModuleMapper>(self, mapper: &mut M) -> Self {
        each!(rebuild self, inner => inner.map(mapper))
    }
}
