//! What trainers put around and beside a network's tensors.

/// Wrappers that change nothing but names and can stand anywhere in one.
const TRANSPARENT: [&str; 4] = ["_orig_mod", "module", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"];

/// Words of entries that stand beside a network and are no part of it.
const COMPANIONS: [&str; 26] = [
    "amp",
    "args",
    "callback",
    "callbacks",
    "config",
    "criterion",
    "epoch",
    "history",
    "hparams",
    "hyper",
    "iteration",
    "log",
    "loops",
    "loss",
    "lr",
    "metric",
    "metrics",
    "optim",
    "optimizer",
    "optimizers",
    "rng",
    "scaler",
    "scheduler",
    "schedulers",
    "score",
    "step",
];

/// Words of a second copy of the weights, averaged over the training.
const AVERAGES: [&str; 6] = ["average", "averaged", "averages", "ema", "shadow", "swa"];

/// Words that make an entry a network after all: `best_model` is one, `best_score` is none.
const NETWORKS: [&str; 4] = ["model", "net", "network", "weights"];

fn has_word(entry: &str, list: &[&str]) -> bool {
    entry.split(|c: char| !c.is_alphabetic()).any(|word| list.contains(&word.to_lowercase().as_str()))
}

/// Whether an entry holds an averaged copy of the weights.
pub(super) fn is_average(entry: &str) -> bool {
    has_word(entry, &AVERAGES)
}

/// Whether an entry is known to be harmless beside a network.
pub(super) fn is_companion(entry: &str) -> bool {
    is_average(entry) || (has_word(entry, &COMPANIONS) && !has_word(entry, &NETWORKS))
}

/// A name without the wrappers that change nothing else.
pub(super) fn bare(name: &str) -> String {
    name.split('.').filter(|part| !TRANSPARENT.contains(part)).collect::<Vec<_>>().join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_by_words() {
        assert!(
            ["optimizer", "optimizer_state", "lr_schedulers", "rng_state", "model_ema"].map(is_companion) == [true; 5]
        );
        assert!(["best_model", "encoder", "flossnet", "state_dict"].map(is_companion) == [false; 4]);
        assert_eq!(bare("module._orig_mod.conv11.weight"), "conv11.weight");
    }
}
