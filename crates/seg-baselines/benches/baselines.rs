//! Forward passes of every preset on two images of 256x256, and forward with backward passes.
//!
//! `cargo bench --profile dev -p seg-baselines` uses the same build as the tests. Weights are random: arithmetic does not depend
//! on them.

use std::hint::black_box;
use std::time::Duration;

use burn::tensor::{Device, Tensor};
use criterion::{Criterion, criterion_group, criterion_main};
use seg_baselines::{Architecture, Draws, Network, NetworkConfig};

const SIDE: usize = 256;

/// Waits for the result; on a GPU the work would otherwise only have been queued.
fn finish(tensor: Tensor<4>) {
    black_box(tensor.sum().into_scalar::<f32>());
}

const IMAGES: [usize; 4] = [2, 3, SIDE, SIDE];

fn presets(device: &Device) -> impl Iterator<Item = (&'static str, Network)> {
    Architecture::presets().into_iter().map(move |(name, architecture)| {
        let config = NetworkConfig::new(architecture, IMAGES[1], 1, [SIDE; 2]).expect("a preset");
        (name, config.build(device, 1).expect("a preset"))
    })
}

fn forward(c: &mut Criterion) {
    let device = Device::default();
    let mut group = c.benchmark_group("forward, two images of 256x256");
    group.sample_size(10).warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(5));
    for (name, network) in presets(&device) {
        let images = Tensor::<4>::ones(IMAGES, &device);
        group.bench_function(name, |b| b.iter(|| finish(network.forward(images.clone()).expect("sizes fit"))));
    }
    group.finish();
}

fn training(c: &mut Criterion) {
    let device = Device::default().autodiff();
    let mut group = c.benchmark_group("forward and backward, two images of 256x256");
    group.sample_size(10).warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(5));
    for (name, network) in presets(&device) {
        let images = Tensor::<4>::ones(IMAGES, &device);
        group.bench_function(name, |b| {
            b.iter(|| {
                let logits = network.forward_training(images.clone(), &Draws::new(1, 1)).expect("sizes fit");
                black_box(logits.powf_scalar(2.0).mean().backward())
            });
        });
    }
    group.finish();
}

criterion_group!(benches, forward, training);
criterion_main!(benches);
