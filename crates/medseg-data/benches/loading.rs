//! Images per second from file to tensor, and where the time goes.
//!
//! `cargo bench --profile dev -p medseg-data --bench loading`. The folder `MEDSEG_BENCH_DIR` (images/ and masks/) is used if it
//! is set, so that `peers/loading.py` can be run on the same files; otherwise 16 synthetic images of 768 x 768 pixels are made.
//! The number of worker threads is `MEDSEG_BENCH_WORKERS` (2 if it is not set).

#![allow(missing_docs, reason = "criterion's macros")]
#![allow(clippy::unwrap_used, reason = "a benchmark without its data cannot go on")]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use medseg_data::coco::fill_polygon;
use medseg_data::dataset::Loaded;
use medseg_data::preview::save_image;
use medseg_data::{Batch, Dataset, Image, Pipeline, Protocol, synth};
use rayon::prelude::*;
use std::hint::black_box;
use std::path::{Path, PathBuf};

/// Writes synthetic scans as a folder of images and masks.
fn make(root: &Path) {
    for part in ["images", "masks"] {
        std::fs::create_dir_all(root.join(part)).unwrap();
    }
    for number in 0..16 {
        let made = synth::octa(768, 1, number);
        let mask: Vec<u8> = made.mask.to_bytes().iter().map(|v| v * 255).collect();
        let mask = Image::new(768, 768, 1, mask).unwrap();
        save_image(root.join(format!("images/{number}.png")), &made.image).unwrap();
        save_image(root.join(format!("masks/{number}.png")), &mask).unwrap();
    }
}

fn loading(criterion: &mut Criterion) {
    let temporary = tempfile::tempdir().unwrap();
    let root = std::env::var_os("MEDSEG_BENCH_DIR").map(PathBuf::from).unwrap_or_else(|| temporary.path().to_owned());
    if !root.join("images").is_dir() {
        make(&root);
    }
    let workers = std::env::var("MEDSEG_BENCH_WORKERS").ok().and_then(|w| w.parse().ok()).unwrap_or(2);
    let data = Dataset::open(&root).unwrap();
    let mut group = criterion.benchmark_group("images per second");
    group.throughput(Throughput::Elements(data.samples.len() as u64)).sample_size(20);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(workers).build().unwrap();
    for (name, protocol) in [("load, resize to 512, augment", Protocol::Default), ("paper's protocol", Protocol::Paper)]
    {
        let pipeline = Pipeline::training(protocol, 512).unwrap();
        let mut epoch = 0;
        let batch = |samples: &[medseg_data::Sample], epoch| {
            let items = samples.par_iter().map(|sample| pipeline.apply(sample, 42, epoch));
            Batch::stack(&items.collect::<Result<Vec<_>, _>>().unwrap()).unwrap().len()
        };
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                epoch += 1;
                pool.install(|| data.samples.chunks(8).map(|samples| batch(samples, epoch)).sum::<usize>())
            });
        });
    }
    group.finish();
}

fn parts(criterion: &mut Criterion) {
    let made = synth::octa(768, 1, 0);
    let pipeline = Pipeline::training(Protocol::Default, 512).unwrap();
    let loaded = Loaded { image: made.image.clone(), mask: made.mask.clone(), ignored: None };
    criterion.bench_function("resize 768 to 512, image and mask", |bencher| {
        bencher.iter(|| pipeline.prepare(black_box(loaded.clone())));
    });
    let prepared = pipeline.prepare(loaded);
    let mut epoch = 0;
    criterion.bench_function("augment and normalise at 512", |bencher| {
        bencher.iter(|| {
            epoch += 1;
            pipeline.finish(black_box(&prepared), "one", 1, epoch)
        });
    });
    let polygons = synth::outlines(&synth::angiogram(512, 1, 0).mask);
    criterion.bench_function("fill the polygons of an angiogram", |bencher| {
        bencher.iter(|| polygons.iter().map(|p| fill_polygon(black_box(p), 512, 512).unwrap().count()).sum::<u64>());
    });
    let mut group = criterion.benchmark_group("synthetic images");
    group.sample_size(10);
    group.bench_function("angiogram 512", |bencher| bencher.iter(|| synth::angiogram(512, 1, black_box(0))));
    group.bench_function("octa 304", |bencher| bencher.iter(|| synth::octa(304, 1, black_box(0))));
    group.finish();
}

criterion_group!(benches, loading, parts);
criterion_main!(benches);
