//! Hugging Face's `SamModel`: its names, both ways, and its configuration.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::{SamConfig, SamError, SamVariant};

/// From Hugging Face `SamModel` names to the original's, applied in order.
const HUGGING_FACE: [(&str, &str); 20] = [
    ("vision_encoder.", "image_encoder."),
    ("image_encoder.layers.", "image_encoder.blocks."),
    ("patch_embed.projection.", "patch_embed.proj."),
    ("neck.conv1.", "neck.0."),
    ("neck.layer_norm1.", "neck.1."),
    ("neck.conv2.", "neck.2."),
    ("neck.layer_norm2.", "neck.3."),
    ("prompt_encoder.shared_embedding.positional_embedding", POSITIONS),
    ("shared_image_embedding.positional_embedding", POSITIONS),
    ("prompt_encoder.point_embed.", "prompt_encoder.point_embeddings."),
    ("mask_embed.conv1.", "mask_downscaling.0."),
    ("mask_embed.layer_norm1.", "mask_downscaling.1."),
    ("mask_embed.conv2.", "mask_downscaling.3."),
    ("mask_embed.layer_norm2.", "mask_downscaling.4."),
    ("mask_embed.conv3.", "mask_downscaling.6."),
    ("mask_decoder.upscale_conv1.", "mask_decoder.output_upscaling.0."),
    ("mask_decoder.upscale_layer_norm.", "mask_decoder.output_upscaling.1."),
    ("mask_decoder.upscale_conv2.", "mask_decoder.output_upscaling.3."),
    (".layer_norm_final_attn.", ".norm_final_attn."),
    (".layer_norm", ".norm"),
];

/// The random frequencies, which Hugging Face stores once or twice.
pub(super) const POSITIONS: &str = "prompt_encoder.pe_layer.positional_encoding_gaussian_matrix";

/// Hugging Face splits a stack of linear layers in `proj_in`, `layers` and `proj_out`: the number of inner layers of each.
pub(super) fn stack_depths(names: &[String]) -> BTreeMap<String, usize> {
    let mut depths = BTreeMap::new();
    for inner in names {
        let Some((stack, rest)) = split_stack(inner) else { continue };
        let depth = depths.entry(stack.to_owned()).or_insert(0);
        if let Some(index) = rest.strip_prefix("layers.").and_then(|r| r.split('.').next()?.parse::<usize>().ok()) {
            *depth = (*depth).max(index.saturating_add(1));
        }
    }
    depths
}

/// `mask_decoder.iou_prediction_head.proj_in.weight` to (`mask_decoder.iou_prediction_head.`, `proj_in.weight`).
fn split_stack(name: &str) -> Option<(&str, &str)> {
    const HYPERNETWORKS: &str = "mask_decoder.output_hypernetworks_mlps.";
    const HEADS: [&str; 2] = ["mask_decoder.iou_prediction_head.", "mask_decoder.pred_obj_score_head."];
    if let Some(head) = HEADS.into_iter().find(|head| name.starts_with(head)) {
        return Some(name.split_at(head.len()));
    }
    let rest = name.strip_prefix(HYPERNETWORKS)?;
    let index_length = rest.find('.')? + 1;
    Some(name.split_at(HYPERNETWORKS.len() + index_length))
}

pub(super) fn from_hugging_face(name: &str, stacks: &BTreeMap<String, usize>) -> String {
    if let Some((stack, rest)) = split_stack(name) {
        let inner = stacks.get(stack).copied().unwrap_or(0);
        let renamed = if let Some(end) = rest.strip_prefix("proj_in.") {
            format!("layers.0.{end}")
        } else if let Some(end) = rest.strip_prefix("proj_out.") {
            format!("layers.{}.{end}", inner + 1)
        } else {
            match rest.strip_prefix("layers.").and_then(|r| r.split_once('.')) {
                Some((index, end)) => match index.parse::<usize>() {
                    Ok(index) => format!("layers.{}.{end}", index.saturating_add(1)),
                    Err(_) => rest.to_owned(),
                },
                None => rest.to_owned(),
            }
        };
        return format!("{stack}{renamed}");
    }
    let mut name = name.to_owned();
    for (from, to) in HUGGING_FACE {
        // The original's own norm names contain no underscore, so a rule never applies twice.
        if name.contains(from) {
            name = name.replace(from, to);
        }
    }
    name
}

/// A name of the model (Meta's) in Hugging Face's spelling; `depths` are the numbers of layers of the stacks by their prefix.
fn to_hugging_face(name: &str, depth: impl Fn(&str) -> usize) -> String {
    if let Some((stack, rest)) = split_stack(name) {
        let layer = rest.strip_prefix("layers.").and_then(|rest| rest.split_once('.'));
        let Some((Ok(index), end)) = layer.map(|(index, end)| (index.parse::<usize>(), end)) else {
            return name.to_owned();
        };
        return match index {
            0 => format!("{stack}proj_in.{end}"),
            last if last + 1 == depth(stack) => format!("{stack}proj_out.{end}"),
            inner => format!("{stack}layers.{}.{end}", inner - 1),
        };
    }
    HUGGING_FACE.iter().rev().fold(name.to_owned(), |name, (theirs, ours)| name.replace(ours, theirs))
}

/// Names every tensor of a model as Hugging Face does.
pub(super) fn rename_all<T>(tensors: Vec<(String, T)>) -> Vec<(String, T)> {
    let layers: Vec<String> = tensors.iter().map(|(name, _)| name.clone()).collect();
    let depth = |stack: &str| {
        let index = |name: &String| name.strip_prefix(stack)?.strip_prefix("layers.")?.split('.').next()?.parse().ok();
        layers.iter().filter_map(index).max().map_or(0, |last: usize| last + 1)
    };
    tensors.into_iter().map(|(name, tensor)| (to_hugging_face(&name, depth), tensor)).collect()
}

