//! An orthonormal basis that captures most of the range of a matrix.

use nalgebra::DMatrix;

use super::orthonormal::orthonormalise;
use super::{Iteration, RandomizedOptions};
use crate::gaussian::{self, Stream};
use crate::input::Input;
use crate::product::{Schedule, product, view, zeros};
use crate::real::Real;

pub(super) fn find<T: Real>(input: &Input<'_, T>, options: &RandomizedOptions, schedule: Schedule) -> DMatrix<T> {
    let matrix = view(input.matrix.as_ref());
    let width = options.rank + options.oversampling;
    let omega: DMatrix<T> = gaussian::matrix(matrix.ncols(), width, options.seed, Stream::Sketch);
    let mut q = orthonormalise(product(schedule, matrix, view(&omega)), schedule);
    match options.iteration {
        Iteration::Power { iterations } => {
            for _ in 0..iterations {
                let z = orthonormalise(product(schedule, matrix.transpose(), view(&q)), schedule);
                q = orthonormalise(product(schedule, matrix, view(&z)), schedule);
            }
            q
        }
        Iteration::BlockKrylov { iterations } => {
            let limit = input.matrix.nrows().min(input.matrix.ncols());
            let mut basis: DMatrix<T> = zeros(matrix.nrows(), (width * (iterations + 1)).min(limit));
            let mut filled = 0;
            for i in 0..=iterations {
                let count = width.min(basis.ncols() - filled);
                basis.columns_mut(filled, count).copy_from(&q.columns(0, count));
                filled += count;
                if i == iterations || filled == basis.ncols() {
                    break;
                }
                let z = product(schedule, matrix.transpose(), view(&q));
                q = orthonormalise(product(schedule, matrix, view(&z)), schedule);
            }
            orthonormalise(basis, schedule)
        }
    }
}
