//! What is particular to the checkpoints of SAM 2: how they are recognised, their video part, Hugging Face's names, the configuration.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::{Value, json};

use super::hugging_face::{self, read_config};
use crate::config::HieraConfig;
use crate::model::{NO_MEMORY, part_names};
use crate::{SamConfig, SamError};

/// The two models that this crate knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ModelKind {
    /// Segment Anything.
    Sam,
    /// Segment Anything 2 or 2.1.
    Sam2,
}

impl ModelKind {
    /// Which model tensors of these names are, by the encoder's; nothing where there is no encoder.
    pub(super) fn of(names: &[String]) -> Option<Self> {
        let any = |prefixes: [&str; 2]| names.iter().any(|name| prefixes.iter().any(|prefix| name.starts_with(prefix)));
        if any(["image_encoder.trunk.", "vision_encoder.backbone."]) {
            Some(Self::Sam2)
        } else if any(["image_encoder.", "vision_encoder."]) {
            Some(Self::Sam)
        } else {
            None
        }
    }

    /// The model in words.
    pub(super) fn describe(self) -> &'static str {
        match self {
            Self::Sam => "a SAM (an encoder without stages: `image_encoder.blocks.`)",
            Self::Sam2 => "a SAM 2 (an encoder of stages: `image_encoder.trunk.`)",
        }
    }
}

/// How the names of Meta's video part begin.
const VIDEO: [&str; 9] = [
    "memory_attention.",
    "memory_encoder.",
    "mask_downsample.",
    "maskmem_tpos_enc",
    "no_mem_pos_enc",
    "no_obj_embed_spatial",
    "no_obj_ptr",
    "obj_ptr_proj.",
    "obj_ptr_tpos_proj.",
];

/// How the names of Hugging Face's video part begin.
const HUGGING_FACE_VIDEO: [&str; 7] = [
    "memory_",
    "mask_downsample",
    "no_memory_positional_encoding",
    "no_object_pointer",
    "object_pointer_proj",
    "occlusion_spatial_embedding_parameter",
    "temporal_positional_encoding_projection_layer",
];

/// Whether a tensor of a SAM 2 belongs to its memory of earlier frames.
pub(super) fn is_video(name: &str, hugging_face: bool) -> bool {
    let prefixes: &[&str] = if hugging_face { &HUGGING_FACE_VIDEO } else { &VIDEO };
    prefixes.iter().any(|prefix| name.starts_with(prefix))
}

/// Whether a tensor of any file, in whatever wrapper, is named as one of SAM 2's video part.
pub(super) fn names_video_part(name: &str) -> bool {
    name.split('.').any(|entry| matches!(entry, "memory_attention" | "memory_encoder"))
}

/// Whether a tensor of the model belongs to the parts that the paper's SAM 2 leaves out.
pub(super) fn is_head(name: &str) -> bool {
    const HEADS: [&str; 4] = ["conv_s0.", "conv_s1.", "obj_score_token.", "pred_obj_score_head."];
    let head = name.strip_prefix("sam_mask_decoder.");
    name == NO_MEMORY || head.is_some_and(|rest| HEADS.iter().any(|head| rest.starts_with(head)))
}

/// Where Hugging Face keeps the four point embeddings, one per row.
pub(super) const STACKED_POINTS: &str = "sam_prompt_encoder.point_embeddings.weight";

/// The names of the point embeddings in the model.
pub(super) fn point_embeddings() -> impl Iterator<Item = String> {
    (0..4).map(|index| format!("sam_prompt_encoder.point_embeddings.{index}.weight"))
}

/// From the names that Hugging Face has in SAM 2 alone to the original's, after those that it shares with its SAM.
const HUGGING_FACE: [(&str, &str); 5] = [
    ("image_encoder.backbone.", "image_encoder.trunk."),
    (".mlp.proj_in.", ".mlp.layers.0."),
    (".mlp.proj_out.", ".mlp.layers.1."),
    (".o_proj.", ".out_proj."),
    ("no_memory_embedding", NO_MEMORY),
];

