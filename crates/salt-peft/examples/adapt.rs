//! Adapts a small model that has nothing to do with SAM: a perceptron learns a function, then SALT fine-tunes it to a related one with
//! a tenth of the parameters, and the adapter goes through a file.
//!
//! `cargo run -p salt-peft --example adapt`

use burn::module::Module;
use burn::nn::{LayerNorm, LayerNormConfig, Linear, LinearConfig};
use burn::optim::{AdamWConfig, GradientsParams};
use burn::tensor::activation::gelu;
use burn::tensor::{Device, Distribution, Tensor};
use salt_peft::{
    AdapterConfig, AttachOptions, LoadOptions, Rank, SaveOptions, attach, inspect, load_adapter, materialize, merge,
    merge_report, plan, save_adapter, trainable_report,
};
use std::error::Error;

#[derive(Module, Debug)]
struct Perceptron {
    first: Linear,
    norm: LayerNorm,
    second: Linear,
    last: Linear,
}

impl Perceptron {
    fn new(device: &Device) -> Self {
        Self {
            first: LinearConfig::new(8, 64).init(device),
            norm: LayerNormConfig::new(64).init(device),
            second: LinearConfig::new(64, 64).init(device),
            last: LinearConfig::new(64, 1).init(device),
        }
    }

    /// `x [batch, 8]` to `[batch, 1]`.
    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let hidden = self.norm.forward(gelu(self.first.forward(x)));
        self.last.forward(gelu(self.second.forward(hidden)))
    }
}

/// Trains on `target` and gives the last loss.
fn train(mut model: Perceptron, x: &Tensor<2>, target: &Tensor<2>, steps: usize, rate: f64) -> (Perceptron, f32) {
    let mut optimizer = AdamWConfig::new().with_weight_decay(0.0).init();
    let mut last = f32::NAN;
    for _ in 0..steps {
        let loss = (model.forward(x.clone()) - target.clone()).square().mean();
        last = loss.clone().into_scalar::<f32>();
        let grads = GradientsParams::from_grads(loss.backward(), &model);
        model = optimizer.step(rate, model, grads);
    }
    (model, last)
}

fn main() -> Result<(), Box<dyn Error>> {
    let device = Device::default().autodiff();
    device.seed(1);
    let x = Tensor::<2>::random([256, 8], Distribution::Normal(0.0, 1.0), &device);
    let [a, b] = [0, 1].map(|column| x.clone().slice([0..256, column..column + 1]));
    let (base, loss) = train(Perceptron::new(&device), &x, &(a.clone() * b.clone()).sin(), 300, 3e-3);
    println!("pre-trained on sin(a b): loss {loss:.5}");

    // What would be adapted, before anything is.
    let config = AdapterConfig {
        svd_rank: Rank::Fixed(8),
        lora_rank: 2,
        ..AdapterConfig::default().with_include(["first", "second"]).with_train(["norm", "last"])
    };
    print!("{}", plan(&base, &config)?);

    let (adapted, report) = attach(base.clone(), &config, &AttachOptions::default())?;
    for warning in &report.warnings {
        println!("warning: {warning}");
    }
    println!("{}", trainable_report(&adapted)?);
    let target = (a * b).cos();
    let (adapted, loss) = train(adapted, &x, &target, 300, 3e-3);
    println!("fine-tuned to cos(a b): loss {loss:.5}");

    let folder = std::env::temp_dir().join("salt-peft-adapt");
    save_adapter(&adapted, &folder, &SaveOptions::default())?;
    let (loaded, _) = load_adapter(base, &folder, &LoadOptions::default())?;
    let difference = (loaded.forward(x.clone()) - adapted.forward(x.clone())).abs().max().into_scalar::<f32>();
    println!("loaded from {}: outputs differ by {difference}", folder.display());
    assert_eq!(difference, 0.0);

    print!("{}", inspect(&adapted, Rank::Fixed(8))?);
    let batch = x.inner();
    let report = merge_report(&adapted, |model| model.forward(batch.clone()))?;
    println!("merging moves the outputs by at most {:e} of the largest", report.relative());
    let evaluated = materialize(&adapted).forward(batch.clone());
    let merged = merge(adapted.valid())?;
    let same = (merged.module().forward(batch) - evaluated).abs().max().into_scalar::<f32>();
    println!("merged and materialised outputs differ by {same}");
    std::fs::remove_dir_all(folder)?;
    Ok(())
}
