//! Softmax attention of several heads, with the gradients of its operands.

mod backward;
mod factors;
mod forward;
mod heads;
mod positions;
mod strip;

#[cfg(target_arch = "x86_64")]
use crate::bf16::Pair;
use crate::isa::Level;
use crate::{Precision, check};
use heads::Operands;

/// The sizes of an attention, the factor of its scores, and how exactly its products are computed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AttentionShape {
    /// Independent sets of tokens: images, or windows of images.
    pub batch: usize,
    /// Heads of each.
    pub heads: usize,
    /// Tokens that ask.
    pub queries: usize,
    /// Tokens that are asked.
    pub keys: usize,
    /// Channels of one head.
    pub head_dim: usize,
    /// What the dot product of query and key is multiplied by, most often `1 / sqrt(head_dim)`.
    pub scale: f32,
    /// How the factors of products are rounded: of scores, of their products with values, and of all products of the gradients. A softmax,
    /// its sums and the terms of relative positions are `f32` in all precisions.
    pub precision: Precision,
}

impl AttentionShape {
    fn channels(&self) -> usize {
        self.heads * self.head_dim
    }
}

/// The decomposed relative positions of Segment Anything's image encoder. The tokens are a grid, row by row, and the score of query q
/// at (r, c) with a key at (r', c') gains `q · by_row[r, r'] + q · by_column[c, c']`, where q is not scaled.
#[derive(Clone, Copy, Debug)]
pub struct RelativePositions<'a> {
    /// Rows and columns of the grid.
    pub grid: [usize; 2],
    /// `[rows, rows, head_dim]`: by row of the query, then row of the key.
    pub by_row: &'a [f32],
    /// `[columns, columns, head_dim]`: by column of the query, then column of the key.
    pub by_column: &'a [f32],
}

/// What attention returns.
#[derive(Clone, Debug)]
pub struct Attended {
    /// `[batch, queries, heads * head_dim]`.
    pub output: Vec<f32>,
    /// The logarithm of the sum of the exponentials of a query's scores, `[batch, heads, queries]`: all that the gradient needs to
    /// find the scores again.
    pub log_sum_exp: Vec<f32>,
}

/// The gradients of [`self_attention`].
#[derive(Clone, Debug)]
pub struct SelfAttentionGradients {
    /// As the operand: `[batch, tokens, 3 * heads * head_dim]`.
    pub qkv: Vec<f32>,
    /// As [`RelativePositions::by_row`], if asked for.
    pub by_row: Option<Vec<f32>>,
    /// As [`RelativePositions::by_column`], if asked for.
    pub by_column: Option<Vec<f32>>,
}

/// Attention of tokens among themselves. `qkv` is `[batch, tokens, 3 * heads * head_dim]`: queries, keys and values beside each other,
/// each with its heads one after the other.
///
/// # Panics
///
/// If an argument does not have the size that `shape` says, or `queries` and `keys` differ, or the grid is not as many tokens; and if the
/// machine cannot compute in the precision.
pub fn self_attention(shape: AttentionShape, qkv: &[f32], relative: Option<RelativePositions>) -> Attended {
    check_self(shape, qkv, relative);
    forward_of(shape, Operands::joint(shape, qkv), relative)
}

/// The gradients of [`self_attention`] with respect to `qkv` and, if `want_positions`, to the two tables of positions, from
/// `attended`, which it returned, and `dy`, the gradient of its output. Scores are computed anew.
///
/// # Panics
///
/// If an argument does not have the size that `shape` says.
pub fn self_attention_backward(
    shape: AttentionShape,
    qkv: &[f32],
    relative: Option<RelativePositions>,
    output: &[f32],
    log_sum_exp: &[f32],
    dy: &[f32],
    want_positions: bool,
) -> SelfAttentionGradients {
    check_self(shape, qkv, relative);
    check_attended(shape, output, log_sum_exp, dy);
    let attended = backward::Given { output, log_sum_exp, dy };
    let level = Level::current();
    #[cfg(target_arch = "x86_64")]
    if factors::are_rounded(level, shape) {
        return backward::joint::<Pair>(level, shape, qkv, relative, attended, want_positions);
    }
    backward::joint::<f32>(level, shape, qkv, relative, attended, want_positions)
}

