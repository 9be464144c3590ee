//! Parameters trained in full, and frozen updates.

use burn::module::{Devices, Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::tensor::{DType, Device, Shape, Tensor, TensorData};

/// A trained copy that stands in for a parameter; the base keeps its bits beneath.
#[derive(Module, Debug)]
pub struct Full {
    /// The trained values, in the parameter's own shape.
    pub value: AnyRank,
}

/// A frozen update of the weight, as an adapter file without its basis gives it.
#[derive(Module, Debug)]
pub struct Delta {
    /// `[rows, columns]` in storage order.
    pub delta: Param<Tensor<2>>,
}

macro_rules! any_rank {
    ($($variant:ident = $rank:literal),*) => {
        /// A parameter of any rank from 1 to 6.
        #[derive(Clone, Debug)]
        pub enum AnyRank {
            $(#[doc = concat!("Rank ", $rank, ".")] $variant(Param<Tensor<$rank>>),)*
        }

        impl AnyRank {
            /// The values in another shape of as many numbers.
            pub fn reshaped<const D: usize>(&self, shape: Shape) -> Tensor<D> {
                match self { $(Self::$variant(param) => param.val().reshape(shape)),* }
            }

            pub(crate) fn from_any(param: &dyn std::any::Any) -> Option<Self> {
                $(if let Some(param) = param.downcast_ref::<Param<Tensor<$rank>>>() {
                    return Some(Self::$variant(param.clone()));
                })*
                None
            }

            pub(crate) fn id(&self) -> ParamId {
                match self { $(Self::$variant(param) => param.id),* }
            }

            /// The same parameter with other values of the same shape.
            pub(crate) fn with_data(&self, data: TensorData, options: (&Device, DType)) -> Self {
                match self {
                    $(Self::$variant(param) => {
                        Self::$variant(Param::initialized(param.id, Tensor::from_data(data, options)).set_require_grad(true))
                    })*
                }
            }

            /// The same with another identity and gradient requirement, sharing the values until one of the two changes.
            pub(crate) fn leaf(&self, id: ParamId, trained: bool) -> Self {
                match self {
                    $(Self::$variant(param) => {
                        let value = param.base().detach();
                        Self::$variant(Param::initialized(id, value).set_require_grad(trained))
                    })*
                }
            }
        }

        impl Module for AnyRank {
            fn collect_devices(&self, devices: Devices) -> Devices {
                match self { $(Self::$variant(param) => param.collect_devices(devices)),* }
            }
            fn fork(self, device: &Device) -> Self {
                match self { $(Self::$variant(param) => Self::$variant(param.fork(device))),* }
            }
            fn to_device(self, device: &Device) -> Self {
                match self { $(Self::$variant(param) => Self::$variant(param.to_device(device))),* }
            }
            fn train(self) -> Self {
                match self { $(Self::$variant(param) => Self::$variant(Module::train(param))),* }
            }
            fn valid(&self) -> Self {
                match self { $(Self::$variant(param) => Self::$variant(param.valid())),* }
            }
            fn materialize(self) -> Self {
                match self { $(Self::$variant(param) => Self::$variant(param.materialize())),* }
            }
            fn visit<V: ModuleVisitor>(&self, visitor: &mut V) {
                match self { $(Self::$variant(param) => param.visit(visitor)),* }
            }
            fn map<M: ModuleMapper>(self, mapper: &mut M) -> Self {
                match self { $(Self::$variant(param) => Self::$variant(Module::map(param, mapper))),* }
            }
        }
    };
}

any_rank!(R1 = 1, R2 = 2, R3 = 3, R4 = 4, R5 = 5, R6 = 6);

impl burn::module::ModuleDisplay for AnyRank {}

impl burn::module::ModuleDisplayDefault for AnyRank {
    fn content(&self, content: burn::module::Content) -> Option<burn::module::Content> {
        content.add_formatted(&"trained in full").optional()
    }
}
