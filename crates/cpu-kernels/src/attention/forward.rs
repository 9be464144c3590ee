//! Softmax attention, some hundreds of keys at a time.

use super::factors::Factor;
use super::heads::{CHANNELS, HeadsMut, Operands, pack_channels, pack_tokens, packed_channels, packed_tokens};
use super::positions::{Positions, of_strip};
use super::strip::{
    BLOCK, From, Lanes, STRIP, add_channels, block, exponentiate, lanes, raise, rescale, scores, to_rows,
};
use super::{Attended, AttentionShape, RelativePositions};
use crate::isa::Level;
use crate::memory::written;
use crate::scratch::Scratch;
use crate::tile::ROWS;
use rayon::prelude::*;
use std::mem::MaybeUninit;
use std::ops::Range;

/// Strips of one task: the keys of a block serve all of them from the second cache.
const STRIPS: usize = 4;

pub(super) fn forward<T: Factor>(
    level: Level,
    shape: AttentionShape,
    operands: Operands,
    relative: Option<RelativePositions>,
) -> Attended {
    let positions = relative.map(|given| Positions::new(given, shape.head_dim));
    let heads = shape.batch * shape.heads;
    let sizes = [packed_tokens::<T>(shape.keys, shape.head_dim), packed_channels::<T>(shape.keys, shape.head_dim)];
    let size = (sizes[0] + sizes[1]).max(1);
    let mut packed = Scratch::new(heads * size);
    let packed = T::of(&mut packed.as_mut_slice()[..heads * size]);
    packed.par_chunks_exact_mut(size).enumerate().for_each(|(head, out)| {
        let (keys, values) = out.split_at_mut(sizes[0]);
        pack_tokens(level, operands.k.head(head), keys);
        pack_channels(level, operands.v.head(head), values);
    });
    let packed = &*packed;

    let tasks = shape.queries.div_ceil(STRIPS * STRIP);
    let mut log_sum_exp = Vec::new();
    let fill = |out: &mut [MaybeUninit<f32>]| {
        let output = HeadsMut::new(shape, out.as_mut_ptr(), shape.queries, shape.channels());
        let fill = |logs: &mut [MaybeUninit<f32>]| {
            let parts: Vec<_> = logs
                .chunks_mut(shape.queries.max(1))
                .flat_map(|logs| logs.chunks_mut(STRIPS * STRIP))
                .enumerate()
                .collect();
            parts.into_par_iter().with_max_len(1).for_each(|(index, logs)| {
                let head = index / tasks;
                let (keys, values) = packed[head * size..][..size].split_at(sizes[0]);
                let task = Task { level, shape, operands, positions: positions.as_ref(), keys, values, head, output };
                let first = index % tasks * STRIPS * STRIP;
                // SAFETY: each task has queries of its own.
                unsafe { task.run(first..first + logs.len(), logs) }
            });
        };
        // SAFETY: the chunks are all of it, and each task writes its chunk.
        log_sum_exp = unsafe { written(heads * shape.queries, fill) };
    };
    // SAFETY: there is a task for each query of each head, and it writes its channels.
    let output = unsafe { written(shape.batch * shape.queries * shape.channels(), fill) };
    Attended { output, log_sum_exp }
}

struct Task<'a, T> {
    level: Level,
    shape: AttentionShape,
    operands: Operands<'a>,
    positions: Option<&'a Positions<'a>>,
    keys: &'a [T],
    values: &'a [T],
    head: usize,
    output: HeadsMut,
}

