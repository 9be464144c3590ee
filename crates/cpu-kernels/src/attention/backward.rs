//! The gradients of attention. Probabilities are computed anew from scores and the logarithms of their sums.
//!
//! A task has one head and a part of its keys, passes over all queries, and adds to the gradients of these keys and values. What it
//! contributes to the queries, and to the terms of relative positions, stays apart until all tasks are done and is then added in the
//! order of the parts.

use super::factors::Factor;
use super::heads::{CHANNELS, Heads, HeadsMut, Operands, pack_channels, pack_tokens, packed_channels, packed_tokens};
use super::positions::{Positions, of_strip, table_gradients};
use super::strip::{
    BLOCK, From, Lanes, STRIP, add_channels, add_tokens, block, exponentiate, lanes, scores, to_rows, weigh,
};
use super::{AttentionShape, RelativePositions, SelfAttentionGradients};
use crate::elementwise::accumulate;
use crate::isa::Level;
use crate::memory::written;
use crate::scratch::Scratch;
use crate::tile::ROWS;
use rayon::prelude::*;
use std::mem::MaybeUninit;
use std::ops::Range;

/// What the forward pass returned, and the gradient of its output.
#[derive(Clone, Copy)]
pub(super) struct Given<'a> {
    pub(super) output: &'a [f32],
    pub(super) log_sum_exp: &'a [f32],
    pub(super) dy: &'a [f32],
}

/// The gradients of queries, keys and values beside each other.
pub(super) fn joint<T: Factor>(
    level: Level,
    shape: AttentionShape,
    qkv: &[f32],
    relative: Option<RelativePositions>,
    given: Given,
    want_positions: bool,
) -> SelfAttentionGradients {
    let mut tables = None;
    let fill = |out: &mut [MaybeUninit<f32>]| {
        let stride = 3 * shape.channels();
        let start = out.as_mut_ptr();
        let part =
            |index: usize| HeadsMut::new(shape, start.wrapping_add(index * shape.channels()), shape.keys, stride);
        let results = [part(0), part(1), part(2)];
        // SAFETY: the three arrays share `out` without overlap.
        tables = unsafe {
            compute::<T>(level, shape, Operands::joint(shape, qkv), relative, given, results, want_positions)
        };
    };
    // SAFETY: `compute` writes every token of the three arrays, which are all of `out`.
    let qkv = unsafe { written(qkv.len(), fill) };
    let (by_row, by_column) = tables.unzip();
    SelfAttentionGradients { qkv, by_row, by_column }
}

/// The gradients of queries, keys and values, each for itself.
pub(super) fn separate<T: Factor>(
    level: Level,
    shape: AttentionShape,
    operands: Operands,
    given: Given,
) -> (Vec<f32>, Vec<f32>, Vec<f32>) {
    let size = |tokens: usize| shape.batch * tokens * shape.channels();
    let (mut k, mut v) = (Vec::new(), Vec::new());
    let array = |out: &mut [MaybeUninit<f32>], tokens| HeadsMut::new(shape, out.as_mut_ptr(), tokens, shape.channels());
    // SAFETY: `compute` writes every token of the three arrays.
    let q = unsafe {
        written(size(shape.queries), |dq| {
            k = written(size(shape.keys), |dk| {
                v = written(size(shape.keys), |dv| {
                    let results = [array(dq, shape.queries), array(dk, shape.keys), array(dv, shape.keys)];
                    compute::<T>(level, shape, operands, None, given, results, false);
                });
            });
        })
    };
    (q, k, v)
}

/// Tasks that a backward pass is cut into at least, where there are keys enough.
const TASKS: usize = 48;

/// Keys of a part at least.
const PART: usize = 512;

