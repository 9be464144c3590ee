//! How exactly the products of linear layers and of attention are computed.

#[cfg(feature = "cpu")]
use burn::backend::DispatchDevice;
use burn::tensor::{Device, FloatDType};
use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicU8, Ordering};
use thiserror::Error;

/// How exactly the products of linear layers, and in `Bf16` those of attention, are computed. Weights, sums of terms and gradients of weights
/// are `f32` in all of them; softmax, norms and the optimiser compute in `f32` always. `F32Amx` and `Bf16` are for CPUs, `F16` is for GPUs.
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
    /// Factors, products and their gradients rounded to f16, on a GPU. Small gradients become zero and large ones infinite: a training has to
    /// scale its loss.
    F16,
}

impl Precision {
    /// All of them, the exact one first.
    pub const ALL: [Self; 4] = [Self::F32, Self::F32Amx, Self::Bf16, Self::F16];

    /// The name in run files.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F32Amx => "f32-amx",
            Self::Bf16 => "bf16",
            Self::F16 => "f16",
        }
    }
}

/// This machine, or this device, cannot compute so.
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

/// Whether `device` can compute in `precision`.
///
/// # Errors
/// What is for CPUs alone on a GPU and the reverse; a CPU without the instructions; a GPU without the number type.
pub fn check_on(precision: Precision, device: &Device) -> Result<(), PrecisionError> {
    let problem = match (is_cpu(device), precision) {
        (true, Precision::F16) => "a CPU multiplies in f32, f32-amx or bf16; f16 is for GPUs",
        (true, _) => return check(precision),
        (false, Precision::F32) => return Ok(()),
        (false, Precision::F16) if device.supports_dtype(FloatDType::F16) => return Ok(()),
        (false, Precision::F16) => "this GPU, or its driver, does not compute in f16",
        (false, Precision::F32Amx) => "AMX is a part of CPUs; a GPU multiplies in f32 or f16",
        (false, Precision::Bf16) => {
            "it is for the CPU of this process; WGSL, the language of wgpu's kernels, has none, and GPUs multiply in f32 or f16"
        }
    };
    Err(PrecisionError { precision, reason: problem.into() })
}

/// Whether a device is the CPU.
#[cfg(feature = "cpu")]
pub(crate) fn is_cpu(device: &Device) -> bool {
    matches!(device.as_dispatch().clone().inner(), DispatchDevice::Flex(_))
}

/// Whether a device is the CPU: there is none in this build.
#[cfg(not(feature = "cpu"))]
pub(crate) fn is_cpu(_device: &Device) -> bool {
    false
}

/// Whether this machine can compute in `precision` on some device.
///
/// # Errors
/// Its CPU lacks the instructions.
#[cfg(feature = "cpu")]
pub fn check(precision: Precision) -> Result<(), PrecisionError> {
    kernel(precision).check().map_err(|error| PrecisionError { precision, reason: error.to_string() })
}

/// Whether this machine can compute in `precision` on some device.
///
/// # Errors
/// What is for CPUs alone.
#[cfg(not(feature = "cpu"))]
pub fn check(precision: Precision) -> Result<(), PrecisionError> {
    match precision {
        Precision::F32 | Precision::F16 => Ok(()),
        _ => Err(PrecisionError { precision, reason: "this program was built without the kernels of the CPU".into() }),
    }
}

/// What [`use_precision`] chose; `f32` at first.
pub fn precision() -> Precision {
    Precision::ALL[usize::from(CHOSEN.load(Ordering::Relaxed))]
}

#[cfg(feature = "cpu")]
pub(crate) fn kernel(precision: Precision) -> cpu_kernels::Precision {
    match precision {
        // What a CPU computes beside a GPU is computed in f32.
        Precision::F32 | Precision::F16 => cpu_kernels::Precision::F32,
        Precision::F32Amx => cpu_kernels::Precision::F32OnAmx,
        Precision::Bf16 => cpu_kernels::Precision::Bf16,
    }
}
