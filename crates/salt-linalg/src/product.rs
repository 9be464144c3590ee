//! Matrix products whose bits do not depend on the number of threads, and the conversions around them.
//!
//! A product is cut into blocks by a rule that knows only the shape; each block is computed by one thread with faer's sequential kernel.
//! One thread or many, the same blocks are computed in the same way.

use faer::{MatMut, MatRef};
use nalgebra::DMatrix;
use rayon::prelude::*;

use crate::real::sealed::Kernel;

/// Whether the blocks of a product are shared out to the threads of the current rayon pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Schedule {
    Sequential,
    Parallel,
}

/// Products below this many multiplications are not worth cutting up.
const SMALL_PRODUCT: usize = 1 << 21;
const BLOCKS: usize = 8;
/// Blocks are multiples of the widest SIMD register.
const BLOCK_MULTIPLE: usize = 16;

pub(crate) fn view<T>(matrix: &DMatrix<T>) -> MatRef<'_, T> {
    MatRef::from_column_major_slice(matrix.as_slice(), matrix.nrows(), matrix.ncols())
}

pub(crate) fn view_mut<T>(matrix: &mut DMatrix<T>) -> MatMut<'_, T> {
    let (rows, cols) = matrix.shape();
    MatMut::from_column_major_slice_mut(matrix.as_mut_slice(), rows, cols)
}

pub(crate) fn zeros<T: Kernel>(rows: usize, cols: usize) -> DMatrix<T> {
    DMatrix::from_vec_generic(nalgebra::Dyn(rows), nalgebra::Dyn(cols), vec![T::zeroed(); rows * cols])
}

/// One block of a product: where it goes, and the rows and columns that make it.
type Block<'a, T> = (MatMut<'a, T>, MatRef<'a, T>, MatRef<'a, T>);

/// `lhs * rhs`.
pub(crate) fn product<T: Kernel>(schedule: Schedule, lhs: MatRef<'_, T>, rhs: MatRef<'_, T>) -> DMatrix<T> {
    let mut out = zeros(lhs.nrows(), rhs.ncols());
    product_into(schedule, view_mut(&mut out), false, lhs, rhs, T::narrow(1.0));
    out
}

/// Rows of a panel: what the kernels hold in registers at once.
const PANEL: usize = 96;

/// `lhs * rhs` for few rows on the left. More than a panel of them is cut up and each panel laid out by itself, so that the kernels read it
/// without strides; that makes wide sketches a third faster.
pub(crate) fn product_by_panels<T: Kernel>(schedule: Schedule, lhs: &DMatrix<T>, rhs: MatRef<'_, T>) -> DMatrix<T> {
    let rows = lhs.nrows();
    if rows <= PANEL || rhs.ncols() < PANEL {
        return product(schedule, view(lhs), rhs);
    }
    let size = rows.div_ceil(rows.div_ceil(PANEL)).next_multiple_of(BLOCK_MULTIPLE);
    let mut out = zeros(rows, rhs.ncols());
    for start in (0..rows).step_by(size) {
        let count = size.min(rows - start);
        let panel = lhs.rows(start, count).into_owned();
        out.rows_mut(start, count).copy_from(&product(schedule, view(&panel), rhs));
    }
    out
}

/// `dst = alpha * lhs * rhs`, added to `dst` if `accumulate`.
pub(crate) fn product_into<T: Kernel>(
    schedule: Schedule,
    dst: MatMut<'_, T>,
    accumulate: bool,
    lhs: MatRef<'_, T>,
    rhs: MatRef<'_, T>,
    alpha: T,
) {
    let (rows, cols, depth) = (dst.nrows(), dst.ncols(), lhs.ncols());
    if rows.saturating_mul(cols).saturating_mul(depth) < SMALL_PRODUCT {
        return T::gemm(dst, accumulate, lhs, rhs, alpha);
    }
    let by_rows = rows >= cols;
    let block = rows.max(cols).div_ceil(BLOCKS).next_multiple_of(BLOCK_MULTIPLE);
    let mut blocks = Vec::with_capacity(BLOCKS);
    let mut rest = dst;
    let mut start = 0;
    loop {
        let left = if by_rows { rest.nrows() } else { rest.ncols() };
        let size = block.min(left);
        if size == 0 {
            break;
        }
        let (head, tail) = if by_rows { rest.split_at_row_mut(size) } else { rest.split_at_col_mut(size) };
        let (lhs, rhs) = if by_rows { (lhs.subrows(start, size), rhs) } else { (lhs, rhs.subcols(start, size)) };
        blocks.push((head, lhs, rhs));
        rest = tail;
        start += size;
    }
    let run = |(dst, lhs, rhs): Block<'_, T>| T::gemm(dst, accumulate, lhs, rhs, alpha);
    match schedule {
        Schedule::Sequential => blocks.into_iter().for_each(run),
        Schedule::Parallel => blocks.into_par_iter().with_max_len(1).for_each(run),
    }
}

/// The matrix in another number type, times `factor`.
pub(crate) fn convert_scaled<S: Kernel, T: Kernel>(matrix: &DMatrix<S>, factor: f64) -> DMatrix<T> {
    let data = matrix.as_slice().iter().map(|value| T::narrow(value.widen() * factor)).collect();
    DMatrix::from_vec_generic(nalgebra::Dyn(matrix.nrows()), nalgebra::Dyn(matrix.ncols()), data)
}

