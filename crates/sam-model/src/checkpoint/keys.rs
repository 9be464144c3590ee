//! The one table between the names in files and the names in the model.
//!
//! The model's parameter paths are the key names of the original checkpoints. Files of other tools hold the same tensors
//! under other names or inside a wrapper; both are undone here and nowhere else.

use std::collections::{BTreeMap, BTreeSet};

/// What the names of one checkpoint mean.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct KeyMap {
    /// Model name to the file's name.
    pub(super) by_model_name: BTreeMap<String, String>,
    /// Tensors of the file that are no part of a SAM and known to be harmless (optimizer states, image statistics).
    pub(super) ignored: Vec<String>,
    /// Pairs of the file's names that must hold equal tensors (kept, duplicate).
    pub(super) duplicates: Vec<(String, String)>,
    /// Tensors of the file that nothing here knows.
    pub(super) unknown: Vec<String>,
}

/// Wrappers around a state dict, outermost first: MedSAM's and torch_em's trainers, data-parallel training, a SAM inside
/// another module. Every chain of at most [`MAX_WRAPPERS`] of them is understood.
const WRAPPERS: [&str; 6] = ["model_state.", "state_dict.", "model_state_dict.", "model.", "module.", "sam."];
const MAX_WRAPPERS: usize = 3;

/// Entries beside the weights in trainers' files, and image statistics that some exporters add.
const IGNORED: [&str; 11] = [
    "optimizer.",
    "optimizer_state.",
    "optimizer_state_dict.",
    "scheduler_state.",
    "lr_scheduler.",
    "scaler_state.",
    "decoder_state.",
    "init.",
    "ema.",
    "pixel_mean",
    "pixel_std",
];

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
const POSITIONS: &str = "prompt_encoder.pe_layer.positional_encoding_gaussian_matrix";

/// A name that every SAM has, in the original's and in Hugging Face's spelling.
const ANCHORS: [&str; 2] = ["image_encoder.pos_embed", "vision_encoder.pos_embed"];

/// Reads the names of a file.
pub(super) fn map_keys<'a>(names: impl Iterator<Item = &'a str> + Clone) -> KeyMap {
    let all: BTreeSet<&str> = names.clone().collect();
    let (prefix, hugging_face) = find_prefix(&all);
    let mut map = KeyMap::default();
    let stacks = if hugging_face { stack_depths(&all, &prefix) } else { BTreeMap::new() };
    for name in all {
        let Some(inner) = name.strip_prefix(prefix.as_str()) else {
            map.set_aside(name, name);
            continue;
        };
        if is_ignored(inner) {
            map.ignored.push(name.to_owned());
            continue;
        }
        let model_name = if hugging_face { from_hugging_face(inner, &stacks) } else { inner.to_owned() };
        match map.by_model_name.get(&model_name) {
            Some(kept) => map.duplicates.push((kept.clone(), name.to_owned())),
            None => {
                map.by_model_name.insert(model_name, name.to_owned());
            }
        }
    }
    map
}

impl KeyMap {
    fn set_aside(&mut self, name: &str, bare: &str) {
        if is_ignored(bare) {
            self.ignored.push(name.to_owned());
        } else {
            self.unknown.push(name.to_owned());
        }
    }
}

fn is_ignored(name: &str) -> bool {
    IGNORED.iter().any(|entry| name == *entry || (entry.ends_with('.') && name.starts_with(entry)))
}

/// The wrapper around the model's tensors, and whether they have Hugging Face names.
fn find_prefix(names: &BTreeSet<&str>) -> (String, bool) {
    let mut chains = vec![String::new()];
    for _ in 0..=MAX_WRAPPERS {
        for chain in &chains {
            for (anchor, hugging_face) in ANCHORS.into_iter().zip([false, true]) {
                if names.contains(format!("{chain}{anchor}").as_str()) {
                    return (chain.clone(), hugging_face);
                }
            }
        }
        chains = chains.iter().flat_map(|chain| WRAPPERS.map(|wrapper| format!("{chain}{wrapper}"))).collect();
    }
    (String::new(), false)
}

/// Hugging Face splits a stack of linear layers in `proj_in`, `layers` and `proj_out`: the number of inner layers of each.
fn stack_depths(names: &BTreeSet<&str>, prefix: &str) -> BTreeMap<String, usize> {
    let mut depths = BTreeMap::new();
    for name in names {
        let Some(inner) = name.strip_prefix(prefix) else { continue };
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
    const IOU_HEAD: &str = "mask_decoder.iou_prediction_head.";
    if name.starts_with(IOU_HEAD) {
        return Some(name.split_at(IOU_HEAD.len()));
    }
    let rest = name.strip_prefix(HYPERNETWORKS)?;
    let index_length = rest.find('.')? + 1;
    Some(name.split_at(HYPERNETWORKS.len() + index_length))
}

fn from_hugging_face(name: &str, stacks: &BTreeMap<String, usize>) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_checkpoint_keeps_its_names() {
        let map = map_keys(["image_encoder.pos_embed", "mask_decoder.iou_token.weight"].into_iter());
        assert_eq!(map.by_model_name["image_encoder.pos_embed"], "image_encoder.pos_embed");
        assert_eq!(map.by_model_name.len(), 2);
        assert!(map.ignored.is_empty() && map.unknown.is_empty());
    }

    #[test]
    fn wrappers_come_off_and_their_companions_are_set_aside() {
        for prefix in ["model_state.sam.", "model.", "model.module.", "state_dict.", "module."] {
            let names = [format!("{prefix}image_encoder.pos_embed"), "optimizer_state.state.0.exp_avg".to_owned()];
            let map = map_keys(names.iter().map(String::as_str));
            assert_eq!(map.by_model_name["image_encoder.pos_embed"], names[0]);
            assert_eq!(map.ignored, [names[1].clone()]);
        }
    }

    #[test]
    fn a_tensor_outside_the_wrapper_is_not_forgotten() {
        let map = map_keys(["model.image_encoder.pos_embed", "surprise.weight"].into_iter());
        assert_eq!(map.unknown, ["surprise.weight"]);
    }

    #[test]
    fn hugging_face_stacks_are_put_together_again() {
        let head = "mask_decoder.iou_prediction_head.";
        let names: Vec<String> = ["proj_in.weight", "layers.0.weight", "layers.1.weight", "proj_out.weight"]
            .iter()
            .map(|end| format!("{head}{end}"))
            .chain(["vision_encoder.pos_embed".to_owned()])
            .collect();
        let map = map_keys(names.iter().map(String::as_str));
        for (index, name) in names[..4].iter().enumerate() {
            assert_eq!(&map.by_model_name[&format!("{head}layers.{index}.weight")], name);
        }
    }

    #[test]
    fn the_twice_stored_frequencies_are_one_tensor() {
        let names = [
            "vision_encoder.pos_embed",
            "shared_image_embedding.positional_embedding",
            "prompt_encoder.shared_embedding.positional_embedding",
        ];
        let map = map_keys(names.into_iter());
        assert_eq!(map.duplicates.len(), 1);
        assert!(map.by_model_name.contains_key(POSITIONS));
    }
}
