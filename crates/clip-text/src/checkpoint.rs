//! Checkpoints of OpenAI and of transformers, whole models or the text tower alone.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor, TensorData};
use serde::Deserialize;

use crate::names::{Key, Spelling, TOKENS, is_beside, key};
use crate::{Activation, ClipError, ClipText, ClipTextConfig};
use named_tensors::NamedTensors;

/// An opened checkpoint: names and shapes are known, values are read when a tower is [loaded](Self::load).
///
/// Reading never executes anything. OpenAI's own `ViT-B-32.pt` is a TorchScript program rather than a file of tensors and is refused:
/// take the safetensors file of `openai/clip-vit-base-patch32`, or save the program's `state_dict()`.
#[derive(Debug)]
pub struct Checkpoint {
    source: NamedTensors,
    spelling: Spelling,
    /// What stands before the names of the tower.
    prefix: String,
}

/// What a successful load did beside copying every tensor to its place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LoadReport {
    /// Number of the file's tensors that were loaded.
    pub loaded: usize,
    /// Tensors that belong to the rest of a CLIP: the image tower, the temperature.
    pub ignored: Vec<String>,
}

/// The three ways in which a checkpoint can fail to fit a tower.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mismatch {
    /// Tensors that the tower has and the file has not, by the names that the file would have.
    pub missing: Vec<String>,
    /// Tensors that the file has and no CLIP has, by the file's names.
    pub unexpected: Vec<String>,
    /// Tensors whose shapes differ: (name, expected, found).
    pub misshaped: Vec<(String, Vec<usize>, Vec<usize>)>,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shapes = |(name, expected, found): &(String, Vec<usize>, Vec<usize>)| {
            format!("{name}: expected {expected:?}, found {found:?}")
        };
        let misshaped: Vec<String> = self.misshaped.iter().map(shapes).collect();
        write!(f, "expected, but missing ({}): {}", self.missing.len(), first_of(&self.missing))?;
        write!(f, "\nfound, but unexpected ({}): {}", self.unexpected.len(), first_of(&self.unexpected))?;
        write!(f, "\nmis-shaped ({}): {}", self.misshaped.len(), first_of(&misshaped))
    }
}

/// The first names of a list, and how many more there are.
fn first_of(names: &[String]) -> String {
    const SHOWN: usize = 5;
    let more = names.len().saturating_sub(SHOWN);
    let text = names.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    match (text.is_empty(), more) {
        (true, _) => "none".to_owned(),
        (_, 0) => text,
        _ => format!("{text} and {more} more"),
    }
}

/// What transformers' `config.json` tells beside the shapes: of a whole CLIP, or of its text tower.
#[derive(Debug, Default, Deserialize)]
struct Described {
    num_attention_heads: Option<usize>,
    hidden_act: Option<String>,
    text_config: Option<Box<Described>>,
}

impl Checkpoint {
    /// Opens a safetensors or PyTorch file and finds the text tower in it.
    ///
    /// # Errors
    /// [`ClipError::Io`] and [`ClipError::Format`] (truncated, corrupt, hostile, no CLIP).
    pub fn open(path: impl AsRef<Path>) -> Result<Self, ClipError> {
        let source = NamedTensors::open(path.as_ref())?;
        for (spelling, table) in TOKENS {
            let before = |name: &str| name.strip_suffix(table).map(str::to_owned);
            let prefix = source.names().find_map(before).filter(|prefix| prefix.is_empty() || prefix.ends_with('.'));
            if let Some(prefix) = prefix {
                return Ok(Self { source, spelling, prefix });
            }
        }
        let names: Vec<String> = source.names().map(str::to_owned).collect();
        let reason = format!(
            "no CLIP text tower: expected a tensor `{}` or `{}`; found {} tensors: {}",
            TOKENS[1].1,
            TOKENS[0].1,
            names.len(),
            first_of(&names)
        );
        Err(ClipError::format(source.path(), reason))
    }

