//! The cost of the metrics on one pair of 512 x 512 vessel masks, single thread.

use criterion::{Criterion, criterion_group, criterion_main};
use medseg_metrics::{
    Boundary, Centrelines, Definition, EmptyPolicy, EmptyValue, Evaluator, Mask, Overlap, Protocol, Spacing, Tolerance,
    TopologyErrors, distance_transform, skeletonize,
};
use std::hint::black_box;

const EMPTY: EmptyPolicy = EmptyPolicy::new(EmptyValue::ImageDiagonal, EmptyValue::Perfect);

/// The same trees as `peers/peers.py` draws: branches that wander with slowly turning direction and shrinking radius.
fn tree(seed: u64) -> Mask {
    let mut mask = Mask::from_fn(512, 512, |_, _| false).expect("512 is a supported side");
    let mut state = seed;
    let mut uniform = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as f64 / (1u64 << 31) as f64
    };
    for _ in 0..12 {
        let (mut row, mut column) = (20.0 + 472.0 * uniform(), 20.0 + 472.0 * uniform());
        let mut angle = std::f64::consts::TAU * uniform();
        let mut radius = 2.0 + 4.0 * uniform();
        for _ in 0..200 {
            angle += 0.5 * (uniform() - 0.5);
            row += 2.0 * f64::sin(angle);
            column += 2.0 * f64::cos(angle);
            radius *= 0.997;
            let reach = radius.ceil() as i64;
            for dr in -reach..=reach {
                for dc in -reach..=reach {
                    let (r, c) = (row as i64 + dr, column as i64 + dc);
                    if ((dr * dr + dc * dc) as f64) < radius * radius && r >= 0 && c >= 0 {
                        mask.insert(r as usize, c as usize);
                    }
                }
            }
        }
    }
    mask
}

/// The tree moved by a few pixels, with a branch missing and another one invented.
fn prediction(reference: &Mask) -> Mask {
    let other = tree(99);
    Mask::from_fn(512, 512, |r, c| {
        (r >= 2 && c >= 1 && reference.get(r - 2, c - 1) && !(r < 160 && c < 200))
            || (r > 380 && c > 330 && other.get(r, c))
    })
    .expect("512 is a supported side")
}

fn metrics(criterion: &mut Criterion) {
    let reference = tree(7);
    let prediction = prediction(&reference);
    let spacing = Spacing::pixels();
    let mut group = criterion.benchmark_group("vessels_512");
    group.bench_function("overlap", |b| {
        b.iter(|| Overlap::new(black_box(&prediction), black_box(&reference)).and_then(|o| o.dice(EMPTY)))
    });
    group.bench_function("hd95_max_directed", |b| {
        b.iter(|| {
            Boundary::new(black_box(&prediction), black_box(&reference), spacing)
                .and_then(|b| b.hausdorff_percentile(Definition::MaxDirected, 95.0, EMPTY))
        })
    });
    group.bench_function("boundary_all_definitions", |b| {
        b.iter(|| -> medseg_metrics::Result<f64> {
            let boundary = Boundary::new(black_box(&prediction), black_box(&reference), spacing)?;
            let mut sum = 0.0;
            for definition in Definition::ALL {
                for score in [
                    boundary.hausdorff(definition, EMPTY)?,
                    boundary.hausdorff_percentile(definition, 95.0, EMPTY)?,
                    boundary.average_surface_distance(definition, EMPTY)?,
                    boundary.surface_dice(definition, Tolerance::Pixels(2.0), EMPTY)?,
                ] {
                    sum += score.value().unwrap_or(f64::NAN);
                }
            }
            Ok(sum)
        })
    });
    group.bench_function("skeletonize", |b| b.iter(|| skeletonize(black_box(&reference))));
    group.bench_function("cldice", |b| {
        b.iter(|| Centrelines::new(black_box(&prediction), black_box(&reference)).and_then(|c| c.cldice(EMPTY)))
    });
    group.bench_function("topology", |b| b.iter(|| TopologyErrors::new(black_box(&prediction), black_box(&reference))));
    group.bench_function("distance_transform", |b| b.iter(|| distance_transform(black_box(&reference), spacing)));
    let everything = Protocol::new(spacing, Tolerance::Pixels(2.0), EMPTY)
        .and_then(|p| p.with_definitions(Definition::ALL))
        .map(Evaluator::new);
    if let Ok(evaluator) = everything {
        group.bench_function("evaluate_everything", |b| {
            b.iter(|| evaluator.evaluate("case", None, black_box(&prediction), black_box(&reference)))
        });
    }
    group.finish();
}

criterion_group!(benches, metrics);
criterion_main!(benches);
