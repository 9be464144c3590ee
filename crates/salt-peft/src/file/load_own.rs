//! Reading a file of this crate.

use super::manifest::{BasisStorage, LayerEntry, Manifest};
use super::names::{CONFIG_FILE, key};
use super::options::LoadOptions;
use super::reader::Reader;
use crate::attach::part_matrix;
use crate::error::{Difference, PeftError};
use crate::layer::{Adapter, Delta, Entry, Kind, LayerSpec, matrix_shape, outputs_inputs};
use crate::model::{Site, Snapshot};
use std::collections::BTreeMap;

impl Reader<'_> {
    /// A file of this crate.
    pub(super) fn own(
        &mut self,
        snapshot: &Snapshot,
        manifest: &Manifest,
        options: &LoadOptions,
    ) -> Result<(), PeftError> {
        let adapted: BTreeMap<String, &Site> = snapshot
            .sites
            .iter()
            .map(|site| (self.keys.adapted(site), site))
            .filter(|(name, _)| manifest.layers.contains_key(name))
            .collect();
        let parameters: BTreeMap<String, &Site> =
            snapshot.sites.iter().map(|site| (self.keys.parameter(site), site)).collect();
        self.check_bases(&adapted, manifest)?;
        for (name, layer) in &manifest.layers {
            let Some(site) = adapted.get(name) else {
                self.missing.push(format!("(module) {name}"));
                continue;
            };
            if let Some(entry) = self.layer(site, name, layer, manifest.basis, options)? {
                self.entries.insert(site.path.clone(), entry);
            }
        }
        for name in &manifest.trained {
            match parameters.get(name) {
                Some(site) => self.full(site)?,
                None => self.missing.push(format!("(parameter) {name}")),
            }
        }
        for name in &manifest.buffers {
            if let Some(site) = parameters.get(name)
                && let Some(array) = self.take(key("", name), &site.shape)
            {
                self.buffers.insert(site.path.clone(), array);
            }
        }
        for name in &manifest.companions {
            self.arrays.remove(&key("", name));
        }
        Ok(())
    }

    /// Refuses a base whose weights are not those of the file.
    fn check_bases(&self, adapted: &BTreeMap<String, &Site>, manifest: &Manifest) -> Result<(), PeftError> {
        for (name, layer) in &manifest.layers {
            let Some(site) = adapted.get(name) else { continue };
            check_spec(&layer.spec, layer.shape.as_slice())
                .map_err(|reason| PeftError::format(self.file, format!("{CONFIG_FILE}: layer `{name}`: {reason}")))?;
            let wrong = |difference, expected: String, found: String| PeftError::WrongBase {
                file: self.file.to_owned(),
                path: site.path.clone(),
                difference,
                expected,
                found,
            };
            if site.shape != layer.shape {
                return Err(wrong(Difference::Shape, format!("{:?}", layer.shape), format!("{:?}", site.shape)));
            }
            let [outputs, _] = outputs_inputs(layer.spec.layout, &site.shape);
            let matrix = part_matrix(&site.data()?, &site.shape, layer.spec.layout, 0, outputs)
                .map_err(|reason| PeftError::Values { path: site.path.clone(), reason })?;
            let found = salt_linalg::content_hash(&matrix).to_string();
            if found != layer.base_hash {
                return Err(wrong(Difference::Weight, layer.base_hash.clone(), found));
            }
        }
        Ok(())
    }

    fn layer(
        &mut self,
        site: &Site,
        module: &str,
        layer: &LayerEntry,
        storage: BasisStorage,
        options: &LoadOptions,
    ) -> Result<Option<Entry>, PeftError> {
        let spec = LayerSpec { adapter: self.name.to_owned(), active: true, ..layer.spec.clone() };
        let parts = match spec.parts.first().map(|part| part.kind) {
            Some(Kind::Lora { .. } | Kind::Dora { .. }) => self.low_rank(site, module, &spec),
            Some(Kind::Delta) => self.delta(site, module).map(|delta| vec![delta]),
            _ => self.spectral(site, module, &spec, layer, storage, options)?,
        };
        Ok(parts.map(|parts| Entry::new(spec, parts)))
    }

    fn delta(&mut self, site: &Site, module: &str) -> Option<Adapter> {
        let values = self.stored(site, key(module, "salt_delta"))?;
        let device = site.base.device();
        let shape = matrix_shape(&site.shape);
        let mut delta = self.factory(site, &device, 0).matrix("delta", values, shape);
        delta = delta.set_require_grad(false);
        Some(Adapter::Delta(Delta { delta }))
    }
}

/// Whether a specification from a file makes sense for a weight of its shape, so that nothing after it can go out of bounds.
fn check_spec(spec: &LayerSpec, shape: &[usize]) -> Result<(), String> {
    const LARGEST_RANK: usize = 1 << 20;
    if !(2..=6).contains(&shape.len()) || shape.contains(&0) || shape.iter().any(|size| *size > 1 << 31) {
        return Err(format!("expected a shape of two to six axes, found {shape:?}"));
    }
    let [outputs, inputs] = outputs_inputs(spec.layout, shape);
    let mut end = 0;
    for part in &spec.parts {
        let next = part.start.checked_add(part.len);
        if part.len == 0 || part.start < end || next.is_none_or(|next| next > outputs) {
            return Err(format!(
                "expected ascending ranges within its {outputs} outputs, found {}, {} long",
                part.start, part.len
            ));
        }
        end = part.start + part.len;
        let k = part.len.min(inputs);
        let fits = match part.kind {
            Kind::Lora { rank, scale } | Kind::Dora { rank, scale } => {
                (1..=LARGEST_RANK).contains(&rank) && scale.is_finite()
            }
            Kind::Salt { svd_rank, lora_rank, .. } => svd_rank <= k && lora_rank <= LARGEST_RANK,
            Kind::Svd { .. } => true,
            Kind::Delta => spec.parts.len() == 1 && part.len == outputs,
            Kind::Full => false,
        };
        if !fits {
            return Err(format!(
                "a method that does not fit {} outputs and {inputs} inputs: {:?}",
                part.len, part.kind
            ));
        }
    }
    let same = spec
        .parts
        .windows(2)
        .all(|pair| std::mem::discriminant(&pair[0].kind) == std::mem::discriminant(&pair[1].kind));
    if spec.parts.is_empty() || !same {
        return Err("expected at least one part, all of one method".to_owned());
    }
    Ok(())
}
