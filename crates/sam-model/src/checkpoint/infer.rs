//! The configuration of a checkpoint that does not carry one, from the shapes of its tensors.

use crate::{PositionResize, SamConfig, SamError, SamVariant};

/// The tensors whose shapes are read; a file without one of them holds no SAM.
pub(super) const NEEDED: [&str; 9] = [
    "image_encoder.pos_embed",
    "image_encoder.patch_embed.proj.weight",
    "image_encoder.blocks.0.mlp.lin1.weight",
    "image_encoder.neck.0.weight",
    "prompt_encoder.mask_downscaling.3.weight",
    "mask_decoder.mask_tokens.weight",
    "mask_decoder.iou_prediction_head.layers.0.weight",
    "mask_decoder.transformer.layers.0.cross_attn_token_to_image.q_proj.weight",
    "mask_decoder.transformer.layers.0.mlp.lin1.weight",
];

/// Reads the sizes off the shapes (`shape` looks up a tensor by the model's name).
///
/// Everything but two numbers is visible: the decoder's number of heads (8 in every published SAM) and the variant (a file
/// without relative positions is taken for [`SamVariant::Paper`]).
pub(super) fn infer_config<'a>(shape: impl Fn(&str) -> Option<&'a [usize]>) -> Result<SamConfig, SamError> {
    let dim = |name: &str, axis: usize| -> Result<usize, SamError> {
        let found = shape(name).and_then(|dims| dims.get(axis)).copied();
        found.ok_or_else(|| SamError::config("(inferred from the checkpoint)", format!("a tensor `{name}`"), "none"))
    };
    let count = |name: &dyn Fn(usize) -> String| (0..).take_while(|&i| shape(&name(i)).is_some()).count();

    let patch_size = dim("image_encoder.patch_embed.proj.weight", 2)?;
    let grid = dim("image_encoder.pos_embed", 1)?;
    let embed_dim = dim("image_encoder.pos_embed", 3)?;
    let depth = count(&|i| format!("image_encoder.blocks.{i}.norm1.weight"));
    let mlp_dim = dim("image_encoder.blocks.0.mlp.lin1.weight", 0)?;
    let table = |i: usize| shape(&format!("image_encoder.blocks.{i}.attn.rel_pos_h")).map(|dims| dims.to_vec());
    let tables: Option<Vec<Vec<usize>>> = (0..depth).map(table).collect();
    let (variant, num_heads, window_size, global_attention_blocks) = match tables {
        Some(tables) if tables.iter().all(|dims| dims.len() == 2 && dims[0] % 2 == 1 && dims[1] > 0) => {
            let side = |dims: &Vec<usize>| dims[0].div_ceil(2);
            let head_dim = tables.first().map_or(1, |dims| dims[1]);
            let window = tables.iter().map(side).find(|&side| side != grid).unwrap_or(0);
            let global = (0..depth).filter(|&i| side(&tables[i]) == grid).collect();
            (SamVariant::Sam, embed_dim / head_dim, window, if window == 0 { Vec::new() } else { global })
        }
        // 64 features a head in every published SAM but ViT-H, which has 80.
        _ => {
            let head_dim = if embed_dim % 64 == 0 && embed_dim != 1280 { 64 } else { 80 };
            (SamVariant::Paper, (embed_dim / head_dim).max(1), 0, Vec::new())
        }
    };
    let decoder = "mask_decoder.transformer.layers";
    let output_channels = dim("image_encoder.neck.0.weight", 0)?;
    let inner = dim(&format!("{decoder}.0.cross_attn_token_to_image.q_proj.weight"), 0)?;
    let config = SamConfig {
        image_size: grid.saturating_mul(patch_size),
        patch_size,
        embed_dim,
        depth,
        num_heads,
        mlp_ratio: mlp_dim as f64 / embed_dim.max(1) as f64,
        output_channels,
        window_size,
        global_attention_blocks,
        mask_input_channels: dim("prompt_encoder.mask_downscaling.3.weight", 0)?,
        decoder_depth: count(&|i| format!("{decoder}.{i}.norm1.weight")),
        decoder_heads: 8,
        decoder_mlp_dim: dim(&format!("{decoder}.0.mlp.lin1.weight"), 0)?,
        attention_downsample_rate: output_channels / inner.max(1),
        iou_head_depth: count(&|i| format!("mask_decoder.iou_prediction_head.layers.{i}.weight")),
        iou_head_hidden_dim: dim("mask_decoder.iou_prediction_head.layers.0.weight", 0)?,
        num_multimask_outputs: dim("mask_decoder.mask_tokens.weight", 0)?.saturating_sub(1),
        variant,
        position_resize: PositionResize::default(),
        hiera: None,
    };
    config.validate()?;
    Ok(config)
}
