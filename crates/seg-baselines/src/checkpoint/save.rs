//! Files that are written: safetensors under the reference package's names, with the configuration in the metadata.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;
use safetensors::tensor::{Dtype, View};

use super::CONFIG_KEY;
use super::slots::{Place, Slot, transpose};
use crate::{BaselineError, Network};

impl Network {
    /// Writes the network to a safetensors file that the reference package understands: its names and layouts, f32, running
    /// statistics included. The configuration is in the metadata (`network_config`, JSON), so
    /// [`from_checkpoint`](Self::from_checkpoint) needs nothing else.
    ///
    /// The file appears under its name only when it is complete. The same weights give the same bytes.
    ///
    /// # Errors
    /// [`BaselineError::Io`]; [`BaselineError::Value`] if the network carries parameters that the architecture does not have
    /// (adapters: merge them into the weights first).
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), BaselineError> {
        let path = path.as_ref();
        let fail = |reason: String| BaselineError::format(path, format!("cannot be written: {reason}"));
        let mut collector =
            Collector { place: Place::new(&self.config().architecture), tensors: BTreeMap::new(), stranger: None };
        self.visit(&mut collector);
        if let Some(stranger) = collector.stranger {
            let expected = "the parameters of the architecture (merge adapters first)";
            return Err(BaselineError::value("network to save", expected, format!("also `{stranger}`")));
        }
        let config = serde_json::to_string(self.config()).map_err(|e| fail(e.to_string()))?;
        // One entry only: the order of several would differ from run to run.
        let metadata = HashMap::from([(CONFIG_KEY.to_owned(), config)]);
        let views = collector.tensors.iter().map(|(name, stored)| (name.as_str(), stored));
        let bytes = safetensors::serialize(views, Some(metadata)).map_err(|e| fail(e.to_string()))?;
        atomic_file::write(path, &bytes).map_err(|e| BaselineError::io(path, e))
    }
}

/// A tensor in the file's layout.
struct Stored {
    shape: Vec<usize>,
    values: Vec<f32>,
}

impl View for &Stored {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Owned(self.values.iter().flat_map(|value| value.to_le_bytes()).collect())
    }

    fn data_len(&self) -> usize {
        self.values.len() * 4
    }
}

struct Collector<'a> {
    place: Place<'a>,
    tensors: BTreeMap<String, Stored>,
    /// A parameter that the architecture does not have.
    stranger: Option<String>,
}

impl ModuleVisitor for Collector<'_> {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.place.enter(name, container_type);
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.place.exit();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let tensor = param.val();
        let shape = tensor.dims();
        let Some(Slot { key, file_shape, transposed }) = self.place.slot(&shape) else {
            self.stranger = Some(self.place.path());
            return;
        };
        let values: Vec<f32> = tensor.into_data().convert::<f32>().iter::<f32>().collect();
        let values = if transposed { transpose(&values, shape[0], shape[1]) } else { values };
        let count = file_shape.iter().product();
        let (index, parts) = key.part.unwrap_or((0, 1));
        let stored = self.tensors.entry(key.name);
        let stored = stored.or_insert_with(|| Stored { shape: file_shape, values: vec![0.0; count] });
        let length = count / parts;
        stored.values[index * length..(index + 1) * length].copy_from_slice(&values);
    }
}
