//! Scaled dot-product attention of several heads.

use burn::tensor::Tensor;

/// How the channels of a token are divided, and where its tokens lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heads {
    /// Number of heads; it divides the channels.
    pub count: usize,
    /// Rows and columns of the grid of tokens, row by row; needed for relative positions only.
    pub grid: Option<[usize; 2]>,
}

/// The decomposed relative positions of Segment Anything: a term of each score for the pair of rows, and one for the pair of columns.
#[derive(Clone, Debug)]
pub struct RelativeTables {
    /// `[rows, rows, head_dim]`: query row, key row.
    pub by_row: Tensor<3>,
    /// `[columns, columns, head_dim]`: query column, key column.
    pub by_column: Tensor<3>,
}

/// Self-attention of `qkv [batch, tokens, 3 * channels]`, columns ordered (query | key | value), each (head, head_dim):
/// `[batch, tokens, channels]`.
///
/// The scores are `q . k / sqrt(head_dim)`, with `relative` plus `q . by_row[row of q, row of k] + q . by_column[column of q, column of k]`.
///
/// # Panics
/// If shapes do not fit, or if there are relative positions without a grid.
pub fn self_attention(qkv: Tensor<3>, heads: Heads, relative: Option<RelativeTables>) -> Tensor<3> {
    let [_, tokens, columns] = qkv.dims();
    assert!(
        heads.count > 0 && columns % (3 * heads.count) == 0,
        "qkv: expected a multiple of 3 x {} columns, found {columns}",
        heads.count
    );
    if let Some(relative) = &relative {
        let grid = heads.grid.unwrap_or([0, 0]);
        assert!(grid[0] * grid[1] == tokens, "grid: expected {tokens} tokens, found {grid:?}");
        let head_dim = columns / 3 / heads.count;
        for (table, side, name) in [(&relative.by_row, grid[0], "by_row"), (&relative.by_column, grid[1], "by_column")]
        {
            let expected = [side, side, head_dim];
            assert!(table.dims() == expected, "{name}: expected {expected:?}, found {:?}", table.dims());
        }
    }
    #[cfg(feature = "cpu")]
    if super::is_fused(&qkv) {
        return crate::fused::self_attention(qkv, heads, relative);
    }
    crate::plain::self_attention(qkv, heads, relative)
}

/// Attention of `query [batch, queries, channels]` to `key` and `value [batch, keys, channels]`, channels ordered (head, head_dim):
/// `[batch, queries, channels]`.
///
/// # Panics
/// If shapes do not fit.
pub fn cross_attention(query: Tensor<3>, key: Tensor<3>, value: Tensor<3>, heads: usize) -> Tensor<3> {
    #[cfg(feature = "cpu")]
    if super::is_fused(&query) {
        return crate::fused::cross_attention(query, key, value, heads);
    }
    crate::plain::cross_attention(query, key, value, heads)
}