/// A name of Hugging Face's `Sam2Model` in the original's spelling.
pub(super) fn from_hugging_face(name: &str, stacks: &BTreeMap<String, usize>) -> String {
    let mut name = hugging_face::from_hugging_face(name, stacks);
    for (from, to) in HUGGING_FACE {
        name = name.replace(from, to);
    }
    if let Some((index, end)) = name.strip_prefix("image_encoder.neck.convs.").and_then(|rest| rest.split_once('.')) {
        return format!("image_encoder.neck.convs.{index}.conv.{end}");
    }
    match name.starts_with("prompt_encoder.") || name.starts_with("mask_decoder.") {
        true => format!("sam_{name}"),
        false => name,
    }
}

/// Where Hugging Face keeps the frequencies a second time.
pub(super) const SECOND_POSITIONS: &str = "prompt_encoder.shared_embedding.positional_embedding";

/// The way back, up to the names that Hugging Face shares with its SAM.
pub(super) fn to_hugging_face(name: &str) -> String {
    let mut name = name.strip_prefix("sam_").unwrap_or(name).replace(".conv.", ".");
    for (theirs, ours) in HUGGING_FACE.into_iter().rev() {
        name = name.replace(ours, theirs);
    }
    name
}

/// The content of `config.json` beside a model's weights.
pub(super) fn describe(config: &SamConfig, hiera: &HieraConfig) -> Value {
    let side = |stride: usize| [config.image_size / stride; 2];
    let each = |first: usize| [0, 1, 2, 3].map(|stage: usize| first << stage);
    let mut channels = each(config.embed_dim);
    let embed_dims = channels;
    channels.reverse();
    json!({
        "architectures": ["Sam2Model"],
        "dtype": "float32",
        "initializer_range": 0.02,
        "mask_decoder_config": {
            "attention_downsample_rate": config.attention_downsample_rate,
            "dynamic_multimask_stability_delta": 0.05,
            "dynamic_multimask_stability_thresh": 0.98,
            "dynamic_multimask_via_stability": true,
            "hidden_act": "gelu",
            "hidden_size": config.output_channels,
            "iou_head_depth": config.iou_head_depth,
            "iou_head_hidden_dim": config.iou_head_hidden_dim,
            "mlp_dim": config.decoder_mlp_dim,
            "model_type": "sam2_mask_decoder",
            "num_attention_heads": config.decoder_heads,
            "num_hidden_layers": config.decoder_depth,
            "num_multimask_outputs": config.num_multimask_outputs,
        },
        "model_type": "sam2",
        "prompt_encoder_config": {
            "hidden_act": "gelu",
            "hidden_size": config.output_channels,
            "image_size": config.image_size,
            "layer_norm_eps": 1e-6,
            "mask_input_channels": config.mask_input_channels,
            "model_type": "sam2_prompt_encoder",
            "num_point_embeddings": 4,
            "patch_size": config.patch_size,
            "scale": 1,
        },
        "vision_config": {
            "backbone_channel_list": channels,
            "backbone_config": {
                "blocks_per_stage": hiera.stages,
                "embed_dim_per_stage": embed_dims,
                "global_attention_blocks": config.global_attention_blocks,
                "hidden_act": "gelu",
                "hidden_size": config.embed_dim,
                "image_size": side(1),
                "initializer_range": 0.02,
                "layer_norm_eps": 1e-6,
                "mlp_ratio": config.mlp_ratio,
                "model_type": "sam2_hiera_det_model",
                "num_attention_heads": config.num_heads,
                "num_attention_heads_per_stage": each(config.num_heads),
                "num_channels": 3,
                "num_query_pool_stages": 3,
                "patch_kernel_size": [7, 7],
                "patch_padding": [3, 3],
                "patch_stride": [4, 4],
                "query_stride": [2, 2],
                "window_positional_embedding_background_size": hiera.background_grid,
                "window_size_per_stage": hiera.windows,
            },
            "backbone_feature_sizes": [side(4), side(8), side(16)],
            "fpn_hidden_size": config.output_channels,
            "fpn_kernel_size": 1,
            "fpn_padding": 0,
            "fpn_stride": 1,
            "fpn_top_down_levels": [2, 3],
            "hidden_act": "gelu",
            "initializer_range": 0.02,
            "layer_norm_eps": 1e-6,
            "model_type": "sam2_vision_model",
            "num_feature_levels": 3,
        },
    })
}

