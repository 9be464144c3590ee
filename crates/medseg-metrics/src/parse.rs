//! The choices of a protocol, from text.

use crate::{Definition, EmptyPolicy, EmptyValue, MetricsError, Result, Tolerance};
use std::str::FromStr;

/// The choice that is named `text` in any case.
fn one_of<T: Copy, const N: usize>(what: &'static str, text: &str, choices: [(T, &'static str); N]) -> Result<T> {
    let wanted = text.trim().to_ascii_lowercase();
    choices.iter().find(|(_, name)| *name == wanted).map(|(choice, _)| *choice).ok_or_else(|| {
        MetricsError::UnknownName { what, found: text.to_owned(), expected: choices.map(|(_, name)| name).join(", ") }
    })
}

impl FromStr for Definition {
    type Err = MetricsError;

    /// Its [name](Definition::name), in any case, with `-` for `_` if you like.
    fn from_str(text: &str) -> Result<Self> {
        one_of("definition", &text.replace('-', "_"), Self::ALL.map(|definition| (definition, definition.name())))
    }
}

impl FromStr for EmptyValue {
    type Err = MetricsError;

    fn from_str(text: &str) -> Result<Self> {
        one_of("empty-mask policy", text, Self::ALL)
    }
}

impl FromStr for EmptyPolicy {
    type Err = MetricsError;

    /// `one[,both[,disjoint]]`; a single word stands for one and both.
    fn from_str(text: &str) -> Result<Self> {
        let parts = text.split(',').map(str::parse).collect::<Result<Vec<EmptyValue>>>()?;
        match parts[..] {
            [both] => Ok(Self::new(both, both)),
            [one, both] => Ok(Self::new(one, both)),
            [one_empty, both_empty, disjoint_centrelines] => Ok(Self { one_empty, both_empty, disjoint_centrelines }),
            _ => Err(MetricsError::UnknownName {
                what: "empty-mask policy",
                found: text.to_owned(),
                expected: "one, two or three values separated by commas".to_owned(),
            }),
        }
    }
}

impl FromStr for Tolerance {
    type Err = MetricsError;

    fn from_str(text: &str) -> Result<Self> {
        let text = text.trim();
        let (number, make): (&str, fn(f64) -> Self) = match text.strip_suffix("mm") {
            Some(number) => (number, Self::Millimetres),
            None => (text.strip_suffix("px").unwrap_or(text), Self::Pixels),
        };
        let value: f64 = number.trim().parse().map_err(|_| MetricsError::UnknownName {
            what: "tolerance",
            found: text.to_owned(),
            expected: "a number with px or mm, for example 2px or 1.5mm".to_owned(),
        })?;
        if !value.is_finite() || value < 0.0 {
            return Err(MetricsError::InvalidTolerance(value));
        }
        Ok(make(value))
    }
}
