//! Each kernel at the shapes of a ViT-B at 512 px: `cargo bench -p cpu-kernels`, or with part of a name behind `--`.
//!
//! Products stand beside those of the `gemm` crate. Numbers are of all threads; set `MALLOC_MMAP_THRESHOLD_=1073741824` and
//! `MALLOC_TRIM_THRESHOLD_=2147483647`, or the system's work on fresh pages is measured with them.

use cpu_kernels::{
    AdamWStep, AttentionShape, Before, LastTerm, Matrix, Packed, Precision, RelativePositions, RightFactor, adamw, add,
    column_dots, cross_attention, gelu, gelu_backward, layer_norm, layer_norm_backward, product, self_attention,
    self_attention_backward,
};
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main, measurement::WallTime};
use std::hint::black_box;

fn numbers(len: usize, seed: u32) -> Vec<f32> {
    let mut state = seed | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as f32 / u32::MAX as f32 - 0.5
    };
    (0..len).map(|_| next()).collect()
}

fn gemm_crate(a: &[f32], b: &[f32], [m, k, n]: [usize; 3], [a_strides, b_strides]: [[usize; 2]; 2]) -> Vec<f32> {
    let mut out = Vec::with_capacity(m * n);
    let [[ar, ac], [br, bc]] = [a_strides, b_strides].map(|s| s.map(|s| s as isize));
    // SAFETY: slices as large as their shapes and strides say; all of the result is written.
    unsafe {
        let parallelism = gemm::Parallelism::Rayon(0);
        let (a, b) = (a.as_ptr(), b.as_ptr());
        gemm::gemm(
            m,
            n,
            k,
            out.as_mut_ptr(),
            1,
            n as isize,
            false,
            a,
            ac,
            ar,
            b,
            bc,
            br,
            0.0,
            1.0,
            false,
            false,
            false,
            parallelism,
        );
        out.set_len(m * n);
    }
    out
}

/// One product, by both: `layout` says which factors are stored transposed.
fn pair(group: &mut BenchmarkGroup<WallTime>, [m, k, n]: [usize; 3], layout: &str) {
    let (a, b) = (numbers(m * k, 1), numbers(k * n, 2));
    let strides = match layout {
        "nn" => [[k, 1], [n, 1]],
        "nt" => [[k, 1], [1, k]],
        _ => [[1, m], [n, 1]],
    };
    group.throughput(Throughput::Elements((2 * m * k * n) as u64));
    let name = format!("{m}x{k}x{n} {layout}");
    group.bench_function(format!("{name}, own"), |bencher| {
        let (a, b) = (Matrix::strided(&a, [m, k], strides[0]), Matrix::strided(&b, [k, n], strides[1]));
        bencher.iter(|| black_box(product(a, b, Precision::F32)));
    });
    group.bench_function(format!("{name}, own, right factor packed before"), |bencher| {
        let (a, b) = (Matrix::strided(&a, [m, k], strides[0]), Matrix::strided(&b, [k, n], strides[1]));
        let packed = Packed::new(b, Precision::F32);
        bencher.iter(|| black_box(product(a, RightFactor::packed(b, &packed), Precision::F32)));
    });
    group.bench_function(format!("{name}, gemm"), |bencher| {
        bencher.iter(|| black_box(gemm_crate(&a, &b, [m, k, n], strides)));
    });
}

fn products(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("product");
    for [m, k, n] in [[1024, 768, 2304], [1024, 768, 768], [1024, 768, 3072], [1024, 3072, 768]] {
        // Forward; the gradient of the input, dy wᵀ; the gradient of the weight, xᵀ dy.
        pair(&mut group, [m, k, n], "nn");
        pair(&mut group, [m, n, k], "nt");
        pair(&mut group, [k, m, n], "tn");
    }
    for r in [4, 8, 50, 256, 718, 760] {
        pair(&mut group, [1024, 768, r], "nn");
        pair(&mut group, [1024, r, 768], "nn");
        pair(&mut group, [r, 1024, 768], "tn");
    }
    group.finish();
}

