//! How exactly products are computed.

use crate::Isa;
use thiserror::Error;

/// How exactly a product is computed. Inputs, results and sums are `f32` in all of them; what differs is the rounding of the factors.
///
/// It is the user's choice and never made by detection. Products of less than 65,536 multiplications are computed in `f32` whatever is
/// asked for, in attention those of a head. In bf16 subnormal numbers count as zero, and infinity may come out as NaN where factors are split.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Precision {
    /// `f32` throughout.
    #[default]
    F32,
    /// Each factor is split into two bf16 numbers and three of the four products are summed: a relative error of about 4e-6. Needs AMX: the
    /// dot products of AVX512-BF16 are only twice as fast as those of `f32`, so that three of them would gain nothing. Attention stays in
    /// `f32`.
    F32OnAmx,
    /// Factors are rounded to bf16: a relative error of about 2e-3. Needs AVX512-BF16 or AMX.
    Bf16,
}

impl Precision {
    /// Whether this machine can compute so.
    ///
    /// # Errors
    ///
    /// [`KernelError::NoInstructions`] where [`Isa::current`] is less than the precision needs.
    pub fn check(self) -> Result<(), KernelError> {
        match (self, Isa::current()) {
            (Self::F32, _) | (Self::Bf16, Isa::Avx512Bf16) | (_, Isa::Amx) => Ok(()),
            (_, isa) => Err(KernelError::NoInstructions { precision: self, isa }),
        }
    }

    /// For kernels, whose callers are to have checked.
    #[track_caller]
    pub(crate) fn expect_possible(self) {
        let possible = self.check();
        assert!(possible.is_ok(), "{}", possible.err().map_or_else(String::new, |error| error.to_string()));
    }
}

/// What this machine cannot do.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum KernelError {
    /// The instructions for bf16 are missing, forbidden by the system, or excluded by `SALT_CPU_ISA`.
    #[error("products in {precision:?} need {}, and the kernels run on {isa:?}", needs(*precision))]
    NoInstructions {
        /// What was asked for.
        precision: Precision,
        /// What there is.
        isa: Isa,
    },
}

/// The instructions of a precision, and processors that have them.
fn needs(precision: Precision) -> &'static str {
    match precision {
        Precision::F32 => "nothing",
        Precision::F32OnAmx => "AMX (Linux on an Intel Xeon of the fourth generation or later)",
        Precision::Bf16 => "AVX512-BF16 (AMD Zen 4 or later, Intel Xeon of the fourth generation or later) or AMX",
    }
}