    /// The configuration that the shapes tell, with heads and activation from transformers' `config.json` if it lies beside the
    /// file; otherwise heads of 64 and OpenAI's activation, as in all of its models.
    ///
    /// # Errors
    /// [`ClipError::Format`] for tensors that are missing or of shapes that no tower has; [`ClipError::Io`] and
    /// [`ClipError::Format`] for a `config.json` that cannot be read.
    pub fn config(&self) -> Result<ClipTextConfig, ClipError> {
        let width = self.dim(&["token_embedding"], 1)?;
        let described = match self.spelling {
            Spelling::Transformers => self.described()?,
            Spelling::OpenAi => Described::default(),
        };
        let described = described.text_config.map_or_else(
            || Described {
                num_attention_heads: described.num_attention_heads,
                hidden_act: described.hidden_act,
                text_config: None,
            },
            |inner| *inner,
        );
        let activation = match described.hidden_act.as_deref() {
            None | Some("quick_gelu") => Activation::QuickGelu,
            Some("gelu") => Activation::Gelu,
            Some(other) => {
                let reason = format!("`hidden_act`: expected quick_gelu or gelu, found {other}");
                return Err(ClipError::format(self.source.path().with_file_name(CONFIG_FILE), reason));
            }
        };
        let has_layer = |i: &usize| self.shape(&["blocks", &i.to_string(), "norm1", "weight"]).is_some();
        let projection = match self.spelling {
            Spelling::OpenAi => 1,
            Spelling::Transformers => 0,
        };
        let config = ClipTextConfig {
            vocabulary: self.dim(&["token_embedding"], 0)?,
            context: self.dim(&["positional_embedding"], 0)?,
            width,
            heads: described.num_attention_heads.unwrap_or((width / 64).max(1)),
            layers: (0..).take_while(has_layer).count(),
            mlp: self.dim(&["blocks", "0", "expand", "weight"], 0)?,
            embed: self.dim(&["text_projection"], projection)?,
            activation,
        };
        config.validate().map_err(|e| ClipError::format(self.source.path(), format!("no CLIP text tower: {e}")))?;
        Ok(config)
    }

    /// Makes a tower of `config` with the file's weights, all or nothing.
    ///
    /// # Errors
    /// [`ClipError::Mismatch`] with all missing, unexpected and mis-shaped tensors, before anything is read;
    /// [`ClipError::Format`] and [`ClipError::Io`] for tensors that cannot be read.
    pub fn load(&self, config: &ClipTextConfig, device: &Device) -> Result<(ClipText, LoadReport), ClipError> {
        let tower = config.empty(device)?;
        let mut slots = Slots { place: Place::new(self.spelling), slots: BTreeMap::new() };
        tower.visit(&mut slots);
        let report = self.compare(&slots.slots)?;
        let mut filler = Filler { checkpoint: self, place: Place::new(self.spelling), error: None };
        let tower = tower.map(&mut filler);
        match filler.error {
            Some(error) => Err(error),
            None => Ok((tower, report)),
        }
    }

    /// Fills the three lists, or the report.
    fn compare(&self, slots: &BTreeMap<String, Vec<usize>>) -> Result<LoadReport, ClipError> {
        let mut mismatch = Mismatch::default();
        for (key, expected) in slots {
            match self.source.shape(&self.name(key)) {
                None => mismatch.missing.push(self.name(key)),
                Some(found) if found == expected => {}
                Some(found) => mismatch.misshaped.push((self.name(key), expected.clone(), found.to_vec())),
            }
        }
        let mut report = LoadReport { loaded: slots.len(), ignored: Vec::new() };
        for name in self.source.names() {
            let inner = name.strip_prefix(&self.prefix);
            if inner.is_some_and(|inner| slots.contains_key(inner)) {
                continue;
            }
            let is_known = is_beside(name) || inner.is_some_and(is_beside);
            let list = if is_known { &mut report.ignored } else { &mut mismatch.unexpected };
            list.push(name.to_owned());
        }
        if mismatch == Mismatch::default() {
            Ok(report)
        } else {
            Err(ClipError::Mismatch { path: self.source.path().to_owned(), mismatch })
        }
    }

    fn name(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }

    fn shape(&self, path: &[&str]) -> Option<&[usize]> {
        self.source.shape(&self.name(&key(self.spelling, path)?.name))
    }

    fn dim(&self, path: &[&str], axis: usize) -> Result<usize, ClipError> {
        let found = self.shape(path).and_then(|shape| shape.get(axis)).copied();
        found.ok_or_else(|| {
            let name = key(self.spelling, path).map_or_else(String::new, |key| self.name(&key.name));
            let reason = format!("no CLIP text tower: expected a tensor `{name}` with an axis {axis}");
            ClipError::format(self.source.path(), reason)
        })
    }

