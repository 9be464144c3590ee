//! Configurations as files: our own fields, or the argument names of the original code.

use std::path::Path;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::{HieraConfig, SamConfig};
use crate::SamError;

/// What Meta's classes of SAM 2 are made with, as one flat object: trunk (`embed_dim`, `num_heads`, `stages`, `window_spec`, ...), neck
/// (`d_model`, ...), heads. Absent ones are those of every published model.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sam2Arguments {
    image_size: usize,
    embed_dim: usize,
    num_heads: usize,
    stages: [usize; 4],
    window_spec: [usize; 4],
    global_att_blocks: Vec<usize>,
    window_pos_embed_bkg_spatial_size: [usize; 2],
    mlp_ratio: Option<f64>,
    d_model: Option<usize>,
    mask_in_chans: Option<usize>,
    decoder_depth: Option<usize>,
    decoder_heads: Option<usize>,
    decoder_mlp_dim: Option<usize>,
    iou_head_depth: Option<usize>,
    iou_head_hidden_dim: Option<usize>,
    num_multimask_outputs: Option<usize>,
    // What this crate has one value for.
    q_pool: Option<usize>,
    q_stride: Option<[usize; 2]>,
    fpn_top_down_levels: Option<Vec<usize>>,
    scalp: Option<usize>,
    backbone_stride: Option<usize>,
    dynamic_multimask_stability_delta: Option<f64>,
    dynamic_multimask_stability_thresh: Option<f64>,
    // What a script may say of the model beside them.
    #[serde(default, rename = "param_counts")]
    _param_counts: IgnoredAny,
    #[serde(default, rename = "image_path_params")]
    _image_path_params: IgnoredAny,
}

impl SamConfig {
    /// Reads a configuration from JSON: in the fields of this type, or in the argument names of Meta's code. A SAM 2 is told by its
    /// `window_spec`; arguments of which the published models have one value may be absent, and another value is an error.
    ///
    /// # Errors
    /// [`SamError::Io`]; [`SamError::Format`] for what is no configuration; [`SamError::Config`] for one that no model can have.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, SamError> {
        let path = path.as_ref();
        let text = std::fs::read_to_string(path).map_err(|source| SamError::io(path, source))?;
        let wrong = |error: serde_json::Error| SamError::format(path, format!("no configuration: {error}"));
        let json: serde_json::Value = serde_json::from_str(&text).map_err(wrong)?;
        // From the text once more: a message then has its line.
        let config: Self = match json.get("window_spec") {
            Some(_) => serde_json::from_str::<Sam2Arguments>(&text).map_err(wrong)?.config()?,
            None => serde_json::from_str(&text).map_err(wrong)?,
        };
        config.validate()?;
        Ok(config)
    }
}

impl Sam2Arguments {
    fn config(self) -> Result<SamConfig, SamError> {
        only("q_pool", self.q_pool, 3)?;
        only("q_stride", self.q_stride, [2, 2])?;
        only("fpn_top_down_levels", self.fpn_top_down_levels, vec![2, 3])?;
        only("scalp", self.scalp, 1)?;
        only("backbone_stride", self.backbone_stride, 16)?;
        only("dynamic_multimask_stability_delta", self.dynamic_multimask_stability_delta, 0.05)?;
        only("dynamic_multimask_stability_thresh", self.dynamic_multimask_stability_thresh, 0.98)?;
        let own = SamConfig::sam2_tiny();
        let hiera = HieraConfig {
            stages: self.stages,
            windows: self.window_spec,
            background_grid: self.window_pos_embed_bkg_spatial_size,
        };
        Ok(SamConfig {
            image_size: self.image_size,
            embed_dim: self.embed_dim,
            num_heads: self.num_heads,
            depth: self.stages.iter().try_fold(0usize, |sum, &blocks| sum.checked_add(blocks)).unwrap_or(usize::MAX),
            mlp_ratio: self.mlp_ratio.unwrap_or(own.mlp_ratio),
            window_size: self.window_spec[0],
            global_attention_blocks: self.global_att_blocks,
            output_channels: self.d_model.unwrap_or(own.output_channels),
            mask_input_channels: self.mask_in_chans.unwrap_or(own.mask_input_channels),
            decoder_depth: self.decoder_depth.unwrap_or(own.decoder_depth),
            decoder_heads: self.decoder_heads.unwrap_or(own.decoder_heads),
            decoder_mlp_dim: self.decoder_mlp_dim.unwrap_or(own.decoder_mlp_dim),
            iou_head_depth: self.iou_head_depth.unwrap_or(own.iou_head_depth),
            iou_head_hidden_dim: self.iou_head_hidden_dim.unwrap_or(own.iou_head_hidden_dim),
            num_multimask_outputs: self.num_multimask_outputs.unwrap_or(own.num_multimask_outputs),
            hiera: Some(hiera),
            ..own
        })
    }
}

/// Refuses another value than the one that this crate has.
fn only<T: PartialEq + std::fmt::Debug>(field: &'static str, found: Option<T>, own: T) -> Result<(), SamError> {
    match found {
        Some(found) if found != own => Err(SamError::config(field, format!("{own:?}"), format!("{found:?}"))),
        _ => Ok(()),
    }
}
