//! Files that are written: safetensors under the original's key names with the configuration in the metadata, or a folder under Hugging
//! Face's.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;
use safetensors::tensor::{Dtype, View};

use super::CONFIG_KEY;
use super::hugging_face;
use super::load::{Place, Slot, slots, transpose};
use super::sam2;
use crate::{Sam, SamError};

impl Sam {
    /// Writes the model to a safetensors file that every SAM tool understands: the original's key names and layouts, f32.
    /// The configuration is in the metadata (`sam_config`, JSON), so [`Sam::from_checkpoint`] needs nothing else.
    ///
    /// The file appears under its name only when it is complete. The same weights give the same bytes.
    ///
    /// # Errors
    /// [`SamError::Io`]; [`SamError::Value`] if the model carries parameters that a SAM does not have (adapters: merge
    /// them into the weights first).
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), SamError> {
        let path = path.as_ref();
        self.check_parameters()?;
        let config = serde_json::to_string(self.config())
            .map_err(|e| SamError::format(path, format!("the configuration cannot be written: {e}")))?;
        save_module(self, path, CONFIG_KEY, config)
    }

    /// Writes the model into `folder` as Hugging Face's transformers stores it, so that `SamModel.from_pretrained(folder)` (or
    /// `Sam2Model`) opens it: `model.safetensors` under its names, f32, and `config.json`. The folder is made if it does not exist; files of these
    /// names in it are replaced, each whole or not at all.
    ///
    /// # Errors
    /// As [`save`](Self::save), and [`SamError::Config`] for [`SamVariant::Paper`](crate::SamVariant::Paper), which transformers
    /// cannot compute.
    pub fn save_huggingface(&self, folder: impl AsRef<Path>) -> Result<(), SamError> {
        let folder = folder.as_ref();
        let config = hugging_face::describe(self.config())?;
        self.check_parameters()?;
        std::fs::create_dir_all(folder).map_err(|e| SamError::io(folder, e))?;
        let tensors = if self.config().is_sam2() { as_sam2(collect(self)) } else { collect(self) };
        let tensors = hugging_face::rename_all(tensors);
        // transformers asks for this entry.
        let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
        write(&folder.join(hugging_face::WEIGHTS_FILE), tensors, metadata)?;
        let path = folder.join(hugging_face::CONFIG_FILE);
        let text = format!("{config:#}\n");
        atomic_file::write(&path, text.as_bytes()).map_err(|e| SamError::io(path, e))
    }

    /// Refuses a model with parameters that a SAM does not have.
    fn check_parameters(&self) -> Result<(), SamError> {
        let expected = slots(&self.config().init(&self.device())?);
        match slots(self).into_keys().find(|name| !expected.contains_key(name)) {
            None => Ok(()),
            Some(name) => {
                let found = format!("also `{name}`");
                Err(SamError::value("model to save", "the parameters of a SAM (merge adapters first)", found))
            }
        }
    }
}

/// Writes every parameter of a module under its path, and one string beside them.
pub(crate) fn save_module<M: Module>(module: &M, path: &Path, key: &str, text: String) -> Result<(), SamError> {
    // One entry only: the order of several would differ from run to run.
    write(path, collect(module), HashMap::from([(key.to_owned(), text)]))
}

fn collect<M: Module>(module: &M) -> Vec<(String, Stored)> {
    let mut collector = Collector::default();
    module.visit(&mut collector);
    collector.tensors
}

/// SAM 2's tensors as Hugging Face cuts them, under the names that it shares with SAM: the four point embeddings in one, the
/// frequencies twice.
fn as_sam2(tensors: Vec<(String, Stored)>) -> Vec<(String, Stored)> {
    let (points, mut others): (Vec<_>, Vec<_>) =
        tensors.into_iter().partition(|(name, _)| sam2::point_embeddings().any(|point| point == *name));
    if let Some((_, first)) = points.first() {
        let shape = vec![points.len(), first.values.len()];
        let values = points.iter().flat_map(|(_, point)| point.values.iter().copied()).collect();
        others.push((sam2::STACKED_POINTS.to_owned(), Stored { shape, values }));
    }
    let renamed = others.into_iter().map(|(name, stored)| (sam2::to_hugging_face(&name), stored));
    let mut renamed: Vec<_> = renamed.collect();
    let copy = renamed.iter().find(|(name, _)| name == hugging_face::POSITIONS).map(|(_, stored)| stored.clone());
    renamed.extend(copy.map(|stored| (sam2::SECOND_POSITIONS.to_owned(), stored)));
    renamed
}

/// A parameter in the file's layout.
#[derive(Clone)]
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

#[derive(Default)]
struct Collector {
    place: Place,
    tensors: Vec<(String, Stored)>,
}

impl ModuleVisitor for Collector {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.place.enter(name, container_type);
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.place.exit();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let tensor = param.val();
        let shape = tensor.dims();
        let Slot { file_shape, transposed } = self.place.slot(&shape);
        let values: Vec<f32> = tensor.into_data().convert::<f32>().iter::<f32>().collect();
        let values = if transposed { transpose(&values, shape[0], shape[1]) } else { values };
        self.tensors.push((self.place.name(), Stored { shape: file_shape, values }));
    }
}

fn write(path: &Path, tensors: Vec<(String, Stored)>, metadata: HashMap<String, String>) -> Result<(), SamError> {
    let views = tensors.iter().map(|(name, stored)| (name.as_str(), stored));
    let bytes = safetensors::serialize(views, Some(metadata))
        .map_err(|e| SamError::format(path, format!("cannot be written: {e}")))?;
    atomic_file::write(path, &bytes).map_err(|e| SamError::io(path, e))
}
