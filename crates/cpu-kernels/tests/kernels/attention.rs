use crate::support::{assert_close, assert_same_bits_on_any_threads, assert_sums, numbers, on_every_isa, rounding};
use cpu_kernels::{
    Attended, AttentionShape, Isa, Precision, RelativePositions, cross_attention, cross_attention_backward,
    self_attention, self_attention_backward,
};
use proptest::prelude::*;

/// Queries, keys and values in double precision, `[batch, heads][tokens][head_dim]`, and tables of positions.
struct Problem {
    shape: AttentionShape,
    q: Vec<f64>,
    k: Vec<f64>,
    v: Vec<f64>,
    positions: Option<([usize; 2], Vec<f64>, Vec<f64>)>,
}

#[derive(Default)]
struct Expected {
    output: Vec<f64>,
    log_sum_exp: Vec<f64>,
    dq: Vec<f64>,
    dk: Vec<f64>,
    dv: Vec<f64>,
    by_row: Vec<f64>,
    by_column: Vec<f64>,
    /// What the terms of the sums weigh that are the gradients of q, k, v and both tables. They cancel: with one key, those of the scores
    /// are zero.
    magnitudes: [Vec<f64>; 5],
    /// The same of the output.
    output_magnitudes: Vec<f64>,
    /// What rounding may do to a result, relative to these magnitudes: a probability is relatively as uncertain as its score and the
    /// logarithm are absolutely, its exponential errs by 2 ulp, and there are sums over keys and over queries.
    tolerance: f64,
    /// The same where factors are rounded to bf16.
    rounded_tolerance: f64,
}

impl Expected {
    fn tolerance(&self, precision: Precision) -> f64 {
        if precision == Precision::Bf16 { self.rounded_tolerance } else { self.tolerance }
    }

    #[track_caller]
    fn assert_attended(&self, attended: &Attended, precision: Precision) {
        let tolerance = self.tolerance(precision);
        assert_sums(&attended.output, &self.output, &self.output_magnitudes, tolerance);
        let of_logs = if precision == Precision::Bf16 { tolerance } else { 1e-6 };
        assert_close(&attended.log_sum_exp, &self.log_sum_exp, of_logs);
    }
}

/// What rounding both factors of a product to bf16 may do to it, relative to its magnitude: each errs by half a unit of eight bits.
const ROUNDED: f64 = 2.0 / 512.0;

/// The precisions that attention may be asked for on an instruction set.
fn precisions(isa: Isa) -> &'static [Precision] {
    if isa >= Isa::Avx512Bf16 { &[Precision::F32, Precision::Bf16] } else { &[Precision::F32] }
}

/// Checks an attention in each of them, on every instruction set.
fn in_every_precision(shape: AttentionShape, check: impl Fn(AttentionShape)) {
    on_every_isa(|isa| precisions(isa).iter().for_each(|&precision| check(AttentionShape { precision, ..shape })));
}

fn wide(x: &[f32]) -> Vec<f64> {
    x.iter().map(|x| f64::from(*x)).collect()
}

impl Problem {
    /// Index of a channel in an array `[batch, tokens, heads * head_dim]`.
    fn at(&self, batch: usize, head: usize, tokens: usize, token: usize, channel: usize) -> usize {
        let AttentionShape { heads, head_dim, .. } = self.shape;
        ((batch * tokens + token) * heads + head) * head_dim + channel
    }

