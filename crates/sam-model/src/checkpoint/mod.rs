//! Checkpoints.

/// The three ways in which a checkpoint can fail to fit a model.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mismatch {
    /// Tensors that the model has and the file has not.
    pub missing: Vec<String>,
    /// Tensors that the file has and the model has not.
    pub unexpected: Vec<String>,
    /// Tensors whose shapes differ: name, the model's shape, the file's.
    pub misshaped: Vec<(String, Vec<usize>, Vec<usize>)>,
}

impl std::fmt::Display for Mismatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "missing: {:?}, unexpected: {:?}, mis-shaped: {:?}", self.missing, self.unexpected, self.misshaped)
    }
}