    fn described(&self) -> Result<Described, ClipError> {
        let path = self.source.path().with_file_name(CONFIG_FILE);
        match std::fs::read_to_string(&path) {
            Ok(text) => serde_json::from_str(&text)
                .map_err(|e| ClipError::format(path, format!("no configuration of a CLIP: {e}"))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Described::default()),
            Err(error) => Err(ClipError::io(path, error)),
        }
    }
}

const CONFIG_FILE: &str = "config.json";

impl ClipText {
    /// Reads a checkpoint in the configuration that it [shows](Checkpoint::config).
    ///
    /// # Errors
    /// As [`Checkpoint::open`], [`Checkpoint::config`] and [`Checkpoint::load`].
    pub fn from_checkpoint(path: impl AsRef<Path>, device: &Device) -> Result<(Self, LoadReport), ClipError> {
        let checkpoint = Checkpoint::open(path)?;
        checkpoint.load(&checkpoint.config()?, device)
    }
}

/// Walks a tower and knows where it is.
struct Place {
    spelling: Spelling,
    path: Vec<String>,
    containers: Vec<String>,
}

impl Place {
    fn new(spelling: Spelling) -> Self {
        Self { spelling, path: Vec::new(), containers: Vec::new() }
    }

    fn enter(&mut self, name: &str, container: &str) {
        self.path.push(name.to_owned());
        self.containers.push(container.to_owned());
    }

    fn exit(&mut self) {
        self.path.pop();
        self.containers.pop();
    }

    fn key(&self) -> Option<Key> {
        key(self.spelling, &self.path.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// Linear weights are `[out, in]` in files and `[in, out]` in Burn; transformers' projection is a linear layer.
    fn is_transposed(&self, rank: usize) -> bool {
        let is_linear = self.containers.last().is_some_and(|container| container == "Struct:Linear");
        let is_projection = self.path.last().is_some_and(|name| name == "text_projection");
        rank == 2 && (is_linear || (is_projection && self.spelling == Spelling::Transformers))
    }
}

/// The shape of every tensor of a file, by key.
struct Slots {
    place: Place,
    slots: BTreeMap<String, Vec<usize>>,
}

impl ModuleVisitor for Slots {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.place.enter(name, container_type);
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.place.exit();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let Some(key) = self.place.key() else { return };
        let mut shape = param.lazy_shape().dims::<D>().to_vec();
        if self.place.is_transposed(D) {
            shape.reverse();
        }
        if let (Some((_, parts)), Some(rows)) = (key.part, shape.first_mut()) {
            *rows *= parts;
        }
        self.slots.insert(key.name, shape);
    }
}

struct Filler<'a> {
    checkpoint: &'a Checkpoint,
    place: Place,
    error: Option<ClipError>,
}

impl Filler<'_> {
    fn values(&self, shape: &[usize]) -> Result<Vec<f32>, ClipError> {
        let source = &self.checkpoint.source;
        let unknown = || ClipError::format(source.path(), format!("no name for `{}`", self.place.path.join(".")));
        let key = self.place.key().ok_or_else(unknown)?;
        let mut values = source.read(&self.checkpoint.name(&key.name))?;
        if let Some((index, parts)) = key.part {
            let length = values.len() / parts;
            values = values[index * length..(index + 1) * length].to_vec();
        }
        if let (true, &[rows, columns]) = (self.place.is_transposed(shape.len()), shape) {
            let from_file = |row: usize| (0..columns).map(move |column| column * rows + row);
            values = (0..rows).flat_map(from_file).map(|index| values[index]).collect();
        }
        Ok(values)
    }
}

impl ModuleMapper for Filler<'_> {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.place.enter(name, container_type);
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.place.exit();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if self.error.is_some() {
            return param;
        }
        let shape = param.lazy_shape().dims::<D>();
        match self.values(&shape) {
            Ok(values) => {
                let (id, device) = (param.id, param.lazy_device());
                param.transform_for_load(Tensor::from_data(TensorData::new(values, shape), &device), id)
            }
            Err(error) => {
                self.error = Some(error);
                param
            }
        }
    }
}
