use crate::support::{assert_close, assert_same_bits_on_any_threads, assert_sums, numbers, on_every_isa, rounding};
use cpu_kernels::{
    AdamWStep, adamw, add, add_assign, column_dots, column_sums, layer_norm, layer_norm_backward, scale_columns,
};
use proptest::prelude::*;

const EPSILON: f64 = 1e-5;

/// The normalised row and the inverse standard deviation.
fn normalised(x: &[f32]) -> (Vec<f64>, f64) {
    let n = x.len() as f64;
    let mean = x.iter().map(|x| f64::from(*x)).sum::<f64>() / n;
    let variance = x.iter().map(|x| (f64::from(*x) - mean).powi(2)).sum::<f64>() / n;
    let inverse = 1.0 / (variance + EPSILON).sqrt();
    (x.iter().map(|x| (f64::from(*x) - mean) * inverse).collect(), inverse)
}

pub(crate) fn check_layer_norm(rows: usize, columns: usize, seed: u64, offset: f32) {
    let x: Vec<f32> = numbers(rows * columns, seed).iter().map(|x| x + offset).collect();
    let (weight, bias, dy) =
        (numbers(columns, seed + 1), numbers(columns, seed + 2), numbers(rows * columns, seed + 3));
    let (mut y, mut dx, mut parameters) = (Vec::new(), Vec::new(), [vec![0.0; columns], vec![0.0; columns]]);
    let mut magnitudes = [vec![0.0; columns], vec![0.0; columns]];
    // A small variance magnifies the rounding of the mean.
    let (mut y_magnitudes, mut dx_magnitudes) = (Vec::new(), Vec::new());
    for (x, dy) in x.chunks_exact(columns).zip(dy.chunks_exact(columns)) {
        let (h, inverse) = normalised(x);
        let g: Vec<f64> = dy.iter().zip(&weight).map(|(dy, w)| f64::from(*dy) * f64::from(*w)).collect();
        let mean = g.iter().sum::<f64>() / columns as f64;
        let mean_h = g.iter().zip(&h).map(|(g, h)| g * h).sum::<f64>() / columns as f64;
        let magnified = 1.0 + inverse * (1.0 + f64::from(offset.abs()));
        let mean_magnitude = g.iter().zip(&h).map(|(g, h)| g.abs() * (1.0 + h.abs())).sum::<f64>() / columns as f64;
        for j in 0..columns {
            y_magnitudes.push(f64::from(weight[j].abs()) * (h[j].abs() + magnified) + f64::from(bias[j].abs()));
            dx_magnitudes.push(inverse * (g[j].abs() + mean_magnitude * (1.0 + h[j].abs())) * magnified);
            y.push(h[j] * f64::from(weight[j]) + f64::from(bias[j]));
            dx.push(inverse * (g[j] - mean - h[j] * mean_h));
            parameters[0][j] += f64::from(dy[j]) * h[j];
            parameters[1][j] += f64::from(dy[j]);
            magnitudes[0][j] += f64::from(dy[j].abs()) * (h[j].abs() + inverse);
            magnitudes[1][j] += f64::from(dy[j].abs());
        }
    }
    on_every_isa(|_| {
        assert_sums(&layer_norm(&x, &weight, &bias, EPSILON as f32), &y, &y_magnitudes, 5e-7);
        let (found, gradients) = layer_norm_backward(&x, &weight, &dy, EPSILON as f32, true);
        assert_eq!(found, layer_norm_backward(&x, &weight, &dy, EPSILON as f32, false).0);
        assert_sums(&found, &dx, &dx_magnitudes, 1e-6);
        let (d_weight, d_bias) = gradients.expect("they were asked for");
        assert_sums(&d_weight, &parameters[0], &magnitudes[0], 2e-6);
        assert_sums(&d_bias, &parameters[1], &magnitudes[1], rounding(rows));
    });
}

pub(crate) fn check_column_sums(rows: usize, columns: usize, seed: u64) {
    let (x, y) = (numbers(rows * columns, seed), numbers(rows * columns, seed + 1));
    let scale = numbers(columns, seed + 2);
    let (mut sums, mut dots, mut magnitudes) = (vec![0.0; columns], vec![0.0; columns], vec![1e-30; columns]);
    for (i, (x, y)) in x.iter().zip(&y).enumerate() {
        sums[i % columns] += f64::from(*x);
        dots[i % columns] += f64::from(*x) * f64::from(*y);
        magnitudes[i % columns] += f64::from(x.abs());
    }
    on_every_isa(|_| {
        assert_sums(&column_sums(&x, columns), &sums, &magnitudes, rounding(rows));
        assert_sums(&column_dots(&x, &y, columns), &dots, &magnitudes, rounding(rows));
        let scaled: Vec<f32> = x.iter().enumerate().map(|(i, x)| x * scale[i % columns]).collect();
        assert_eq!(scale_columns(&x, &scale), scaled);
        let sum: Vec<f32> = x.iter().zip(&y).map(|(x, y)| x + y).collect();
        assert_eq!(add(&x, &y), sum);
        let mut out = x.clone();
        add_assign(&mut out, &y);
        assert_eq!(out, sum);
    });
}

