//! The lock that keeps results of different protocols apart.

use super::protocol::Protocol;
use crate::{MetricsError, Result};
use serde::{Deserialize, Serialize};

/// Field that says what becomes of ignored pixels.
const IGNORED_PIXELS: &str = "ignored pixels";
/// Its value where every pixel counts.
const COUNTED: &str = "none";

/// What a result was made with. Only results with equal locks can be compared or averaged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Lock {
    version: String,
    surface: String,
    skeleton: String,
    topology: String,
    protocol: Protocol,
    fingerprint: String,
}

impl Lock {
    /// The lock of a protocol under this version of the crate.
    pub fn new(protocol: Protocol) -> Self {
        let mut lock = Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            surface: "mask xor erosion, 4-connected".to_owned(),
            skeleton: "Zhang-Suen as in scikit-image".to_owned(),
            topology: "foreground 8-connected, background 4-connected".to_owned(),
            protocol,
            fingerprint: String::new(),
        };
        lock.fingerprint = lock.digest();
        lock
    }

    /// The protocol.
    pub fn protocol(&self) -> &Protocol {
        &self.protocol
    }

    /// Version of this crate.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Sixteen hexadecimal digits that stand for all fields, for columns and file names.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// Checks that the stored fingerprint is that of the fields.
    pub(crate) fn verify(&self) -> Result<()> {
        let found = self.digest();
        if found == self.fingerprint {
            return Ok(());
        }
        Err(MetricsError::LockTampered { stated: self.fingerprint.clone(), found })
    }

    /// Refuses locks that differ.
    ///
    /// # Errors
    /// [`MetricsError::LockMismatch`], naming every field that differs.
    pub fn require_equal(&self, other: &Self) -> Result<()> {
        let differences: Vec<String> = self
            .fields()
            .into_iter()
            .zip(other.fields())
            .filter(|((_, left), (_, right))| left != right)
            .map(|((name, left), (_, right))| format!("{name}: {left} against {right}"))
            .collect();
        if differences.is_empty() { Ok(()) } else { Err(MetricsError::LockMismatch { differences }) }
    }

    /// Every field as name and text, in a fixed order.
    pub fn fields(&self) -> Vec<(&'static str, String)> {
        let protocol = &self.protocol;
        let definitions: Vec<&str> = protocol.definitions().iter().map(|d| d.name()).collect();
        vec![
            ("version", self.version.clone()),
            ("surface", self.surface.clone()),
            ("skeleton", self.skeleton.clone()),
            ("topology", self.topology.clone()),
            ("definitions", definitions.join(",")),
            ("percentile", protocol.percentile().to_string()),
            ("tolerance", protocol.tolerance().to_string()),
            ("spacing", protocol.spacing().to_string()),
            ("empty", protocol.empty().to_string()),
            (IGNORED_PIXELS, if protocol.ignored_pixels() { "left out" } else { COUNTED }.to_owned()),
        ]
    }

    /// FNV-1a over the fields: it detects edits and mix-ups, not attacks. Where every pixel counts, the field that says so
    /// is left out, so that results from before it existed keep their fingerprint.
    fn digest(&self) -> String {
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        for (name, value) in
            self.fields().into_iter().filter(|(name, value)| *name != IGNORED_PIXELS || value != COUNTED)
        {
            for byte in name.bytes().chain([0]).chain(value.bytes()).chain([0]) {
                hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
            }
        }
        format!("{hash:016x}")
    }
}
