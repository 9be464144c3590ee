//! A traversal that lists every float parameter of a module with the adapters that hang on it.

use crate::config::Layout;
use crate::error::PeftError;
use crate::layer::{Adapter, Entry, LayerSpec, Lookup, SLOT_NAME, TAG};
use crate::layer::{AnyRank, matrix_shape};
use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{DType, Device, Tensor, TensorData};
use std::any::Any;
use std::collections::BTreeMap;

/// A float parameter of any rank.
pub(crate) trait AnyParam: Send {
    fn as_any(&self) -> &dyn Any;
    fn boxed(&self) -> Box<dyn Any + Send>;
    fn device(&self) -> Device;
    /// The stored values on the host, in the stored shape.
    fn data(&self) -> Result<TensorData, String>;
    /// The stored values as a matrix, in storage order; initialises the parameter.
    fn matrix(&self) -> Tensor<2>;
    fn dtype(&self) -> DType;
}

impl<const D: usize> AnyParam for Param<Tensor<D>> {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn boxed(&self) -> Box<dyn Any + Send> {
        Box::new(self.clone())
    }

    fn device(&self) -> Device {
        self.lazy_device()
    }

    fn data(&self) -> Result<TensorData, String> {
        self.base().without_autodiff().try_into_data().map_err(|error| format!("{error:?}"))
    }

    fn matrix(&self) -> Tensor<2> {
        let base = self.base();
        let shape = matrix_shape(base.shape().as_slice());
        base.reshape(shape)
    }

    fn dtype(&self) -> DType {
        self.base().dtype()
    }
}

/// One float parameter of the base module.
pub(crate) struct Site {
    /// `blocks.0.attn.qkv.weight`.
    pub(crate) path: String,
    /// Name of the struct that holds it: `Linear`, `Conv2d`, `LayerNorm`.
    pub(crate) container: String,
    /// In Burn's layout.
    pub(crate) shape: Vec<usize>,
    /// The stored base; shares its values with the module.
    pub(crate) base: Box<dyn AnyParam>,
    /// The named adapters.
    pub(crate) entries: Vec<Entry>,
}

impl Site {
    /// The last component of the path.
    pub(crate) fn name(&self) -> &str {
        self.path.rsplit('.').next().unwrap_or(&self.path)
    }

    /// The path of the struct that holds it.
    pub(crate) fn module_path(&self) -> &str {
        self.path.rsplit_once('.').map_or("", |(module, _)| module)
    }

    /// Statistics that a normalisation layer gathers, which no gradient ever trains.
    pub(crate) fn is_buffer(&self) -> bool {
        self.is_norm() && self.name().starts_with("running_")
    }

    /// Whether it belongs to a normalisation layer.
    pub(crate) fn is_norm(&self) -> bool {
        self.container.contains("Norm")
    }

    /// Whether it is the bias of a layer or the shift of a normalisation.
    pub(crate) fn is_bias(&self) -> bool {
        self.name() == "bias" || (self.is_norm() && self.name() == "beta")
    }

    /// How to read it as a matrix, where the struct that holds it says so.
    pub(crate) fn layout(&self) -> Option<Layout> {
        if self.name() != "weight" {
            return None;
        }
        match (self.container.as_str(), self.shape.len()) {
            ("Linear", 2) => Some(Layout::InOut),
            ("Conv1d", 3) | ("Conv2d", 4) | ("Conv3d", 5) => Some(Layout::OutIn),
            ("ConvTranspose1d", 3) | ("ConvTranspose2d", 4) | ("ConvTranspose3d", 5) => Some(Layout::InOut),
            _ => None,
        }
    }

    /// The values of the base on the host.
    pub(crate) fn data(&self) -> Result<TensorData, PeftError> {
        self.base.data().map_err(|reason| PeftError::Values { path: self.path.clone(), reason })
    }

    /// The adapter of this name.
    pub(crate) fn entry(&self, name: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.spec.adapter == name)
    }

    /// The active adapter.
    pub(crate) fn active(&self) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.spec.active)
    }
}

/// All float parameters of a module, in the order of its traversal.
pub(crate) struct Snapshot {
    pub(crate) sites: Vec<Site>,
}

impl Snapshot {
    /// Reads a module. Parameters that were never used stay uninitialised.
    pub(crate) fn take<M: Module>(module: &M) -> Result<Self, PeftError> {
        let mut visitor = Visitor::default();
        module.visit(&mut visitor);
        if let Some(path) = visitor.foreign {
            return Err(PeftError::foreign(
                &path,
                "it carries a reparameterization that this crate did not attach; materialize it first",
            ));
        }
        let mut sites = visitor.sites;
        for gathered in visitor.adapters {
            let Some(site) = sites.iter_mut().rev().find(|site| site.path == gathered.base) else {
                return Err(PeftError::foreign(&gathered.base, "an adapter without its parameter"));
            };
            site.entries.push(gathered.entry()?);
        }
        Ok(Self { sites })
    }

