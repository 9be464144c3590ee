//! The forms of an adapted linear layer, one training step each (forward, backward to the input and the factors), beside the multiply-adds
//! that the cost model counts.
//!
//! `cargo bench --profile dev -p salt-peft --bench forms`

use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Distribution, Tensor};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use salt_peft::{
    AdapterConfig, AttachOptions, Kind, LinearForm, LinearShape, Rank, SaltForm, attach, linear_by, linear_cost,
    linear_form,
};
use std::hint::black_box;

const TOKENS: usize = 1024;

fn configs() -> Vec<(&'static str, AdapterConfig, Kind)> {
    let salt = |svd_rank, form| {
        let config =
            AdapterConfig { svd_rank: Rank::Fixed(svd_rank), lora_rank: 256, form, ..AdapterConfig::default() };
        (config, Kind::Salt { svd_rank, lora_rank: 256, form })
    };
    let mut all = vec![
        ("lora-4", AdapterConfig::lora(4, 4.0), Kind::Lora { rank: 4, scale: 1.0 }),
        ("svd", AdapterConfig::svd(), Kind::Svd { relu: true }),
    ];
    for (name, rank, form) in [
        ("salt-256 paper r50", 50, SaltForm::Paper),
        ("salt-256 paper r760", 760, SaltForm::Paper),
        ("salt-256 linear r50", 50, SaltForm::Linear),
        ("salt-256 projector r50", 50, SaltForm::Projector),
    ] {
        let (config, kind) = salt(rank, form);
        all.push((name, config, kind));
    }
    all
}

fn step(layer: &Linear, x: &Tensor<2>, form: LinearForm) {
    let x = x.clone().require_grad();
    if let Some(y) = linear_by(layer, x, form) {
        black_box(y.sum().backward());
    }
}

fn forms(criterion: &mut Criterion) {
    let device = Device::default().autodiff();
    for (inputs, outputs) in [(768, 2304), (768, 768)] {
        let x = Tensor::<2>::random([TOKENS, inputs], Distribution::Normal(0.0, 1.0), &device);
        let mut group = criterion.benchmark_group(format!("training step {inputs}x{outputs}, {TOKENS} tokens"));
        group.sample_size(10);
        for (name, config, kind) in configs() {
            let base = LinearConfig::new(inputs, outputs).init(&device);
            let (layer, _) = attach(base, &config, &AttachOptions::default()).expect("a valid configuration");
            let shape = LinearShape { tokens: TOKENS, inputs, outputs, training: true };
            for form in LinearForm::ALL {
                let Some(cost) = linear_cost(&kind, shape, form) else { continue };
                let chosen = if linear_form(&kind, shape) == form { ", chosen" } else { "" };
                let label = format!("{form:?} ({:.2}e9 multiply-adds{chosen})", cost as f64 / 1e9);
                group.bench_with_input(BenchmarkId::new(name, label), &form, |bencher, form| {
                    bencher.iter(|| step(&layer, &x, *form))
                });
            }
        }
        group.finish();
    }
}

criterion_group!(benches, forms);
criterion_main!(benches);
