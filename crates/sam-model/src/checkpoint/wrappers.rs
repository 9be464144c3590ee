//! What trainers and libraries put around and beside a model's tensors.
//!
//! A checkpoint is seldom the model alone: `torch.compile` and data-parallel training rename every tensor, trainers put
//! the model into an entry of a dictionary and optimizer states, losses and random states into others, and some keep a second,
//! averaged copy. Names tell them apart; what they leave open is an error, not a guess.

use std::collections::BTreeMap;

/// Wrappers that change nothing but names: `torch.compile`, data-parallel training, FSDP, activation checkpointing. They
/// can stand anywhere in a name, since parts of a model can be wrapped alone.
const TRANSPARENT: [&str; 4] = ["_orig_mod", "module", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"];

/// The parts of a SAM or SAM 2, in the original's and in Hugging Face's spelling. What stands before them is the wrapper.
const ENCODERS: [&str; 2] = ["image_encoder", HUGGING_FACE_ENCODER];
const OTHER_PARTS: [&str; 4] = ["prompt_encoder", "mask_decoder", "sam_prompt_encoder", "sam_mask_decoder"];
const HUGGING_FACE_ENCODER: &str = "vision_encoder";

/// Words of entries that stand beside a model and are no part of it.
const COMPANIONS: [&str; 48] = [
    "accuracy",
    "amp",
    "args",
    "best",
    "callback",
    "callbacks",
    "cfg",
    "config",
    "criterion",
    "date",
    "dice",
    "epoch",
    "epochs",
    "grad",
    "history",
    "hparams",
    "hyper",
    "init",
    "iou",
    "iter",
    "iteration",
    "iterations",
    "log",
    "logs",
    "loop",
    "loops",
    "loss",
    "losses",
    "lr",
    "meter",
    "metric",
    "metrics",
    "optim",
    "optimizer",
    "optimizers",
    "random",
    "rng",
    "scaler",
    "schedule",
    "scheduler",
    "schedulers",
    "score",
    "seed",
    "step",
    "steps",
    "stopping",
    "time",
    "version",
];

/// The decoder that micro-sam trains beside SAM.
const COMPANION_NAMES: [&str; 1] = ["decoder_state"];

/// Words that make an entry a model after all: `best_model` is a model, `best_score` is none.
const MODELS: [&str; 5] = ["model", "net", "network", "sam", "weights"];

/// Words of a second copy of the weights, averaged over the training.
const AVERAGES: [&str; 6] = ["average", "averaged", "averages", "ema", "shadow", "swa"];

/// What an entry of a checkpoint is, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Companion,
    Average,
    Other,
}

fn role(entry: &str) -> Role {
    let words = words(entry);
    let any = |list: &[&str]| words.iter().any(|word| list.contains(&word.as_str()));
    if any(&AVERAGES) {
        Role::Average
    } else if COMPANION_NAMES.contains(&entry) || (any(&COMPANIONS) && !any(&MODELS)) {
        Role::Companion
    } else {
        Role::Other
    }
}

