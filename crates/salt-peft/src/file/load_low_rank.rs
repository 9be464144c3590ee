//! Reading LoRA, DoRA and parameters that are trained in full.

use super::host::low_rank_shapes;
use super::names::{key, wrapped};
use super::reader::Reader;
use super::tensors::Array;
use crate::attach::full_entry;
use crate::error::PeftError;
use crate::layer::{Adapter, Dora, Entry, Kind, LayerSpec, Lora, PartSpec, outputs_inputs};
use crate::model::Site;
use burn::tensor::TensorData;

impl Reader<'_> {
    /// LoRA and DoRA, cut back into the ranges of outputs that the block matrix was made of.
    pub(super) fn low_rank(&mut self, site: &Site, module: &str, spec: &LayerSpec) -> Option<Vec<Adapter>> {
        let [outputs, inputs] = outputs_inputs(spec.layout, &site.shape);
        let numbers = |part: &PartSpec| match part.kind {
            Kind::Lora { rank, scale } => (rank, scale, false),
            Kind::Dora { rank, scale } => (rank, scale, true),
            _ => (0, 0.0, false),
        };
        let total: usize = spec.parts.iter().map(|part| numbers(part).0).sum();
        let (a_shape, b_shape) = low_rank_shapes(spec.layout, &site.shape, total);
        let a = self.take(key(module, "lora_A.weight"), &a_shape);
        let b = self.take(key(module, "lora_B.weight"), &b_shape);
        let magnitude =
            if spec.parts.iter().any(|part| numbers(part).2) { Some(self.magnitude(module, outputs)) } else { None };
        let (a, b) = (a?, b?);
        let device = site.base.device();
        let mut column = 0;
        let mut adapters = Vec::with_capacity(spec.parts.len());
        for (index, part) in spec.parts.iter().enumerate() {
            let (rank, scale, is_dora) = numbers(part);
            let factory = self.factory(site, &device, index);
            let own_a = a.values[column * inputs..(column + rank) * inputs].to_vec();
            let own_b = (part.start..part.start + part.len)
                .flat_map(|row| b.values[row * total + column..row * total + column + rank].iter().copied())
                .collect();
            column += rank;
            let prefix = if is_dora { "direction." } else { "" };
            let lora = Lora {
                a: factory.matrix(&format!("{prefix}a"), own_a, [rank, inputs]),
                b: factory.matrix(&format!("{prefix}b"), own_b, [part.len, rank]),
                scale,
            };
            adapters.push(match is_dora {
                false => Adapter::Lora(lora),
                true => {
                    let all = magnitude.as_ref()?.as_ref()?;
                    let own = all.values[part.start..part.start + part.len].to_vec();
                    Adapter::Dora(Dora { direction: lora, magnitude: factory.vector("magnitude", own) })
                }
            });
        }
        Some(adapters)
    }

    /// DoRA's magnitude, under either of the names that PEFT has given it, with or without axes of one for a convolution.
    fn magnitude(&mut self, module: &str, outputs: usize) -> Option<Array> {
        let names = ["lora_magnitude_vector", "lora_magnitude_vector.weight"].map(|name| key(module, name));
        let known = names.iter().find(|name| self.arrays.contains_key(*name)).unwrap_or(&names[0]).clone();
        if let Some(array) = self.arrays.get_mut(&known)
            && array.values.len() == outputs
        {
            *array = std::mem::replace(array, Array::new([0], Vec::new())).reshaped([outputs]);
        }
        self.take(known, &[outputs])
    }

    pub(super) fn full(&mut self, site: &Site) -> Result<(), PeftError> {
        let name = self.keys.parameter(site);
        let inside = key("", &wrapped(&name));
        let known = if self.arrays.contains_key(&inside) { inside } else { key("", &name) };
        let Some(values) = self.stored(site, known) else { return Ok(()) };
        let entry = full_entry(site, self.name)?;
        let device = site.base.device();
        let options = (&device, site.base.dtype());
        let parts = entry
            .parts
            .into_iter()
            .map(|part| match part {
                Adapter::Full(mut full) => {
                    full.value = full.value.with_data(TensorData::new(values.clone(), site.shape.clone()), options);
                    Adapter::Full(full)
                }
                other => other,
            })
            .collect();
        self.entries.insert(site.path.clone(), Entry::new((*entry.spec).clone(), parts));
        Ok(())
    }
}
