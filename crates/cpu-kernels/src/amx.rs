//! The tile registers of AMX, from stable Rust: permission, configuration, and the one product of four tiles that is needed.
//!
//! The intrinsics are not stable yet, so that tile instructions are written in assembly. The kernel of the operating system has to
//! permit their state to the process first; without that the first of them would end it.

use std::arch::asm;
use std::arch::x86_64::{__cpuid_count, _xgetbv};
use std::marker::PhantomData;
use std::sync::OnceLock;

/// Words (pairs of bf16) of a step: two tiles of 16 rows of 16 words.
pub(crate) const STEP: usize = 512;

/// Rows and columns of the product of a left and a right panel.
pub(crate) const SIDE: usize = 32;

/// What multiplies panels: tile registers, the dot products of [`crate::dot`], and in tests plain arithmetic.
pub(crate) trait Tiles: Sized {
    /// Makes the current thread ready, until the value is dropped.
    fn ready() -> Self;

    /// `out = a b` for a left panel of `steps * STEP` words, two tiles `[16 rows][16 pairs]` for each step, and a right one, two tiles
    /// `[16 pairs][16 columns]` for each step. Of the result at least the first `needed` rows and columns are written.
    fn multiply(&self, a: &[u32], b: &[u32], needed: [usize; 2], out: &mut [[f32; SIDE]; SIDE]);
}

/// Whether this process may use bf16 tiles. Asks the system for permission the first time.
pub(crate) fn available() -> bool {
    static AVAILABLE: OnceLock<bool> = OnceLock::new();
    *AVAILABLE.get_or_init(|| {
        const BF16: u32 = 1 << 22;
        const TILE: u32 = 1 << 24;
        // Tile configuration and tile data, in the states that the system saves.
        const STATES: u64 = 0b11 << 17;
        let features = __cpuid_count(7, 0).edx;
        if features & (BF16 | TILE) != BF16 | TILE || !is_x86_feature_detected!("xsave") {
            return false;
        }
        // SAFETY: the machine has XSAVE, and the system uses it: it would not show AVX-512 otherwise.
        let enabled = unsafe { enabled_states() };
        enabled & STATES == STATES && permitted()
    })
}

#[target_feature(enable = "xsave")]
fn enabled_states() -> u64 {
    // SAFETY: register 0 exists wherever XSAVE is enabled.
    unsafe { _xgetbv(0) }
}

#[cfg(target_os = "linux")]
fn permitted() -> bool {
    const ARCH_REQ_XCOMP_PERM: libc::c_long = 0x1023;
    const TILE_DATA: libc::c_long = 18;
    // SAFETY: this call takes two numbers and touches no memory of ours.
    unsafe { libc::syscall(libc::SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, TILE_DATA) == 0 }
}

#[cfg(not(target_os = "linux"))]
fn permitted() -> bool {
    false
}

/// The tile registers of this thread, configured as eight tiles of 16 rows of 64 bytes. It stays on its thread.
pub(crate) struct Hardware(PhantomData<*const ()>);

#[repr(C, align(64))]
struct Configuration {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    bytes_of_row: [u16; 16],
    rows: [u8; 16],
}

impl Tiles for Hardware {
    fn ready() -> Self {
        assert!(available(), "tiles are used without permission");
        let (mut bytes_of_row, mut rows) = ([0; 16], [0; 16]);
        bytes_of_row[..8].fill(64);
        rows[..8].fill(16);
        let configuration = Configuration { palette: 1, start_row: 0, reserved: [0; 14], bytes_of_row, rows };
        // SAFETY: the process has permission; the instruction reads the 64 bytes of the configuration.
        unsafe { asm!("ldtilecfg [{}]", in(reg) &raw const configuration, options(nostack, readonly)) };
        Self(PhantomData)
    }

    fn multiply(&self, a: &[u32], b: &[u32], _needed: [usize; 2], out: &mut [[f32; SIDE]; SIDE]) {
        let steps = a.len() / STEP;
        assert!(steps > 0 && b.len() == a.len() && a.len() == steps * STEP);
        // SAFETY: `self` is proof that tiles are configured. Each step reads 2048 bytes of either panel, which have so many, and
        // `out` is 32 rows of 128 bytes.
        unsafe {
            asm!(
                "tilezero tmm0",
                "tilezero tmm1",
                "tilezero tmm2",
                "tilezero tmm3",
                "2:",
                "tileloadd tmm6, [{b} + {line}*1]",
                "tileloadd tmm4, [{a} + {line}*1]",
                "tileloadd tmm7, [{b} + {line}*1 + 1024]",
                "tdpbf16ps tmm0, tmm4, tmm6",
                "tileloadd tmm5, [{a} + {line}*1 + 1024]",
                "tdpbf16ps tmm1, tmm4, tmm7",
                "tdpbf16ps tmm2, tmm5, tmm6",
                "add {a}, 2048",
                "add {b}, 2048",
                "tdpbf16ps tmm3, tmm5, tmm7",
                "dec {steps}",
                "jnz 2b",
                "tilestored [{out} + {row}*1], tmm0",
                "tilestored [{out} + {row}*1 + 64], tmm1",
                "tilestored [{out} + {row}*1 + 2048], tmm2",
                "tilestored [{out} + {row}*1 + 2112], tmm3",
                a = inout(reg) a.as_ptr() => _,
                b = inout(reg) b.as_ptr() => _,
                steps = inout(reg) steps => _,
                out = in(reg) out.as_mut_ptr(),
                line = in(reg) 64usize,
                row = in(reg) 128usize,
                out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                options(nostack),
            );
        }
    }
}

impl Drop for Hardware {
    fn drop(&mut self) {
        // SAFETY: tiles were configured by `ready`; nobody uses them after this.
        unsafe { asm!("tilerelease", options(nostack, nomem)) };
    }
}
