use crate::support::{assert_close, assert_same_bits_on_any_threads, numbers, on_every_isa};
use cpu_kernels::{batch_norm, batch_norm_backward, channel_sums, prelu, prelu_backward};
use proptest::prelude::*;

const EPSILON: f32 = 1e-5;

/// Values of each channel of `[batch, channels, pixels]`.
fn channel(x: &[f32], [batch, channels, pixels]: [usize; 3], channel: usize) -> Vec<f64> {
    let map = |image: usize| &x[(image * channels + channel) * pixels..][..pixels];
    (0..batch).flat_map(map).map(|&x| f64::from(x)).collect()
}

pub(crate) fn check_batch_norm(shape: [usize; 3], seed: u64) {
    let [batch, channels, pixels] = shape;
    let len = batch * channels * pixels;
    // A mean that is large beside the deviation.
    let x: Vec<f32> = numbers(len, seed).iter().map(|x| 3.0 + x).collect();
    let (weight, bias, dy) = (numbers(channels, seed + 1), numbers(channels, seed + 2), numbers(len, seed + 3));
    let found = batch_norm(&x, batch, &weight, &bias, EPSILON);
    let [dx, d_weight, d_bias] = batch_norm_backward(&x, batch, [&found.mean, &found.variance, &weight], &dy, EPSILON);
    assert_eq!(channel_sums(&dy, [batch, channels]), d_bias);
    for c in 0..channels {
        let (x, dy) = (channel(&x, shape, c), channel(&dy, shape, c));
        let count = x.len() as f64;
        let mean = x.iter().sum::<f64>() / count;
        let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / count;
        assert_close(&[found.mean[c], found.variance[c]], &[mean, variance], 1e-6);
        let inverse = 1.0 / (variance + f64::from(EPSILON)).sqrt();
        let h: Vec<f64> = x.iter().map(|x| (x - mean) * inverse).collect();
        let (weight, bias) = (f64::from(weight[c]), f64::from(bias[c]));
        let single = |values: Vec<f64>| values.into_iter().map(|x| x as f32).collect::<Vec<f32>>();
        let y: Vec<f64> = h.iter().map(|h| h * weight + bias).collect();
        assert_close(&single(channel(&found.y, shape, c)), &y, 3e-6);
        let d_h: f64 = h.iter().zip(&dy).map(|(h, dy)| h * dy).sum();
        let sum: f64 = dy.iter().sum();
        assert_close(&[d_weight[c], d_bias[c]], &[d_h, sum], 3e-6);
        let expected: Vec<f64> =
            h.iter().zip(&dy).map(|(h, dy)| weight * inverse * (dy - sum / count - h * d_h / count)).collect();
        assert_close(&single(channel(&dx, shape, c)), &expected, 5e-6);
    }
}

pub(crate) fn check_prelu(len: usize, slope: f32) {
    let (x, dy) = (numbers(len, 1), numbers(len, 2));
    let y: Vec<f32> = x.iter().map(|&x| if x > 0.0 { x } else { slope * x }).collect();
    assert_eq!(prelu(&x, slope), y);
    let (dx, d_slope) = prelu_backward(&x, slope, &dy);
    let expected: Vec<f32> = x.iter().zip(&dy).map(|(&x, &dy)| if x > 0.0 { dy } else { slope * dy }).collect();
    assert_eq!(dx, expected);
    let below = |(x, dy): (&f32, &f32)| if *x > 0.0 { 0.0 } else { f64::from(*x) * f64::from(*dy) };
    assert_close(&[d_slope], &[x.iter().zip(&dy).map(below).sum()], 1e-6);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases / 4, ..ProptestConfig::default() })]

    #[test]
    fn batch_norms(shape in [1usize..4, 1usize..7, 2usize..300], seed in any::<u32>()) {
        on_every_isa(|_| check_batch_norm(shape, u64::from(seed)));
    }

    #[test]
    fn rectifiers(len in 0usize..300, slope in -2.0f32..2.0) {
        on_every_isa(|_| check_prelu(len, slope));
    }
}

#[test]
fn maps_of_many_blocks() {
    on_every_isa(|_| {
        check_batch_norm([2, 3, 9001], 3);
        check_prelu(70_001, 0.25);
    });
}

#[test]
fn bits_do_not_depend_on_threads() {
    let (x, dy) = (numbers(2 * 5 * 9001, 1), numbers(2 * 5 * 9001, 2));
    let ones = [1.0; 5];
    assert_same_bits_on_any_threads(|| {
        let normed = batch_norm(&x, 2, &ones, &ones, EPSILON);
        let [dx, d_weight, d_bias] = batch_norm_backward(&x, 2, [&normed.mean, &normed.variance, &ones], &dy, EPSILON);
        let (rectified, slope) = prelu_backward(&x, 0.25, &dy);
        vec![normed.y, normed.mean, normed.variance, dx, d_weight, d_bias, rectified, vec![slope]]
    });
}

#[test]
fn what_is_not_a_number_reaches_its_channel_alone() {
    let mut x = numbers(2 * 3 * 50, 1);
    x[50 + 7] = f32::NAN;
    let normed = batch_norm(&x, 2, &[1.0; 3], &[0.0; 3], EPSILON);
    for (at, y) in normed.y.iter().enumerate() {
        assert_eq!(y.is_nan(), at / 50 % 3 == 1);
    }
    let y = prelu(&x, 0.25);
    assert!(y[57].is_nan() && y.iter().filter(|y| y.is_nan()).count() == 1);
    assert!(prelu_backward(&x, 0.25, &x).1.is_nan());
}
