//! From a file's tensors to a network's parameters, all or nothing.

use std::collections::{BTreeMap, BTreeSet};

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, Tensor, TensorData};

use super::names::{KeyMap, is_harmless, map_names};
use super::slots::{Place, Slot, slots, transpose};
use super::{LoadReport, Mismatch};
use crate::{BaselineError, Network, NetworkConfig};
use named_tensors::NamedTensors;

pub(super) fn load(
    source: &NamedTensors,
    config: &NetworkConfig,
    device: &Device,
) -> Result<(Network, LoadReport), BaselineError> {
    let network = config.empty(device)?;
    let wanted = slots(&network);
    fill(network, source, wanted, None)
}

pub(super) fn load_encoder(
    source: &NamedTensors,
    config: &NetworkConfig,
    device: &Device,
    seed: u64,
) -> Result<(Network, LoadReport), BaselineError> {
    let prefix = config.architecture.encoder_prefix().ok_or_else(|| {
        let expected = "a network on a ResNet or a MiT, whose encoders are published alone";
        BaselineError::config("architecture", expected, config.architecture.name())
    })?;
    let mut wanted = slots(&config.empty(device)?);
    wanted.retain(|_, slot| match slot.key.name.strip_prefix(prefix) {
        Some(inner) => {
            slot.key.name = inner.to_owned();
            true
        }
        None => false,
    });
    fill(config.build(device, seed)?, source, wanted, Some(prefix))
}

/// Puts the wanted tensors into the network. With an encoder's prefix, the keys of `wanted` are those inside the encoder.
fn fill(
    network: Network,
    source: &NamedTensors,
    wanted: BTreeMap<String, Slot>,
    encoder: Option<&str>,
) -> Result<(Network, LoadReport), BaselineError> {
    let config = network.config().clone();
    let expected: BTreeSet<String> = wanted.values().map(|slot| slot.key.name.clone()).collect();
    let keys = map_names(source.names(), &expected).map_err(|reason| BaselineError::format(source.path(), reason))?;
    let mut report = compare(source, &keys, &config, &wanted, encoder)?;
    let mut filler =
        Filler { source, keys: &keys, wanted: &wanted, place: Place::new(&config.architecture), error: None };
    let network = network.map(&mut filler);
    if let Some(error) = filler.error {
        return Err(error);
    }
    report.loaded = expected.len();
    report.converted =
        expected.iter().filter_map(|key| keys.by_key.get(key)).filter(|name| source.is_double(name)).cloned().collect();
    Ok((network, report))
}

/// Fills the three lists, or the report.
fn compare(
    source: &NamedTensors,
    keys: &KeyMap,
    config: &NetworkConfig,
    wanted: &BTreeMap<String, Slot>,
    encoder: Option<&str>,
) -> Result<LoadReport, BaselineError> {
    let mut report = LoadReport::default();
    let mut mismatch = Mismatch { found: source.names().map(str::to_owned).collect(), ..Mismatch::default() };
    // Two slots can share a tensor.
    let by_key: BTreeMap<&str, &Slot> = wanted.values().map(|slot| (slot.key.name.as_str(), slot)).collect();
    for (key, slot) in &by_key {
        let name = keys.by_key.get(*key);
        match name.and_then(|name| Some((name, source.shape(name)?))) {
            None => mismatch.missing.push((*key).to_owned()),
            Some((_, found)) if found == slot.file_shape => {}
            Some((name, found))
                if encoder.is_some() && is_first_convolution(key) && can_adapt(found, &slot.file_shape) =>
            {
                report.adapted.push(name.clone());
            }
            Some((_, found)) => mismatch.misshaped.push(((*key).to_owned(), slot.file_shape.clone(), found.to_vec())),
        }
    }
    for (key, name) in keys.by_key.iter().filter(|(key, _)| !by_key.contains_key(key.as_str())) {
        let entry = key.split('.').next().unwrap_or_default();
        let unused = match encoder {
            Some(prefix) => config.architecture.is_unused(&format!("{prefix}{key}")),
            None => config.architecture.is_unused(key),
        };
        let list = if unused || is_harmless(entry, encoder.is_some()) {
            &mut report.ignored
        } else {
            &mut mismatch.unexpected
        };
        list.push(name.clone());
    }
    for (name, entry) in &keys.beside {
        let list = if is_harmless(entry, encoder.is_some()) { &mut report.ignored } else { &mut mismatch.unexpected };
        list.push(name.clone());
    }
    report.ignored.sort();
    mismatch.unexpected.sort();
    if mismatch.is_empty() {
        Ok(report)
    } else {
        Err(BaselineError::Mismatch { path: source.path().to_owned(), mismatch })
    }
}

