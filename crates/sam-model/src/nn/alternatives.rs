//! A place in a model that one of several modules takes.

/// Makes a Burn module of an enum whose variants hold one module each. The variant's name is no part of the parameters' paths: what
/// is there stands in its place as if there were no choice. (Burn's own derivation puts the variant's name into every path.)
macro_rules! alternatives {
    ($name:ident { $($variant:ident),+ }) => {
        impl burn::module::Module for $name {
            fn collect_devices(&self, devices: burn::module::Devices) -> burn::module::Devices {
                match self { $(Self::$variant(module) => module.collect_devices(devices)),+ }
            }

            fn fork(self, device: &burn::tensor::Device) -> Self {
                match self { $(Self::$variant(module) => Self::$variant(module.fork(device))),+ }
            }

            fn to_device(self, device: &burn::tensor::Device) -> Self {
                match self { $(Self::$variant(module) => Self::$variant(module.to_device(device))),+ }
            }

            fn train(self) -> Self {
                match self { $(Self::$variant(module) => Self::$variant(module.train())),+ }
            }

            fn valid(&self) -> Self {
                match self { $(Self::$variant(module) => Self::$variant(module.valid())),+ }
            }

            fn materialize(self) -> Self {
                match self { $(Self::$variant(module) => Self::$variant(module.materialize())),+ }
            }

            fn visit<V: burn::module::ModuleVisitor>(&self, visitor: &mut V) {
                match self { $(Self::$variant(module) => module.visit(visitor)),+ }
            }

            fn map<M: burn::module::ModuleMapper>(self, mapper: &mut M) -> Self {
                match self { $(Self::$variant(module) => Self::$variant(module.map(mapper))),+ }
            }
        }

        impl burn::module::ModuleDisplayDefault for $name {
            fn content(&self, content: burn::module::Content) -> Option<burn::module::Content> {
                match self { $(Self::$variant(module) => content.add_single(module).optional()),+ }
            }

            fn num_params(&self) -> usize {
                burn::module::Module::num_params(self)
            }
        }

        impl burn::module::ModuleDisplay for $name {}

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&burn::module::ModuleDisplay::format(self, Default::default()))
            }
        }
    };
}

pub(crate) use alternatives;
