//! How exactly products are computed.

use crate::Isa;
use thiserror::Error;

/// How exactly a product is computed. Inputs, results and sums are `f32` in all of them; what differs is the rounding of the factors.
///
/// It is the user's choice and never made by detection. Products of less than 65,536 multiplications are computed in `f32` whatever is
/// asked for. On AMX subnormal numbers count as zero, and infinity may come out as NaN where factors are split.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Precision {
    /// `f32` throughout.
    #[default]
    F32,
    /// Each factor is split into two bf16 numbers and three of the four products are summed: a relative error of about 4e-6. Needs AMX.
    F32OnAmx,
    /// Factors are rounded to bf16: a relative error of about 2e-3. Needs AMX.
    Bf16,
}

impl Precision {
    /// Whether this machine can compute so.
    ///
    /// # Errors
    ///
    /// [`KernelError::NoAmx`] where the precision needs AMX and [`Isa::current`] is less.
    pub fn check(self) -> Result<(), KernelError> {
        match (self, Isa::current()) {
            (Self::F32, _) | (_, Isa::Amx) => Ok(()),
            (_, isa) => Err(KernelError::NoAmx { precision: self, isa }),
        }
    }
}

/// What this machine cannot do.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum KernelError {
    /// The tile instructions of AMX are missing, forbidden by the system, or excluded by `SALT_CPU_ISA`.
    #[error(
        "products in {precision:?} need AMX (Linux on a Xeon of the fourth generation or later), and the kernels run on {isa:?}"
    )]
    NoAmx {
        /// What was asked for.
        precision: Precision,
        /// What there is.
        isa: Isa,
    },
}
