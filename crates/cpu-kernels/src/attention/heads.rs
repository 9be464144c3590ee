//! Where the tokens of a head are, and their copies in panels.

use super::AttentionShape;
use super::factors::Factor;
use crate::Matrix;
use crate::isa::Level;
use crate::tile::ROWS;
use std::mem::MaybeUninit;

/// Rows of a left panel whose rows are channels.
pub(super) const CHANNELS: usize = 8;

/// Tokens of all heads: token t of batch b has the channels of head h at `(b * tokens + t) * stride + h * head_dim`.
#[derive(Clone, Copy)]
pub(super) struct Heads<'a> {
    data: &'a [f32],
    tokens: usize,
    stride: usize,
    heads: usize,
    head_dim: usize,
}

impl<'a> Heads<'a> {
    pub(super) fn new(shape: AttentionShape, data: &'a [f32], tokens: usize, stride: usize) -> Self {
        Self { data, tokens, stride, heads: shape.heads, head_dim: shape.head_dim }
    }

    /// `[tokens, head_dim]` of one of the `batch * heads` heads.
    pub(super) fn head(&self, index: usize) -> Matrix<'a> {
        let start = index / self.heads * self.tokens * self.stride + index % self.heads * self.head_dim;
        let data = self.data.get(start..).unwrap_or_default();
        Matrix::strided(data, [self.tokens, self.head_dim], [self.stride, 1])
    }
}

/// Queries, keys and values.
#[derive(Clone, Copy)]
pub(super) struct Operands<'a> {
    pub(super) q: Heads<'a>,
    pub(super) k: Heads<'a>,
    pub(super) v: Heads<'a>,
}

impl<'a> Operands<'a> {
    /// Of one array, beside each other.
    pub(super) fn joint(shape: AttentionShape, qkv: &'a [f32]) -> Self {
        let channels = shape.channels();
        let part =
            |index: usize| Heads::new(shape, qkv.get(index * channels..).unwrap_or_default(), shape.keys, 3 * channels);
        Self { q: part(0), k: part(1), v: part(2) }
    }

    pub(super) fn separate(shape: AttentionShape, q: &'a [f32], k: &'a [f32], v: &'a [f32]) -> Self {
        let channels = shape.channels();
        Self {
            q: Heads::new(shape, q, shape.queries, channels),
            k: Heads::new(shape, k, shape.keys, channels),
            v: Heads::new(shape, v, shape.keys, channels),
        }
    }
}

/// An array of tokens that tasks write, laid out as [`Heads`].
#[derive(Clone, Copy)]
pub(super) struct HeadsMut {
    data: *mut MaybeUninit<f32>,
    tokens: usize,
    stride: usize,
    heads: usize,
    head_dim: usize,
}

// SAFETY: each task writes tokens and heads of its own.
unsafe impl Send for HeadsMut {}
// SAFETY: as above.
unsafe impl Sync for HeadsMut {}

impl HeadsMut {
    /// `data` begins with the channels of the first head of the first token.
    pub(super) fn new(shape: AttentionShape, data: *mut MaybeUninit<f32>, tokens: usize, stride: usize) -> Self {
        Self { data, tokens, stride, heads: shape.heads, head_dim: shape.head_dim }
    }

    /// The channels of one token of one of the `batch * heads` heads.
    ///
    /// # Safety
    ///
    /// The array has to be as large as was said, and nobody else may use this token and head meanwhile.
    pub(super) unsafe fn token<'a>(&self, index: usize, token: usize) -> &'a mut [MaybeUninit<f32>] {
        let row = (index / self.heads * self.tokens + token) * self.stride + index % self.heads * self.head_dim;
        // SAFETY: promised by the caller.
        unsafe { std::slice::from_raw_parts_mut(self.data.add(row), self.head_dim) }
    }
}

/// The size of [`pack_tokens`].
pub(super) fn packed_tokens<T: Factor>(tokens: usize, head_dim: usize) -> usize {
    tokens.div_ceil(ROWS) * ROWS * T::elements(head_dim)
}

/// Tokens as the rows of a left factor: `[panel][head_dim][12]`.
pub(super) fn pack_tokens<T: Factor>(level: Level, tokens: Matrix, out: &mut [T]) {
    let size = ROWS * T::elements(tokens.columns());
    for (panel, out) in out.chunks_exact_mut(size.max(1)).enumerate() {
        T::pack::<ROWS>(level, tokens.transposed(), 0..tokens.columns(), panel * ROWS, 1.0, out);
    }
}

/// The size of [`pack_channels`].
pub(super) fn packed_channels<T: Factor>(tokens: usize, head_dim: usize) -> usize {
    head_dim.next_multiple_of(CHANNELS) * T::elements(tokens)
}

/// Channels as the rows of a left factor: `[panel][tokens][8]`.
pub(super) fn pack_channels<T: Factor>(level: Level, tokens: Matrix, out: &mut [T]) {
    let size = CHANNELS * T::elements(tokens.rows());
    for (panel, out) in out.chunks_exact_mut(size.max(1)).enumerate() {
        T::pack::<CHANNELS>(level, tokens, 0..tokens.rows(), panel * CHANNELS, 1.0, out);
    }
}
