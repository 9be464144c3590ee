//! From the names in a file to the names in the model.
//!
//! The model's parameter paths are the key names of the original checkpoints. Files of other tools hold the same tensors
//! under other names, which are undone here, or inside wrappers (see `wrappers`).

use std::collections::BTreeMap;

use super::hugging_face::{from_hugging_face, stack_depths};
use super::sam2::{self, ModelKind};
use super::wrappers::{Ambiguous, ModelPlace, bare};
use crate::SamError;
use named_tensors::NamedTensors;

/// What the names of one checkpoint mean.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct KeyMap {
    /// Model name to the file's name.
    pub(super) by_model_name: BTreeMap<String, String>,
    /// Tensors of the file that are no part of a SAM and known to be harmless (optimizer states, image statistics).
    pub(super) ignored: Vec<String>,
    /// Pairs of the file's names that must hold equal tensors (kept, duplicate).
    pub(super) duplicates: Vec<(String, String)>,
    /// Whether the names are Hugging Face's.
    pub(super) hugging_face: bool,
    /// Tensors of the file that nothing here knows.
    pub(super) unknown: Vec<String>,
    /// SAM 2's video part.
    pub(super) video: Vec<String>,
    /// Which of the models the file holds, where its encoder tells.
    pub(super) kind: Option<ModelKind>,
    /// Model tensors that are one row of the file's tensor, by the model's names.
    pub(super) rows: BTreeMap<String, usize>,
}

impl KeyMap {
    /// The shape of a model's tensor in the file.
    pub(super) fn shape(&self, source: &NamedTensors, model_name: &str) -> Option<Vec<usize>> {
        let found = source.shape(self.by_model_name.get(model_name)?)?;
        Some(match (self.rows.get(model_name), found) {
            (Some(&row), [rows, width]) if row < *rows => vec![1, *width],
            _ => found.to_vec(),
        })
    }

    /// The values of a model's tensor in the file.
    pub(super) fn read(&self, source: &NamedTensors, model_name: &str) -> Result<Vec<f32>, SamError> {
        let missing = || SamError::format(source.path(), format!("tensor `{model_name}` is missing"));
        let file_name = self.by_model_name.get(model_name).ok_or_else(missing)?;
        let values = source.read(file_name)?;
        let Some(row) = self.rows.get(model_name) else { return Ok(values) };
        let width = source.shape(file_name).and_then(|shape| shape.get(1)).copied().ok_or_else(missing)?;
        values.get(row * width..(row + 1) * width).map(<[f32]>::to_vec).ok_or_else(missing)
    }
}

/// Image statistics that some exporters add to the model.
const STATISTICS: [&str; 2] = ["pixel_mean", "pixel_std"];

/// Reads the names of a file.
pub(super) fn map_keys<'a>(names: impl Iterator<Item = &'a str>) -> Result<KeyMap, Ambiguous> {
    let names: Vec<(String, &str)> = names.map(|name| (bare(name), name)).collect();
    let place = ModelPlace::find(names.iter().map(|(bare, _)| bare.as_str()))?;
    let inner = |bare: &'_ str| bare.strip_prefix(place.prefix.as_str()).map(str::to_owned);
    let own: Vec<String> = names.iter().filter_map(|(bare, _)| inner(bare)).collect();
    let stacks = if place.hugging_face { stack_depths(&own) } else { BTreeMap::new() };
    let kind = ModelKind::of(&own);
    let mut map = KeyMap { hugging_face: place.hugging_face, kind, ..KeyMap::default() };
    for (bare, name) in &names {
        let Some(inner) = inner(bare) else {
            let list = if place.is_companion(bare) { &mut map.ignored } else { &mut map.unknown };
            list.push((*name).to_owned());
            continue;
        };
        if kind == Some(ModelKind::Sam2) && sam2::is_video(&inner, place.hugging_face) {
            map.video.push((*name).to_owned());
            continue;
        }
        // Where the model has no wrapper, its companions stand beside its parts.
        if STATISTICS.contains(&inner.as_str()) || (place.prefix.is_empty() && place.is_companion(&inner)) {
            map.ignored.push((*name).to_owned());
            continue;
        }
        let model_name = match (place.hugging_face, kind) {
            (false, _) => inner,
            (true, Some(ModelKind::Sam2)) => sam2::from_hugging_face(&inner, &stacks),
            (true, _) => from_hugging_face(&inner, &stacks),
        };
        if place.hugging_face && model_name == sam2::STACKED_POINTS {
            for (row, model_name) in sam2::point_embeddings().enumerate() {
                map.rows.insert(model_name.clone(), row);
                map.by_model_name.insert(model_name, (*name).to_owned());
            }
            continue;
        }
        match map.by_model_name.get(&model_name) {
            Some(kept) => map.duplicates.push((kept.clone(), (*name).to_owned())),
            None => {
                map.by_model_name.insert(model_name, (*name).to_owned());
            }
        }
    }
    Ok(map)
}

#[cfg(test)]
mod tests {
    use super::super::hugging_face::POSITIONS;
    use super::*;

    #[test]
    fn a_plain_checkpoint_keeps_its_names() {
        let map = map_keys(["image_encoder.pos_embed", "mask_decoder.iou_token.weight"].into_iter()).unwrap();
        assert_eq!(map.by_model_name["image_encoder.pos_embed"], "image_encoder.pos_embed");
        assert_eq!(map.by_model_name.len(), 2);
        assert!(map.ignored.is_empty() && map.unknown.is_empty());
    }

    #[test]
    fn wrappers_come_off_and_their_companions_are_set_aside() {
        for prefix in ["model_state.sam.", "model.", "model.module.", "state_dict.", "module."] {
            let names = [format!("{prefix}image_encoder.pos_embed"), "optimizer_state.state.0.exp_avg".to_owned()];
            let map = map_keys(names.iter().map(String::as_str)).unwrap();
            assert_eq!(map.by_model_name["image_encoder.pos_embed"], names[0]);
            assert_eq!(map.ignored, [names[1].clone()]);
        }
    }

    #[test]
    fn a_tensor_outside_the_wrapper_is_not_forgotten() {
        let map = map_keys(["model.image_encoder.pos_embed", "surprise.weight"].into_iter()).unwrap();
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
        let map = map_keys(names.iter().map(String::as_str)).unwrap();
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
        let map = map_keys(names.into_iter()).unwrap();
        assert_eq!(map.duplicates.len(), 1);
        assert!(map.by_model_name.contains_key(POSITIONS));
    }
}
