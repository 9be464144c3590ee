use crate::support::{assert_same_bits_on_any_threads, numbers, on_every_isa};
use cpu_kernels::{gelu, gelu_backward};
use libm::{erfc, exp};

fn cdf(x: f64) -> f64 {
    0.5 * erfc(-x * std::f64::consts::FRAC_1_SQRT_2)
}

fn derivative(x: f64) -> f64 {
    cdf(x) + x * exp(-0.5 * x * x) * 0.398_942_280_401_432_7
}

#[test]
fn the_relative_error_stays_below_one_millionth() {
    let x: Vec<f32> = (-1_300_000..=1_300_000).map(|i| i as f32 * 1e-5).collect();
    on_every_isa(|isa| {
        let mut worst = 0.0f64;
        for (&x, y) in x.iter().zip(gelu(&x)) {
            let expected = f64::from(x) * cdf(f64::from(x));
            if expected.abs() > 2e-37 {
                worst = worst.max(((f64::from(y) - expected) / expected).abs());
            }
        }
        eprintln!("{isa:?}: {worst:.1e}");
        assert!(worst < 1e-6, "{isa:?}: {worst:e}");
    });
}

#[test]
fn the_gradient_is_the_derivative() {
    let x: Vec<f32> = (-13_000..=13_000).map(|i| i as f32 * 1e-3).collect();
    let dy = numbers(x.len(), 5);
    on_every_isa(|isa| {
        let mut worst = 0.0f64;
        for ((&x, &dy), dx) in x.iter().zip(&dy).zip(gelu_backward(&x, &dy)) {
            let expected = f64::from(dy) * derivative(f64::from(x));
            worst = worst.max((f64::from(dx) - expected).abs());
        }
        assert!(worst < 3e-7, "{isa:?}: {worst:e}");
    });
}

#[test]
fn infinity_and_nan_pass_through() {
    on_every_isa(|_| {
        let y = gelu(&[f32::INFINITY, f32::NAN, -f32::NAN, 1e30, -1e30, f32::from_bits(0x7fc0_0001)]);
        assert_eq!(y[0], f32::INFINITY);
        assert!(y[1].is_nan() && y[2].is_nan() && y[5].is_nan());
        assert_eq!(y[3..5], [1e30, 0.0]);
        assert!(gelu(&[f32::NEG_INFINITY])[0].is_nan(), "-inf * 0, as in the formula");
        assert!(gelu_backward(&[f32::NAN, 1.0], &[1.0, f32::NAN]).iter().all(|x| x.is_nan()));
    });
}

#[test]
fn the_bits_do_not_depend_on_the_threads() {
    let (x, dy) = (numbers(100_003, 1), numbers(100_003, 2));
    assert_same_bits_on_any_threads(|| vec![gelu(&x), gelu_backward(&x, &dy)]);
}
