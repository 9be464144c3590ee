//! Weights on a disk are the weights that were in memory.

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Distribution, Tensor};
use burn_kernels::{release_set_aside, set_aside};

#[derive(Module, Debug)]
struct Two {
    first: Linear,
    second: Linear,
}

fn module(device: &Device) -> Two {
    let layer = || LinearConfig::new(48, 48).init(device);
    Two { first: layer(), second: layer() }
}

fn forward(module: &Two, x: Tensor<2>) -> Vec<f32> {
    let x = burn_kernels::layer::linear(&module.first, x);
    burn_kernels::layer::linear(&module.second, x).into_data().try_into_vec().unwrap()
}

#[test]
#[cfg(unix)]
fn weights_on_a_disk_have_the_same_bits_and_can_be_written() {
    let (device, folder) = (Device::flex(), tempfile::tempdir().unwrap());
    let module = module(&device);
    let x = Tensor::<2>::random([5, 48], Distribution::Default, &device);
    let expected = forward(&module, x.clone());
    let ids = [module.first.weight.id, module.second.weight.id];

    let (module, bytes) = set_aside(module, folder.path(), |path| path == "first.weight").unwrap();
    assert_eq!(bytes, 4 * 48 * 48);
    assert_eq!([module.first.weight.id, module.second.weight.id], ids);
    assert_eq!(forward(&module, x.clone()), expected);
    release_set_aside();
    assert_eq!(forward(&module, x), expected);

    // Arithmetic in place makes a copy in memory and leaves the stored weight alone.
    let stored = module.first.weight.val();
    let before = stored.clone().into_data();
    let doubled = (stored * 2.0).into_data();
    assert_eq!(module.first.weight.val().into_data(), before);
    let pairs = doubled.iter::<f32>().zip(before.iter::<f32>());
    assert!(pairs.into_iter().all(|(double, single)| double == 2.0 * single));
}

#[test]
#[cfg(unix)]
fn a_folder_that_is_not_there_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let found = set_aside(module(&Device::flex()), &folder.path().join("absent"), |_| true);
    assert_eq!(found.unwrap_err().kind(), std::io::ErrorKind::NotFound);
}
