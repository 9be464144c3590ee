//! Time of every decomposition at the shapes of a ViT-B encoder, with nalgebra beside it, and the errors printed once.
//!
//! `cargo bench --profile dev -p salt-linalg` uses the artefacts of the tests; a release build would compile Burn (a test
//! dependency) once more. Set `RAYON_NUM_THREADS` to choose the number of threads.

#![allow(clippy::unwrap_used, missing_docs)]

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use nalgebra::DMatrix;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use rand_distr::{Distribution, StandardNormal};
use salt_linalg::{
    BasisCache, BatchOptions, Iteration, Method, RandomizedOptions, Svd, Tolerance, content_hash, decompose_all,
    randomized_svd, svd_to_tolerance, thin_svd,
};

const SHAPES: [(usize, usize); 5] = [(768, 768), (768, 2304), (2304, 768), (768, 3072), (3072, 768)];

/// Singular values fall geometrically by four decades, as steeply as in trained weights.
fn weight(rows: usize, cols: usize) -> DMatrix<f32> {
    let rank = rows.min(cols);
    let mut rng = ChaCha8Rng::seed_from_u64((rows * 10_000 + cols) as u64);
    let mut basis = |rows: usize| DMatrix::<f64>::from_fn(rows, rank, |_, _| StandardNormal.sample(&mut rng)).qr().q();
    let (mut left, right) = (basis(rows), basis(cols));
    for (i, mut column) in left.column_iter_mut().enumerate() {
        column *= 10.0 * 10f64.powf(-4.0 * i as f64 / (rank - 1) as f64);
    }
    (left * right.transpose()).map(|value| value as f32)
}

fn report(name: &str, shape: (usize, usize), svd: &Svd<f32>) {
    println!(
        "{name} {shape:?}: rank {}, relative Frobenius error {:.2e}, spectral bound {:.2e}, defects {:.1e} {:.1e}, {}",
        svd.rank(),
        svd.error.relative_frobenius(),
        svd.error.relative_spectral_bound(),
        svd.error.left_defect,
        svd.error.right_defect,
        svd.algorithm
    );
}

fn single(criterion: &mut Criterion) {
    let weights: Vec<_> = SHAPES.iter().map(|&(rows, cols)| ((rows, cols), weight(rows, cols))).collect();
    let mut group = criterion.benchmark_group("single");
    group.sample_size(10).warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(3));
    for (shape, matrix) in &weights {
        let id = |name: &str| BenchmarkId::new(name.to_owned(), format!("{}x{}", shape.0, shape.1));
        report("thin", *shape, &thin_svd(matrix).unwrap());
        group.bench_function(id("thin"), |bencher| bencher.iter(|| thin_svd(black_box(matrix)).unwrap()));
        group.bench_function(id("content hash"), |bencher| bencher.iter(|| content_hash(black_box(matrix))));
        for rank in [64, 256] {
            let power = RandomizedOptions::new(rank);
            let krylov = power.with_iteration(Iteration::BlockKrylov { iterations: 3, block: Some(rank / 2) });
            for (name, options) in [("power", power), ("krylov", krylov)] {
                report(name, *shape, &randomized_svd(matrix, &options).unwrap());
                group.bench_function(id(&format!("{name} {rank}")), |bencher| {
                    bencher.iter(|| randomized_svd(black_box(matrix), &options).unwrap());
                });
            }
        }
        let tolerance = Tolerance::Frobenius(0.1);
        report("to 10 %", *shape, &svd_to_tolerance(matrix, tolerance).unwrap());
        group.bench_function(id("to 10 %"), |bencher| {
            bencher.iter(|| svd_to_tolerance(black_box(matrix), tolerance).unwrap());
        });
    }
    group.finish();
}

/// nalgebra takes seconds; the tall orientation is the one that suits it.
fn nalgebra_peer(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("nalgebra");
    group.sample_size(10).warm_up_time(Duration::from_millis(1)).measurement_time(Duration::from_secs(1));
    for shape in [(768, 768), (3072, 768)] {
        let matrix = weight(shape.0, shape.1);
        let svd = nalgebra::SVD::new(matrix.clone(), true, true);
        let error = (svd.recompose().unwrap() - &matrix).norm() / matrix.norm();
        println!("nalgebra {shape:?}: relative Frobenius error {error:.2e}");
        group.bench_function(format!("{}x{}", shape.0, shape.1), |bencher| {
            bencher.iter(|| nalgebra::SVD::new(black_box(matrix.clone()), true, true));
        });
    }
    group.finish();
}

/// Two blocks of a ViT-B encoder: computed, and read back.
fn batch(criterion: &mut Criterion) {
    let shapes = [(2304, 768), (768, 768), (3072, 768), (768, 3072)];
    let matrices: Vec<DMatrix<f32>> = shapes.iter().cycle().take(8).map(|&(rows, cols)| weight(rows, cols)).collect();
    let folder = tempfile::tempdir().unwrap();
    let cache = BasisCache::open(folder.path()).unwrap();
    let (plain, cached) = (BatchOptions::new(Method::Thin), BatchOptions::new(Method::Thin).with_cache(&cache));
    decompose_all(&matrices, &cached, |_| {}).unwrap();
    let mut group = criterion.benchmark_group("two encoder blocks");
    group.sample_size(10).warm_up_time(Duration::from_millis(1)).measurement_time(Duration::from_secs(5));
    group.bench_function("computed", |bencher| bencher.iter(|| decompose_all(&matrices, &plain, |_| {}).unwrap()));
    group.bench_function("cached", |bencher| bencher.iter(|| decompose_all(&matrices, &cached, |_| {}).unwrap()));
    group.finish();
}

criterion_group!(benches, single, nalgebra_peer, batch);
criterion_main!(benches);
