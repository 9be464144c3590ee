//! One loop, compiled once for each instruction set.

/// `a * b + c` as the instruction set has it: with one rounding or with two.
pub(crate) trait Arithmetic: Copy {
    fn mul_add(a: f32, b: f32, c: f32) -> f32;
}

/// Multiplication and addition fused.
#[derive(Clone, Copy)]
pub(crate) struct Fused;

impl Arithmetic for Fused {
    #[inline(always)]
    fn mul_add(a: f32, b: f32, c: f32) -> f32 {
        a.mul_add(b, c)
    }
}

/// What the target is sure to have. Without an instruction for it, a fused operation would be a slow call.
#[derive(Clone, Copy)]
pub(crate) struct Plain;

impl Arithmetic for Plain {
    #[inline(always)]
    fn mul_add(a: f32, b: f32, c: f32) -> f32 {
        if cfg!(any(target_feature = "fma", target_arch = "aarch64")) { a.mul_add(b, c) } else { a * b + c }
    }
}

/// Declares `fn name(level, arguments)` that calls the `#[inline(always)]` function `body::<Arithmetic>(arguments)`, compiled for the
/// instructions of `level`.
macro_rules! vectorised {
    ($(#[$attribute:meta])* $visibility:vis fn $name:ident($($argument:ident: $type:ty),* $(,)?) $(-> $result:ty)? = $body:ident;) => {
        $(#[$attribute])*
        #[allow(clippy::too_many_arguments)]
        $visibility fn $name(level: $crate::isa::Level, $($argument: $type),*) $(-> $result)? {
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
                #[allow(clippy::too_many_arguments)]
                fn avx512($($argument: $type),*) $(-> $result)? {
                    $body::<$crate::vectorise::Fused>($($argument),*)
                }
                #[target_feature(enable = "avx2,fma")]
                #[allow(clippy::too_many_arguments)]
                fn avx2($($argument: $type),*) $(-> $result)? {
                    $body::<$crate::vectorise::Fused>($($argument),*)
                }
                match level.isa() {
                    // SAFETY: `Level` is proof that the machine has these instructions.
                    $crate::Isa::Amx | $crate::Isa::Avx512Bf16 | $crate::Isa::Avx512 => return unsafe { avx512($($argument),*) },
                    // SAFETY: as above.
                    $crate::Isa::Avx2 => return unsafe { avx2($($argument),*) },
                    $crate::Isa::Portable => {}
                }
            }
            let _ = level;
            $body::<$crate::vectorise::Plain>($($argument),*)
        }
    };
}
pub(crate) use vectorised;