/// What `config.json` beside Hugging Face's weights tells of a SAM 2.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Beside {
    model_type: Option<String>,
    #[serde(default)]
    vision_config: Vision,
    #[serde(default)]
    prompt_encoder_config: PromptEncoder,
    #[serde(default)]
    mask_decoder_config: MaskDecoder,
}

#[derive(Debug, Clone, Default, Deserialize)]
struct Vision {
    #[serde(default)]
    backbone_config: Backbone,
}

/// Hugging Face leaves out what has its default, which is that of the tiny model.
#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
struct Backbone {
    hidden_size: usize,
    blocks_per_stage: [usize; 4],
    num_attention_heads: usize,
    window_size_per_stage: [usize; 4],
    global_attention_blocks: Vec<usize>,
}

impl Default for Backbone {
    fn default() -> Self {
        Self {
            hidden_size: 96,
            blocks_per_stage: [1, 2, 7, 2],
            num_attention_heads: 1,
            window_size_per_stage: [8, 4, 14, 7],
            global_attention_blocks: vec![5, 7, 9],
        }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
struct PromptEncoder {
    image_size: usize,
}

impl Default for PromptEncoder {
    fn default() -> Self {
        Self { image_size: 1024 }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
struct MaskDecoder {
    num_attention_heads: usize,
}

impl Default for MaskDecoder {
    fn default() -> Self {
        Self { num_attention_heads: 8 }
    }
}

impl Beside {
    /// Reads the file, if there is one and if it is about a SAM 2.
    ///
    /// # Errors
    /// [`SamError::Io`] and [`SamError::Format`] for a file that is there but cannot be read.
    pub(super) fn read(weights: &Path) -> Result<Option<Self>, SamError> {
        let found = read_config::<Self>(weights)?;
        let is_sam2 = |beside: &Self| beside.model_type.as_deref().is_some_and(|kind| kind.starts_with("sam2"));
        Ok(found.filter(is_sam2))
    }

    /// What the shapes do not show, where the rest agrees with them.
    fn complete(&self, embed_dim: usize, stages: [usize; 4]) -> Option<SamConfig> {
        let backbone = &self.vision_config.backbone_config;
        (backbone.hidden_size == embed_dim && backbone.blocks_per_stage == stages).then(|| SamConfig {
            image_size: self.prompt_encoder_config.image_size,
            embed_dim,
            num_heads: backbone.num_attention_heads,
            depth: stages.iter().fold(0usize, |all, blocks| all.saturating_add(*blocks)),
            window_size: backbone.window_size_per_stage[0],
            global_attention_blocks: backbone.global_attention_blocks.clone(),
            decoder_heads: self.mask_decoder_config.num_attention_heads,
            hiera: Some(HieraConfig { stages, windows: backbone.window_size_per_stage, background_grid: [0, 0] }),
            ..SamConfig::sam2_tiny()
        })
    }
}

/// The configuration of a SAM 2 that carries none: what the shapes show, and what they do not from the file beside or from the
/// published model of this width and these stages.
pub(super) fn infer_config(
    shape: impl Fn(&str) -> Option<Vec<usize>>,
    beside: Option<Beside>,
) -> Result<SamConfig, SamError> {
    const WHERE: &str = "(inferred from the checkpoint)";
    let dim = |name: &str, axis: usize| -> Result<usize, SamError> {
        let found = shape(name).and_then(|dims| dims.get(axis).copied());
        found.ok_or_else(|| SamError::config(WHERE, format!("a tensor `{name}` with {} axes", axis + 1), "none"))
    };
    let count = |name: &dyn Fn(usize) -> String| (0..).take_while(|&i| shape(&name(i)).is_some()).count();

    let embed_dim = dim("image_encoder.trunk.pos_embed", 1)?;
    let block = |index: usize| format!("image_encoder.trunk.blocks.{index}");
    let depth = count(&|i| format!("{}.norm1.weight", block(i)));
    // A block with a projection of its shortcut begins a stage.
    let starts = (0..depth).filter(|&i| i == 0 || shape(&format!("{}.proj.weight", block(i))).is_some());
    let starts: Vec<usize> = starts.chain([depth]).collect();
    let stages: Vec<usize> = starts.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let unknown = || {
        let expected =
            "the width and blocks per stage of a published SAM 2 (tiny, small, base+, large), or a configuration";
        SamError::config(WHERE, expected, format!("width {embed_dim}, blocks {stages:?}"))
    };
    let four: [usize; 4] = stages.clone().try_into().map_err(|_| unknown())?;
    let told = beside.and_then(|beside| beside.complete(embed_dim, four));
    let base = told.or_else(|| SamConfig::published_sam2(embed_dim, &stages)).ok_or_else(unknown)?;

    let [_, prompts, decoder] = part_names(&base);
    let layers = format!("{decoder}.transformer.layers");
    let output_channels = dim("image_encoder.neck.convs.0.conv.weight", 0)?;
    let inner = dim(&format!("{layers}.0.cross_attn_token_to_image.q_proj.weight"), 0)?;
    let background_grid = [dim("image_encoder.trunk.pos_embed", 2)?, dim("image_encoder.trunk.pos_embed", 3)?];
    let iou_head = format!("{decoder}.iou_prediction_head.layers");
    let config = SamConfig {
        mlp_ratio: dim(&format!("{}.mlp.layers.0.weight", block(0)), 0)? as f64 / embed_dim.max(1) as f64,
        output_channels,
        mask_input_channels: dim(&format!("{prompts}.mask_downscaling.3.weight"), 0)?,
        decoder_depth: count(&|i| format!("{layers}.{i}.norm1.weight")),
        decoder_mlp_dim: dim(&format!("{layers}.0.mlp.layers.0.weight"), 0)?,
        attention_downsample_rate: output_channels / inner.max(1),
        iou_head_depth: count(&|i| format!("{iou_head}.{i}.weight")),
        iou_head_hidden_dim: dim(&format!("{iou_head}.0.weight"), 0)?,
        num_multimask_outputs: dim(&format!("{decoder}.mask_tokens.weight"), 0)?.saturating_sub(1),
        hiera: base.hiera.map(|hiera| HieraConfig { background_grid, ..hiera }),
        ..base
    };
    config.validate()?;
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_hugging_face_become_metas() {
        for (theirs, ours) in [
            ("vision_encoder.backbone.patch_embed.projection.bias", "image_encoder.trunk.patch_embed.proj.bias"),
            ("vision_encoder.backbone.blocks.3.layer_norm2.weight", "image_encoder.trunk.blocks.3.norm2.weight"),
            (
                "vision_encoder.backbone.blocks.3.mlp.proj_out.weight",
                "image_encoder.trunk.blocks.3.mlp.layers.1.weight",
            ),
            ("vision_encoder.neck.convs.2.bias", "image_encoder.neck.convs.2.conv.bias"),
            ("mask_decoder.conv_s0.weight", "sam_mask_decoder.conv_s0.weight"),
            (
                "mask_decoder.transformer.layers.1.self_attn.o_proj.bias",
                "sam_mask_decoder.transformer.layers.1.self_attn.out_proj.bias",
            ),
            ("prompt_encoder.point_embed.weight", STACKED_POINTS),
            ("no_memory_embedding", "no_mem_embed"),
        ] {
            assert_eq!(from_hugging_face(theirs, &BTreeMap::new()), ours);
        }
    }

    #[test]
    fn the_video_part_is_no_part_of_the_image_path() {
        for name in ["memory_encoder.fuser.layers.0.gamma", "no_obj_ptr", "obj_ptr_proj.layers.0.weight"] {
            assert!(is_video(name, false), "{name}");
        }
        for name in [NO_MEMORY, "sam_mask_decoder.obj_score_token.weight", "mask_decoder.x", "no_memory_embedding"] {
            assert!(!is_video(name, false) && !is_video(name, true), "{name}");
        }
        assert!(is_head("no_mem_embed") && is_head("sam_mask_decoder.conv_s1.bias"));
        assert!(!is_head("sam_mask_decoder.iou_token.weight"));
    }
}