    fn solve(&self, dy: &[f64]) -> Expected {
        let AttentionShape { batch, heads, queries, keys, head_dim: d, scale, .. } = self.shape;
        let scale = f64::from(scale);
        let mut out = Expected {
            output: vec![0.0; self.q.len()],
            output_magnitudes: vec![0.0; self.q.len()],
            dq: vec![0.0; self.q.len()],
            dk: vec![0.0; self.k.len()],
            dv: vec![0.0; self.v.len()],
            ..Expected::default()
        };
        if let Some((_, by_row, by_column)) = &self.positions {
            (out.by_row, out.by_column) = (vec![0.0; by_row.len()], vec![0.0; by_column.len()]);
        }
        out.magnitudes = [&out.dq, &out.dk, &out.dv, &out.by_row, &out.by_column].map(Clone::clone);
        for (b, h) in (0..batch).flat_map(|b| (0..heads).map(move |h| (b, h))) {
            for i in 0..queries {
                let q = |c| self.at(b, h, queries, i, c);
                let k = |j, c| self.at(b, h, keys, j, c);
                let tables = |j: usize, c: usize| {
                    self.positions.as_ref().map(|([rows, columns], ..)| {
                        let row = (i / columns) * rows + j / columns;
                        let column = (i % columns) * columns + j % columns;
                        (row * d + c, column * d + c)
                    })
                };
                let score = |j| {
                    (0..d)
                        .map(|c| {
                            let position = tables(j, c)
                                .zip(self.positions.as_ref())
                                .map_or(0.0, |((r, s), (_, x, y))| x[r] + y[s]);
                            self.q[q(c)] * (scale * self.k[k(j, c)] + position)
                        })
                        .sum::<f64>()
                };
                let scores: Vec<f64> = (0..keys).map(score).collect();
                let magnitude = |j: usize| {
                    (0..d)
                        .map(|c| {
                            let position = tables(j, c).zip(self.positions.as_ref());
                            let position = position.map_or(0.0, |((r, s), (_, x, y))| x[r].abs() + y[s].abs());
                            self.q[q(c)].abs() * (scale * self.k[k(j, c)].abs() + position)
                        })
                        .sum::<f64>()
                };
                let largest = (0..keys).map(magnitude).fold(1.0, f64::max);
                let of_scores = largest * rounding(d);
                let max = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let sum: f64 = scores.iter().map(|s| (s - max).exp()).sum();
                let log = max + sum.ln();
                out.log_sum_exp.push(log);
                let of_exponentials = (2.0 + log.abs()) * f64::from(f32::EPSILON);
                let of_sums = rounding(keys) + rounding(batch * heads * queries);
                let tolerance = of_scores + of_exponentials + of_sums;
                out.tolerance = out.tolerance.max(tolerance);
                // Probabilities and the mean of their gradients err by what the scores do, and three products after them: with values,
                // with the gradient of the output, and with queries or keys.
                let rounded = tolerance + 2.0 * (largest * ROUNDED).exp_m1() + 3.0 * ROUNDED;
                out.rounded_tolerance = out.rounded_tolerance.max(rounded);
                let p: Vec<f64> = scores.iter().map(|s| (s - log).exp()).collect();
                for c in 0..d {
                    out.output_magnitudes[q(c)] = (0..keys).map(|j| p[j] * self.v[k(j, c)].abs()).sum();
                    out.output[q(c)] = (0..keys).map(|j| p[j] * self.v[k(j, c)]).sum();
                }
                let delta: f64 = (0..d).map(|c| out.output[q(c)] * dy[q(c)]).sum();
                let delta_magnitude: f64 = (0..d).map(|c| (out.output[q(c)] * dy[q(c)]).abs()).sum();
                for (j, &p) in p.iter().enumerate() {
                    let dp = (0..d).map(|c| dy[q(c)] * self.v[k(j, c)]).sum::<f64>();
                    let dp_magnitude = (0..d).map(|c| (dy[q(c)] * self.v[k(j, c)]).abs()).sum::<f64>();
                    let (ds, magnitude) = (p * (dp - delta), p * (dp_magnitude + delta_magnitude));
                    for c in 0..d {
                        out.magnitudes[0][q(c)] += magnitude * scale * self.k[k(j, c)].abs();
                        out.magnitudes[1][k(j, c)] += magnitude * scale * self.q[q(c)].abs();
                        out.magnitudes[2][k(j, c)] += p * dy[q(c)].abs();
                        out.dv[k(j, c)] += p * dy[q(c)];
                        out.dk[k(j, c)] += ds * scale * self.q[q(c)];
                        out.dq[q(c)] += ds * scale * self.k[k(j, c)];
                        if let Some(((r, s), (_, x, y))) = tables(j, c).zip(self.positions.as_ref()) {
                            out.dq[q(c)] += ds * (x[r] + y[s]);
                            out.by_row[r] += ds * self.q[q(c)];
                            out.by_column[s] += ds * self.q[q(c)];
                            out.magnitudes[0][q(c)] += magnitude * (x[r].abs() + y[s].abs());
                            out.magnitudes[3][r] += magnitude * self.q[q(c)].abs();
                            out.magnitudes[4][s] += magnitude * self.q[q(c)].abs();
                        }
                    }
                }
            }
        }
        out
    }
}

/// `[tokens][q | k | v]` from three arrays of rows.
fn beside<T: Copy>(parts: [&[T]; 3], channels: usize) -> Vec<T> {
    let [q, k, v] = parts.map(|x| x.chunks_exact(channels));
    q.zip(k).zip(v).flat_map(|((q, k), v)| [q, k, v].concat()).collect()
}

