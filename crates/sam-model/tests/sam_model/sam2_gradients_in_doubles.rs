//! Gradients of a SAM 2 in f64 arithmetic.

use burn::tensor::{Device, FloatDType};

use super::sam2_gradients::compare;

/// Set in the process that computes in f64.
const DOUBLE: &str = "SAM2_GRADIENTS_IN_F64";

/// The precision of a device is that of the whole process, so this test runs in one of its own.
#[test]
fn in_double_precision_every_gradient_is_that_of_the_original() {
    if std::env::var_os(DOUBLE).is_some() {
        let mut device = Device::default();
        device.configure(FloatDType::F64).unwrap();
        return compare(&device.autodiff(), |_, _| 2e-5);
    }
    let name = "sam2_gradients_in_doubles::in_double_precision_every_gradient_is_that_of_the_original";
    let child = std::process::Command::new(std::env::current_exe().unwrap())
        .args([name, "--exact", "--nocapture"])
        .env(DOUBLE, "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&child.stderr);
    eprintln!("{text}");
    assert!(child.status.success() && text.contains("gradients, at most"), "{text}");
}
