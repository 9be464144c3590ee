//! Everything that can go wrong, each message naming what was expected and what was found.

use crate::{Definition, Emptiness, Metric};

/// Why a metric could not be computed, read, written or compared.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MetricsError {
    /// A mask has no pixel, or a side beyond [`Mask::MAX_SIDE`](crate::Mask::MAX_SIDE).
    #[error("a mask of {height} x {width} pixels is not supported: each side must be 1 to {limit}")]
    UnsupportedSize {
        /// Rows asked for.
        height: usize,
        /// Columns asked for.
        width: usize,
        /// Longest side supported.
        limit: usize,
    },
    /// The number of values does not match the stated size.
    #[error("a mask of {height} x {width} pixels needs {} values, found {found}", height * width)]
    ValueCount {
        /// Rows stated.
        height: usize,
        /// Columns stated.
        width: usize,
        /// Values given.
        found: usize,
    },
    /// A probability map holds NaN, which is neither foreground nor background.
    #[error("probability at row {row}, column {column} is NaN: a threshold cannot decide it")]
    NanProbability {
        /// Row of the first NaN.
        row: usize,
        /// Column of the first NaN.
        column: usize,
    },
    /// The two masks differ in size.
    #[error(
        "prediction is {} x {} pixels but reference is {} x {}: masks must have the same size",
        prediction.0, prediction.1, reference.0, reference.1
    )]
    ShapeMismatch {
        /// Rows and columns of the prediction.
        prediction: (usize, usize),
        /// Rows and columns of the reference.
        reference: (usize, usize),
    },
    /// The mask of ignored pixels differs in size from the masks that it belongs to.
    #[error(
        "the mask of ignored pixels is {} x {} pixels but prediction and reference are {} x {}: they must have the same size",
        ignored.0, ignored.1, reference.0, reference.1
    )]
    IgnoredShape {
        /// Rows and columns of the mask of ignored pixels.
        ignored: (usize, usize),
        /// Rows and columns of the reference.
        reference: (usize, usize),
    },
    /// A spacing that is not positive and finite.
    #[error("spacing {row} x {column} is not usable: both must be positive and finite")]
    InvalidSpacing {
        /// Distance between rows.
        row: f64,
        /// Distance between columns.
        column: f64,
    },
    /// A percentile outside 0 to 100.
    #[error("percentile {0} is outside 0 to 100")]
    InvalidPercentile(f64),
    /// A tolerance that is negative or not finite.
    #[error("tolerance {0} is not usable: it must be finite and at least 0")]
    InvalidTolerance(f64),
    /// A tolerance in pixels has no meaning when pixels are not square, and one in millimetres none without a spacing.
    #[error("tolerance of {tolerance} cannot be used with a spacing of {spacing}: {reason}")]
    ToleranceUnit {
        /// The tolerance with its unit.
        tolerance: String,
        /// The spacing with its unit.
        spacing: String,
        /// What to do instead.
        reason: &'static str,
    },
    /// The empty-mask policy is [`EmptyValue::Error`](crate::EmptyValue::Error) and a mask had nothing to measure.
    #[error("{metric} is undefined because {cause}, and the empty-mask policy is to refuse")]
    Undefined {
        /// The metric asked for.
        metric: &'static str,
        /// What was missing.
        cause: Emptiness,
    },
    /// A name that is not one of a closed list.
    #[error("unknown {what} {found:?}: expected {expected}")]
    UnknownName {
        /// Kind of name.
        what: &'static str,
        /// What was given.
        found: String,
        /// What would be accepted.
        expected: String,
    },
    /// Two results were made under different protocols.
    #[error("results made under different protocols cannot be compared: {}", differences.join("; "))]
    LockMismatch {
        /// One line per field that differs: name, left, right.
        differences: Vec<String>,
    },
    /// A results file whose lock does not match its own fingerprint.
    #[error("the lock's fingerprint is {stated} but its fields give {found}: the file was edited")]
    LockTampered {
        /// As stored.
        stated: String,
        /// As computed from the stored fields.
        found: String,
    },
    /// Two cases with the same id.
    #[error("case {0:?} appears twice")]
    DuplicateCase(String),
    /// Paired comparison needs the same cases on both sides.
    #[error(
        "paired comparison needs the same cases: only in the first: {only_first:?}; only in the second: {only_second:?}"
    )]
    UnpairedCases {
        /// Ids found in the first report only.
        only_first: Vec<String>,
        /// Ids found in the second report only.
        only_second: Vec<String>,
    },
    /// The same case belongs to different patients in the two reports.
    #[error("case {case:?} belongs to patient {first:?} in the first report and to {second:?} in the second")]
    PatientMismatch {
        /// The case.
        case: String,
        /// Patient in the first report.
        first: String,
        /// Patient in the second report.
        second: String,
    },
    /// A pair ignores pixels, and the protocol counts every pixel.
    #[error(
        "case {case:?} marks {pixels} pixels to be ignored, but the protocol counts every pixel: \
         it must say that ignored pixels are left out"
    )]
    IgnoredPixels {
        /// The case.
        case: String,
        /// Number of pixels marked.
        pixels: u64,
    },
    /// A metric that the protocol did not compute.
    #[error("{0:?} was not computed under this protocol")]
    MetricNotComputed(Metric),
    /// A protocol without a definition, or with one twice.
    #[error("the protocol must name at least one definition, each once; found {0:?}")]
    Definitions(Vec<Definition>),
    /// A statistic asked of too little data or with an unusable parameter.
    #[error("{statistic}: {reason}")]
    Statistics {
        /// The statistic asked for.
        statistic: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// The tensors of a batch differ in shape.
    #[cfg(feature = "burn")]
    #[error(
        "predictions are {predictions:?} but targets or ignored pixels {other:?}: all must be [batch, 1, height, width]"
    )]
    BatchShape {
        /// Shape of the predictions.
        predictions: [usize; 4],
        /// The other shape.
        other: [usize; 4],
    },
    /// A batch with several channels: each mask has one.
    #[cfg(feature = "burn")]
    #[error("predictions are {predictions:?}: expected one channel, [batch, 1, height, width]")]
    BatchChannels {
        /// Shape of the predictions.
        predictions: [usize; 4],
    },
    /// A tensor cannot be read from its device.
    #[cfg(feature = "burn")]
    #[error("reading a tensor: {0}")]
    Tensor(#[from] burn::tensor::TensorReadError),
    /// Reading or writing CSV failed.
    #[error("CSV: {0}")]
    Csv(#[from] csv::Error),
    /// Reading or writing JSON failed.
    #[error("JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// Writing failed.
    #[error("writing results: {0}")]
    Io(#[from] std::io::Error),
}

/// Result of this crate's functions.
pub type Result<T, E = MetricsError> = std::result::Result<T, E>;
