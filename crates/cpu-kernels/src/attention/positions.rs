//! Decomposed relative positions: a score's terms for the row and the column of its key.

use super::RelativePositions;
use super::strip::{Lanes, STRIP};
use crate::isa::Level;
use crate::memory::written_in_chunks;
use crate::vectorise::{Arithmetic, vectorised};
use rayon::prelude::*;
use std::mem::MaybeUninit;
use std::ops::Range;

/// Numbers that are summed side by side.
const SIDE: usize = 16;

/// Both tables with the channel before the key, so that the terms of a query with all keys are a sum of rows.
pub(super) struct Positions<'a> {
    pub(super) given: RelativePositions<'a>,
    head_dim: usize,
    by_row: Vec<f32>,
    by_column: Vec<f32>,
}

impl<'a> Positions<'a> {
    pub(super) fn new(given: RelativePositions<'a>, head_dim: usize) -> Self {
        let [rows, columns] = given.grid;
        Self {
            given,
            head_dim,
            by_row: transposed(given.by_row, rows, head_dim),
            by_column: transposed(given.by_column, columns, head_dim),
        }
    }

    /// Rows of a strip's terms: those of the grid's rows, then those of its columns.
    pub(super) fn terms(&self) -> usize {
        self.given.grid[0] + self.given.grid[1]
    }

    /// Row and column of a token.
    pub(super) fn place(&self, token: usize) -> [usize; 2] {
        [token / self.given.grid[1], token % self.given.grid[1]]
    }

    /// Lane `lane` of `terms [rows + columns][64]`, for the query `q` at `token`.
    pub(super) fn of_query(&self, level: Level, token: usize, q: &[f32], lane: usize, terms: &mut [f32]) {
        let ([row, column], [rows, columns]) = (self.place(token), self.given.grid);
        let (by_row, by_column) = terms[..self.terms() * STRIP].split_at_mut(rows * STRIP);
        combine(level, q, table(&self.by_row, row, rows, self.head_dim), rows, lane, by_row);
        combine(level, q, table(&self.by_column, column, columns, self.head_dim), columns, lane, by_column);
    }

    /// The terms of some keys, as the start of their scores.
    pub(super) fn fill(&self, level: Level, keys: Range<usize>, terms: &[f32], scores: &mut [f32]) {
        fill(level, keys.start, self.given.grid, terms, scores);
    }

    /// Adds the gradients of the scores of some keys to those of the terms.
    pub(super) fn collect(&self, level: Level, keys: Range<usize>, scores: &[f32], terms: &mut [f32]) {
        collect(level, keys.start, self.given.grid, scores, terms);
    }

    /// Adds to `dq`, the gradient of the query at `token`, what comes by way of lane `lane` of the gradients of the terms.
    pub(super) fn add_to_query(&self, level: Level, token: usize, terms: &[f32], lane: usize, dq: &mut [f32]) {
        let ([row, column], [rows, columns]) = (self.place(token), self.given.grid);
        let d = self.head_dim;
        let (by_row, by_column) = terms[..self.terms() * STRIP].split_at(rows * STRIP);
        add_rows(level, by_row, lane, &self.given.by_row[row * rows * d..][..rows * d], dq);
        add_rows(level, by_column, lane, &self.given.by_column[column * columns * d..][..columns * d], dq);
    }
}

fn table(tables: &[f32], index: usize, keys: usize, head_dim: usize) -> &[f32] {
    let size = keys.next_multiple_of(SIDE) * head_dim;
    &tables[index * size..][..size]
}

/// From `[queries][keys][head_dim]`, with as many queries as keys, to `[queries][head_dim][keys, padded]`.
fn transposed(by: &[f32], keys: usize, head_dim: usize) -> Vec<f32> {
    let width = keys.next_multiple_of(SIDE);
    let fill = |query: usize, out: &mut [MaybeUninit<f32>]| {
        for (channel, row) in out.chunks_exact_mut(width).enumerate() {
            for (key, out) in row.iter_mut().enumerate() {
                out.write(if key < keys { by[(query * keys + key) * head_dim + channel] } else { 0.0 });
            }
        }
    };
    // SAFETY: the chunks are a whole number of rows, all of which are written.
    unsafe { written_in_chunks(keys * width * head_dim, (width * head_dim).max(1), fill) }
}

vectorised! {
    /// `terms[key][lane] = q · table[.., key]`.
    fn combine(q: &[f32], table: &[f32], keys: usize, lane: usize, terms: &mut [f32]) = combine_body;
}

#[inline(always)]
fn combine_body<A: Arithmetic>(q: &[f32], table: &[f32], keys: usize, lane: usize, terms: &mut [f32]) {
    let width = keys.next_multiple_of(SIDE);
    for first in (0..keys).step_by(SIDE) {
        // Four sums for every fourth channel, so that one addition need not wait for the last.
        let mut sums = [[0.0f32; SIDE]; 4];
        for (q, rows) in q.chunks(4).zip(table.chunks(4 * width)) {
            for ((&q, row), sums) in q.iter().zip(rows.chunks_exact(width)).zip(&mut sums) {
                for (sum, x) in sums.iter_mut().zip(&row[first..first + SIDE]) {
                    *sum = A::mul_add(q, *x, *sum);
                }
            }
        }
        for (key, terms) in terms[first * STRIP..].chunks_exact_mut(STRIP).take(SIDE).enumerate() {
            terms[lane] = (sums[0][key] + sums[1][key]) + (sums[2][key] + sums[3][key]);
        }
    }
}

vectorised! {
    fn fill(first: usize, grid: [usize; 2], terms: &[f32], scores: &mut [f32]) = fill_body;
}