    /// Names of the attached adapters, sorted.
    pub(crate) fn adapter_names(&self) -> Vec<String> {
        let mut names: Vec<String> =
            self.sites.iter().flat_map(|site| &site.entries).map(|entry| entry.spec.adapter.clone()).collect();
        names.sort();
        names.dedup();
        names
    }

    /// Fails where no adapter has this name.
    pub(crate) fn require(&self, name: &str) -> Result<(), PeftError> {
        let attached = self.adapter_names();
        if attached.iter().any(|known| known == name) {
            Ok(())
        } else {
            Err(PeftError::UnknownAdapter { name: name.to_owned(), attached })
        }
    }
}

struct Gathered {
    base: String,
    tag: String,
    parameters: BTreeMap<String, Box<dyn AnyParam>>,
}

impl Gathered {
    fn entry(self) -> Result<Entry, PeftError> {
        let json = self.tag.strip_prefix(TAG).unwrap_or_default();
        let spec: LayerSpec = serde_json::from_str(json).map_err(|error| {
            PeftError::foreign(&self.base, format!("an adapter with an unreadable specification: {error}"))
        })?;
        let many = spec.parts.len() > 1;
        let mut parts = Vec::with_capacity(spec.parts.len());
        for (index, part) in spec.parts.iter().enumerate() {
            let prefix = if many { format!("{index}.") } else { String::new() };
            let mut found = Found { parameters: &self.parameters, prefix };
            let adapter = Adapter::rebuild(&part.kind, &mut found)
                .ok_or_else(|| PeftError::foreign(&self.base, format!("adapter `{}` lacks factors", spec.adapter)))?;
            parts.push(adapter);
        }
        Ok(Entry::new(spec, parts))
    }
}

struct Found<'a> {
    parameters: &'a BTreeMap<String, Box<dyn AnyParam>>,
    prefix: String,
}

impl Found<'_> {
    fn get<T: Any + Clone>(&self, path: &str) -> Option<T> {
        self.parameters.get(&format!("{}{path}", self.prefix))?.as_any().downcast_ref::<T>().cloned()
    }
}

impl Lookup for Found<'_> {
    fn vector(&mut self, path: &str) -> Option<Param<Tensor<1>>> {
        self.get(path)
    }

    fn matrix(&mut self, path: &str) -> Option<Param<Tensor<2>>> {
        self.get(path)
    }

    fn any(&mut self, path: &str) -> Option<AnyRank> {
        AnyRank::from_any(self.parameters.get(&format!("{}{path}", self.prefix))?.as_any())
    }
}

#[derive(Default)]
struct Visitor {
    stack: Vec<(String, String)>,
    sites: Vec<Site>,
    adapters: Vec<Gathered>,
    foreign: Option<String>,
}

const REPARAMETERIZATION: &str = "Reparameterization";

impl ModuleVisitor for Visitor {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.stack.push((name.to_owned(), container_type.to_owned()));
        if let [.., (slot, container), (_, tag)] = self.stack.as_slice()
            && slot == SLOT_NAME
            && container == REPARAMETERIZATION
        {
            let base = join(&self.stack[..self.stack.len() - 2]);
            self.adapters.push(Gathered { base, tag: tag.clone(), parameters: BTreeMap::new() });
        }
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.stack.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let slot = self.stack.iter().position(|(_, container)| container == REPARAMETERIZATION);
        match slot {
            None => {
                let container = self.stack.last().map_or("", |(_, container)| container.as_str());
                let container = container.rsplit(':').next().unwrap_or(container).to_owned();
                self.sites.push(Site {
                    path: join(&self.stack),
                    container,
                    shape: param.lazy_shape().as_slice().to_vec(),
                    base: Box::new(param.clone()),
                    entries: Vec::new(),
                });
            }
            Some(index) if self.stack[index].0 == SLOT_NAME => {
                let path = join(&self.stack[index + 2..]);
                if let Some(adapter) = self.adapters.last_mut() {
                    adapter.parameters.insert(path, Box::new(param.clone()));
                }
            }
            Some(index) => self.foreign = Some(join(&self.stack[..index])),
        }
    }
}

fn join(stack: &[(String, String)]) -> String {
    stack.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(".")
}
