//! Reading a file of Hugging Face PEFT.

use super::names::{PREFIX, key};
use super::peft::PeftConfig;
use super::reader::Reader;
use super::tensors::Arrays;
use crate::error::PeftError;
use crate::layer::{Entry, Kind, LayerSpec, PartSpec, outputs_inputs};
use crate::model::Snapshot;
use std::path::Path;

impl Reader<'_> {
    /// A file of PEFT.
    pub(super) fn foreign(
        &mut self,
        snapshot: &Snapshot,
        config: &PeftConfig,
        config_file: &Path,
    ) -> Result<(), PeftError> {
        self.arrays = plain_keys(self.file, std::mem::take(&mut self.arrays), snapshot)?;
        for site in &snapshot.sites {
            let module = self.keys.adapted(site);
            if self.arrays.contains_key(&key(&module, "lora_A.weight")) && site.name() == "weight" {
                let Some(layout) = site.layout() else {
                    return Err(PeftError::parameter(
                        &site.path,
                        &site.shape,
                        "the file has a LoRA for it, but it is no linear layer or convolution",
                    ));
                };
                let (rank, scale) = config.rank_and_scale(config_file, &module)?;
                let [outputs, _] = outputs_inputs(layout, &site.shape);
                let kind = if config.use_dora { Kind::Dora { rank, scale } } else { Kind::Lora { rank, scale } };
                let parts = vec![PartSpec { start: 0, len: outputs, kind, basis: None }];
                let spec = LayerSpec { adapter: self.name.to_owned(), active: true, layout, parts };
                if let Some(parts) = self.low_rank(site, &module, &spec) {
                    self.entries.insert(site.path.clone(), Entry::new(spec, parts));
                }
            }
            let parameter = key("", &self.keys.parameter(site));
            if self.arrays.contains_key(&parameter) {
                if site.is_buffer() {
                    if let Some(array) = self.take(parameter, &site.shape) {
                        self.buffers.insert(site.path.clone(), array);
                    }
                } else {
                    self.full(site)?;
                }
            }
        }
        if self.entries.is_empty() && self.missing.is_empty() && self.mismatched.is_empty() {
            let adaptable = snapshot.sites.iter().filter(|site| site.layout().is_some());
            return Err(PeftError::NothingFits {
                file: self.file.to_owned(),
                found: self.arrays.keys().cloned().collect(),
                expected: adaptable.map(|site| key(&self.keys.adapted(site), "lora_A.weight")).collect(),
            });
        }
        Ok(())
    }
}

/// Components that `torch.compile`, FSDP, activation checkpoints and PEFT itself put between the names of modules.
const WRAPPERS: [&str; 5] =
    ["_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module", "modules_to_save", "base_layer"];

/// The tensors under the keys that PEFT gives them for a model that nothing wraps.
fn plain_keys(file: &Path, arrays: Arrays, snapshot: &Snapshot) -> Result<Arrays, PeftError> {
    let has_module = snapshot.sites.iter().any(|site| site.path.starts_with("module."));
    let mut out = Arrays::new();
    for (key, array) in arrays {
        let plain = plain_key(&key, has_module);
        if out.insert(plain.clone(), array).is_some() {
            return Err(PeftError::format(
                file,
                format!("two tensors are named `{plain}` without their wrappers; one is `{key}`"),
            ));
        }
    }
    Ok(out)
}

/// A key without wrappers: those in between, and `module.` of data parallelism before or after PEFT's own prefix.
fn plain_key(key: &str, has_module: bool) -> String {
    let parts: Vec<&str> = key.split('.').filter(|part| !WRAPPERS.contains(part)).collect();
    let joined = parts.join(".");
    let unwrapped = match joined.split_once(PREFIX) {
        Some((before, after)) if before.split('.').all(|part| part.is_empty() || part == "module") => after,
        _ => joined.as_str(),
    };
    let mut name = unwrapped;
    while let Some(rest) = name.strip_prefix("module.").filter(|_| !has_module) {
        name = rest;
    }
    format!("{PREFIX}{name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrappers_are_taken_off_wherever_they_are() {
        let plain = "base_model.model.blocks.0.qkv.lora_A.weight";
        for wrapped in [
            plain,
            "blocks.0.qkv.lora_A.weight",
            "module.base_model.model.blocks.0.qkv.lora_A.weight",
            "_orig_mod.base_model.model.blocks.0.qkv.lora_A.weight",
            "module._orig_mod.base_model.model.blocks.0.qkv.lora_A.weight",
            "base_model.model._orig_mod.blocks.0.qkv.lora_A.weight",
            "base_model.model.module.blocks.0.qkv.lora_A.weight",
            "base_model.model.blocks.0._orig_mod.qkv.lora_A.weight",
            "base_model.model.blocks.0._checkpoint_wrapped_module.qkv.lora_A.weight",
            "module.module.blocks.0.qkv.lora_A.weight",
        ] {
            assert_eq!(plain_key(wrapped, false), plain, "{wrapped}");
        }
        assert_eq!(plain_key("base_model.model.neck.modules_to_save.weight", false), "base_model.model.neck.weight");
        let own = "base_model.model.module.head.lora_A.weight";
        assert_eq!(plain_key(own, true), own, "a model may have a module of that name");
        assert_eq!(plain_key("module.base_model.model.module.head.lora_A.weight", true), own);
    }
}
