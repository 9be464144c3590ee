//! What bf16 gains and costs: `cargo run --release -p cpu-kernels --example bf16`.
//!
//! For each product of a ViT-B block on 1024 tokens the rate in f32 and in bf16 (all threads, the fastest of 60 runs, in turns) and how far
//! the product in bf16 is from the one in f32, relative and in the L2 norm.

use cpu_kernels::{Matrix, Precision, product};
use std::time::Instant;

fn main() -> Result<(), cpu_kernels::KernelError> {
    Precision::Bf16.check()?;
    println!("| m x k x n | f32, GF/s | bf16, GF/s | relative error |\n|---|---|---|---|");
    for [m, k, n] in [
        [1024, 768, 2304],
        [1024, 768, 768],
        [1024, 768, 3072],
        [1024, 3072, 768],
        [768, 1024, 768],
        [1024, 768, 256],
        [1024, 256, 768],
        [1024, 768, 8],
        [1024, 8, 768],
    ] {
        let wave = |len: usize, step: f32| (0..len).map(|i| (i as f32 * step + (i % 97) as f32).sin()).collect();
        let (a, b): (Vec<f32>, Vec<f32>) = (wave(m * k, 1.7), wave(k * n, 2.3));
        let (a, b) = (Matrix::new(&a, m, k), Matrix::new(&b, k, n));
        let mut fastest = [f64::INFINITY; 2];
        for _ in 0..60 {
            for (fastest, precision) in fastest.iter_mut().zip([Precision::F32, Precision::Bf16]) {
                let start = Instant::now();
                std::hint::black_box(product(a, b, precision));
                *fastest = fastest.min(start.elapsed().as_secs_f64());
            }
        }
        let [exact, rounded] = [Precision::F32, Precision::Bf16].map(|precision| product(a, b, precision));
        let square = |x: f32| f64::from(x).powi(2);
        let difference: f64 = exact.iter().zip(&rounded).map(|(x, y)| square(x - y)).sum();
        let error = (difference / exact.iter().copied().map(square).sum::<f64>()).sqrt();
        let [f32_rate, bf16_rate] = fastest.map(|seconds| 2e-9 * (m * k * n) as f64 / seconds);
        println!("| {m} x {k} x {n} | {f32_rate:.0} | {bf16_rate:.0} | {error:.1e} |");
    }
    Ok(())
}
