//! The protocol of an evaluation, and the lock that keeps results of different protocols apart.

use crate::{Definition, EmptyPolicy, MetricsError, Result, Spacing, Tolerance};
use serde::{Deserialize, Serialize};

/// Everything that a study has to decide before it measures.
///
/// Spacing, tolerance and the empty-mask policy have no default. The percentile starts at 95 and the definition at
/// [`Definition::MaxDirected`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "RawProtocol")]
pub struct Protocol {
    definitions: Vec<Definition>,
    percentile: f64,
    tolerance: Tolerance,
    spacing: Spacing,
    empty: EmptyPolicy,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawProtocol {
    definitions: Vec<Definition>,
    percentile: f64,
    tolerance: Tolerance,
    spacing: Spacing,
    empty: EmptyPolicy,
}

impl TryFrom<RawProtocol> for Protocol {
    type Error = MetricsError;

    fn try_from(raw: RawProtocol) -> Result<Self> {
        Self::new(raw.spacing, raw.tolerance, raw.empty)?
            .with_percentile(raw.percentile)?
            .with_definitions(raw.definitions)
    }
}

impl Protocol {
    /// A protocol with percentile 95 and definition [`Definition::MaxDirected`].
    ///
    /// # Errors
    /// When the tolerance does not suit the spacing.
    pub fn new(spacing: Spacing, tolerance: Tolerance, empty: EmptyPolicy) -> Result<Self> {
        tolerance.in_units_of(spacing)?;
        Ok(Self { definitions: vec![Definition::default()], percentile: 95.0, tolerance, spacing, empty })
    }

    /// With these definitions; the boundary metrics are reported under each.
    ///
    /// # Errors
    /// When there is none, or one twice.
    pub fn with_definitions(mut self, definitions: impl Into<Vec<Definition>>) -> Result<Self> {
        let definitions = definitions.into();
        let mut distinct = definitions.clone();
        distinct.sort_unstable();
        distinct.dedup();
        if definitions.is_empty() || distinct.len() != definitions.len() {
            return Err(MetricsError::Definitions(definitions));
        }
        self.definitions = definitions;
        Ok(self)
    }

    /// With another percentile of the Hausdorff distance.
    ///
    /// # Errors
    /// When it is outside 0 to 100.
    pub fn with_percentile(mut self, percentile: f64) -> Result<Self> {
        if !(0.0..=100.0).contains(&percentile) {
            return Err(MetricsError::InvalidPercentile(percentile));
        }
        self.percentile = percentile;
        Ok(self)
    }

    /// Definitions of the boundary metrics.
    pub fn definitions(&self) -> &[Definition] {
        &self.definitions
    }

    /// Percentile of the Hausdorff distance, 0 to 100.
    pub fn percentile(&self) -> f64 {
        self.percentile
    }

    /// Tolerance of the NSD.
    pub fn tolerance(&self) -> Tolerance {
        self.tolerance
    }

    /// Pixel spacing.
    pub fn spacing(&self) -> Spacing {
        self.spacing
    }

    /// Empty-mask policy.
    pub fn empty(&self) -> EmptyPolicy {
        self.empty
    }
}

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
        let definitions: Vec<&str> = protocol.definitions.iter().map(|d| d.name()).collect();
        vec![
            ("version", self.version.clone()),
            ("surface", self.surface.clone()),
            ("skeleton", self.skeleton.clone()),
            ("topology", self.topology.clone()),
            ("definitions", definitions.join(",")),
            ("percentile", protocol.percentile.to_string()),
            ("tolerance", protocol.tolerance.to_string()),
            ("spacing", protocol.spacing.to_string()),
            ("empty", protocol.empty.to_string()),
        ]
    }

    /// FNV-1a over the fields: it detects edits and mix-ups, not attacks.
    fn digest(&self) -> String {
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        for (name, value) in self.fields() {
            for byte in name.bytes().chain([0]).chain(value.bytes()).chain([0]) {
                hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
            }
        }
        format!("{hash:016x}")
    }
}