/// The matrix in another number type.
pub(crate) fn convert<S: Kernel, T: Kernel>(matrix: &DMatrix<S>) -> DMatrix<T> {
    convert_scaled(matrix, 1.0)
}

/// The transpose in another number type.
pub(crate) fn convert_transposed<S: Kernel, T: Kernel>(matrix: &DMatrix<S>) -> DMatrix<T> {
    convert_transposed_scaled(matrix, 1.0)
}

/// The transpose in another number type, times `factor`, tile by tile so that both sides stay in the cache.
pub(crate) fn convert_transposed_scaled<S: Kernel, T: Kernel>(matrix: &DMatrix<S>, factor: f64) -> DMatrix<T> {
    const TILE: usize = 16;
    let (rows, cols) = matrix.shape();
    let source = matrix.as_slice();
    let mut out: DMatrix<T> = zeros(cols, rows);
    let target = out.as_mut_slice();
    for col in (0..cols).step_by(TILE) {
        let col_end = (col + TILE).min(cols);
        for row in (0..rows).step_by(TILE) {
            let row_end = (row + TILE).min(rows);
            for i in row..row_end {
                let line = &mut target[i * cols + col..i * cols + col_end];
                for (value, j) in line.iter_mut().zip(col..) {
                    *value = T::narrow(source[j * rows + i].widen() * factor);
                }
            }
        }
    }
    out
}

/// Sum of squares in double precision, with four accumulators so that it vectorises and rounds little.
pub(crate) fn sum_of_squares<T: Kernel>(values: &[T]) -> f64 {
    let mut lanes = [0.0f64; 8];
    let (chunks, rest) = values.as_chunks::<8>();
    for chunk in chunks {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            let value = value.widen();
            *lane += value * value;
        }
    }
    let rest: f64 = rest.iter().map(|value| value.widen() * value.widen()).sum();
    lanes.iter().sum::<f64>() + rest
}

/// Lower triangle of AᵀA for a matrix A; the upper triangle is left zero.
pub(crate) fn gram<T: Kernel>(matrix: MatRef<'_, T>, schedule: Schedule) -> DMatrix<T> {
    let cols = matrix.ncols();
    let mut out = zeros(cols, cols);
    // Columns of the triangle, cut so that the blocks cost about the same.
    let blocks = if cols >= 192 { 6 } else { 1 };
    let mut tasks = Vec::with_capacity(blocks);
    let mut rest = view_mut(&mut out);
    let mut start = 0;
    for i in 1..=blocks {
        let share = 1.0 - (1.0 - i as f64 / blocks as f64).sqrt();
        let end = if i == blocks { cols } else { (share * cols as f64) as usize / BLOCK_MULTIPLE * BLOCK_MULTIPLE };
        let (head, tail) = rest.split_at_col_mut(end - start);
        tasks.push((head, start, end));
        rest = tail;
        start = end;
    }
    let run = |(block, start, end): (MatMut<'_, T>, usize, usize)| {
        let (_, block) = block.split_at_row_mut(start);
        let (diagonal, below) = block.split_at_row_mut(end - start);
        let columns = matrix.subcols(start, end - start);
        T::gemm_lower(diagonal, columns.transpose(), columns);
        T::gemm(below, false, matrix.subcols(end, cols - end).transpose(), columns, T::narrow(1.0));
    };
    match schedule {
        Schedule::Sequential => tasks.into_iter().for_each(run),
        Schedule::Parallel => tasks.into_par_iter().with_max_len(1).for_each(run),
    }
    out
}

/// Lower triangle of B Bᵀ in double precision; the upper triangle is left zero.
pub(crate) fn gram_of_rows<T: Kernel>(matrix: &DMatrix<T>, schedule: Schedule) -> DMatrix<f64> {
    let (rows, cols) = matrix.shape();
    let size = cols.div_ceil(BLOCKS).max(BLOCK_MULTIPLE) * rows;
    let part = |values: &[T]| {
        let double: Vec<f64> = values.iter().map(|value| value.widen()).collect();
        let block = MatRef::from_column_major_slice(&double, rows, double.len() / rows);
        let mut out: DMatrix<f64> = zeros(rows, rows);
        f64::gemm_lower(view_mut(&mut out), block, block.transpose());
        out
    };
    let parts: Vec<DMatrix<f64>> = match schedule {
        Schedule::Sequential => matrix.as_slice().chunks(size).map(part).collect(),
        Schedule::Parallel => matrix.as_slice().par_chunks(size).with_max_len(1).map(part).collect(),
    };
    let mut parts = parts.into_iter();
    let first = parts.next().unwrap_or_else(|| zeros(rows, rows));
    parts.fold(first, |sum, part| sum + part)
}

/// Copies the lower triangle of a square matrix onto the upper one.
pub(crate) fn mirror<T: Kernel>(matrix: &mut DMatrix<T>) {
    const TILE: usize = 32;
    let size = matrix.nrows();
    for col in (0..size).step_by(TILE) {
        for row in (col..size).step_by(TILE) {
            for j in col..(col + TILE).min(size) {
                for i in row.max(j + 1)..(row + TILE).min(size) {
                    matrix[(j, i)] = matrix[(i, j)];
                }
            }
        }
    }
}