/// Writes the gradients of queries, keys and values, and returns those of the tables of positions if they are wanted.
///
/// # Safety
///
/// The results have to be as large as their shapes say, and the caller's.
unsafe fn compute<T: Factor>(
    level: Level,
    shape: AttentionShape,
    operands: Operands,
    relative: Option<RelativePositions>,
    given: Given,
    [dq, dk, dv]: [HeadsMut; 3],
    want_positions: bool,
) -> Option<(Vec<f32>, Vec<f32>)> {
    let positions = relative.map(|given| Positions::new(given, shape.head_dim));
    let heads = shape.batch * shape.heads;
    // Parts depend on the shape alone, and so do the bits of the sums over them.
    let parts = TASKS.div_ceil(heads.max(1)).min(shape.keys / PART).max(1);
    let part = shape.keys.div_ceil(parts).next_multiple_of(ROWS);
    let parts = shape.keys.div_ceil(part.max(1)).max(1);

    // For each head and part: the strips of [channels][64] of the queries, then those of [rows + columns][64] of the positions.
    let strips = shape.queries.div_ceil(STRIP);
    let channels = shape.head_dim.next_multiple_of(CHANNELS);
    let terms = positions.as_ref().map_or(0, Positions::terms);
    let size = strips * (channels + terms) * STRIP;
    let mut partial = Scratch::new(heads * parts * size);
    let partial = &mut partial.as_mut_slice()[..heads * parts * size];
    // The terms of positions serve all parts.
    let mut terms_of = Scratch::new(heads * strips * terms * STRIP);
    let terms_of = &mut terms_of.as_mut_slice()[..heads * strips * terms * STRIP];
    if let Some(positions) = &positions {
        terms_of.par_chunks_exact_mut(terms * STRIP).enumerate().for_each(|(index, terms)| {
            of_strip(level, positions, operands.q.head(index / strips), index % strips * STRIP, terms);
        });
    }
    let context =
        Context { level, terms_of, shape, operands, positions: positions.as_ref(), given, results: [dq, dk, dv] };
    let run = |(index, partial): (usize, &mut [f32])| {
        let first = index % parts * part;
        let keys = first..(first + part).min(shape.keys);
        // SAFETY: each task has keys of its own.
        unsafe { Task { context: &context, head: index / parts, keys }.run::<T>(partial) }
    };
    partial.par_chunks_exact_mut(size.max(1)).enumerate().with_max_len(1).for_each(run);

    // The sums over parts, in their order, and what the positions give to the queries.
    partial.par_chunks_exact_mut((parts * size).max(1)).enumerate().for_each(|(head, partial)| {
        let (sum, others) = partial.split_at_mut(size);
        others.chunks_exact(size).for_each(|other| accumulate(level, sum, other));
        // SAFETY: each call has a head of its own.
        unsafe { context.finish_queries(head, sum) }
    });
    let positions = positions.as_ref().filter(|_| want_positions)?;
    let partial = &*partial;
    let query = |head: usize, token: usize| operands.q.head(head).row(token);
    let of_strip = |head: usize, strip: usize| {
        &partial[head * parts * size + (strips * channels + strip * terms) * STRIP..][..terms * STRIP]
    };
    Some(table_gradients(level, positions, heads, query, of_strip))
}

struct Context<'a> {
    level: Level,
    shape: AttentionShape,
    operands: Operands<'a>,
    positions: Option<&'a Positions<'a>>,
    /// `[batch, heads][strip][rows + columns][64]`.
    terms_of: &'a [f32],
    given: Given<'a>,
    results: [HeadsMut; 3],
}

impl Context<'_> {
    /// # Safety
    ///
    /// The head's gradients of queries have to be this call's alone.
    unsafe fn finish_queries(&self, head: usize, sums: &[f32]) {
        let d = self.shape.head_dim;
        let channels = d.next_multiple_of(CHANNELS);
        let strips = self.shape.queries.div_ceil(STRIP);
        let (sums, terms) = sums.split_at(strips * channels * STRIP);
        let mut rows = vec![0.0; d * STRIP];
        for strip in 0..strips {
            to_rows(self.level, &sums[strip * channels * STRIP..][..channels * STRIP], d, &mut rows);
            let first = strip * STRIP;
            for token in first..(first + STRIP).min(self.shape.queries) {
                let row = &mut rows[(token - first) * d..][..d];
                row.iter_mut().for_each(|x| *x *= self.shape.scale);
                if let Some(positions) = self.positions {
                    let terms = &terms[strip * positions.terms() * STRIP..];
                    positions.add_to_query(self.level, token, terms, token - first, row);
                }
                // SAFETY: promised by the caller.
                let out = unsafe { self.results[0].token(head, token) };
                out.iter_mut().zip(row).for_each(|(out, x)| {
                    out.write(*x);
                });
            }
        }
    }
}

struct Task<'a> {
    context: &'a Context<'a>,
    head: usize,
    keys: Range<usize>,
}