/// Products in reduced precision, where the machine has AVX512-BF16 or AMX, beside `f32`.
fn reduced(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("reduced product");
    for precision in [Precision::F32, Precision::Bf16, Precision::F32OnAmx] {
        if let Err(error) = precision.check() {
            eprintln!("skipped: {error}");
            continue;
        }
        for [m, k, n] in [
            [1024, 768, 2304],
            [1024, 768, 768],
            [1024, 768, 3072],
            [1024, 3072, 768],
            [1024, 768, 8],
            [1024, 8, 768],
            [1024, 768, 256],
            [768, 1024, 768],
        ] {
            let (a, b) = (numbers(m * k, 1), numbers(k * n, 2));
            group.throughput(Throughput::Elements((2 * m * k * n) as u64));
            group.bench_function(format!("{m}x{k}x{n} {precision:?}, right factor packed before"), |bencher| {
                let (a, b) = (Matrix::new(&a, m, k), Matrix::new(&b, k, n));
                let packed = Packed::new(b, precision);
                bencher.iter(|| black_box(product(a, RightFactor::packed(b, &packed), precision)));
            });
            group.bench_function(format!("{m}x{k}x{n} {precision:?}"), |bencher| {
                bencher.iter(|| black_box(product(Matrix::new(&a, m, k), Matrix::new(&b, k, n), precision)));
            });
        }
    }
    group.finish();
}

/// What ends a sum in the cache, beside the same as a pass over it.
fn endings(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("ending");
    for [m, k, n] in [[1024, 768, 3072], [1024, 3072, 768], [128, 192, 768]] {
        let (a, b, bias, residual) = (numbers(m * k, 1), numbers(k * n, 2), numbers(n, 3), numbers(m * n, 4));
        let (a, b) = (Matrix::new(&a, m, k), Matrix::new(&b, k, n));
        let term = || LastTerm { before: Before::Bias(&bias), a, b: b.into(), precision: Precision::F32 };
        let name = |ending: &str| format!("{m}x{k}x{n}, {ending}");
        group.throughput(Throughput::Elements((2 * m * k * n) as u64));
        group.bench_function(name("none"), |bencher| bencher.iter(|| black_box(term().sum())));
        group.bench_function(name("gelu"), |bencher| bencher.iter(|| black_box(term().gelu())));
        group.bench_function(name("sum and gelu"), |bencher| bencher.iter(|| black_box(term().sum_and_gelu())));
        group.bench_function(name("gelu as a pass"), |bencher| {
            bencher.iter(|| {
                let sum = term().sum();
                black_box((gelu(&sum), sum))
            });
        });
        group.bench_function(name("residual"), |bencher| bencher.iter(|| black_box(term().plus(&residual))));
        group.bench_function(name("residual as a pass"), |bencher| {
            bencher.iter(|| black_box(add(&residual, &term().sum())));
        });
    }
    group.finish();
}