pub(crate) fn check_self(batch: usize, heads: usize, grid: [usize; 2], head_dim: usize, relative: bool) {
    let tokens = grid[0] * grid[1];
    let scale = (head_dim as f32).powf(-0.5);
    let shape =
        AttentionShape { batch, heads, queries: tokens, keys: tokens, head_dim, scale, precision: Precision::F32 };
    let channels = heads * head_dim;
    let part = |seed| numbers(batch * tokens * channels, seed).iter().map(|x| x * 2.0).collect::<Vec<_>>();
    let (q, k, v, dy) = (part(1), part(2), part(3), part(4));
    // As small as trained ones. Probabilities are as uncertain as scores are large.
    let table = |size: usize, seed| numbers(size * size * head_dim, seed).iter().map(|x| x * scale).collect::<Vec<_>>();
    let (by_row, by_column) = (table(grid[0], 5), table(grid[1], 6));
    let positions = relative.then(|| (grid, wide(&by_row), wide(&by_column)));
    let expected = Problem { shape, q: wide(&q), k: wide(&k), v: wide(&v), positions }.solve(&wide(&dy));
    let qkv = beside([&q, &k, &v], channels);
    let relative = relative.then_some(RelativePositions { grid, by_row: &by_row, by_column: &by_column });
    in_every_precision(shape, |shape| {
        let tolerance = expected.tolerance(shape.precision);
        let attended = self_attention(shape, &qkv, relative);
        expected.assert_attended(&attended, shape.precision);
        let gradients =
            self_attention_backward(shape, &qkv, relative, &attended.output, &attended.log_sum_exp, &dy, true);
        let [dq, dk, dv, rows, columns] = &expected.magnitudes;
        let magnitudes = beside([dq, dk, dv], channels);
        let joint = beside([&expected.dq, &expected.dk, &expected.dv], channels);
        assert_sums(&gradients.qkv, &joint, &magnitudes, tolerance);
        assert_eq!(gradients.by_row.is_some(), relative.is_some());
        if let (Some(by_row), Some(by_column)) = (gradients.by_row, gradients.by_column) {
            assert_sums(&by_row, &expected.by_row, rows, tolerance);
            assert_sums(&by_column, &expected.by_column, columns, tolerance);
        }
    });
}

