//! Right factors that are packed once for many products.

use super::blocked;
#[cfg(target_arch = "x86_64")]
use super::tiled::{self, Terms};
use crate::isa::Level;
use crate::scratch::Lines;
use crate::{Matrix, Precision};
use std::fmt;

/// A copy of a right factor in the order in which products of one precision read it: panels of 32 columns, in `f32`, or rounded to bf16
/// and in pairs. A product copies its right factor so each time; whoever multiplies with one factor many times can keep the copy.
///
/// ```
/// use cpu_kernels::{Matrix, Packed, Precision, RightFactor, product};
///
/// let weight: Vec<f32> = (0..96 * 64).map(|i| (i as f32).sin()).collect();
/// let weight = Matrix::new(&weight, 96, 64);
/// let packed = Packed::new(weight, Precision::F32);
/// let x = vec![0.5; 32 * 96];
/// let x = Matrix::new(&x, 32, 96);
/// let y = product(x, RightFactor::packed(weight, &packed), Precision::F32);
/// assert_eq!(y, product(x, weight, Precision::F32));
/// ```
pub struct Packed {
    size: [usize; 2],
    precision: Precision,
    /// As many elements as a product reads, and some up to the next cache line.
    lines: Lines,
    len: usize,
}

impl Packed {
    /// A copy of `b` for products in `precision`.
    ///
    /// # Panics
    ///
    /// If the machine cannot compute with `precision` ([`Precision::check`]).
    pub fn new(b: Matrix, precision: Precision) -> Self {
        precision.expect_possible();
        let len = len(b, precision);
        let mut lines = Lines::zeros(len);
        match precision {
            Precision::F32 => blocked::pack_right(Level::current(), b, &mut lines.as_mut_slice()[..len]),
            #[cfg(target_arch = "x86_64")]
            _ => tiled::pack_right(Level::current(), b, terms(precision), &mut lines.as_mut_words()[..len]),
            #[cfg(not(target_arch = "x86_64"))]
            _ => unreachable!("no other machine has these precisions"),
        }
        Self { size: [b.rows(), b.columns()], precision, lines, len }
    }

    /// Whether a product with a left factor of `rows` rows reads such a copy of `b`. Small ones do not, nor those that read a few rows where
    /// they are.
    pub fn serves(b: Matrix, rows: usize, precision: Precision) -> bool {
        let packs = precision != Precision::F32 || blocked::packs(b, rows);
        rows * b.rows() * b.columns() >= super::SMALL && packs
    }

    /// Bytes of such a copy.
    pub fn bytes(b: Matrix, precision: Precision) -> usize {
        4 * len(b, precision)
    }

    /// Of a factor in `f32`.
    pub(super) fn values(&self) -> &[f32] {
        &self.lines.as_slice()[..self.len]
    }

    /// Of a rounded factor.
    #[cfg(target_arch = "x86_64")]
    pub(super) fn words(&self) -> &[u32] {
        &self.lines.as_words()[..self.len]
    }
}

impl fmt::Debug for Packed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Packed").field("size", &self.size).field("precision", &self.precision).finish_non_exhaustive()
    }
}

/// Elements or words of a packed factor.
fn len(b: Matrix, precision: Precision) -> usize {
    match precision {
        Precision::F32 => blocked::packed_len(b),
        #[cfg(target_arch = "x86_64")]
        _ => tiled::packed_len(b, terms(precision)),
        #[cfg(not(target_arch = "x86_64"))]
        _ => unreachable!("no other machine has these precisions"),
    }
}

#[cfg(target_arch = "x86_64")]
fn terms(precision: Precision) -> Terms {
    if precision == Precision::F32OnAmx { Terms::Three } else { Terms::One }
}

/// The right factor of a product: a matrix, and where there is one, a packed copy of it.
#[derive(Clone, Copy, Debug)]
pub struct RightFactor<'a> {
    matrix: Matrix<'a>,
    packed: Option<&'a Packed>,
}

impl<'a> From<Matrix<'a>> for RightFactor<'a> {
    fn from(matrix: Matrix<'a>) -> Self {
        Self { matrix, packed: None }
    }
}

impl<'a> RightFactor<'a> {
    /// A matrix with a packed copy of it. Products have the same bits with and without: small ones read the matrix, large ones the copy.
    ///
    /// # Panics
    ///
    /// If the copy has another size. That it has the same numbers is the caller's promise.
    #[track_caller]
    pub fn packed(matrix: Matrix<'a>, packed: &'a Packed) -> Self {
        let [rows, columns] = packed.size;
        let found = [matrix.rows(), matrix.columns()];
        assert!(
            found == packed.size,
            "a packed copy of {rows} x {columns} with a matrix of {} x {}",
            found[0],
            found[1]
        );
        Self { matrix, packed: Some(packed) }
    }

    /// The matrix.
    pub fn matrix(&self) -> Matrix<'a> {
        self.matrix
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.matrix.rows()
    }

    /// The number of columns.
    pub fn columns(&self) -> usize {
        self.matrix.columns()
    }

    /// The copy, if it is one for products in `precision`.
    pub(super) fn packed_for(&self, precision: Precision) -> Option<&'a Packed> {
        self.packed.filter(|packed| packed.precision == precision)
    }
}
