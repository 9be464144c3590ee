//! The two devices, values and comparisons that the tests share.

use burn::tensor::{Device, TensorData};
use medseg_train::device;

/// Both devices, the reference first.
pub(crate) fn both() -> [Device; 2] {
    ["cpu", "wgpu"].map(|name| device::open(name).unwrap())
}

/// The largest difference of two lists.
pub(crate) fn largest(found: &[f64], expected: &[f64]) -> f64 {
    assert_eq!(found.len(), expected.len());
    found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, worse)
}

/// The larger of two differences; what is no number is larger than all.
fn worse(a: f64, b: f64) -> f64 {
    if b.is_nan() { f64::INFINITY } else { a.max(b) }
}

/// `||found - expected|| / ||expected||`.
pub(crate) fn relative_error(found: &[f64], expected: &[f64]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>().sqrt();
    let difference = norm(&mut found.iter().zip(expected).map(|(a, b)| a - b));
    difference / norm(&mut expected.iter().copied()).max(1e-30)
}

/// The values in double precision.
pub(crate) fn doubles(data: TensorData) -> Vec<f64> {
    data.convert::<f64>().try_into_vec::<f64>().unwrap()
}

/// Values in (-1, 1) that `seed` fixes.
pub(crate) fn values(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..count)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((state >> 40) as i32 - (1 << 23)) as f32 / (1 << 23) as f32
        })
        .collect()
}