/// Throughput is that of the products: two forward, five backward.
fn attention(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("attention");
    let cases = [
        (1, [32, 32], false),
        (1, [32, 32], true),
        (1, [64, 64], false),
        (1, [64, 64], true),
        (9, [14, 14], true),
        (25, [14, 14], true),
    ];
    let precisions = [Precision::F32, Precision::Bf16].into_iter().filter(|precision| precision.check().is_ok());
    for (precision, (batch, grid, with_positions)) in
        precisions.flat_map(|precision| cases.map(|case| (precision, case)))
    {
        let tokens = grid[0] * grid[1];
        let shape =
            AttentionShape { batch, heads: 12, queries: tokens, keys: tokens, head_dim: 64, scale: 0.125, precision };
        let (qkv, dy) = (numbers(batch * tokens * 3 * 768, 1), numbers(batch * tokens * 768, 2));
        let (by_row, by_column) = (numbers(grid[0] * grid[0] * 64, 3), numbers(grid[1] * grid[1] * 64, 4));
        let relative = with_positions.then_some(RelativePositions { grid, by_row: &by_row, by_column: &by_column });
        let positions = if with_positions { ", positions" } else { "" };
        let name = format!("{batch} x {tokens} tokens{positions} {precision:?}");
        let multiplications = batch * 12 * tokens * tokens * 64;
        group.throughput(Throughput::Elements((4 * multiplications) as u64));
        group.bench_function(&name, |bencher| bencher.iter(|| black_box(self_attention(shape, &qkv, relative))));
        let attended = self_attention(shape, &qkv, relative);
        group.throughput(Throughput::Elements((10 * multiplications) as u64));
        group.bench_function(format!("{name}, backward"), |bencher| {
            bencher.iter(|| {
                let (output, logs) = (&attended.output, &attended.log_sum_exp);
                black_box(self_attention_backward(shape, &qkv, relative, output, logs, &dy, with_positions))
            });
        });
    }
    for [queries, keys] in [[7, 1024], [1024, 7]] {
        let shape =
            AttentionShape { batch: 1, heads: 8, queries, keys, head_dim: 16, scale: 0.25, precision: Precision::F32 };
        let (q, k, v) = (numbers(queries * 128, 1), numbers(keys * 128, 2), numbers(keys * 128, 3));
        group.throughput(Throughput::Elements((4 * queries * keys * 128) as u64));
        group.bench_function(format!("{queries} of {keys}"), |bencher| {
            bencher.iter(|| black_box(cross_attention(shape, &q, &k, &v)));
        });
    }
    group.finish();
}

fn rows(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("rows");
    let (x, dy) = (numbers(1024 * 3072, 1), numbers(1024 * 3072, 2));
    group.throughput(Throughput::Elements(1024 * 3072));
    group.bench_function("gelu 1024x3072", |bencher| bencher.iter(|| black_box(gelu(&x))));
    group.bench_function("gelu 1024x3072, backward", |bencher| bencher.iter(|| black_box(gelu_backward(&x, &dy))));
    let (x, dy) = (&x[..1024 * 768], &dy[..1024 * 768]);
    let (weight, bias) = (numbers(768, 3), numbers(768, 4));
    group.throughput(Throughput::Elements(1024 * 768));
    group.bench_function("layer norm 1024x768", |bencher| {
        bencher.iter(|| black_box(layer_norm(x, &weight, &bias, 1e-6)));
    });
    group.bench_function("layer norm 1024x768, backward", |bencher| {
        bencher.iter(|| black_box(layer_norm_backward(x, &weight, dy, 1e-6, true)));
    });
    group.bench_function("add 1024x768", |bencher| bencher.iter(|| black_box(add(x, dy))));
    group.bench_function("column dots 1024x768", |bencher| bencher.iter(|| black_box(column_dots(x, dy, 768))));
    const PARAMETERS: usize = 9_000_000;
    let (mut parameter, gradient) = (numbers(PARAMETERS, 1), numbers(PARAMETERS, 2));
    let (mut first, mut second) = (vec![0.0; PARAMETERS], vec![0.0; PARAMETERS]);
    let step = AdamWStep {
        learning_rate: 1e-3,
        beta_1: 0.9,
        beta_2: 0.999,
        epsilon: 1e-8,
        weight_decay: 0.01,
        bias_correction_1: 0.1,
        bias_correction_2: 0.001,
    };
    group.throughput(Throughput::Elements(PARAMETERS as u64));
    group.bench_function("adamw, 9.0 M parameters", |bencher| {
        bencher.iter(|| adamw(step, &mut parameter, &gradient, &mut first, &mut second));
    });
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20).warm_up_time(std::time::Duration::from_millis(200))
        .measurement_time(std::time::Duration::from_millis(800));
    targets = products, endings, reduced, attention, rows
}
criterion_main!(benches);
