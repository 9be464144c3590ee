//! From a file's tensors to a model's parameters, all or nothing.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor, TensorData};

use super::keys::KeyMap;
use super::sam2::{self, ModelKind};
use super::{LoadReport, Mismatch};
use crate::image_encoder::resized_positions;
use crate::{PositionResize, Sam, SamConfig, SamError, SamVariant};
use named_tensors::NamedTensors;

/// The absolute positions, which the paper's variant resamples.
const POS_EMBED: &str = "image_encoder.pos_embed";

/// How a parameter of the model appears in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Slot {
    /// The shape in the file.
    pub(super) file_shape: Vec<usize>,
    /// Linear weights are `[out, in]` in files and `[in, out]` in Burn.
    pub(super) transposed: bool,
}

/// Walks a module and knows where it is.
#[derive(Debug, Default)]
pub(super) struct Place {
    path: Vec<String>,
    containers: Vec<String>,
}

impl Place {
    pub(super) fn enter(&mut self, name: &str, container: &str) {
        self.path.push(name.to_owned());
        self.containers.push(container.to_owned());
    }

    pub(super) fn exit(&mut self) {
        self.path.pop();
        self.containers.pop();
    }

    pub(super) fn name(&self) -> String {
        self.path.join(".")
    }

    pub(super) fn slot(&self, shape: &[usize]) -> Slot {
        let transposed = shape.len() == 2 && self.containers.last().is_some_and(|c| c == "Struct:Linear");
        let mut file_shape = shape.to_vec();
        if transposed {
            file_shape.reverse();
        }
        Slot { file_shape, transposed }
    }
}

/// Every parameter of a module by its path, without initialising any.
#[derive(Debug, Default)]
pub(super) struct Slots {
    place: Place,
    pub(super) slots: BTreeMap<String, Slot>,
}

impl ModuleVisitor for Slots {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.place.enter(name, container_type);
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.place.exit();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let slot = self.place.slot(&param.lazy_shape().dims::<D>());
        self.slots.insert(self.place.name(), slot);
    }
}

pub(super) fn slots<M: Module>(module: &M) -> BTreeMap<String, Slot> {
    let mut visitor = Slots::default();
    module.visit(&mut visitor);
    visitor.slots
}

pub(super) fn load(
    source: &NamedTensors,
    keys: &KeyMap,
    config: &SamConfig,
    device: &Device,
) -> Result<(Sam, LoadReport), SamError> {
    check_kind(source, keys, config)?;
    let model = config.init(device)?;
    let slots = slots(&model);
    let mut report = LoadReport { ignored: keys.ignored.clone(), video: keys.video.clone(), ..LoadReport::default() };
    compare(source, keys, config, &slots, &mut report)?;
    for (kept, duplicate) in &keys.duplicates {
        if source.read(kept)? != source.read(duplicate)? {
            let reason = format!("`{kept}` and `{duplicate}` should be the same tensor, but differ");
            return Err(SamError::format(source.path(), reason));
        }
    }
    let mut filler = Filler { source, keys, place: Place::default(), device, loaded: 0, error: None };
    let model = model.map(&mut filler);
    report.loaded = filler.loaded;
    let read = slots.keys().filter_map(|name| keys.by_model_name.get(name));
    report.converted = read.filter(|name| source.is_double(name)).cloned().collect();
    match filler.error {
        Some(error) => Err(error),
        None => Ok((model, report)),
    }
}

/// Refuses a file that holds the other of the two models, by name instead of by hundreds of tensors.
fn check_kind(source: &NamedTensors, keys: &KeyMap, config: &SamConfig) -> Result<(), SamError> {
    let expected = if config.is_sam2() { ModelKind::Sam2 } else { ModelKind::Sam };
    match keys.kind {
        Some(found) if found != expected => Err(SamError::OtherModel {
            path: source.path().to_owned(),
            expected: expected.describe(),
            found: found.describe(),
        }),
        _ => Ok(()),
    }
}

