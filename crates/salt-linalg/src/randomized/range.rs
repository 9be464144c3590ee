//! An orthonormal basis of a subspace that nearly contains the leading right singular vectors of a tall matrix A (m x n, m ≥ n),
//! together with A times that basis.

use faer::MatRef;
use nalgebra::DMatrix;

use super::orthonormal::{extend, orthonormalise};
use super::{Iteration, RandomizedOptions};
use crate::gaussian::{self, Stream};
use crate::product::{Schedule, gram, mirror, product, view, zeros};
use crate::real::Real;

pub(super) struct Range<T: Real> {
    /// Orthonormal, n x l.
    pub(super) basis: DMatrix<T>,
    /// A times the basis, m x l.
    pub(super) image: DMatrix<T>,
}

/// Beyond this condition number the image of a basis is orthonormalised too before it is multiplied again: AᵀA squares the condition,
/// and single precision has seven digits.
const WELL_CONDITIONED: f64 = 100.0;

pub(super) fn find<T: Real>(tall: MatRef<'_, T>, options: &RandomizedOptions, schedule: Schedule) -> Range<T> {
    match options.iteration {
        Iteration::Power { iterations } => power(tall, options, iterations, schedule),
        Iteration::BlockKrylov { iterations, block } => {
            let block = block.unwrap_or(options.rank + options.oversampling);
            krylov(tall, options.seed, block, iterations, schedule)
        }
    }
}

/// The span of (AᵀA)^iterations AᵀΩ, orthonormalised after every product that could lose digits.
fn power<T: Real>(tall: MatRef<'_, T>, options: &RandomizedOptions, iterations: usize, schedule: Schedule) -> Range<T> {
    let width = options.rank + options.oversampling;
    let squared = through_square(tall, width, iterations, options.seed, schedule);
    let basis = squared.unwrap_or_else(|| {
        let omega: DMatrix<T> = gaussian::matrix(tall.nrows(), width, options.seed, Stream::Sketch);
        let mut basis = orthonormalise(&product(schedule, tall.transpose(), view(&omega)), schedule);
        for _ in 0..iterations {
            let mut image = product(schedule, tall, view(&basis.q));
            if basis.condition > WELL_CONDITIONED {
                image = orthonormalise(&image, schedule).q;
            }
            basis = orthonormalise(&product(schedule, tall.transpose(), view(&image)), schedule);
        }
        basis.q
    });
    let image = product(schedule, tall, view(&basis));
    Range { basis, image }
}

/// The span of (AᵀA)^(iterations + 1) Ω, half a step further than asked for, by way of the product AᵀA, if forming that once costs less than multiplying
/// with A and Aᵀ in turn. `None` if it does not, or if the sketch is so badly conditioned that the square would lose digits.
fn through_square<T: Real>(
    tall: MatRef<'_, T>,
    width: usize,
    iterations: usize,
    seed: u64,
    schedule: Schedule,
) -> Option<DMatrix<T>> {
    let (m, n) = (tall.nrows(), tall.ncols());
    // Multiplications; of the product only one triangle is computed.
    let direct = (2 * iterations + 1) * m * n * width;
    let square = m * n * n / 2 + (iterations + 1) * n * n * width;
    if square > direct {
        return None;
    }
    let mut squared = gram(tall, schedule);
    mirror(&mut squared);
    let omega: DMatrix<T> = gaussian::matrix(n, width, seed, Stream::Sketch);
    let mut basis = omega;
    for _ in 0..=iterations {
        let next = orthonormalise(&product(schedule, view(&squared), view(&basis)), schedule);
        if next.condition > WELL_CONDITIONED * WELL_CONDITIONED {
            return None;
        }
        basis = next.q;
    }
    Some(basis)
}

/// The span of AᵀΩ, (AᵀA) AᵀΩ, … , (AᵀA)^iterations AᵀΩ, each block made orthogonal to those before.
fn krylov<T: Real>(tall: MatRef<'_, T>, seed: u64, block: usize, iterations: usize, schedule: Schedule) -> Range<T> {
    let (m, n) = (tall.nrows(), tall.ncols());
    let total = block.saturating_mul(iterations + 1).min(n);
    let (mut basis, mut image): (DMatrix<T>, DMatrix<T>) = (zeros(n, total), zeros(m, total));
    let omega: DMatrix<T> = gaussian::matrix(m, block, seed, Stream::Sketch);
    let mut fresh = product(schedule, tall.transpose(), view(&omega));
    let mut filled = 0;
    while filled < total {
        let count = block.min(total - filled);
        // The last block may have to be narrower than the others.
        let fresh_columns = fresh.columns(0, count).into_owned();
        let next = extend(&basis, filled, &fresh_columns, schedule);
        let product_with_a = product(schedule, tall, view(&next));
        basis.columns_mut(filled, count).copy_from(&next);
        image.columns_mut(filled, count).copy_from(&product_with_a);
        filled += count;
        if filled < total {
            fresh = product(schedule, tall.transpose(), view(&product_with_a));
        }
    }
    Range { basis, image }
}
