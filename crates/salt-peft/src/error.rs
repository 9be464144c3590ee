//! What can go wrong, each message naming the parameter, file or field, what was expected and what was found.

use std::path::PathBuf;

/// Any failure of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PeftError {
    /// A field of the configuration has a value that makes no sense.
    #[error("adapter configuration: field `{field}`: {reason}")]
    Config {
        /// The field, as it is written in the file.
        field: String,
        /// What was expected and what was found.
        reason: String,
    },

    /// A pattern is not a valid regular expression.
    #[error("adapter configuration: field `{field}`: `{pattern}` is not a regular expression: {source}")]
    Pattern {
        /// The field that holds the pattern.
        field: String,
        /// The pattern.
        pattern: String,
        /// The parser's message.
        source: Box<regex::Error>,
    },

    /// A pattern matched no parameter.
    #[error("adapter configuration: field `{field}`: `{pattern}` matches no {wanted}; the module has {found}")]
    NoMatch {
        /// The field that holds the pattern.
        field: String,
        /// The pattern.
        pattern: String,
        /// What it was matched against.
        wanted: &'static str,
        /// A sample of what there is.
        found: String,
    },

    /// Two patterns give the same parameter different values.
    #[error(
        "adapter configuration: field `{field}`: parameter `{path}` is given different values by `{first}` and `{second}`"
    )]
    Ambiguous {
        /// The field that holds the patterns.
        field: String,
        /// The parameter.
        path: String,
        /// One pattern.
        first: String,
        /// The other pattern.
        second: String,
    },

    /// A parameter cannot take the adapter that was asked for.
    #[error("parameter `{path}` of shape {shape:?}: {reason}")]
    Parameter {
        /// Path of the parameter in the module.
        path: String,
        /// Its shape in Burn's layout.
        shape: Vec<usize>,
        /// Why not.
        reason: String,
    },

    /// The decomposition of a weight failed.
    #[error("parameter `{path}`: singular value decomposition: {source}")]
    Decomposition {
        /// Path of the parameter in the module.
        path: String,
        /// The reason given by `salt-linalg`.
        source: salt_linalg::SvdError,
    },

    /// A rank rule could not be applied to a weight.
    #[error("parameter `{path}`: rank rule: {source}")]
    RankRule {
        /// Path of the parameter in the module.
        path: String,
        /// The reason given by `salt-linalg`.
        source: salt_linalg::RankError,
    },

    /// The folder of the basis cache cannot be used.
    #[error(transparent)]
    Cache(#[from] salt_linalg::CacheError),

    /// No adapter of that name is attached.
    #[error("no adapter named `{name}` is attached; attached: {attached:?}")]
    UnknownAdapter {
        /// The name that was asked for.
        name: String,
        /// The names that exist.
        attached: Vec<String>,
    },

    /// An adapter of that name is attached already.
    #[error("an adapter named `{name}` is attached already")]
    DuplicateAdapter {
        /// The name.
        name: String,
    },

    /// The module carries something that this crate did not attach, or carries it damaged.
    #[error("parameter `{path}`: {reason}")]
    Foreign {
        /// Path of the parameter in the module.
        path: String,
        /// What was found.
        reason: String,
    },

    /// A weight to adapt or to train holds a number that is not finite.
    #[error("parameter `{path}` of shape {shape:?} holds {value} at {position:?}; every number must be finite")]
    NotFinite {
        /// Path of the parameter in the module.
        path: String,
        /// Its shape in Burn's layout.
        shape: Vec<usize>,
        /// Where, one index per axis; the first of several in row-major order.
        position: Vec<usize>,
        /// The number.
        value: f64,
    },

    /// DoRA divides each row of a weight by its norm, and the norm of some is zero or out of range.
    #[error(
        "parameter `{path}`: DoRA divides the weights of each output by their norm, and that of {} is {norm:e}, where {lowest:e} to \
         {highest:e} can be computed with; exclude the weight from DoRA or adapt it with LoRA",
        outputs(rows, *count)
    )]
    DoraRow {
        /// Path of the parameter in the module.
        path: String,
        /// The first of the outputs concerned, at most five.
        rows: Vec<usize>,
        /// How many outputs are concerned.
        count: usize,
        /// The norm of the first.
        norm: f64,
        /// The smallest norm whose square is a normal number of the weight's type.
        lowest: f64,
        /// The largest norm whose square is finite in the weight's type.
        highest: f64,
    },

    /// The adapter was made for other base weights, or would be trained further in another basis.
    #[error(
        "{file}: the adapter was made for another base model: `{path}`: expected {difference} {expected}, found {found}{}",
        difference.advice(),
        file = file.display()
    )]
    WrongBase {
        /// The adapter file.
        file: PathBuf,
        /// The first parameter that differs.
        path: String,
        /// What differs.
        difference: Difference,
        /// As the file has it.
        expected: String,
        /// As the module has it.
        found: String,
    },

    /// The keys of an adapter file do not fit the module.
    #[error("{file}: the adapter does not fit the module{}", lists(missing, unexpected, mismatched, found), file = file.display())]
    Keys {
        /// The adapter file.
        file: PathBuf,
        /// Keys that the module needs and the file lacks.
        missing: Vec<String>,
        /// Keys of the file that nothing in the module takes.
        unexpected: Vec<String>,
        /// Keys whose shape differs: key, expected and found shape.
        mismatched: Vec<String>,
        /// Keys that the file has, at most five of them.
        found: Vec<String>,
    },

    /// No tensor of an adapter file belongs to a module.
    #[error(
        "{file}: none of its tensors belongs to the module: it names {}, expected are names like {}; a key map can rename the modules",
        some(found), some(expected), file = file.display()
    )]
    NothingFits {
        /// The adapter file.
        file: PathBuf,
        /// Its keys.
        found: Vec<String>,
        /// Keys that would fit.
        expected: Vec<String>,
    },

    /// Hugging Face PEFT computes this adapter in a way that this crate does not.
    #[error("{file}: field `{field}` is {found}: {advice}", file = file.display())]
    Variant {
        /// The configuration file.
        file: PathBuf,
        /// The field that says so.
        field: String,
        /// Its value.
        found: String,
        /// Why it is refused, and what to do.
        advice: String,
    },

    /// An adapter file has a content that this crate does not understand.
    #[error("{file}: {reason}", file = file.display())]
    Format {
        /// The file.
        file: PathBuf,
        /// What was expected and what was found.
        reason: String,
    },

    /// A file could not be read or written.
    #[error("{file}: {source}", file = file.display())]
    Io {
        /// The file.
        file: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
    },

    /// The backend failed to hand out the values of a tensor.
    #[error("parameter `{path}`: its values could not be read: {reason}")]
    Values {
        /// Path of the parameter.
        path: String,
        /// The backend's message.
        reason: String,
    },
}