/// Fills the three lists; what the paper's variant drops and resamples goes into the report instead.
fn compare(
    source: &NamedTensors,
    keys: &KeyMap,
    config: &SamConfig,
    slots: &BTreeMap<String, Slot>,
    report: &mut LoadReport,
) -> Result<(), SamError> {
    let paper = config.variant == SamVariant::Paper;
    let mut mismatch = Mismatch {
        unexpected: keys.unknown.clone(),
        found: source.names().map(str::to_owned).collect(),
        ..Mismatch::default()
    };
    for (name, slot) in slots {
        let found = keys.shape(source, name);
        match found {
            None => mismatch.missing.push(name.clone()),
            Some(found) if found == slot.file_shape => {}
            Some(found) if paper && name == POS_EMBED && poolable(&found, &slot.file_shape) => {
                report.resampled.push(name.clone());
            }
            Some(found) => mismatch.misshaped.push((name.clone(), slot.file_shape.clone(), found)),
        }
    }
    for (name, file_name) in &keys.by_model_name {
        if slots.contains_key(name) {
            continue;
        }
        if paper && (is_relative_position(name, config.depth) || sam2::is_head(name)) {
            report.dropped.push(file_name.clone());
        } else {
            mismatch.unexpected.push(file_name.clone());
        }
    }
    mismatch.unexpected.sort();
    if mismatch.is_empty() { Ok(()) } else { Err(SamError::Mismatch { path: source.path().to_owned(), mismatch }) }
}

/// `[1, H, W, C]` that can be average-pooled to the expected `[1, h, w, C]`.
fn poolable(found: &[usize], expected: &[usize]) -> bool {
    found.len() == 4
        && found[0] == 1
        && found[3] == expected[3]
        && found[1] >= expected[1]
        && found[2] >= expected[2]
        && found[1] <= 1 << 14
        && found[2] <= 1 << 14
}

fn is_relative_position(name: &str, depth: usize) -> bool {
    let Some((index, rest)) = name.strip_prefix("image_encoder.blocks.").and_then(|rest| rest.split_once('.')) else {
        return false;
    };
    index.parse::<usize>().is_ok_and(|index| index < depth) && matches!(rest, "attn.rel_pos_h" | "attn.rel_pos_w")
}

struct Filler<'a> {
    source: &'a NamedTensors,
    keys: &'a KeyMap,
    place: Place,
    device: &'a Device,
    loaded: usize,
    error: Option<SamError>,
}

impl Filler<'_> {
    fn values<const D: usize>(&self, shape: [usize; D]) -> Result<Tensor<D>, SamError> {
        let name = self.place.name();
        let values = self.keys.read(self.source, &name)?;
        let found = self.keys.shape(self.source, &name).unwrap_or_default();
        let slot = self.place.slot(&shape);
        let device = self.device;
        if let [rows, columns, height, width] = found[..]
            && found != slot.file_shape
        {
            // Only the paper's positions get here, see `compare`.
            let from = [rows, columns, height, width];
            let positions = Tensor::<4>::from_data(TensorData::new(values, from), device);
            let pooled = resized_positions(positions, [slot.file_shape[1], slot.file_shape[2]], PositionResize::Pool);
            return Ok(pooled.reshape(shape));
        }
        let values = if slot.transposed { transpose(&values, slot.file_shape[0], slot.file_shape[1]) } else { values };
        Ok(Tensor::from_data(TensorData::new(values, shape), device))
    }
}

/// Row-major `[rows, columns]` to row-major `[columns, rows]`.
pub(crate) fn transpose(values: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    let mut out = Vec::with_capacity(values.len());
    for column in 0..columns {
        out.extend((0..rows).map(|row| values[row * columns + column]));
    }
    out
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
        match self.values(param.lazy_shape().dims::<D>()) {
            Ok(tensor) => {
                self.loaded += 1;
                let id = param.id;
                param.transform_for_load(tensor, id)
            }
            Err(error) => {
                self.error = Some(error);
                param
            }
        }
    }
}