/// The content of `config.json` beside a model's weights.
///
/// # Errors
/// [`SamError::Config`] for the paper's variant, which Hugging Face's model cannot compute.
pub(super) fn describe(config: &SamConfig) -> Result<Value, SamError> {
    if config.variant != SamVariant::Sam {
        let expected = "`sam`: Hugging Face's SamModel has no other arithmetic";
        return Err(SamError::config("variant", expected, "paper"));
    }
    if let Some(hiera) = &config.hiera {
        return Ok(super::sam2::describe(config, hiera));
    }
    Ok(json!({
        "architectures": ["SamModel"],
        "dtype": "float32",
        "initializer_range": 0.02,
        "mask_decoder_config": {
            "attention_downsample_rate": config.attention_downsample_rate,
            "hidden_act": "relu",
            "hidden_size": config.output_channels,
            "iou_head_depth": config.iou_head_depth,
            "iou_head_hidden_dim": config.iou_head_hidden_dim,
            "layer_norm_eps": 1e-6,
            "mlp_dim": config.decoder_mlp_dim,
            "model_type": "sam_mask_decoder",
            "num_attention_heads": config.decoder_heads,
            "num_hidden_layers": config.decoder_depth,
            "num_multimask_outputs": config.num_multimask_outputs,
        },
        "model_type": MODEL_TYPE,
        "prompt_encoder_config": {
            "hidden_act": "gelu",
            "hidden_size": config.output_channels,
            "image_embedding_size": config.grid_size(),
            "image_size": config.image_size,
            "layer_norm_eps": 1e-6,
            "mask_input_channels": config.mask_input_channels,
            "model_type": "sam_prompt_encoder",
            "num_point_embeddings": 4,
            "patch_size": config.patch_size,
        },
        "vision_config": {
            "attention_dropout": 0.0,
            "global_attn_indexes": config.global_attention_blocks,
            "hidden_act": "gelu",
            "hidden_size": config.embed_dim,
            "image_size": config.image_size,
            "initializer_range": 1e-10,
            "layer_norm_eps": 1e-6,
            "mlp_dim": config.mlp_dim(),
            "mlp_ratio": config.mlp_ratio,
            "model_type": "sam_vision_model",
            "num_attention_heads": config.num_heads,
            "num_channels": 3,
            "num_hidden_layers": config.depth,
            "num_pos_feats": config.output_channels / 2,
            "output_channels": config.output_channels,
            "patch_size": config.patch_size,
            "qkv_bias": true,
            "scale": config.embed_dim / 2,
            "use_abs_pos": true,
            "use_rel_pos": true,
            "window_size": config.window_size,
        },
    }))
}

const MODEL_TYPE: &str = "sam";

/// The one number of a model that the shapes of its tensors do not show, where `config.json` stands beside Hugging Face's
/// weights: the decoder's attention heads. Nothing where there is no such file, or where it is about another kind of model.
///
/// # Errors
/// [`SamError::Io`] and [`SamError::Format`] for a file that is there but cannot be read.
pub(super) fn decoder_heads_beside(weights: &Path) -> Result<Option<usize>, SamError> {
    #[derive(Deserialize)]
    struct Model {
        model_type: Option<String>,
        #[serde(default)]
        mask_decoder_config: MaskDecoder,
    }
    /// Hugging Face leaves out what has its default.
    #[derive(Deserialize)]
    #[serde(default)]
    struct MaskDecoder {
        num_attention_heads: usize,
    }
    impl Default for MaskDecoder {
        fn default() -> Self {
            Self { num_attention_heads: 8 }
        }
    }
    let Some(model) = read_config::<Model>(weights)? else { return Ok(None) };
    let is_sam = model.model_type.is_some_and(|kind| kind == MODEL_TYPE);
    Ok(is_sam.then_some(model.mask_decoder_config.num_attention_heads))
}

/// What is asked of `config.json` beside Hugging Face's weights; nothing where there is no such file.
///
/// # Errors
/// [`SamError::Io`] and [`SamError::Format`] for a file that is there but cannot be read.
pub(super) fn read_config<T: serde::de::DeserializeOwned>(weights: &Path) -> Result<Option<T>, SamError> {
    let path = weights.with_file_name(CONFIG_FILE);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(SamError::io(path, error)),
    };
    serde_json::from_str(&text)
        .map(Some)
        .map_err(|e| SamError::format(path, format!("no configuration of a Hugging Face model: {e}")))
}

/// The file that holds the configuration.
pub(super) const CONFIG_FILE: &str = "config.json";
/// The file that holds the weights.
pub(super) const WEIGHTS_FILE: &str = "model.safetensors";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stacks_of_any_depth_are_taken_apart_and_put_together_again() {
        for depth in 2..5 {
            for stack in ["mask_decoder.iou_prediction_head.", "mask_decoder.output_hypernetworks_mlps.2."] {
                let ours: Vec<(String, ())> = (0..depth).map(|i| (format!("{stack}layers.{i}.weight"), ())).collect();
                let theirs: Vec<String> = rename_all(ours.clone()).into_iter().map(|(name, ())| name).collect();
                assert_eq!(theirs[0], format!("{stack}proj_in.weight"));
                assert_eq!(theirs[depth - 1], format!("{stack}proj_out.weight"));
                let depths = stack_depths(&theirs);
                let back: Vec<_> = theirs.iter().map(|name| (from_hugging_face(name, &depths), ())).collect();
                assert_eq!(back, ours);
            }
        }
    }
}
