//! Patterns of the configuration: regular expressions searched for anywhere in the path of a parameter.

use crate::error::PeftError;
use regex::Regex;
use std::collections::BTreeMap;

/// A compiled pattern with its source text.
#[derive(Clone, Debug)]
pub(crate) struct Pattern {
    pub(crate) text: String,
    regex: Regex,
}

impl Pattern {
    pub(crate) fn new(field: &str, text: &str) -> Result<Self, PeftError> {
        let regex = Regex::new(text).map_err(|source| PeftError::Pattern {
            field: field.to_owned(),
            pattern: text.to_owned(),
            source: Box::new(source),
        })?;
        Ok(Self { text: text.to_owned(), regex })
    }

    pub(crate) fn matches(&self, path: &str) -> bool {
        self.regex.is_match(path)
    }
}

pub(crate) fn compile(field: &str, patterns: &[String]) -> Result<Vec<Pattern>, PeftError> {
    patterns.iter().map(|text| Pattern::new(field, text)).collect()
}

/// Values given by pattern; a path that two patterns give different values is an error.
#[derive(Debug)]
pub(crate) struct PatternMap<'a, T> {
    field: &'static str,
    entries: Vec<(Pattern, &'a T)>,
}

impl<'a, T: PartialEq> PatternMap<'a, T> {
    pub(crate) fn new(field: &'static str, map: &'a BTreeMap<String, T>) -> Result<Self, PeftError> {
        let entries = map
            .iter()
            .map(|(text, value)| Ok((Pattern::new(field, text)?, value)))
            .collect::<Result<_, PeftError>>()?;
        Ok(Self { field, entries })
    }

    pub(crate) fn get(&self, path: &str) -> Result<Option<&'a T>, PeftError> {
        let mut found: Option<&(Pattern, &'a T)> = None;
        for entry in self.entries.iter().filter(|(pattern, _)| pattern.matches(path)) {
            match found {
                Some(first) if first.1 != entry.1 => {
                    return Err(PeftError::Ambiguous {
                        field: self.field.to_owned(),
                        path: path.to_owned(),
                        first: first.0.text.clone(),
                        second: entry.0.text.clone(),
                    });
                }
                Some(_) => {}
                None => found = Some(entry),
            }
        }
        Ok(found.map(|entry| entry.1))
    }

    /// Fails for a pattern that matches none of the paths.
    pub(crate) fn require_use(&self, paths: &[&str], wanted: &'static str) -> Result<(), PeftError> {
        self.entries.iter().try_for_each(|(pattern, _)| require_match(self.field, pattern, paths, wanted))
    }
}

/// Fails where `pattern` matches none of `paths`, quoting some of them.
pub(crate) fn require_match(
    field: &str,
    pattern: &Pattern,
    paths: &[&str],
    wanted: &'static str,
) -> Result<(), PeftError> {
    if paths.iter().any(|path| pattern.matches(path)) {
        return Ok(());
    }
    Err(PeftError::NoMatch { field: field.to_owned(), pattern: pattern.text.clone(), wanted, found: sample(paths) })
}

/// The first paths, and how many more there are.
pub(crate) fn sample(paths: &[&str]) -> String {
    const SHOWN: usize = 6;
    match paths {
        [] => "none".to_owned(),
        _ if paths.len() <= SHOWN => paths.join(", "),
        _ => format!("{} and {} more", paths[..SHOWN].join(", "), paths.len() - SHOWN),
    }
}