pub(crate) fn check_cross(shape: AttentionShape) {
    let AttentionShape { batch, heads, queries, keys, head_dim, .. } = shape;
    let part = |tokens: usize, seed| {
        numbers(batch * tokens * heads * head_dim, seed).iter().map(|x| x * 2.0).collect::<Vec<_>>()
    };
    let (q, k, v, dy) = (part(queries, 1), part(keys, 2), part(keys, 3), part(queries, 4));
    let expected = Problem { shape, q: wide(&q), k: wide(&k), v: wide(&v), positions: None }.solve(&wide(&dy));
    in_every_precision(shape, |shape| {
        let tolerance = expected.tolerance(shape.precision);
        let attended = cross_attention(shape, &q, &k, &v);
        expected.assert_attended(&attended, shape.precision);
        let (dq, dk, dv) = cross_attention_backward(shape, &q, &k, &v, &attended.output, &attended.log_sum_exp, &dy);
        let [of_q, of_k, of_v, ..] = &expected.magnitudes;
        assert_sums(&dq, &expected.dq, of_q, tolerance);
        assert_sums(&dk, &expected.dk, of_k, tolerance);
        assert_sums(&dv, &expected.dv, of_v, tolerance);
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn self_attention_is_that_of_plain_loops(
        batch in 1usize..3, heads in 1usize..4, rows in 1usize..14, columns in 1usize..14, head_dim in 1usize..40, relative: bool,
    ) {
        check_self(batch, heads, [rows, columns], head_dim, relative);
    }

    #[test]
    fn cross_attention_is_that_of_plain_loops(
        batch in 1usize..3, heads in 1usize..4, queries in 1usize..200, keys in 1usize..200, head_dim in 1usize..40,
    ) {
        check_cross(AttentionShape { batch, heads, queries, keys, head_dim, scale: 0.3, precision: Precision::F32 });
    }
}

#[test]
fn windows_and_whole_images_of_segment_anything() {
    check_self(2, 2, [14, 14], 64, true);
    check_self(1, 1, [33, 32], 64, true);
    check_self(1, 2, [25, 24], 80, false);
}

#[test]
fn the_decoder_of_segment_anything() {
    check_cross(AttentionShape {
        batch: 1,
        heads: 8,
        queries: 7,
        keys: 1024,
        head_dim: 16,
        scale: 0.25,
        precision: Precision::F32,
    });
    check_cross(AttentionShape {
        batch: 1,
        heads: 8,
        queries: 1024,
        keys: 7,
        head_dim: 16,
        scale: 0.25,
        precision: Precision::F32,
    });
    check_cross(AttentionShape {
        batch: 1,
        heads: 8,
        queries: 7,
        keys: 7,
        head_dim: 32,
        scale: 0.25,
        precision: Precision::F32,
    });
}

#[test]
fn scores_far_apart_do_not_overflow() {
    let shape = AttentionShape {
        batch: 1,
        heads: 1,
        queries: 3,
        keys: 700,
        head_dim: 4,
        scale: 1.0,
        precision: Precision::F32,
    };
    let (q, v) = (vec![30.0; 12], numbers(2800, 1));
    let k: Vec<f32> = (0..2800).map(|i| (i / 4) as f32 * 0.1).collect();
    on_every_isa(|_| {
        let attended = cross_attention(shape, &q, &k, &v);
        let expected: Vec<f64> = (0..3).flat_map(|_| v[2796..].iter().map(|x| f64::from(*x))).collect();
        // The last key is ahead of the one before it by 12.
        assert_close(&attended.output, &expected, 2e-5);
    });
}

#[test]
fn nan_and_infinity_pass_through() {
    let shape = AttentionShape {
        batch: 1,
        heads: 2,
        queries: 70,
        keys: 300,
        head_dim: 8,
        scale: 1.0,
        precision: Precision::F32,
    };
    let (q, v, dy) = (numbers(70 * 16, 1), numbers(300 * 16, 2), numbers(70 * 16, 3));
    in_every_precision(shape, |shape| {
        for bad in [f32::NAN, f32::INFINITY] {
            // In a key of the first head: all queries of that head, and nothing of the other.
            let mut k = numbers(300 * 16, 4);
            k[299 * 16 + 3] = bad;
            let attended = cross_attention(shape, &q, &k, &v);
            for row in attended.output.chunks_exact(16) {
                assert!(row[8..].iter().all(|x| x.is_finite()));
                assert!(bad.is_infinite() || row[..8].iter().all(|x| x.is_nan()));
            }
            // In a value: that channel.
            let (k, mut v) = (numbers(300 * 16, 4), v.clone());
            v[3 * 16 + 9] = bad;
            let attended = cross_attention(shape, &q, &k, &v);
            for row in attended.output.chunks_exact(16) {
                assert!(!row[9].is_finite() && row[..9].iter().chain(&row[10..]).all(|x| x.is_finite()));
            }
            let (dq, ..) = cross_attention_backward(shape, &q, &k, &v, &attended.output, &attended.log_sum_exp, &dy);
            assert!(dq.chunks_exact(16).all(|row| row[8..].iter().all(|x| x.is_nan())));
        }
        // A key that is infinitely far away has no weight.
        let (mut k, q) = (numbers(300 * 16, 4), vec![1.0; 70 * 16]);
        k[..16].fill(f32::NEG_INFINITY);
        let attended = cross_attention(shape, &q, &k, &v);
        assert!(attended.output.iter().all(|x| x.is_finite()));
    });
}

#[test]
fn factors_are_rounded_where_that_was_asked_for_and_products_are_not_small() {
    let of = |tokens: usize, precision| {
        let shape =
            AttentionShape { batch: 1, heads: 1, queries: tokens, keys: tokens, head_dim: 16, scale: 0.25, precision };
        self_attention(shape, &numbers(tokens * 48, 1), None).output
    };
    on_every_isa(|isa| {
        if precisions(isa).contains(&Precision::Bf16) {
            assert_eq!(of(60, Precision::F32), of(60, Precision::Bf16));
            assert_ne!(of(70, Precision::F32), of(70, Precision::Bf16));
        }
    });
}

#[test]
#[should_panic(expected = "products in Bf16 need AVX512-BF16")]
fn attention_in_bf16_without_the_instructions_is_refused() {
    let shape =
        AttentionShape { batch: 1, heads: 1, queries: 1, keys: 1, head_dim: 1, scale: 1.0, precision: Precision::Bf16 };
    Isa::with(Isa::Portable, || self_attention(shape, &[1.0; 3], None));
}

#[test]
fn the_bits_do_not_depend_on_the_threads() {
    let shape = AttentionShape {
        batch: 1,
        heads: 2,
        queries: 1200,
        keys: 1200,
        head_dim: 16,
        scale: 0.25,
        precision: Precision::F32,
    };
    let (qkv, dy) = (numbers(1200 * 96, 1), numbers(1200 * 32, 2));
    let (by_row, by_column) = (numbers(30 * 30 * 16, 3), numbers(40 * 40 * 16, 4));
    let relative = Some(RelativePositions { grid: [30, 40], by_row: &by_row, by_column: &by_column });
    let compute = |precision| {
        let shape = AttentionShape { precision, ..shape };
        let attended = self_attention(shape, &qkv, relative);
        let gradients =
            self_attention_backward(shape, &qkv, relative, &attended.output, &attended.log_sum_exp, &dy, true);
        let tables = [gradients.by_row, gradients.by_column].map(Option::unwrap_or_default);
        [vec![attended.output, attended.log_sum_exp, gradients.qkv], tables.to_vec()].concat()
    };
    for precision in precisions(Isa::current()) {
        assert_same_bits_on_any_threads(|| compute(*precision));
    }
}