/// Attention of queries `q [batch, queries, heads * head_dim]` to keys `k` and values `v [batch, keys, heads * head_dim]`.
///
/// # Panics
///
/// If an argument does not have the size that `shape` says.
pub fn cross_attention(shape: AttentionShape, q: &[f32], k: &[f32], v: &[f32]) -> Attended {
    check_cross(shape, q, k, v);
    forward_of(shape, Operands::separate(shape, q, k, v), None)
}

/// The gradients of [`cross_attention`] with respect to `q`, `k` and `v`, from what it returned and the gradient of its output.
///
/// # Panics
///
/// If an argument does not have the size that `shape` says.
#[allow(clippy::too_many_arguments)]
pub fn cross_attention_backward(
    shape: AttentionShape,
    q: &[f32],
    k: &[f32],
    v: &[f32],
    output: &[f32],
    log_sum_exp: &[f32],
    dy: &[f32],
) -> (Vec<f32>, Vec<f32>, Vec<f32>) {
    check_cross(shape, q, k, v);
    check_attended(shape, output, log_sum_exp, dy);
    let (operands, attended) = (Operands::separate(shape, q, k, v), backward::Given { output, log_sum_exp, dy });
    let level = Level::current();
    #[cfg(target_arch = "x86_64")]
    if factors::are_rounded(level, shape) {
        return backward::separate::<Pair>(level, shape, operands, attended);
    }
    backward::separate::<f32>(level, shape, operands, attended)
}

fn forward_of(shape: AttentionShape, operands: Operands, relative: Option<RelativePositions>) -> Attended {
    let level = Level::current();
    #[cfg(target_arch = "x86_64")]
    if factors::are_rounded(level, shape) {
        return forward::forward::<Pair>(level, shape, operands, relative);
    }
    forward::forward::<f32>(level, shape, operands, relative)
}

#[track_caller]
fn check_self(shape: AttentionShape, qkv: &[f32], relative: Option<RelativePositions>) {
    shape.precision.expect_possible();
    assert!(
        shape.queries == shape.keys,
        "self-attention has {} queries and {} keys, expected as many",
        shape.queries,
        shape.keys
    );
    check::length("qkv", qkv.len(), &[shape.batch, shape.queries, 3, shape.heads, shape.head_dim]);
    if let Some(relative) = relative {
        let [rows, columns] = relative.grid;
        assert!(rows * columns == shape.queries, "the grid is {rows} x {columns}, expected {} tokens", shape.queries);
        check::length("by_row", relative.by_row.len(), &[rows, rows, shape.head_dim]);
        check::length("by_column", relative.by_column.len(), &[columns, columns, shape.head_dim]);
    }
}

#[track_caller]
fn check_cross(shape: AttentionShape, q: &[f32], k: &[f32], v: &[f32]) {
    shape.precision.expect_possible();
    check::length("q", q.len(), &[shape.batch, shape.queries, shape.heads, shape.head_dim]);
    check::length("k", k.len(), &[shape.batch, shape.keys, shape.heads, shape.head_dim]);
    check::length("v", v.len(), &[shape.batch, shape.keys, shape.heads, shape.head_dim]);
}

#[track_caller]
fn check_attended(shape: AttentionShape, output: &[f32], log_sum_exp: &[f32], dy: &[f32]) {
    check::length("output", output.len(), &[shape.batch, shape.queries, shape.heads, shape.head_dim]);
    check::length("log_sum_exp", log_sum_exp.len(), &[shape.batch, shape.heads, shape.queries]);
    check::length("dy", dy.len(), &[shape.batch, shape.queries, shape.heads, shape.head_dim]);
}
