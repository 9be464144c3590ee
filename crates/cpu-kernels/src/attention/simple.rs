//! Attention by loops, one task for each batch and head.

use super::{Attended, AttentionShape, Operands, RelativePositions};
use rayon::prelude::*;

fn dot(x: &[f32], y: &[f32]) -> f32 {
    x.iter().zip(y).map(|(x, y)| x * y).sum()
}

fn axpy(out: &mut [f32], a: f32, x: &[f32]) {
    for (out, x) in out.iter_mut().zip(x) {
        *out += a * x;
    }
}

struct Head<'a> {
    shape: AttentionShape,
    operands: Operands<'a>,
    relative: Option<RelativePositions<'a>>,
    batch: usize,
    head: usize,
}

impl<'a> Head<'a> {
    fn row(&self, data: &'a [f32], tokens: usize, token: usize) -> &'a [f32] {
        let start = (self.batch * tokens + token) * self.operands.stride + self.head * self.shape.head_dim;
        &data[start..start + self.shape.head_dim]
    }
    fn q(&self, i: usize) -> &'a [f32] {
        self.row(self.operands.q, self.shape.queries, i)
    }
    fn k(&self, j: usize) -> &'a [f32] {
        self.row(self.operands.k, self.shape.keys, j)
    }
    fn v(&self, j: usize) -> &'a [f32] {
        self.row(self.operands.v, self.shape.keys, j)
    }
    fn position(&self, i: usize, j: usize) -> Option<(usize, usize)> {
        let [rows, columns] = self.relative?.grid;
        Some((i / columns * rows + j / columns, i % columns * columns + j % columns))
    }
    fn score(&self, i: usize, j: usize) -> f32 {
        let mut score = self.shape.scale * dot(self.q(i), self.k(j));
        if let (Some(relative), Some((row, column))) = (self.relative, self.position(i, j)) {
            let d = self.shape.head_dim;
            score += dot(self.q(i), &relative.by_row[row * d..][..d]);
            score += dot(self.q(i), &relative.by_column[column * d..][..d]);
        }
        score
    }
}

fn heads<'a>(
    shape: AttentionShape,
    operands: Operands<'a>,
    relative: Option<RelativePositions<'a>>,
) -> impl IndexedParallelIterator<Item = Head<'a>> {
    (0..shape.batch * shape.heads).into_par_iter().map(move |i| Head {
        shape,
        operands,
        relative,
        batch: i / shape.heads,
        head: i % shape.heads,
    })
}

/// From `[batch * heads][tokens, head_dim]` to `[batch, tokens, heads * head_dim]`.
fn side_by_side(shape: AttentionShape, tokens: usize, heads: &[Vec<f32>]) -> Vec<f32> {
    let mut out = Vec::with_capacity(shape.batch * tokens * shape.channels());
    for batch in 0..shape.batch {
        for token in 0..tokens {
            for head in 0..shape.heads {
                out.extend_from_slice(&heads[batch * shape.heads + head][token * shape.head_dim..][..shape.head_dim]);
            }
        }
    }
    out
}

pub(super) fn forward(shape: AttentionShape, operands: Operands, relative: Option<RelativePositions>) -> Attended {
    let (outputs, logs): (Vec<_>, Vec<_>) = heads(shape, operands, relative)
        .map(|head| {
            let mut output = vec![0.0; shape.queries * shape.head_dim];
            let mut logs = Vec::new();
            for (i, out) in output.chunks_exact_mut(shape.head_dim).enumerate() {
                let scores: Vec<f32> = (0..shape.keys).map(|j| head.score(i, j)).collect();
                let max = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                let exps: Vec<f32> = scores.iter().map(|s| (s - max).exp()).collect();
                let sum: f32 = exps.iter().sum();
                for (j, e) in exps.iter().enumerate() {
                    axpy(out, e / sum, head.v(j));
                }
                logs.push(max + sum.ln());
            }
            (output, logs)
        })
        .unzip();
    Attended { output: side_by_side(shape, shape.queries, &outputs), log_sum_exp: logs.concat() }
}

type Gradients = (Vec<f32>, Vec<f32>, Vec<f32>, Option<(Vec<f32>, Vec<f32>)>);

pub(super) fn backward(
    shape: AttentionShape,
    operands: Operands,
    relative: Option<RelativePositions>,
    output: &[f32],
    log_sum_exp: &[f32],
    dy: &[f32],
) -> Gradients {
    let d = shape.head_dim;
    let all: Vec<_> = heads(shape, operands, relative)
        .enumerate()
        .map(|(index, head)| {
            let (mut dq, mut dk, mut dv) =
                (vec![0.0; shape.queries * d], vec![0.0; shape.keys * d], vec![0.0; shape.keys * d]);
            let mut positions =
                relative.map(|relative| (vec![0.0f32; relative.by_row.len()], vec![0.0f32; relative.by_column.len()]));
            for i in 0..shape.queries {
                let start = ((head.batch * shape.queries + i) * shape.heads + head.head) * d;
                let (out, dy) = (&output[start..start + d], &dy[start..start + d]);
                let delta = dot(out, dy);
                for j in 0..shape.keys {
                    let p = (head.score(i, j) - log_sum_exp[index * shape.queries + i]).exp();
                    let ds = p * (dot(dy, head.v(j)) - delta);
                    axpy(&mut dv[j * d..][..d], p, dy);
                    axpy(&mut dk[j * d..][..d], ds * shape.scale, head.q(i));
                    axpy(&mut dq[i * d..][..d], ds * shape.scale, head.k(j));
                    if let (Some(relative), Some((row, column)), Some((rows, columns))) =
                        (relative, head.position(i, j), positions.as_mut())
                    {
                        axpy(&mut dq[i * d..][..d], ds, &relative.by_row[row * d..][..d]);
                        axpy(&mut dq[i * d..][..d], ds, &relative.by_column[column * d..][..d]);
                        axpy(&mut rows[row * d..][..d], ds, head.q(i));
                        axpy(&mut columns[column * d..][..d], ds, head.q(i));
                    }
                }
            }
            (dq, dk, dv, positions)
        })
        .collect();
    let (mut q, mut k, mut v, mut positions) = (Vec::new(), Vec::new(), Vec::new(), None::<(Vec<f32>, Vec<f32>)>);
    for (dq, dk, dv, part) in all {
        q.push(dq);
        k.push(dk);
        v.push(dv);
        positions = match (positions, part) {
            (Some((rows, columns)), Some((r, c))) => Some((crate::add(&rows, &r), crate::add(&columns, &c))),
            (None, part) => part,
            (some, None) => some,
        };
    }
    (
        side_by_side(shape, shape.queries, &q),
        side_by_side(shape, shape.keys, &k),
        side_by_side(shape, shape.keys, &v),
        positions,
    )
}