pub(crate) fn check_adamw(len: usize, decay: f32, t: i32) {
    let (gradient, before) = (numbers(len, 1), numbers(len, 2));
    let (first, second) = (numbers(len, 3), numbers(len, 4).iter().map(|x| x.abs()).collect::<Vec<_>>());
    let step = AdamWStep {
        learning_rate: 1e-2,
        beta_1: 0.9,
        beta_2: 0.999,
        epsilon: 1e-8,
        weight_decay: decay,
        bias_correction_1: 1.0 - 0.9f32.powi(t),
        bias_correction_2: 1.0 - 0.999f32.powi(t),
    };
    let wide = f64::from;
    let (mut m, mut v, mut p) = (Vec::new(), Vec::new(), Vec::new());
    for i in 0..len {
        let g = wide(gradient[i]);
        m.push(wide(0.9f32) * wide(first[i]) + (1.0 - wide(0.9f32)) * g);
        v.push(wide(0.999f32) * wide(second[i]) + (1.0 - wide(0.999f32)) * g * g);
        let (m, v) = (m[i] / wide(step.bias_correction_1), v[i] / wide(step.bias_correction_2));
        let decayed = wide(before[i]) * (1.0 - wide(step.learning_rate) * wide(decay));
        p.push(decayed - wide(step.learning_rate) * m / (v.sqrt() + wide(step.epsilon)));
    }
    on_every_isa(|_| {
        let (mut parameter, mut first, mut second) = (before.clone(), first.clone(), second.clone());
        adamw(step, &mut parameter, &gradient, &mut first, &mut second);
        assert_close(&first, &m, 3e-7);
        assert_close(&second, &v, 3e-7);
        assert_close(&parameter, &p, 5e-7);
    });
}

proptest! {
    #[test]
    fn layer_norm_is_that_of_plain_loops(rows in 1usize..80, columns in 1usize..150, seed in 0u64..1000, offset in -3.0f32..3.0) {
        check_layer_norm(rows, columns, seed, offset);
    }

    #[test]
    fn columns_are_summed_as_by_plain_loops(rows in 0usize..900, columns in 1usize..90, seed in 0u64..1000) {
        check_column_sums(rows, columns, seed);
    }

    #[test]
    fn adamw_is_that_of_its_paper(len in 0usize..40_000, decay in 0.0f32..0.1, t in 1i32..20) {
        check_adamw(len, decay, t);
    }
}

#[test]
fn nan_and_infinity_pass_through() {
    on_every_isa(|_| {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut x = numbers(40 * 50, 1);
            x[3 * 50 + 7] = bad;
            let ones = vec![1.0; 50];
            let y = layer_norm(&x, &ones, &ones, 1e-6);
            let (dx, parameters) = layer_norm_backward(&x, &ones, &vec![1.0; 2000], 1e-6, true);
            for (i, (y, dx)) in y.chunks_exact(50).zip(dx.chunks_exact(50)).enumerate() {
                assert_eq!(y.iter().all(|x| x.is_nan()), i == 3 && y[7].is_nan() && y[0].is_nan());
                assert_eq!(dx.iter().all(|x| x.is_finite()), i != 3);
            }
            assert!(parameters.unwrap().0.iter().all(|x| !x.is_finite()));
            let sums = column_sums(&x, 50);
            assert!(sums.iter().enumerate().all(|(j, x)| x.is_finite() == (j != 7)));
            let (mut p, mut m, mut v) = (vec![0.0; 2000], vec![0.0; 2000], vec![0.0; 2000]);
            let step = AdamWStep {
                learning_rate: 1e-3,
                beta_1: 0.9,
                beta_2: 0.99,
                epsilon: 1e-8,
                weight_decay: 0.0,
                bias_correction_1: 0.1,
                bias_correction_2: 0.01,
            };
            adamw(step, &mut p, &x, &mut m, &mut v);
            assert!(p.iter().enumerate().all(|(i, x)| x.is_finite() == (i != 157)));
        }
    });
}

#[test]
fn the_bits_do_not_depend_on_the_threads() {
    let (x, y, weight) = (numbers(1000 * 97, 1), numbers(1000 * 97, 2), numbers(97, 3));
    assert_same_bits_on_any_threads(|| {
        let (dx, parameters) = layer_norm_backward(&x, &weight, &y, 1e-6, true);
        let (d_weight, d_bias) = parameters.unwrap();
        let normalised = layer_norm(&x, &weight, &weight, 1e-6);
        vec![dx, d_weight, d_bias, normalised, column_sums(&x, 97), column_dots(&x, &y, 97)]
    });
}

#[test]
#[should_panic(expected = "dy has 3 elements, expected [4]")]
fn a_wrong_length_is_named() {
    layer_norm_backward(&[0.0; 4], &[1.0; 2], &[0.0; 3], 1e-6, false);
}

#[test]
#[should_panic(expected = "x has 5 elements, expected rows of 2")]
fn rows_are_whole() {
    column_sums(&[0.0; 5], 2);
}
