//! Strided views of matrices.

/// A matrix in somebody else's memory: element (i, j) is `data[i * row_stride + j * column_stride]`.
#[derive(Clone, Copy, Debug)]
pub struct Matrix<'a> {
    data: &'a [f32],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a> Matrix<'a> {
    /// A row-major matrix without gaps.
    ///
    /// # Panics
    ///
    /// If `data` does not have `rows * columns` elements.
    #[track_caller]
    pub fn new(data: &'a [f32], rows: usize, columns: usize) -> Self {
        crate::check::length("the matrix", data.len(), &[rows, columns]);
        Self { data, rows, columns, row_stride: columns, column_stride: 1 }
    }

    /// A matrix with any strides, zero included.
    ///
    /// # Panics
    ///
    /// If an element would lie behind the end of `data`.
    #[track_caller]
    pub fn strided(data: &'a [f32], [rows, columns]: [usize; 2], [row_stride, column_stride]: [usize; 2]) -> Self {
        let inside = rows == 0
            || columns == 0
            || (rows - 1)
                .checked_mul(row_stride)
                .zip((columns - 1).checked_mul(column_stride))
                .and_then(|(row, column)| row.checked_add(column))
                .is_some_and(|last| last < data.len());
        assert!(
            inside,
            "a matrix of {rows} x {columns} with strides {row_stride} and {column_stride} does not fit into {} elements",
            data.len()
        );
        Self { data, rows, columns, row_stride, column_stride }
    }

    /// The same memory with rows and columns exchanged.
    #[must_use]
    pub fn transposed(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The number of columns.
    pub fn columns(&self) -> usize {
        self.columns
    }

    pub(crate) fn row_stride(&self) -> usize {
        self.row_stride
    }

    pub(crate) fn column_stride(&self) -> usize {
        self.column_stride
    }

    pub(crate) fn as_ptr(&self) -> *const f32 {
        self.data.as_ptr()
    }

    /// The element in row `i` and column `j`.
    pub(crate) fn at(&self, i: usize, j: usize) -> f32 {
        self.data[i * self.row_stride + j * self.column_stride]
    }

    /// Row `i` of a matrix whose rows have no gaps.
    pub(crate) fn row(&self, i: usize) -> &'a [f32] {
        debug_assert!(self.column_stride == 1 || self.columns <= 1);
        &self.data[i * self.row_stride..][..self.columns]
    }

    /// Column `j` of a matrix whose columns have no gaps.
    pub(crate) fn column(&self, j: usize) -> &'a [f32] {
        self.transposed().row(j)
    }

    /// The `shape` elements from row and column `start` on.
    pub(crate) fn part(&self, start: [usize; 2], [rows, columns]: [usize; 2]) -> Self {
        assert!(start[0] + rows <= self.rows && start[1] + columns <= self.columns);
        let offset =
            if rows == 0 || columns == 0 { 0 } else { start[0] * self.row_stride + start[1] * self.column_stride };
        Self { data: &self.data[offset..], rows, columns, ..*self }
    }
}
