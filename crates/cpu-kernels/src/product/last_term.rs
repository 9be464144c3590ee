//! The last product of a sum, with what is made of the sum.

use super::{Ending, RightFactor, Start, Target, add, check_operands, fresh};
use crate::memory::written;
use crate::{Matrix, Precision, check};

/// What the last term of a sum is added to.
#[derive(Clone, Debug)]
pub enum Before<'a> {
    /// Nothing: the product is the sum.
    Nothing,
    /// `bias[j]` in column j.
    Bias(&'a [f32]),
    /// The other terms, row by row.
    Terms(Vec<f32>),
}

/// The sum `before + a b`, to which something is done while each piece of it is still in the nearest cache: a pass over memory is saved,
/// and the bits are those of the sum and a pass.
///
/// ```
/// use cpu_kernels::{Before, LastTerm, Matrix, Precision, gelu};
///
/// let (x, w, bias) = ([1.0, 2.0, 3.0, 4.0], [0.5, -1.0, 0.25, 1.0], [1.0, -1.0]);
/// let (a, b) = (Matrix::new(&x, 2, 2), Matrix::new(&w, 2, 2));
/// let term = || LastTerm { before: Before::Bias(&bias), a, b: b.into(), precision: Precision::F32 };
/// assert_eq!(term().sum(), [2.0, 0.0, 3.5, 0.0]);
/// assert_eq!(term().gelu(), gelu(&term().sum()));
/// assert_eq!(term().plus(&[10.0; 4]), [12.0, 10.0, 13.5, 10.0]);
/// ```
#[derive(Clone, Debug)]
pub struct LastTerm<'a> {
    /// What the product is added to.
    pub before: Before<'a>,
    /// The left factor.
    pub a: Matrix<'a>,
    /// The right factor.
    pub b: RightFactor<'a>,
    /// How the product is computed.
    pub precision: Precision,
}

impl LastTerm<'_> {
    /// The sum.
    ///
    /// # Panics
    ///
    /// If the inner sizes differ, if what it is added to has another size, or if the machine cannot compute with `precision`
    /// ([`Precision::check`]).
    pub fn sum(self) -> Vec<f32> {
        // SAFETY: this ending writes nothing else.
        unsafe { self.ended(Ending::Sum) }
    }

    /// The sum plus `residual`, row by row.
    ///
    /// # Panics
    ///
    /// As [`LastTerm::sum`], and if `residual` has another size.
    pub fn plus(self, residual: &[f32]) -> Vec<f32> {
        check::length("residual", residual.len(), &[self.a.rows(), self.b.columns()]);
        // SAFETY: as above.
        unsafe { self.ended(Ending::Residual(residual)) }
    }

    /// The [GELU](crate::gelu) of the sum.
    ///
    /// # Panics
    ///
    /// As [`LastTerm::sum`].
    pub fn gelu(self) -> Vec<f32> {
        // SAFETY: as above.
        unsafe { self.ended(Ending::InPlace) }
    }

    /// The sum, which the gradient of the GELU needs, and its [GELU](crate::gelu).
    ///
    /// # Panics
    ///
    /// As [`LastTerm::sum`].
    pub fn sum_and_gelu(self) -> [Vec<f32>; 2] {
        let [rows, columns] = [self.a.rows(), self.b.columns()];
        let mut sum = Vec::new();
        // SAFETY: every element of the sum is ended, and has its place in the other matrix.
        let activated = unsafe {
            written(rows * columns, |out| {
                sum = self.ended(Ending::Gelu(Target { out: out.as_mut_ptr().cast(), steps: [columns, 1] }));
            })
        };
        [sum, activated]
    }

    /// # Safety
    ///
    /// A matrix that the ending writes has as many elements as the product, and they are the caller's.
    unsafe fn ended(self, ending: Ending) -> Vec<f32> {
        let Self { before, a, b, precision } = self;
        check_operands(a, b, precision);
        // SAFETY: promised by the caller.
        unsafe {
            match before {
                Before::Nothing => fresh(a, b, Start::Zero, ending, precision),
                Before::Bias(bias) => {
                    check::length("bias", bias.len(), &[b.columns()]);
                    fresh(a, b, Start::Bias(bias), ending, precision)
                }
                Before::Terms(mut sum) => {
                    add(&mut sum, a, b, ending, precision);
                    sum
                }
            }
        }
    }
}
