//! Numbers that JSON lacks.

use crate::Result;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A number that survives JSON even when it is not finite.
#[derive(Clone, Copy)]
pub(super) struct Number(pub(super) f64);

impl std::fmt::Display for Number {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.is_finite() { serializer.serialize_f64(self.0) } else { serializer.serialize_str(&self.to_string()) }
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Stored {
            Number(f64),
            Name(String),
        }
        match Stored::deserialize(deserializer)? {
            Stored::Number(value) => Ok(Self(value)),
            Stored::Name(name) => match name.as_str() {
                "NaN" => Ok(Self(f64::NAN)),
                "inf" => Ok(Self(f64::INFINITY)),
                "-inf" => Ok(Self(f64::NEG_INFINITY)),
                other => Err(serde::de::Error::custom(format!("expected a number, NaN, inf or -inf, found {other:?}"))),
            },
        }
    }
}

/// Serialises a float as [`Number`].
pub(super) fn number<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    Number(*value).serialize(serializer)
}

/// Serialises an interval as two [`Number`]s, or null.
pub(super) fn interval<S: Serializer>(value: &Option<(f64, f64)>, serializer: S) -> Result<S::Ok, S::Error> {
    value.map(|(low, high)| [Number(low), Number(high)]).serialize(serializer)
}
