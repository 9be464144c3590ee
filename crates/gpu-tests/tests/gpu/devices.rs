//! Which adapter the tests run on.

use super::support::both;
use burn::tensor::Device;

/// The tests of other crates ask for the default device; a fall-back to the CPU would let them pass without a GPU.
#[test]
fn the_default_device_is_the_gpu() {
    let [cpu, gpu] = both();
    assert_ne!(cpu, gpu);
    assert_eq!(Device::default(), gpu);
    assert!(cpu.identity().is_none(), "{cpu:?}");
    let identity = gpu.identity().unwrap();
    eprintln!("adapter: {} ({})", identity.name, identity.fingerprint);
    assert!(!identity.name.is_empty());
}
