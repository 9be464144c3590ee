//! From the names in a file to the keys of a network.

use std::collections::{BTreeMap, BTreeSet};

use super::first_of;
use super::wrappers::{bare, is_average, is_companion};

/// What the names of one file mean, given the keys that are looked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct KeyMap {
    /// Key to the file's name, for every tensor inside the network, whether it is looked for or not.
    pub(super) by_key: BTreeMap<String, String>,
    /// The file's names of tensors beside the network, with the entry in which they leave its path.
    pub(super) beside: Vec<(String, String)>,
}

/// Finds the network among the names: what stands before most of the expected keys is the wrapper.
///
/// Beside a network, an averaged copy of it is set aside; alone, it is the network. Two that are equally complete are an error:
/// the answer is a description of what was found.
pub(super) fn map_names<'a>(
    names: impl Iterator<Item = &'a str> + Clone,
    expected: &BTreeSet<String>,
) -> Result<KeyMap, String> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for name in names.clone().map(bare) {
        if let Some(start) = starts(&name).find(|&start| expected.contains(&name[start..])) {
            *counts.entry(name[..start].to_owned()).or_default() += 1;
        }
    }
    let most = counts.values().copied().max().unwrap_or(0);
    let mut prefixes: Vec<&String> =
        counts.iter().filter(|(_, count)| **count == most).map(|(prefix, _)| prefix).collect();
    let averaged = |prefix: &str| prefix.split('.').any(is_average);
    if prefixes.iter().any(|prefix| !averaged(prefix)) {
        prefixes.retain(|prefix| !averaged(prefix));
    }
    if prefixes.len() > 1 {
        let found: Vec<String> = prefixes.iter().map(|prefix| format!("`{prefix}`")).collect();
        return Err(format!(
            "expected one network, found several with {most} tensors each: {}; save the one that you mean in a file of its own",
            first_of(&found)
        ));
    }
    let prefix = prefixes.first().map_or("", |prefix| prefix.as_str());
    let mut map = KeyMap::default();
    for name in names {
        let bare = bare(name);
        match bare.strip_prefix(prefix) {
            Some(key) => {
                if let Some(first) = map.by_key.insert(key.to_owned(), name.to_owned()) {
                    return Err(format!("`{first}` and `{name}` are the same tensor `{key}`"));
                }
            }
            None => {
                let mut wrapper = prefix.split_terminator('.');
                let entry = bare.split('.').find(|entry| wrapper.next() != Some(entry)).unwrap_or_default();
                map.beside.push((name.to_owned(), entry.to_owned()));
            }
        }
    }
    Ok(map)
}

/// The places in a name at which an entry begins.
fn starts(name: &str) -> impl Iterator<Item = usize> {
    std::iter::once(0).chain(name.match_indices('.').map(|(index, _)| index + 1))
}

/// Parts of networks and classifiers that stand beside an encoder.
const HEADS: [&str; 7] =
    ["classification_head", "classifier", "decode_head", "decoder", "fc", "head", "segmentation_head"];

/// Whether a tensor beside what is loaded can be passed over in silence.
pub(super) fn is_harmless(entry: &str, beside_encoder: bool) -> bool {
    is_companion(entry) || (beside_encoder && HEADS.contains(&entry))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(names: &[&str]) -> Result<KeyMap, String> {
        let expected = ["model.0.weight", "model.0.bias"].map(str::to_owned).into();
        map_names(names.iter().copied(), &expected)
    }

    #[test]
    fn wrappers_come_off() {
        for prefix in ["", "model.", "state_dict.net.", "state_dict.module."] {
            let names = [format!("{prefix}model.0.weight"), "optimizer.state.0.step".to_owned()];
            let found = map(&names.each_ref().map(String::as_str)).unwrap();
            assert_eq!(found.by_key["model.0.weight"], names[0]);
            let harmless = found.beside.iter().all(|(_, entry)| is_harmless(entry, false));
            assert!(prefix.is_empty() || (found.beside.len() == 1 && harmless), "{found:?}");
        }
    }

    #[test]
    fn an_averaged_copy_is_second_choice() {
        let found = map(&["net.model.0.weight", "ema.model.0.weight"]).unwrap();
        assert_eq!(found.by_key["model.0.weight"], "net.model.0.weight");
        assert_eq!(map(&["ema.model.0.weight"]).unwrap().by_key.len(), 1);
    }

    #[test]
    fn several_networks_are_no_network() {
        let error = map(&["student.model.0.weight", "teacher.model.0.weight"]).unwrap_err();
        assert!(error.contains("`student.`, `teacher.`"), "{error}");
        let error = map(&["model.0.weight", "module.model.0.weight"]).unwrap_err();
        assert!(error.contains("the same tensor"), "{error}");
    }
}