impl<T: Factor> Task<'_, T> {
    /// Some queries of one head, whose logarithms go to `logs`.
    ///
    /// # Safety
    ///
    /// Their channels of the output have to be this task's alone.
    unsafe fn run(&self, queries: Range<usize>, logs: &mut [MaybeUninit<f32>]) {
        let d = self.shape.head_dim;
        let (rows, terms) = (d.next_multiple_of(CHANNELS), self.positions.map_or(0, Positions::terms));
        let strips = queries.len().div_ceil(STRIP);
        let elements = T::elements(d);
        let block_size = (BLOCK + ROWS) * STRIP;
        let sizes = [
            strips * elements * STRIP,
            strips * rows * STRIP,
            strips * terms * STRIP,
            block_size,
            T::copied(block_size),
            d * STRIP,
        ];
        let mut scratch = Scratch::of(sizes);
        let [q, sums, terms_of, scratch_scores, rounded, rows_of] = scratch.pieces(sizes);
        let q = T::of(q);
        let mut state = vec![State::default(); strips];
        let matrix = self.operands.q.head(self.head);
        for index in 0..strips {
            let first = queries.start + index * STRIP;
            let strip = &mut q[index * elements * STRIP..][..elements * STRIP];
            T::pack::<STRIP>(self.level, matrix.transposed(), 0..d, first, self.shape.scale, strip);
            if let Some(positions) = self.positions {
                of_strip(self.level, positions, matrix, first, &mut terms_of[index * terms * STRIP..][..terms * STRIP]);
            }
        }
        sums.fill(0.0);
        let block = block(self.shape.keys);
        for first in (0..self.shape.keys).step_by(block) {
            let keys = first..(first + block).min(self.shape.keys);
            for (index, state) in state.iter_mut().enumerate() {
                let lanes = lanes(queries.len() - index * STRIP);
                let from = match self.positions {
                    None => From::Zero,
                    Some(positions) => {
                        let terms = &terms_of[index * terms * STRIP..][..terms * STRIP];
                        positions.fill(self.level, keys.clone(), terms, &mut scratch_scores[..keys.len() * STRIP]);
                        From::Result
                    }
                };
                let strip = &q[index * elements * STRIP..][..elements * STRIP];
                scores(self.level, &self.keys[first * elements..], strip, lanes, keys.len(), from, scratch_scores);
                let scores = &mut scratch_scores[..keys.len() * STRIP];
                let sums = &mut sums[index * rows * STRIP..][..rows * STRIP];
                state.add(self.level, scores, lanes, sums);
                let scores = T::down(self.level, scores, STRIP, rounded);
                add_channels(self.level, self.values, [first, self.shape.keys], scores, lanes, sums);
            }
        }
        for (index, state) in state.iter().enumerate() {
            let first = index * STRIP;
            to_rows(self.level, &sums[index * rows * STRIP..][..rows * STRIP], d, rows_of);
            for lane in 0..STRIP.min(queries.len() - first) {
                logs[first + lane].write(state.maxima[lane] + state.sums[lane].ln());
                let inverse = state.sums[lane].recip();
                // SAFETY: promised by the caller.
                let out = unsafe { self.output.token(self.head, queries.start + first + lane) };
                for (out, sum) in out.iter_mut().zip(&rows_of[lane * d..]) {
                    out.write(sum * inverse);
                }
            }
        }
    }
}

/// Where the softmax of a strip stands: the largest scores, and the sums of exponentials relative to them.
#[derive(Clone)]
struct State {
    maxima: Lanes,
    sums: Lanes,
}

impl Default for State {
    fn default() -> Self {
        Self { maxima: [f32::NEG_INFINITY; STRIP], sums: [0.0; STRIP] }
    }
}

impl State {
    /// Turns further scores into exponentials, and rescales what was summed before if the maxima rise.
    fn add(&mut self, level: Level, scores: &mut [f32], lanes: usize, rows: &mut [f32]) {
        let before = self.maxima;
        raise(level, scores, lanes, &mut self.maxima);
        // Where all scores are -inf, their exponentials are zero and not those of -inf - -inf.
        let finite = self.maxima.map(|maximum| if maximum == f32::NEG_INFINITY { 0.0 } else { maximum });
        if before != self.maxima {
            let factors = std::array::from_fn(|lane| (before[lane] - finite[lane]).exp());
            rescale(level, rows, &factors);
            rescale(level, &mut self.sums, &factors);
        }
        exponentiate(level, scores, lanes, &finite, &mut self.sums);
    }
}
