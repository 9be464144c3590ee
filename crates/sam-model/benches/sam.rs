//! Encoder forward (ViT-B at 512 and 1024, the mini model at 256), decoder per prompt, and a training step of the mini model.
//!
//! `cargo bench --profile dev -p sam-model` uses the same build as the tests; `cargo xtask bench --peers PYTHON` measures whole steps beside the original
//! in PyTorch. Weights are random: arithmetic does not depend on them.

use std::hint::black_box;
use std::time::Duration;

use burn::tensor::{Device, Tensor};
use criterion::{Criterion, criterion_group, criterion_main};
use sam_model::{AutomaticPrompt, PointLabel, Prompts, Sam, SamConfig};

fn encode(sam: &Sam, side: usize, device: &Device) -> Tensor<4> {
    sam.encode_image(Tensor::ones([1, 3, side, side], device)).expect("the side is a multiple of the patch")
}

/// Waits for the result; on a GPU the work would otherwise only have been queued.
fn finish<const D: usize>(tensor: Tensor<D>) {
    black_box(tensor.sum().into_scalar::<f32>());
}

fn encoder(c: &mut Criterion) {
    let device = Device::default();
    let mut group = c.benchmark_group("encoder forward");
    group.sample_size(10).warm_up_time(Duration::from_secs(3)).measurement_time(Duration::from_secs(10));
    let vit_b = SamConfig::vit_b().init(&device).expect("a preset");
    for side in [512, 1024] {
        group.bench_function(format!("ViT-B {side}"), |b| b.iter(|| finish(encode(&vit_b, side, &device))));
    }
    let paper = SamConfig::vit_b().paper(512).init(&device).expect("a preset");
    group.bench_function("ViT-B 512, paper variant", |b| b.iter(|| finish(encode(&paper, 512, &device))));
    let mini = SamConfig::mini().init(&device).expect("a preset");
    group.bench_function("mini 256", |b| b.iter(|| finish(encode(&mini, 256, &device))));
    group.finish();
}

fn decoder(c: &mut Criterion) {
    let device = Device::default();
    let mut group = c.benchmark_group("decoder, one point");
    group.sample_size(20);
    let vit_b = SamConfig::vit_b().init(&device).expect("a preset");
    for side in [512, 1024] {
        let grid = side / 16;
        let embedding = Tensor::<4>::ones([1, 256, grid, grid], &device);
        let point = vec![([100.0, 100.0], PointLabel::Foreground)];
        let prompts = Prompts::none(1).with_points(&[point], &device).expect("one list for one prompt");
        group.bench_function(format!("ViT-B {side}"), |b| {
            b.iter(|| finish(vit_b.decode(embedding.clone(), &prompts, true).expect("shapes fit").low_resolution));
        });
    }
    group.finish();
}

fn training(c: &mut Criterion) {
    let device = Device::default().autodiff();
    let mut group = c.benchmark_group("forward and backward");
    group.sample_size(10).warm_up_time(Duration::from_secs(2)).measurement_time(Duration::from_secs(10));
    for (side, batch) in [(128, 8), (256, 2)] {
        let mini = SamConfig { image_size: side, ..SamConfig::mini() }.init(&device).expect("a preset");
        let prompt = AutomaticPrompt::learned(1, 128, &device);
        let images = Tensor::<4>::ones([batch, 3, side, side], &device);
        group.bench_function(format!("mini {side}, batch {batch}"), |b| {
            b.iter(|| {
                let logits = mini.forward_automatic(images.clone(), &prompt).expect("shapes fit");
                black_box(logits.powf_scalar(2.0).mean().backward())
            });
        });
    }
    group.finish();
}

criterion_group!(benches, encoder, decoder, training);
criterion_main!(benches);
