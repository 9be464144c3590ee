//! Statements about many seeds at once: how often the theory's bounds hold, and what the iterations are good for.

use nalgebra::DMatrix;
use salt_linalg::{Iteration, RandomizedOptions, randomized_svd};

use crate::support::*;

/// Spectral error over the optimum s_(rank + 1).
fn excess(matrix: &DMatrix<f64>, next: f64, options: &RandomizedOptions) -> f64 {
    let svd = randomized_svd(matrix, options).unwrap();
    spectral(&(matrix - multiply(&svd))) / next
}

/// Halko, Martinsson and Tropp, corollary 10.9: with oversampling p ≥ 4 and no power iteration the projection error stays below
/// (1 + 6 √((k + p) p ln p)) s_(k+1) + 3 √(k + p) √(Σ_(j>k) s_j²) with probability at least 1 − 3 p^(−p); cutting the sketch back to rank k
/// adds at most s_(k+1) (their theorem 9.3). The mean obeys theorem 10.6, which is much sharper.
#[test]
fn the_bounds_of_halko_martinsson_and_tropp_hold_as_a_rate() {
    let (rank, oversampling) = (8, 5);
    let values: Vec<f64> = (0..40).map(|i| 1.0 / (1.0 + f64::from(i))).collect();
    let next = values[rank];
    let tail = values[rank..].iter().map(|sigma| sigma * sigma).sum::<f64>().sqrt();
    let (k, p) = (rank as f64, oversampling as f64);
    let deviation = (1.0 + 6.0 * ((k + p) * p * p.ln()).sqrt()) * next + 3.0 * (k + p).sqrt() * tail + next;
    let mean_bound = (1.0 + (k / (p - 1.0)).sqrt()) * next + std::f64::consts::E * (k + p).sqrt() / p * tail + next;

    let seeds = u64::from(cases(100));
    let matrix = with_spectrum(60, 40, &values, 1);
    let (mut above, mut sum) = (0u64, 0.0);
    for seed in 0..seeds {
        let options = RandomizedOptions::new(rank)
            .with_oversampling(oversampling)
            .with_iteration(Iteration::Power { iterations: 0 })
            .with_seed(seed);
        let error = excess(&matrix, next, &options) * next;
        above += u64::from(error > deviation);
        sum += error;
    }
    let allowed = 3.0 * p.powf(-p);
    assert!(above as f64 <= allowed * seeds as f64 + 3.0 * (allowed * seeds as f64).sqrt(), "{above} of {seeds}");
    assert!(sum / seeds as f64 <= mean_bound, "mean error {} above {mean_bound}", sum / seeds as f64);
}

/// The certificate's upper bound may fail once in a million; over these seeds it must not fail, and it must stay useful.
#[test]
fn the_certificate_holds_and_is_not_far_off() {
    let values: Vec<f64> = (0..50).map(|i| 0.93f64.powi(i)).collect();
    let matrix = with_spectrum(70, 50, &values, 2);
    let mut worst: f64 = 0.0;
    for seed in 0..u64::from(cases(100)) {
        let svd = randomized_svd(&matrix, &RandomizedOptions::new(10).with_seed(seed)).unwrap();
        let error = spectral(&(&matrix - multiply(&svd)));
        assert!(error <= svd.error.spectral_bound, "seed {seed}: {error} above {}", svd.error.spectral_bound);
        worst = worst.max(svd.error.spectral_bound / error);
    }
    assert!(worst < 3.0, "the bound is {worst} times the error");
}

#[test]
fn iterations_help_on_slow_decay() {
    let values: Vec<f64> = (0..80).map(|i| 1.0 / (1.0 + f64::from(i)).sqrt()).collect();
    let matrix = with_spectrum(120, 80, &values, 3);
    let next = values[10];
    let mean = |iteration| {
        let seeds = u64::from(cases(20).min(200));
        let options = RandomizedOptions::new(10).with_oversampling(5).with_iteration(iteration);
        (0..seeds).map(|seed| excess(&matrix, next, &options.with_seed(seed))).sum::<f64>() / seeds as f64
    };
    let power: Vec<f64> = [0, 1, 2, 4].map(|iterations| mean(Iteration::Power { iterations })).to_vec();
    assert!(power.windows(2).all(|pair| pair[1] < pair[0]), "{power:?}");
    assert!(power[0] > 1.3 && power[3] < 1.1, "{power:?}");
    // With the same products, Krylov does at least as well.
    let krylov = mean(Iteration::BlockKrylov { iterations: 2, block: None });
    assert!(krylov < power[2], "{krylov} against {power:?}");
    // Narrow blocks: half the columns in all, and still better than two power iterations.
    let narrow = mean(Iteration::BlockKrylov { iterations: 4, block: Some(6) });
    assert!(narrow < power[2], "{narrow} against {power:?}");
}

/// Multiplying without re-orthonormalisation drives every column towards the first singular vector until single precision has forgotten
/// the rest: the crate's iteration must not do that.
#[test]
fn unnormalised_power_iterations_would_fail() {
    let values: Vec<f64> = (0..40).map(|i| 10f64.powf(-f64::from(i) / 10.0)).collect();
    let matrix = cast::<f32>(&with_spectrum(60, 40, &values, 4));
    let (rank, iterations) = (20, 6);
    let next = values[rank];

    let options = RandomizedOptions::new(rank).with_oversampling(5).with_iteration(Iteration::Power { iterations });
    let ours = randomized_svd(&matrix, &options).unwrap();
    let ours = spectral(&(widen(&matrix) - multiply(&ours))) / next;

    let mut sketch: DMatrix<f32> = &matrix * cast::<f32>(&gaussian(40, rank + 5, 1));
    for _ in 0..iterations {
        sketch = &matrix * matrix.tr_mul(&sketch);
        sketch /= sketch.amax();
    }
    let q = widen(&sketch.qr().q());
    let naive = spectral(&(widen(&matrix) - &q * q.tr_mul(&widen(&matrix)))) / next;
    assert!(ours < 1.01, "{ours}");
    assert!(naive > 3.0 * ours, "{naive} against {ours}");
}