#[inline(always)]
fn fill_body<A: Arithmetic>(first: usize, [rows, columns]: [usize; 2], terms: &[f32], scores: &mut [f32]) {
    let (by_row, by_column) = terms.split_at(rows * STRIP);
    let (mut row, mut column) = (first / columns, first % columns);
    for scores in scores.chunks_exact_mut(STRIP) {
        let terms = by_row[row * STRIP..][..STRIP].iter().zip(&by_column[column * STRIP..][..STRIP]);
        for (score, (by_row, by_column)) in scores.iter_mut().zip(terms) {
            *score = by_row + by_column;
        }
        (row, column) = if column + 1 == columns { (row + 1, 0) } else { (row, column + 1) };
    }
}

vectorised! {
    fn collect(first: usize, grid: [usize; 2], scores: &[f32], terms: &mut [f32]) = collect_body;
}

#[inline(always)]
fn collect_body<A: Arithmetic>(first: usize, [rows, columns]: [usize; 2], scores: &[f32], terms: &mut [f32]) {
    let (by_row, by_column) = terms.split_at_mut(rows * STRIP);
    let (mut row, mut column) = (first / columns, first % columns);
    let mut rest = scores;
    while !rest.is_empty() {
        // The keys of one row of the grid, whose sum stays in registers.
        let (run, others) = rest.split_at(((columns - column) * STRIP).min(rest.len()));
        let mut sum: Lanes = [0.0; STRIP];
        for (scores, out) in run.chunks_exact(STRIP).zip(by_column[column * STRIP..].chunks_exact_mut(STRIP)) {
            for ((score, sum), out) in scores.iter().zip(&mut sum).zip(out) {
                *sum += score;
                *out += score;
            }
        }
        for (out, sum) in by_row[row * STRIP..][..STRIP].iter_mut().zip(sum) {
            *out += sum;
        }
        (row, column, rest) = (row + 1, 0, others);
    }
}

vectorised! {
    /// `out += sum over keys of terms[key][lane] * table[key]`.
    fn add_rows(terms: &[f32], lane: usize, table: &[f32], out: &mut [f32]) = add_rows_body;
}

#[inline(always)]
fn add_rows_body<A: Arithmetic>(terms: &[f32], lane: usize, table: &[f32], out: &mut [f32]) {
    /// Channels whose sums stay in registers.
    const SOME: usize = 64;
    let channels = out.len();
    for (index, out) in out.chunks_mut(SOME).enumerate() {
        let mut sums = [0.0f32; SOME];
        for (terms, row) in terms.chunks_exact(STRIP).zip(table.chunks_exact(channels)) {
            let row = &row[index * SOME..][..out.len()];
            match <&[f32; SOME]>::try_from(row) {
                Ok(row) => sums.iter_mut().zip(row).for_each(|(sum, x)| *sum = A::mul_add(terms[lane], *x, *sum)),
                Err(_) => sums.iter_mut().zip(row).for_each(|(sum, x)| *sum = A::mul_add(terms[lane], *x, *sum)),
            }
        }
        out.iter_mut().zip(sums).for_each(|(out, sum)| *out += sum);
    }
}

vectorised! {
    /// `table[key] += terms[key][lane] * q`.
    fn add_outer(terms: &[f32], lane: usize, q: &[f32], table: &mut [f32]) = add_outer_body;
}

#[inline(always)]
fn add_outer_body<A: Arithmetic>(terms: &[f32], lane: usize, q: &[f32], table: &mut [f32]) {
    for (terms, row) in terms.chunks_exact(STRIP).zip(table.chunks_exact_mut(q.len())) {
        for (out, x) in row.iter_mut().zip(q) {
            *out = A::mul_add(terms[lane], *x, *out);
        }
    }
}

/// The gradients of both tables. `query(head, token)` is the query there, and `terms(head, strip)` are the gradients of its strip's terms.
/// Each entry of a table is the sum over heads and tokens in their order.
pub(super) fn table_gradients<'a>(
    level: Level,
    positions: &Positions,
    heads: usize,
    query: impl Fn(usize, usize) -> &'a [f32] + Sync,
    terms: impl Fn(usize, usize) -> &'a [f32] + Sync,
) -> (Vec<f32>, Vec<f32>) {
    let [rows, columns] = positions.given.grid;
    let d = positions.head_dim;
    let (mut by_row, mut by_column) = (vec![0.0; rows * rows * d], vec![0.0; columns * columns * d]);
    let add = |token: usize, head: usize, of_columns: bool, out: &mut [f32]| {
        let (by_row, by_column) = terms(head, token / STRIP).split_at(rows * STRIP);
        add_outer(level, if of_columns { by_column } else { by_row }, token % STRIP, query(head, token), out);
    };
    by_row.par_chunks_mut((rows * d).max(1)).enumerate().for_each(|(row, out)| {
        for head in 0..heads {
            (0..columns).for_each(|column| add(row * columns + column, head, false, out));
        }
    });
    by_column.par_chunks_mut((columns * d).max(1)).enumerate().for_each(|(column, out)| {
        for head in 0..heads {
            (0..rows).for_each(|row| add(row * columns + column, head, true, out));
        }
    });
    (by_row, by_column)
}

/// The terms of the queries of a strip that begins at token `first`; the lanes of no query are zero.
pub(super) fn of_strip(level: Level, positions: &Positions, q: crate::Matrix, first: usize, terms: &mut [f32]) {
    let tokens = first..(first + STRIP).min(q.rows());
    if tokens.len() < STRIP {
        terms.fill(0.0);
    }
    for token in tokens {
        positions.of_query(level, token, q.row(token), token - first, terms);
    }
}
