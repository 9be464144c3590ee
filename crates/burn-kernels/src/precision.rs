//! How exactly the products of linear layers are computed.

use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicU8, Ordering};
use thiserror::Error;

/// How exactly the products of linear layers are computed on a CPU. Weights, sums and results are `f32` in all of them; attention, norms and
/// the optimiser compute in `f32` always.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Precision {
    /// `f32` throughout.
    #[default]
    F32,
    /// Each factor as the sum of two bf16 numbers, on AMX alone: relative errors of about 4e-6.
    F32Amx,
    /// Factors rounded to bf16, on AVX512-BF16 or AMX: relative errors of about 2e-3.
    Bf16,
}

impl Precision {
    /// The name in run files.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F32Amx => "f32-amx",
            Self::Bf16 => "bf16",
        }
    }
}

/// This machine cannot compute so.
#[derive(Clone, Debug, Error)]
#[error("precision {}: {reason}", precision.name())]
pub struct PrecisionError {
    /// What was asked for.
    pub precision: Precision,
    /// What is missing.
    pub reason: String,
}

static CHOSEN: AtomicU8 = AtomicU8::new(0);

/// Computes in `precision` from now on, in the whole process: whoever chooses, chooses for every model.
///
/// # Errors
/// The machine lacks the instructions; nothing changes then.
pub fn use_precision(precision: Precision) -> Result<(), PrecisionError> {
    check(precision)?;
    CHOSEN.store(precision as u8, Ordering::Relaxed);
    Ok(())
}

/// Whether this machine can compute in `precision`.
///
/// # Errors
/// It lacks the instructions.
#[cfg(feature = "cpu")]
pub fn check(precision: Precision) -> Result<(), PrecisionError> {
    kernel(precision).check().map_err(|error| PrecisionError { precision, reason: error.to_string() })
}

/// Whether this machine can compute in `precision`.
///
/// # Errors
/// Anything but `f32`.
#[cfg(not(feature = "cpu"))]
pub fn check(precision: Precision) -> Result<(), PrecisionError> {
    match precision {
        Precision::F32 => Ok(()),
        _ => Err(PrecisionError { precision, reason: "this program was built without the kernels of the CPU".into() }),
    }
}

/// What [`use_precision`] chose; `f32` at first.
pub fn precision() -> Precision {
    [Precision::F32, Precision::F32Amx, Precision::Bf16][usize::from(CHOSEN.load(Ordering::Relaxed))]
}

#[cfg(feature = "cpu")]
pub(crate) fn kernel(precision: Precision) -> cpu_kernels::Precision {
    match precision {
        Precision::F32 => cpu_kernels::Precision::F32,
        Precision::F32Amx => cpu_kernels::Precision::F32OnAmx,
        Precision::Bf16 => cpu_kernels::Precision::Bf16,
    }
}