/// The convolutions of ResNet and MiT that see the image.
fn is_first_convolution(key: &str) -> bool {
    ["conv1.weight", "patch_embeddings.0.proj.weight", "patch_embed1.proj.weight"].contains(&key)
}

/// Channels of the images on which encoders are trained.
const COLOURS: usize = 3;

/// Whether `[out, 3, k, k]` was found where another number of channels is expected.
fn can_adapt(found: &[usize], expected: &[usize]) -> bool {
    matches!((found, expected), ([o, COLOURS, h, w], [p, _, i, j]) if [o, h, w] == [p, i, j])
}

/// A convolution of three channels for another number: summed for one, otherwise repeated in turn and scaled by the
/// numbers' ratio.
fn adapt(values: &[f32], outputs: usize, channels: usize, field: usize) -> Vec<f32> {
    let mut adapted = Vec::with_capacity(outputs * channels * field);
    for filter in values.chunks_exact(COLOURS * field) {
        if channels == 1 {
            adapted.extend((0..field).map(|i| (0..COLOURS).map(|colour| filter[colour * field + i]).sum::<f32>()));
            continue;
        }
        let ratio = COLOURS as f32 / channels as f32;
        for channel in 0..channels {
            let start = channel % COLOURS * field;
            adapted.extend(filter[start..start + field].iter().map(|value| value * ratio));
        }
    }
    adapted
}

struct Filler<'a> {
    source: &'a NamedTensors,
    keys: &'a KeyMap,
    wanted: &'a BTreeMap<String, Slot>,
    place: Place<'a>,
    error: Option<BaselineError>,
}

impl Filler<'_> {
    fn values(&self, slot: &Slot) -> Result<Vec<f32>, BaselineError> {
        let key = &slot.key.name;
        let missing = || BaselineError::format(self.source.path(), format!("tensor `{key}` is missing"));
        let name = self.keys.by_key.get(key).ok_or_else(missing)?;
        let found = self.source.shape(name).ok_or_else(missing)?;
        let mut values = self.source.read(name)?;
        if let (true, [outputs, channels, height, width]) = (found != slot.file_shape, slot.file_shape.as_slice()) {
            values = adapt(&values, *outputs, *channels, height * width);
        }
        if let Some((index, parts)) = slot.key.part {
            let length = values.len() / parts;
            values = values[index * length..(index + 1) * length].to_vec();
        }
        if let (true, [rows, columns]) = (slot.transposed, slot.file_shape.as_slice()) {
            let rows = rows / slot.key.part.map_or(1, |(_, parts)| parts);
            values = transpose(&values, rows, *columns);
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
        let slot = self.wanted.get(&self.place.path()).filter(|_| self.error.is_none());
        let Some(slot) = slot else { return param };
        match self.values(slot) {
            Ok(values) => {
                let (id, device) = (param.id, param.lazy_device());
                let shape = param.lazy_shape().dims::<D>();
                param.transform_for_load(Tensor::from_data(TensorData::new(values, shape), &device), id)
            }
            Err(error) => {
                self.error = Some(error);
                param
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_first_convolution_keeps_its_answer_to_grey_images() {
        let filter = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        assert_eq!(adapt(&filter, 1, 1, 2), [9.0, 12.0]);
        assert_eq!(adapt(&filter, 1, 2, 2), [1.5, 3.0, 4.5, 6.0]);
        let six = adapt(&filter, 1, 6, 2);
        assert_eq!(six, [0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0]);
    }
}
