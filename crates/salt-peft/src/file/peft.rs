//! The configuration as Hugging Face PEFT writes and reads it.

use super::manifest::{FORMAT, Manifest};
use crate::error::PeftError;
use regex::Regex;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// The fields of `adapter_config.json` that matter here; the rest of a file written elsewhere is checked to be switched off.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct PeftConfig {
    pub(crate) alpha_pattern: BTreeMap<String, f64>,
    pub(crate) base_model_name_or_path: Option<String>,
    pub(crate) bias: String,
    pub(crate) fan_in_fan_out: bool,
    pub(crate) inference_mode: bool,
    pub(crate) init_lora_weights: Value,
    pub(crate) lora_alpha: f64,
    pub(crate) lora_dropout: f64,
    pub(crate) modules_to_save: Option<Vec<String>>,
    pub(crate) peft_type: String,
    pub(crate) r: usize,
    pub(crate) rank_pattern: BTreeMap<String, usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) salt_peft: Option<Manifest>,
    pub(crate) target_modules: Value,
    pub(crate) task_type: Option<String>,
    pub(crate) use_dora: bool,
    pub(crate) use_rslora: bool,
    #[serde(flatten, skip_serializing)]
    pub(crate) rest: BTreeMap<String, Value>,
}

/// The defaults of PEFT's `LoraConfig` (0.21), which a file may leave out.
impl Default for PeftConfig {
    fn default() -> Self {
        Self {
            alpha_pattern: BTreeMap::new(),
            base_model_name_or_path: None,
            bias: "none".into(),
            fan_in_fan_out: false,
            inference_mode: false,
            init_lora_weights: true.into(),
            lora_alpha: 8.0,
            lora_dropout: 0.0,
            modules_to_save: None,
            peft_type: String::new(),
            r: 8,
            rank_pattern: BTreeMap::new(),
            salt_peft: None,
            target_modules: Value::Null,
            task_type: None,
            use_dora: false,
            use_rslora: false,
            rest: BTreeMap::new(),
        }
    }
}

/// Fields that say where the factors came from or how they were trained, and not what is computed with them.
const HARMLESS: [&str; 13] = [
    "auto_mapping",
    "corda_config",
    "eva_config",
    "exclude_modules",
    "layers_pattern",
    "layers_to_transform",
    "loftq_config",
    "lora_ga_config",
    "megatron_core",
    "peft_version",
    "qalora_group_size",
    "revision",
    "runtime_config",
];

/// Initialisations of PEFT that leave the base weights as they are.
const KEEPS_BASE: [&str; 4] = ["gaussian", "eva", "orthogonal", "mica"];

impl PeftConfig {
    pub(crate) fn read(file: &Path) -> Result<Self, PeftError> {
        let fail = |error: serde_json::Error| PeftError::format(file, error.to_string());
        let text = std::fs::read_to_string(file).map_err(PeftError::io(file))?;
        let mut fields: serde_json::Map<String, Value> = serde_json::from_str(&text).map_err(fail)?;
        // Absent and null are the same to PEFT.
        fields.retain(|_, value| !value.is_null());
        if let Some(format) = fields.get("salt_peft").and_then(|section| section.get("format"))
            && *format != FORMAT
        {
            let reason =
                format!("field `salt_peft.format`: this version reads {FORMAT}, found {format}; a newer one wrote it");
            return Err(PeftError::format(file, reason));
        }
        let config: Self = serde_json::from_value(Value::Object(fields)).map_err(fail)?;
        if config.salt_peft.is_none() {
            config.check(file)?;
        }
        Ok(config)
    }

    /// What training further would do otherwise than PEFT.
    pub(crate) fn notes(&self) -> Vec<String> {
        if self.lora_dropout > 0.0 {
            let rate = self.lora_dropout;
            return vec![format!(
                "the adapter was trained with dropout ({rate}), which is not applied if it is trained further here"
            )];
        }
        Vec::new()
    }

