//! Exponential, normal distribution and reductions, without branches, so that loops over them are vectorised.

use crate::vectorise::Arithmetic;

/// `e^x` within 2 ulp. Results below the least normal number are zero, those above e^88.37 infinite; NaN stays NaN.
#[inline(always)]
pub(crate) fn exp<A: Arithmetic>(x: f32) -> f32 {
    const LOWEST: f32 = -87.336;
    const HIGHEST: f32 = 88.37;
    // Adding and taking away 1.5 * 2^23 rounds to an integer and leaves it in the low bits of the sum.
    const ROUND: f32 = 12_582_912.0;
    let shifted = A::mul_add(x, std::f32::consts::LOG2_E, ROUND);
    let k = shifted - ROUND;
    // ln 2 in two parts; the product of k and the first is exact.
    let r = A::mul_add(k, -0.693_145_75, x);
    let r = A::mul_add(k, -1.428_606_8e-6, r);
    // e^r = 1 + r + r^2 p(r) on |r| <= ln 2 / 2: minimax, 3e-9.
    let p = A::mul_add(1.381_459_9e-3, r, 8.368_717e-3);
    let p = A::mul_add(p, r, 4.166_839e-2);
    let p = A::mul_add(p, r, 1.666_652_1e-1);
    let p = A::mul_add(p, r, 4.999_999_4e-1);
    let power = f32::from_bits(shifted.to_bits().wrapping_add(127) << 23);
    let result = (A::mul_add(r * r, p, r) + 1.0) * power;
    let result = if x > HIGHEST { f32::INFINITY } else { result };
    if x < LOWEST { 0.0 } else { result }
}

/// What GELU is made of at x: the probability of a standard normal number beyond |x|, and the density at x.
#[derive(Clone, Copy)]
pub(crate) struct Normal {
    pub(crate) tail: f32,
    pub(crate) density: f32,
}

/// Both with a small *relative* error, down to where they leave the range of `f32`.
#[inline(always)]
pub(crate) fn normal<A: Arithmetic>(x: f32) -> Normal {
    const FARTHEST: f32 = 14.0;
    let a = x.abs();
    let a = if a > FARTHEST { FARTHEST } else { a };
    // a^2 = high + low, so that rounding the square does not show in its exponential. `high` has so few bits that
    // `head * head` is exact with and without a fused multiplication.
    let head = f32::from_bits(a.to_bits() & 0xffff_f000);
    let high = head * head;
    let low = (a - head) * (a + head);
    let e = exp::<A>(-0.5 * high) * exp_of_small::<A>(-0.5 * low);
    // e^(a^2 / 2) times the tail is t p(t): minimax in t = 1 / (1 + 0.3 a) on 0 <= a <= 13.5, relative error 3.4e-9.
    let t = 1.0 / A::mul_add(a, 0.3, 1.0);
    let p = A::mul_add(-2.059_460_8e-2, t, 1.122_732_16e-1);
    let p = A::mul_add(p, t, -2.278_169_5e-1);
    let p = A::mul_add(p, t, 1.912_332_2e-1);
    let p = A::mul_add(p, t, -7.894_427e-2);
    let p = A::mul_add(p, t, 9.588_719e-2);
    let p = A::mul_add(p, t, 7.848_763e-2);
    let p = A::mul_add(p, t, 1.102_132_95e-1);
    let p = A::mul_add(p, t, 1.195_746_3e-1);
    let p = A::mul_add(p, t, 1.196_865_4e-1);
    Normal { tail: p * t * e, density: 0.398_942_3 * e }
}

/// `e^x` for |x| < 0.02: 14 * 2^-11 is the largest `low` above.
#[inline(always)]
fn exp_of_small<A: Arithmetic>(x: f32) -> f32 {
    let p = A::mul_add(x, 1.0 / 6.0, 0.5);
    let p = A::mul_add(p, x, 1.0);
    A::mul_add(p, x, 1.0)
}

/// Independent sums of a reduction: two registers of AVX-512.
const LANES: usize = 32;

/// The sum of `term` over the elements of `x` and `y`, in an order that depends on the length alone.
#[inline(always)]
fn reduce(x: &[f32], y: &[f32], term: impl Fn(f32, f32, f32) -> f32) -> f32 {
    let mut sums = [0.0; LANES];
    let (x, y) = (x.chunks_exact(LANES), y.chunks_exact(LANES));
    let (x_rest, y_rest) = (x.remainder(), y.remainder());
    for (x, y) in x.zip(y) {
        for lane in 0..LANES {
            sums[lane] = term(sums[lane], x[lane], y[lane]);
        }
    }
    for ((sum, x), y) in sums.iter_mut().zip(x_rest).zip(y_rest) {
        *sum = term(*sum, *x, *y);
    }
    let mut width = LANES / 2;
    while width > 0 {
        for lane in 0..width {
            sums[lane] += sums[lane + width];
        }
        width /= 2;
    }
    sums[0]
}

/// The sum of `x`.
#[inline(always)]
pub(crate) fn sum(x: &[f32]) -> f32 {
    reduce(x, x, |sum, x, _| sum + x)
}

/// The sum of `x * y`.
#[inline(always)]
pub(crate) fn dot<A: Arithmetic>(x: &[f32], y: &[f32]) -> f32 {
    reduce(x, y, |sum, x, y| A::mul_add(x, y, sum))
}

/// The sum of `(x - mean)^2`.
#[inline(always)]
pub(crate) fn squares<A: Arithmetic>(x: &[f32], mean: f32) -> f32 {
    reduce(x, x, |sum, x, _| A::mul_add(x - mean, x - mean, sum))
}

/// The sum of `x * (y - mean)`.
#[inline(always)]
pub(crate) fn centred_dot<A: Arithmetic>(x: &[f32], y: &[f32], mean: f32) -> f32 {
    reduce(x, y, |sum, x, y| A::mul_add(x, y - mean, sum))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vectorise::{Fused, Plain};

    /// The distance of two positive numbers in units in the last place of `exact`.
    fn ulps(found: f32, exact: f64) -> f64 {
        let unit = f64::from(f32::from_bits((exact as f32).to_bits() + 1)) - f64::from(exact as f32);
        (f64::from(found) - exact).abs() / unit
    }

    #[test]
    fn the_exponential_errs_by_less_than_two_ulp() {
        let mut worst = 0.0f64;
        for i in -8_733_000..8_837_000 {
            let x = i as f32 * 1e-5;
            let exact = f64::from(x).exp();
            worst = worst.max(ulps(exp::<Fused>(x), exact)).max(ulps(exp::<Plain>(x), exact));
        }
        assert!(worst < 2.0, "{worst}");
    }

    #[test]
    fn the_exponential_of_what_is_far_away_or_no_number() {
        assert_eq!(exp::<Fused>(f32::NEG_INFINITY), 0.0);
        assert_eq!(exp::<Fused>(-1e30), 0.0);
        assert_eq!(exp::<Fused>(f32::INFINITY), f32::INFINITY);
        assert_eq!(exp::<Fused>(1e30), f32::INFINITY);
        assert!(exp::<Fused>(f32::NAN).is_nan() && exp::<Plain>(f32::from_bits(0x7fc0_0003)).is_nan());
        assert_eq!(exp::<Fused>(0.0), 1.0);
    }
}
