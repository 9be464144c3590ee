//! The configuration as Hugging Face PEFT writes and reads it.

use super::manifest::Manifest;
use crate::error::PeftError;
use regex::Regex;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// The fields of `adapter_config.json` that matter here; the rest of a file written elsewhere is checked to be switched off.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
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

/// Switches of PEFT that change what the factors mean and are not understood here.
const UNSUPPORTED: [&str; 14] = [
    "alora_invocation_tokens",
    "arrow_config",
    "kasa_config",
    "layer_replication",
    "lora_bias",
    "megatron_config",
    "monteclora_config",
    "target_parameters",
    "trainable_token_indices",
    "use_bdlora",
    "use_qalora",
    "velora_config",
    "lora_ga_config",
    "corda_config",
];

impl PeftConfig {
    pub(crate) fn read(file: &Path) -> Result<Self, PeftError> {
        let text = std::fs::read_to_string(file).map_err(PeftError::io(file))?;
        let config: Self = serde_json::from_str(&text).map_err(|error| PeftError::format(file, error.to_string()))?;
        if config.salt_peft.is_none() {
            config.check(file)?;
        }
        Ok(config)
    }

    fn check(&self, file: &Path) -> Result<(), PeftError> {
        if self.peft_type != "LORA" {
            return Err(PeftError::format(
                file,
                format!("field `peft_type`: expected \"LORA\", found \"{}\"", self.peft_type),
            ));
        }
        if self.r == 0 {
            return Err(PeftError::format(file, "field `r`: expected at least 1"));
        }
        for field in UNSUPPORTED {
            let off = match self.rest.get(field) {
                None | Some(Value::Null | Value::Bool(false)) => true,
                Some(Value::Array(list)) => list.is_empty(),
                Some(Value::Object(map)) => map.is_empty(),
                Some(_) => false,
            };
            if !off {
                return Err(PeftError::format(file, format!("field `{field}`: this variant of LoRA is not supported")));
            }
        }
        if self.fan_in_fan_out {
            return Err(PeftError::format(
                file,
                "field `fan_in_fan_out`: expected false, as the weights of Linear layers are [out, in]",
            ));
        }
        Ok(())
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