    fn check(&self, file: &Path) -> Result<(), PeftError> {
        let variant = |field: &str, found: &dyn std::fmt::Display, advice: &str| {
            Err(PeftError::Variant {
                file: file.to_owned(),
                field: field.to_owned(),
                found: found.to_string(),
                advice: advice.to_owned(),
            })
        };
        if self.peft_type != "LORA" {
            let found = if self.peft_type.is_empty() { "absent".to_owned() } else { format!("\"{}\"", self.peft_type) };
            return variant("peft_type", &found, "only \"LORA\" of PEFT's methods is computed here");
        }
        if self.r == 0 {
            return Err(PeftError::format(file, "field `r`: expected at least 1, found 0"));
        }
        if let Value::String(initialization) = &self.init_lora_weights {
            self.check_initialization(file, initialization)?;
        }
        for (field, value) in &self.rest {
            let off = match value {
                Value::Null | Value::Bool(false) => true,
                Value::Array(list) => list.is_empty(),
                Value::Object(map) => map.is_empty(),
                _ => false,
            };
            if !off && !HARMLESS.contains(&field.as_str()) {
                let advice = "this variant of LoRA is not computed here; merge it into plain weights with PEFT \
                              (`merge_and_unload`) and load those";
                return variant(field, value, advice);
            }
        }
        if self.fan_in_fan_out {
            return variant("fan_in_fan_out", &true, "the weights of linear layers are [out, in] here");
        }
        Ok(())
    }

    /// Factors that were split off the base weights fit a base that lacks them, which no file holds.
    fn check_initialization(&self, file: &Path, name: &str) -> Result<(), PeftError> {
        let lower = name.to_lowercase();
        if KEEPS_BASE.contains(&lower.as_str()) {
            return Ok(());
        }
        let advice = if ["pissa", "olora", "corda", "lora_ga"].iter().any(|known| lower.starts_with(known)) {
            "it changed the base weights before training, so the factors do not belong to the plain base; save the adapter in \
             PEFT with `save_pretrained(..., path_initial_model_for_weight_conversion=...)`, which makes a plain LoRA of it, or \
             merge it there (`merge_and_unload`) and load the merged weights"
        } else if lower == "loftq" {
            "it replaced the base weights by quantised ones, so the factors do not belong to the plain base; merge it in PEFT \
             (`merge_and_unload`) and load the merged weights"
        } else {
            "this version does not know the initialisation and cannot tell whether it changed the base weights"
        };
        Err(PeftError::Variant {
            file: file.to_owned(),
            field: "init_lora_weights".to_owned(),
            found: format!("\"{name}\""),
            advice: advice.to_owned(),
        })
    }

    /// Rank and scale of a module, by PEFT's rule: a pattern applies where it matches a whole suffix of the name's components.
    pub(crate) fn rank_and_scale(&self, file: &Path, module: &str) -> Result<(usize, f64), PeftError> {
        let rank = *pattern_value(file, &self.rank_pattern, module)?.unwrap_or(&self.r);
        let alpha = *pattern_value(file, &self.alpha_pattern, module)?.unwrap_or(&self.lora_alpha);
        let divisor = if self.use_rslora { (rank as f64).sqrt() } else { rank as f64 };
        Ok((rank, alpha / divisor))
    }

    /// The file's text: keys sorted, whole numbers without a fraction.
    pub(crate) fn text(&self, file: &Path) -> Result<String, PeftError> {
        let fail = |error: serde_json::Error| PeftError::format(file, error.to_string());
        let value = serde_json::to_value(self).map_err(fail)?;
        let text = serde_json::to_string_pretty(&sorted(value)).map_err(fail)?;
        Ok(text + "\n")
    }
}

fn pattern_value<'a, T>(
    file: &Path,
    patterns: &'a BTreeMap<String, T>,
    module: &str,
) -> Result<Option<&'a T>, PeftError> {
    for (pattern, value) in patterns {
        let regex = Regex::new(&format!(r"^(.*\.)?({pattern})$"))
            .map_err(|error| PeftError::format(file, format!("pattern `{pattern}`: {error}")))?;
        if regex.is_match(module) {
            return Ok(Some(value));
        }
    }
    Ok(None)
}

/// Sorts the keys of every object, and writes 6.0 as 6, as PEFT does.
fn sorted(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let ordered: BTreeMap<String, Value> = map.into_iter().map(|(key, value)| (key, sorted(value))).collect();
            Value::Object(ordered.into_iter().collect())
        }
        Value::Array(list) => Value::Array(list.into_iter().map(sorted).collect()),
        Value::Number(number) => match number.as_f64() {
            Some(float) if number.is_f64() && float.fract() == 0.0 && float.abs() < 1e15 => Value::from(float as i64),
            _ => Value::Number(number),
        },
        other => other,
    }
}
