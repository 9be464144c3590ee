//! Which instructions the kernels use.

use std::cell::Cell;
use std::sync::OnceLock;

/// The instructions that kernels are written in, from the least to the most capable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Isa {
    /// What every machine has: loops that the compiler vectorises as far as the target allows.
    Portable,
    /// AVX2 and FMA.
    Avx2,
    /// AVX-512 (F, BW, DQ and VL).
    Avx512,
    /// AVX-512 with its conversions to and dot products of bf16 (AVX512-BF16).
    Avx512Bf16,
    /// The same, and the tile registers of AMX-BF16.
    Amx,
}

impl Isa {
    /// The best this machine has, or less if the environment variable `SALT_CPU_ISA` (`portable`, `avx2`, `avx512`, `avx512-bf16` or `amx`)
    /// says so.
    ///
    /// Machine and variable are looked at once. Results differ in their last bits between instruction sets.
    pub fn current() -> Self {
        OVERRIDE
            .get()
            .unwrap_or_else(|| *DETECTED.get_or_init(|| lowered(detect(), std::env::var("SALT_CPU_ISA").ok())))
    }

    /// Runs `f` with every kernel that it calls from this thread confined to `isa`; `None` where the machine does not have it.
    #[doc(hidden)]
    pub fn with<R>(isa: Self, f: impl FnOnce() -> R) -> Option<R> {
        struct Restore(Option<Isa>);
        impl Drop for Restore {
            fn drop(&mut self) {
                OVERRIDE.set(self.0);
            }
        }
        if isa > detect() {
            return None;
        }
        let _restore = Restore(OVERRIDE.replace(Some(isa)));
        Some(f())
    }
}

static DETECTED: OnceLock<Isa> = OnceLock::new();

thread_local! {
    static OVERRIDE: Cell<Option<Isa>> = const { Cell::new(None) };
}

/// Proof that the machine has an instruction set: it is made of [`Isa::current`] alone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Level(Isa);

impl Level {
    pub(crate) fn current() -> Self {
        Self(Isa::current())
    }

    pub(crate) fn isa(self) -> Isa {
        self.0
    }
}

fn lowered(detected: Isa, wish: Option<String>) -> Isa {
    let wish = match wish.as_deref().map(str::trim) {
        Some("portable") => Isa::Portable,
        Some("avx2") => Isa::Avx2,
        Some("avx512") => Isa::Avx512,
        Some("avx512-bf16") => Isa::Avx512Bf16,
        _ => Isa::Amx,
    };
    detected.min(wish)
}

#[cfg(target_arch = "x86_64")]
fn detect() -> Isa {
    if !(is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")) {
        return Isa::Portable;
    }
    let avx512 = is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vl");
    match avx512 {
        true if crate::dot::available() && crate::amx::available() => Isa::Amx,
        true if crate::dot::available() => Isa::Avx512Bf16,
        true => Isa::Avx512,
        false => Isa::Avx2,
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn detect() -> Isa {
    Isa::Portable
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variable_lowers_and_never_raises() {
        assert_eq!(lowered(Isa::Avx2, Some("avx512".into())), Isa::Avx2);
        assert_eq!(lowered(Isa::Avx512, Some("avx2".into())), Isa::Avx2);
        assert_eq!(lowered(Isa::Avx512, Some("portable".into())), Isa::Portable);
        assert_eq!(lowered(Isa::Amx, Some("avx512-bf16".into())), Isa::Avx512Bf16);
        assert_eq!(lowered(Isa::Avx512Bf16, Some("avx512".into())), Isa::Avx512);
        assert_eq!(lowered(Isa::Avx512, None), Isa::Avx512);
        assert_eq!(lowered(Isa::Avx512, Some("neon".into())), Isa::Avx512);
    }
}