/// In what a base differs from the one that an adapter was made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Difference {
    /// The shape of a weight.
    Shape,
    /// The values of a weight, by their hash.
    Weight,
    /// The basis that the file holds, by its hash: the file is damaged.
    Basis,
    /// The basis that this machine computes from the same weight, by its hash.
    RecomputedBasis,
}

impl Difference {
    fn advice(self) -> &'static str {
        match self {
            Self::RecomputedBasis => {
                "; this machine's decomposition differs from the one that it was trained in, so save it with its basis"
            }
            _ => "",
        }
    }
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Shape => "the shape",
            Self::Weight => "a weight with the hash",
            Self::Basis | Self::RecomputedBasis => "a basis with the hash",
        })
    }
}

impl PeftError {
    pub(crate) fn config(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Config { field: field.into(), reason: reason.into() }
    }

    pub(crate) fn parameter(path: &str, shape: &[usize], reason: impl Into<String>) -> Self {
        Self::Parameter { path: path.to_owned(), shape: shape.to_vec(), reason: reason.into() }
    }

    pub(crate) fn foreign(path: &str, reason: impl Into<String>) -> Self {
        Self::Foreign { path: path.to_owned(), reason: reason.into() }
    }

    pub(crate) fn io(file: &std::path::Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        move |source| Self::Io { file: file.to_owned(), source }
    }

    pub(crate) fn format(file: &std::path::Path, reason: impl Into<String>) -> Self {
        Self::Format { file: file.to_owned(), reason: reason.into() }
    }
}

/// Up to five names, and how many more there are.
pub(crate) fn some(names: &[String]) -> String {
    const SHOWN: usize = 5;
    match names {
        [] => "nothing".to_owned(),
        _ if names.len() <= SHOWN => names.join(", "),
        _ => format!("{} and {} more", names[..SHOWN].join(", "), names.len() - SHOWN),
    }
}

fn lists(missing: &[String], unexpected: &[String], mismatched: &[String], found: &[String]) -> String {
    let part = |what: &str, names: &[String]| match names {
        [] => String::new(),
        _ => format!("; {what}: {}", some(names)),
    };
    // Where nothing is unexpected, a reader still wants to see what kind of file it is.
    let shown = if unexpected.is_empty() { part("it has", found) } else { String::new() };
    [
        part("missing from the file", missing),
        part("not expected", unexpected),
        part("of another shape", mismatched),
        shown,
    ]
    .concat()
}

fn outputs(rows: &[usize], count: usize) -> String {
    let list = rows.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    match (count, count - rows.len().min(count)) {
        (1, _) => format!("output {list}"),
        (_, 0) => format!("outputs {list}"),
        (_, more) => format!("outputs {list} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_cut_and_empty_ones_left_out() {
        let names = |count: usize| (0..count).map(|i| format!("k{i}")).collect::<Vec<_>>();
        assert_eq!(some(&names(5)), "k0, k1, k2, k3, k4");
        assert_eq!(some(&names(8)), "k0, k1, k2, k3, k4 and 3 more");
        let text = |missing, unexpected| {
            PeftError::Keys {
                file: "a.safetensors".into(),
                missing: names(missing),
                unexpected: names(unexpected),
                mismatched: Vec::new(),
                found: vec!["x".into()],
            }
            .to_string()
        };
        assert_eq!(
            text(1, 0),
            "a.safetensors: the adapter does not fit the module; missing from the file: k0; it has: x"
        );
        assert_eq!(text(0, 1), "a.safetensors: the adapter does not fit the module; not expected: k0");
    }

    #[test]
    fn outputs_read_well() {
        assert_eq!(outputs(&[3], 1), "output 3");
        assert_eq!(outputs(&[3, 4], 2), "outputs 3, 4");
        assert_eq!(outputs(&[0, 1, 2, 3, 4], 9), "outputs 0, 1, 2, 3, 4 and 4 more");
    }
}