/// `AdamOptimizer_state2` to `adam`, `optimizer`, `state`.
fn words(entry: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut lower_before = false;
    for letter in entry.chars() {
        if !letter.is_alphabetic() || (letter.is_uppercase() && lower_before) {
            words.push(String::new());
        }
        lower_before = letter.is_lowercase();
        if let (true, Some(word)) = (letter.is_alphabetic(), words.last_mut()) {
            word.extend(letter.to_lowercase());
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// A name without the wrappers that change nothing else.
pub(super) fn bare(name: &str) -> String {
    name.split('.').filter(|part| !TRANSPARENT.contains(part)).collect::<Vec<_>>().join(".")
}

/// Where the model is among the (bare) names of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ModelPlace {
    /// What stands before every name of the model; ends in a dot unless empty.
    pub(super) prefix: String,
    /// Whether the names are Hugging Face's.
    pub(super) hugging_face: bool,
}

/// Several models in one file, none of which is the one: their prefixes with their numbers of tensors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ambiguous(pub(super) Vec<(String, usize)>);

impl ModelPlace {
    /// Finds the one model. Beside a model, an averaged copy of it is set aside; alone, it is the model. A file without any gives the
    /// place before all names.
    pub(super) fn find<'a>(names: impl Iterator<Item = &'a str>) -> Result<Self, Ambiguous> {
        /// Tensors of the model, of its encoder, of a Hugging Face encoder.
        #[derive(Default)]
        struct Count {
            all: usize,
            encoder: usize,
            hugging_face: usize,
        }
        let mut counts: BTreeMap<&str, Count> = BTreeMap::new();
        for name in names {
            let Some((prefix, part)) = split_at_part(name) else { continue };
            let count = counts.entry(prefix).or_default();
            count.all += 1;
            count.encoder += usize::from(ENCODERS.contains(&part));
            count.hugging_face += usize::from(part == HUGGING_FACE_ENCODER);
        }
        let with_encoder = counts.values().any(|count| count.encoder > 0);
        counts.retain(|prefix, count| {
            (count.encoder > 0 || !with_encoder) && prefix.split('.').all(|entry| role(entry) != Role::Companion)
        });
        let is_average = |prefix: &str| prefix.split('.').any(|entry| role(entry) == Role::Average);
        if counts.keys().any(|prefix| !is_average(prefix)) {
            counts.retain(|prefix, _| !is_average(prefix));
        }
        if counts.len() > 1 {
            return Err(Ambiguous(counts.into_iter().map(|(prefix, count)| (prefix.to_owned(), count.all)).collect()));
        }
        let found = counts.into_iter().next();
        Ok(found.map_or_else(Self::default, |(prefix, count)| Self {
            prefix: prefix.to_owned(),
            hugging_face: count.hugging_face > 0,
        }))
    }

    /// Whether a tensor outside the model is known to be harmless, by the entry in which it leaves the model's path.
    pub(super) fn is_companion(&self, name: &str) -> bool {
        let mut wrapper = self.prefix.split_terminator('.');
        let entry = name.split('.').find(|entry| wrapper.next() != Some(entry));
        entry.is_some_and(|entry| role(entry) != Role::Other)
    }
}

/// `model.sam.image_encoder.pos_embed` to `model.sam.` and `image_encoder`.
fn split_at_part(name: &str) -> Option<(&str, &str)> {
    let mut start = 0;
    for entry in name.split('.') {
        let is_inner = start + entry.len() < name.len();
        if is_inner && (ENCODERS.contains(&entry) || OTHER_PARTS.contains(&entry)) {
            return Some((&name[..start], entry));
        }
        start += entry.len() + 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(prefixes: &[&str]) -> Result<String, Vec<String>> {
        let names: Vec<String> =
            prefixes.iter().map(|prefix| bare(&format!("{prefix}image_encoder.pos_embed"))).collect();
        let found = ModelPlace::find(names.iter().map(String::as_str));
        found
            .map(|place| place.prefix)
            .map_err(|Ambiguous(found)| found.into_iter().map(|(prefix, _)| prefix).collect())
    }

    #[test]
    fn wrappers_of_any_name_and_depth_come_off() {
        for (prefix, expected) in [
            ("", ""),
            ("_orig_mod.", ""),
            ("module._orig_mod.", ""),
            ("model.module.", "model."),
            ("model_state.sam.", "model_state.sam."),
            ("state_dict.model._orig_mod.", "state_dict.model."),
            ("checkpoint.0.net.sam_model.", "checkpoint.0.net.sam_model."),
            ("best_model.", "best_model."),
        ] {
            assert_eq!(place(&[prefix]).unwrap(), expected, "{prefix}");
        }
        assert_eq!(bare("image_encoder._orig_mod.blocks.0.module.norm1.bias"), "image_encoder.blocks.0.norm1.bias");
    }

    #[test]
    fn an_averaged_copy_is_second_choice() {
        for average in ["ema.", "model_ema.module.", "state_dict_ema.", "swa_model.", "shadow."] {
            assert_eq!(place(&["model.", average]).unwrap(), "model.", "{average}");
            assert_eq!(place(&[average]).unwrap(), bare(average), "{average}");
        }
    }

    #[test]
    fn several_models_are_no_model() {
        assert_eq!(place(&["student.", "teacher."]).unwrap_err(), ["student.", "teacher."]);
        assert_eq!(place(&["model.", "best_model.", "ema."]).unwrap_err(), ["best_model.", "model."]);
        assert_eq!(place(&["ema.", "swa_model."]).unwrap_err(), ["ema.", "swa_model."]);
        // An optimizer that names its states after the parameters is no model.
        assert_eq!(place(&["model.", "optimizer.state."]).unwrap(), "model.");
    }

    #[test]
    fn companions_are_known_by_the_entry_in_which_they_leave_the_model() {
        let place = |prefix: &str| ModelPlace { prefix: prefix.to_owned(), hugging_face: false };
        for name in
            ["loss", "rng_state", "optimizer.state.0.exp_avg", "OptimizerState.x", "callbacks.best.score", "ema.w"]
        {
            assert!(place("model.").is_companion(name), "{name}");
            assert!(place("").is_companion(name), "{name}");
        }
        assert!(place("state_dict.model.").is_companion("state_dict.criterion.pos_weight"));
        assert!(place("state_dict.model.").is_companion("state_dict.train_loss_fn.weight"));
        for name in ["head.weight", "closset.weight", "model.head.weight", "losslessnet.weight"] {
            assert!(!place("model.").is_companion(name), "{name}");
        }
        // Inside the model nothing is beside it.
        assert!(!place("model.").is_companion("model.head.loss"));
    }
}
