//! Each kernel at the shapes of a ViT-B at 512 px: `cargo bench -p cpu-kernels`, or with part of a name behind `--`.
//!
//! Products stand beside those of the `gemm` crate. Numbers are of all threads; set `MALLOC_MMAP_THRESHOLD_=1073741824` and
//! `MALLOC_TRIM_THRESHOLD_=2147483647`, or the system's work on fresh pages is measured with them.

use cpu_kernels::{Matrix, Precision, product};
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

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20).warm_up_time(std::time::Duration::from_millis(200))
        .measurement_time(std::time::Duration::from_millis(800));
    targets = products
}
criterion_main!(benches);
