//! The configuration file of an adapter: PEFT's fields, filled from what is attached.

use super::manifest::{BasisStorage, Manifest};
use super::options::SaveOptions;
use super::peft::PeftConfig;
use crate::config::SaltForm;
use crate::layer::{Adapter, Kind};
use crate::model::{Site, Snapshot};
use std::collections::{BTreeMap, BTreeSet};

/// The modules that PEFT would list as `modules_to_save`, and their parameters and statistics that are not trained but belong to them.
///
/// A module qualifies if it holds parameters only, no modules, and is not adapted itself.
pub(crate) fn trained_modules<'a>(
    snapshot: &'a Snapshot,
    name: &str,
    options: &SaveOptions,
) -> (Vec<String>, Vec<&'a Site>) {
    let is_full =
        |site: &Site| site.entry(name).is_some_and(|entry| matches!(entry.parts.as_slice(), [Adapter::Full(_)]));
    let mut modules: BTreeSet<&str> =
        snapshot.sites.iter().filter(|site| is_full(site)).map(Site::module_path).collect();
    modules.retain(|module| {
        let inside = |site: &&Site| site.path.starts_with(&format!("{module}."));
        !module.is_empty()
            && snapshot
                .sites
                .iter()
                .filter(inside)
                .all(|site| site.module_path() == *module && (is_full(site) || site.entry(name).is_none()))
    });
    let siblings = snapshot
        .sites
        .iter()
        .filter(|site| modules.contains(site.module_path()) && site.entry(name).is_none())
        .collect();
    let names: BTreeSet<String> = modules.into_iter().map(|module| options.keys.apply(module)).collect();
    (names.into_iter().collect(), siblings)
}

/// The modules that PEFT wraps, so that it finds their own parameters one level deeper: those whose weight has a LoRA or DoRA.
pub(crate) fn wrapped_modules<'a>(snapshot: &'a Snapshot, name: &str) -> BTreeSet<&'a str> {
    let is_low_rank = |site: &&Site| {
        let kind = site.entry(name).and_then(|entry| entry.spec.parts.first()).map(|part| part.kind);
        site.name() == "weight" && matches!(kind, Some(Kind::Lora { .. } | Kind::Dora { .. }))
    };
    snapshot.sites.iter().filter(is_low_rank).map(Site::module_path).collect()
}

pub(crate) fn peft_config(
    snapshot: &Snapshot,
    name: &str,
    options: &SaveOptions,
    modules_to_save: Vec<String>,
    manifest: Manifest,
) -> PeftConfig {
    let mut config = PeftConfig {
        base_model_name_or_path: options.base_model.clone(),
        inference_mode: true,
        modules_to_save: (!modules_to_save.is_empty()).then_some(modules_to_save),
        peft_type: "FULL".into(),
        r: 0,
        lora_alpha: 0.0,
        ..PeftConfig::default()
    };
    let wrapped = wrapped_modules(snapshot, name);
    let has_bias = |site: &Site| site.is_bias() && site.entry(name).is_some() && wrapped.contains(site.module_path());
    if snapshot.sites.iter().any(has_bias) {
        config.bias = "lora_only".into();
    }
    let mut targets = Vec::new();
    let mut ranks: BTreeMap<String, (usize, f64)> = BTreeMap::new();
    for site in &snapshot.sites {
        let Some(entry) = site.entry(name) else { continue };
        let total: usize = entry
            .spec
            .parts
            .iter()
            .map(|part| match part.kind {
                Kind::Lora { rank, .. } | Kind::Dora { rank, .. } => rank,
                _ => 0,
            })
            .sum();
        let Some(part) = entry.spec.parts.first() else { continue };
        match part.kind {
            Kind::Full => continue,
            Kind::Lora { scale, .. } | Kind::Dora { scale, .. } => {
                config.peft_type = "LORA".into();
                config.use_dora |= matches!(part.kind, Kind::Dora { .. });
                ranks.insert(options.keys.adapted(site), (total, scale * total as f64));
            }
            Kind::Svd { .. } => config.peft_type = "SVD".into(),
            Kind::Salt { form: SaltForm::Projector, .. } => config.peft_type = "SALT_PROJECTOR".into(),
            Kind::Salt { .. } => config.peft_type = "SALT".into(),
            Kind::Delta => config.peft_type = "DELTA".into(),
        }
        targets.push(options.keys.adapted(site));
    }
    targets.sort();
    config.target_modules = targets.into();
    if options.basis == BasisStorage::Delta && config.peft_type != "LORA" && config.peft_type != "FULL" {
        config.peft_type = "DELTA".into();
    }
    if let Some((rank, alpha)) = most_common(&ranks) {
        (config.r, config.lora_alpha) = (rank, alpha);
        for (module, (own_rank, own_alpha)) in ranks {
            let pattern = regex::escape(&module);
            if own_rank != rank {
                config.rank_pattern.insert(pattern.clone(), own_rank);
            }
            if own_alpha != alpha {
                config.alpha_pattern.insert(pattern, own_alpha);
            }
        }
    }
    config.salt_peft = Some(manifest);
    config
}

/// The pair that most modules share; the smaller one where several tie.
fn most_common(ranks: &BTreeMap<String, (usize, f64)>) -> Option<(usize, f64)> {
    let mut best: Option<((usize, f64), usize)> = None;
    for candidate in ranks.values() {
        let count = ranks.values().filter(|value| *value == candidate).count();
        let better = best.is_none_or(|(known, known_count)| {
            count > known_count
                || (count == known_count
                    && (candidate.0 < known.0 || (candidate.0 == known.0 && candidate.1 < known.1)))
        });
        if better {
            best = Some((*candidate, count));
        }
    }
    best.map(|(pair, _)| pair)
}