/// The factors of the products of one strip, packed.
struct StripOf<'a, T> {
    queries: usize,
    /// Scaled queries, `[head_dim][64]` and `[queries][width]`.
    q: &'a [T],
    q_rows: &'a [T],
    /// The gradient of the output, in the same two ways.
    dy: &'a [T],
    dy_rows: &'a [T],
    log_sum_exp: Lanes,
    /// Less the sum over channels of `output * dy`: the mean of the gradients of a query's probabilities.
    minus_mean: Lanes,
    terms: &'a [f32],
}

/// Gradients of the keys of a task, `[keys][width]`.
struct OfKeys<'a> {
    k: &'a mut [f32],
    v: &'a mut [f32],
}

impl Task<'_> {
    /// # Safety
    ///
    /// The gradients of these keys and values have to be this task's alone.
    unsafe fn run<T: Factor>(&self, partial: &mut [f32]) {
        let Context { level, shape, operands, .. } = *self.context;
        let (d, count) = (shape.head_dim, self.keys.len());
        let (channels, width) = (d.next_multiple_of(CHANNELS), d.next_multiple_of(16));
        let terms = self.context.positions.map_or(0, Positions::terms);
        let padded = count.next_multiple_of(ROWS);
        let sizes = [
            packed_tokens::<T>(count, d),
            packed_tokens::<T>(count, d),
            packed_channels::<T>(count, d),
            padded * width,
            padded * width,
        ];
        let mut scratch = Scratch::of(sizes);
        let [keys, values, key_channels, dk, dv] = scratch.pieces(sizes);
        let [keys, values, key_channels] = [keys, values, key_channels].map(T::of);
        let of_k = operands.k.head(self.head).part([self.keys.start, 0], [count, d]);
        let of_v = operands.v.head(self.head).part([self.keys.start, 0], [count, d]);
        pack_tokens(level, of_k, keys);
        pack_tokens(level, of_v, values);
        pack_channels(level, of_k, key_channels);
        dk.fill(0.0);
        dv.fill(0.0);
        let mut of_keys = OfKeys { k: dk, v: dv };

        let elements = T::elements(d);
        let mut strip_scratch = Scratch::of(strip_sizes::<T>(d));
        let mut strip_memory = strip_scratch.pieces(strip_sizes::<T>(d));
        let block_size = (BLOCK + ROWS) * STRIP;
        let block_sizes = [block_size, block_size, T::copied(block_size)];
        let mut block_scratch = Scratch::of(block_sizes);
        let [probabilities, gradients, rounded] = block_scratch.pieces(block_sizes);
        let step = block(count);
        partial.fill(0.0);
        let (of_queries, of_terms) = partial.split_at_mut(shape.queries.div_ceil(STRIP) * channels * STRIP);
        for (index, of_queries) in of_queries.chunks_exact_mut((channels * STRIP).max(1)).enumerate() {
            let strip = self.pack_strip::<T>(index * STRIP, &mut strip_memory);
            let of_terms = &mut of_terms[index * terms * STRIP..][..terms * STRIP];
            for first in (0..count).step_by(step) {
                let block = first..(first + step).min(count);
                let tokens = [&keys[first * elements..], &values[first * elements..]];
                let memory = [&mut *probabilities, &mut *gradients, &mut *rounded];
                self.block(&strip, block.clone(), tokens, memory, &mut of_keys);
                let gradients = &gradients[..block.len() * STRIP];
                let factor = T::down(level, gradients, STRIP, rounded);
                add_channels(level, key_channels, [first, count], factor, lanes(strip.queries), of_queries);
                if let Some(positions) = self.context.positions {
                    let keys = self.keys.start + block.start..self.keys.start + block.end;
                    positions.collect(level, keys, gradients, of_terms);
                }
            }
        }
        for (token, (dk, dv)) in
            self.keys.clone().zip(of_keys.k.chunks_exact(width.max(1)).zip(of_keys.v.chunks_exact(width.max(1))))
        {
            for (result, row) in [(self.context.results[1], dk), (self.context.results[2], dv)] {
                // SAFETY: promised by the caller.
                let out = unsafe { result.token(self.head, token) };
                out.iter_mut().zip(row).for_each(|(out, x)| {
                    out.write(*x);
                });
            }
        }
    }

    /// Probabilities and gradients of the scores of a strip with some keys, and what they add to the gradients of keys and values.
    fn block<T: Factor>(
        &self,
        strip: &StripOf<T>,
        block: Range<usize>,
        [keys, values]: [&[T]; 2],
        [probabilities, gradients, rounded]: [&mut [f32]; 3],
        of_keys: &mut OfKeys,
    ) {
        let Context { level, shape, .. } = *self.context;
        let (count, lanes, width) = (block.len(), lanes(strip.queries), shape.head_dim.next_multiple_of(16));
        let from = match self.context.positions {
            None => From::Zero,
            Some(positions) => {
                let keys = self.keys.start + block.start..self.keys.start + block.end;
                positions.fill(level, keys, strip.terms, &mut probabilities[..count * STRIP]);
                From::Result
            }
        };
        scores(level, keys, strip.q, lanes, count, from, probabilities);
        exponentiate(level, &mut probabilities[..count * STRIP], lanes, &strip.log_sum_exp, &mut [0.0; STRIP]);
        scores(level, values, strip.dy, lanes, count, From::Row(&strip.minus_mean), gradients);
        weigh(level, &probabilities[..count * STRIP], &mut gradients[..count * STRIP]);
        let rows = count.next_multiple_of(ROWS);
        let range = block.start * width..(block.start + rows) * width;
        let factor = T::along(level, &probabilities[..rows * STRIP], &mut *rounded);
        add_tokens(level, factor, count, strip.dy_rows, width, &mut of_keys.v[range.clone()]);
        let factor = T::along(level, &gradients[..rows * STRIP], rounded);
        add_tokens(level, factor, count, strip.q_rows, width, &mut of_keys.k[range]);
    }

    /// The queries from `first` on.
    fn pack_strip<'a, T: Factor>(&'a self, first: usize, memory: &'a mut [&mut [f32]; 6]) -> StripOf<'a, T> {
        let Context { level, shape, operands, given, .. } = *self.context;
        let d = shape.head_dim;
        let width = d.next_multiple_of(16);
        let queries = first..(first + STRIP).min(shape.queries);
        let heads = |data| Heads::new(shape, data, shape.queries, shape.channels()).head(self.head);
        let (of_q, of_dy, of_output) = (operands.q.head(self.head), heads(given.dy), heads(given.output));
        let [q, dy, q_rows, dy_rows, q_rounded, dy_rounded] = memory.each_mut().map(|memory| &mut **memory);
        let (q, dy) = (T::of(q), T::of(dy));
        T::pack::<STRIP>(level, of_q.transposed(), 0..d, first, shape.scale, q);
        T::pack::<STRIP>(level, of_dy.transposed(), 0..d, first, 1.0, dy);
        let (mut log_sum_exp, mut minus_mean) = ([0.0; STRIP], [0.0; STRIP]);
        for (lane, token) in queries.clone().enumerate() {
            log_sum_exp[lane] = given.log_sum_exp[self.head * shape.queries + token];
            minus_mean[lane] = -of_output.row(token).iter().zip(of_dy.row(token)).map(|(y, dy)| y * dy).sum::<f32>();
            for (rows, row, factor) in
                [(&mut *q_rows, of_q.row(token), shape.scale), (&mut *dy_rows, of_dy.row(token), 1.0)]
            {
                let out = &mut rows[lane * width..][..width];
                out[d..].fill(0.0);
                out.iter_mut().zip(row).for_each(|(out, x)| *out = x * factor);
            }
        }
        let terms = self.context.positions.map_or(0, Positions::terms) * STRIP;
        let strip = self.head * shape.queries.div_ceil(STRIP) + first / STRIP;
        let terms = &self.context.terms_of[strip * terms..][..terms];
        let rows = queries.len() * width;
        StripOf {
            queries: queries.len(),
            q,
            q_rows: T::down(level, &q_rows[..rows], width, q_rounded),
            dy,
            dy_rows: T::down(level, &dy_rows[..rows], width, dy_rounded),
            log_sum_exp,
            minus_mean,
            terms,
        }
    }
}

/// Working memory of [`Task::pack_strip`]: queries and gradients in both ways, and the second way rounded.
fn strip_sizes<T: Factor>(head_dim: usize) -> [usize; 6] {
    let (columns, rows) = (T::elements(head_dim) * STRIP, STRIP * head_dim.next_multiple_of(16));
    [columns, columns, rows, rows, T::copied(rows), T::copied(rows)]
}
