//! All problems of a data set in one report.

use crate::decode::Loss;
use crate::error::DataError;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// How bad a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Worth a look; training is possible.
    Warning,
    /// Results would be wrong or training would stop.
    Error,
}

/// The kinds of problems.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ProblemKind {
    /// An image without a mask.
    MissingMask,
    /// A mask or a description without an image.
    MissingImage,
    /// Two files claim the same place.
    Ambiguous,
    /// A file that cannot be read or decoded.
    Unreadable,
    /// Image and mask, or image and publisher's size, differ.
    WrongSize,
    /// A mask without foreground.
    EmptyMask,
    /// A mask with more than one class, or a grey one.
    MultiClassMask,
    /// A mask whose foreground cannot be told.
    UnclearMask,
    /// A polygon that fills no pixel.
    IdlePolygon,
    /// An image of 16 bits or floats of which few grey levels are left.
    FewGreyLevels,
    /// An image without any contrast.
    BlankImage,
    /// A file with more pages or frames than are read.
    UnreadPages,
    /// A camera's orientation that is not applied.
    Orientation,
    /// Pixels that are not opaque.
    Transparency,
    /// A colour profile that is not applied.
    ColourProfile,
    /// Two images with the same pixels.
    Duplicate,
    /// Two images that are nearly the same.
    NearDuplicate,
    /// One patient in two splits.
    PatientLeak,
    /// Annotations that cannot be read.
    BadAnnotation,
    /// Image files that no sample came from.
    Unused,
}

impl std::fmt::Display for ProblemKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::MissingMask => "missing mask",
            Self::MissingImage => "missing image",
            Self::Ambiguous => "ambiguous name",
            Self::Unreadable => "unreadable",
            Self::WrongSize => "wrong size",
            Self::EmptyMask => "empty mask",
            Self::MultiClassMask => "multi-class mask",
            Self::UnclearMask => "unclear mask",
            Self::IdlePolygon => "idle polygon",
            Self::FewGreyLevels => "few grey levels",
            Self::BlankImage => "blank image",
            Self::UnreadPages => "unread pages",
            Self::Orientation => "orientation",
            Self::Transparency => "transparency",
            Self::ColourProfile => "colour profile",
            Self::Duplicate => "duplicate",
            Self::NearDuplicate => "near duplicate",
            Self::PatientLeak => "patient in two splits",
            Self::BadAnnotation => "bad annotation",
            Self::Unused => "unused",
        })
    }
}

/// One problem.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// What kind.
    pub kind: ProblemKind,
    /// How bad.
    pub severity: Severity,
    /// The file.
    pub path: PathBuf,
    /// What was expected and what was found.
    pub message: String,
}

impl Problem {
    pub(crate) fn new(kind: ProblemKind, path: &Path, message: impl Into<String>) -> Self {
        Self { kind, severity: Severity::Error, path: path.to_owned(), message: message.into() }
    }

    pub(crate) fn warning(kind: ProblemKind, path: &Path, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::new(kind, path, message) }
    }

    /// The problem that an error of loading one sample amounts to; `path` stands in where the error names no file.
    pub(crate) fn from_error(path: &Path, error: &DataError) -> Self {
        let (kind, path) = match error {
            DataError::UnclearMask { path, .. } => (ProblemKind::UnclearMask, path.as_path()),
            DataError::EmptyMask { path, .. } => (ProblemKind::EmptyMask, path.as_path()),
            DataError::MultiClassMask { path, .. } => (ProblemKind::MultiClassMask, path.as_path()),
            DataError::SizeMismatch { path, .. } => (ProblemKind::WrongSize, path.as_path()),
            DataError::BadAnnotations { path, .. } => (ProblemKind::BadAnnotation, path.as_path()),
            DataError::Annotation { path, .. } => (ProblemKind::EmptyMask, path.as_path()),
            DataError::Io { path, .. } | DataError::Decode { path, .. } | DataError::Limit { path, .. } => {
                (ProblemKind::Unreadable, path.as_path())
            }
            _ => (ProblemKind::Unreadable, path),
        };
        let text = error.to_string();
        let message = text.strip_prefix(&format!("{}: ", path.display())).unwrap_or(&text);
        Self::new(kind, path, message)
    }
}

impl From<&Loss> for ProblemKind {
    fn from(loss: &Loss) -> Self {
        match loss {
            Loss::GreyLevels { .. } => Self::FewGreyLevels,
            Loss::Blank { .. } => Self::BlankImage,
            Loss::Pages { .. } => Self::UnreadPages,
            Loss::Orientation { .. } => Self::Orientation,
            Loss::Transparency { .. } => Self::Transparency,
            Loss::ColourProfile { .. } => Self::ColourProfile,
        }
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let severity = if self.severity == Severity::Error { "error" } else { "warning" };
        write!(f, "{severity}: {}: {}: {}", self.path.display(), self.kind, self.message)
    }
}

/// Every problem of a data set, errors first, then by file.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Report {
    /// The problems.
    pub problems: Vec<Problem>,
}

impl Report {
    pub(crate) fn new(mut problems: Vec<Problem>) -> Self {
        problems.sort_by(|a, b| (b.severity, &a.path, a.kind).cmp(&(a.severity, &b.path, b.kind)));
        Self { problems }
    }

    /// Whether there is nothing to report.
    pub fn is_empty(&self) -> bool {
        self.problems.is_empty()
    }

    /// The number of errors.
    pub fn errors(&self) -> usize {
        self.problems.iter().filter(|p| p.severity == Severity::Error).count()
    }

    /// The number of warnings.
    pub fn warnings(&self) -> usize {
        self.problems.len() - self.errors()
    }
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} errors, {} warnings", self.errors(), self.warnings())?;
        self.problems.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}
