//! The trained factors before the first step, against what the released code draws.

use crate::support::doubles;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::Device;
use salt_peft::{Adapter, AdapterConfig, AdapterSlot, AttachOptions, Initialization, attach};

/// The largest magnitude of `X` and of `Y`.
fn largest(initialization: Initialization, rank: usize) -> [f64; 2] {
    let layer: Linear = LinearConfig::new(96, 96).init(&Device::default());
    let config = AdapterConfig::salt(9, rank).with_initialization(initialization);
    let (layer, _) = attach(layer, &config, &AttachOptions::default()).expect("attaches");
    let slot = layer.weight.reparameterization::<AdapterSlot>().expect("adapted");
    let Some((_, [Adapter::Salt(salt)])) = slot.active() else { panic!("one part") };
    let tail = salt.tail.as_ref().expect("87 singular values remain");
    [&tail.x, &tail.y].map(|factor| doubles(factor.val().into_data()).into_iter().map(f64::abs).fold(0.0, f64::max))
}

#[test]
fn the_start_for_sam2_has_the_bounds_measured_in_the_released_code() {
    for (rank, bound) in [(4, 1.2247), (256, 0.1531)] {
        let [x, y] = largest(Initialization::ReleasedSam2, rank);
        assert!(x <= bound + 1e-4 && x > 0.97 * bound, "rank {rank}: {x}, expected nearly {bound}");
        assert_eq!(y, 0.0);
    }
}

#[test]
fn the_default_start_is_smaller_and_changes_nothing() {
    let [x, y] = largest(Initialization::Identity, 4);
    assert!(x <= 0.2673 && x > 0.25, "{x}, expected nearly sqrt(6 / 84)");
    assert_eq!(y, 0.0);
}
