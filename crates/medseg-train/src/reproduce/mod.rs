//! The comparison of methods.

mod methods;

pub use methods::{MethodRow, Scale, TableChoice, rows, select};
