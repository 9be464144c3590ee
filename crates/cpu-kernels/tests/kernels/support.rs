//! Numbers and comparisons.

use cpu_kernels::Isa;

/// Numbers between -1 and 1 that look random.
pub(crate) fn numbers(len: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    for _ in 0..4 {
        next();
    }
    (0..len).map(|_| next()).collect()
}

/// Asserts that the largest difference is at most `tolerance` times the largest element of `expected` (or one, if that is less).
#[track_caller]
pub(crate) fn assert_close(found: &[f32], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len());
    let scale = expected.iter().fold(1.0f64, |max, x| max.max(x.abs()));
    for (i, (&found, &expected)) in found.iter().zip(expected).enumerate() {
        let error = (f64::from(found) - expected).abs() / scale;
        assert!(error <= tolerance, "element {i} is {found}, expected {expected}: error {error:.1e} of the largest");
    }
}

/// Asserts that no sum is further from `expected` than `tolerance` times the sum of the magnitudes of its terms.
#[track_caller]
pub(crate) fn assert_sums(found: &[f32], expected: &[f64], magnitudes: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len());
    for (i, ((&found, &expected), magnitude)) in found.iter().zip(expected).zip(magnitudes).enumerate() {
        let error = (f64::from(found) - expected).abs() / magnitude;
        assert!(error <= tolerance, "element {i} is {found}, expected {expected}: error {error:.1e} of the terms");
    }
}

/// What rounding may do to a sum of so many terms, relative to their magnitudes: each addition errs by half a unit in the last place at
/// most, and the errors of many add up like the steps of a random walk.
pub(crate) fn rounding(terms: usize) -> f64 {
    2.0 * (terms as f64 + 1.0).sqrt() * f64::from(f32::EPSILON) / 2.0
}

static SKIPPED: std::sync::Once = std::sync::Once::new();

/// Runs `f` on each instruction set that the machine has, and says which are skipped.
pub(crate) fn on_every_isa(f: impl Fn(Isa)) {
    for isa in [Isa::Portable, Isa::Avx2, Isa::Avx512, Isa::Avx512Bf16, Isa::Amx] {
        if Isa::with(isa, || f(isa)).is_none() {
            SKIPPED.call_once(|| eprintln!("{isa:?} and what is above it is skipped: this machine does not have it"));
            return;
        }
    }
}

/// The bits of `f` on 1, 2, 3 and 7 threads are the same.
#[track_caller]
pub(crate) fn assert_same_bits_on_any_threads(f: impl Fn() -> Vec<Vec<f32>> + Sync) {
    let on = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
        let results = pool.install(&f);
        results.into_iter().map(|x| x.into_iter().map(f32::to_bits).collect::<Vec<_>>()).collect::<Vec<_>>()
    };
    let one = on(1);
    for threads in [2, 3, 7] {
        assert!(on(threads) == one, "the bits differ between 1 and {threads} threads");
    }
}
