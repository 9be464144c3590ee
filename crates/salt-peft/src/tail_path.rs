//! The two ways from the factors of SALT's remaining block to a weight, and which of them is cheaper.
//!
//! Only sizes count here; the rest of the cost model, which knows the methods, is in `cost`.

/// How the low-rank update of the remaining block becomes a weight; both give the same matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TailPath {
    /// `(L X) (Y R)`: inner dimension `d`.
    LowRank,
    /// `L (X Y) R`: inner dimension `k - r`, better where fewer singular values remain than the update has ranks.
    Core,
}

/// Multiply-adds of `L [rows, t]`, `X [t, d]`, `Y [d, t]`, `R [t, columns]` on a path.
pub fn tail_cost(rows: usize, columns: usize, t: usize, d: usize, path: TailPath) -> u128 {
    let [rows, columns, t, d] = [rows, columns, t, d].map(|n| n as u128);
    match path {
        TailPath::LowRank => (rows + columns) * t * d + rows * columns * d,
        TailPath::Core => t * t * d + rows.min(columns) * t * t + rows * columns * t,
    }
}

/// The cheaper path.
pub fn tail_path(rows: usize, columns: usize, t: usize, d: usize) -> TailPath {
    let cost = |path| tail_cost(rows, columns, t, d, path);
    if cost(TailPath::Core) < cost(TailPath::LowRank) { TailPath::Core } else { TailPath::LowRank }
}
