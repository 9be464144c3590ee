//! An orthonormal basis of a subspace that nearly contains the leading right singular vectors of a tall matrix A (m x n, m ≥ n),
//! together with A times that basis.

use faer::MatRef;
use nalgebra::DMatrix;

use super::options::{Iteration, RandomizedOptions};
use super::orthonormal::{condition_well, extend, orthonormalise};
use crate::gaussian::{self, Stream};
use crate::product::{Schedule, gram, mirror, product_by_panels, view, zeros};
use crate::real::Real;

pub(super) struct Range<T: Real> {
    /// Z with orthonormal rows, l x n.
    pub(super) basis: DMatrix<T>,
    /// Z Aᵀ, l x m.
    pub(super) image: DMatrix<T>,
}

/// Beyond this condition number the image of a basis is orthonormalised too before it is multiplied again: AᵀA squares the condition,
/// and single precision has seven digits.
const WELL_CONDITIONED: f64 = 100.0;
/// Sketches from this width on are rounded up to full SIMD registers: the kernels take as long for 74 columns as for 80.
const ROUNDED_FROM: usize = 64;
const REGISTER: usize = 16;

pub(super) fn find<T: Real>(tall: MatRef<'_, T>, options: &RandomizedOptions, schedule: Schedule) -> Range<T> {
    let width = options.rank + options.oversampling;
    match options.iteration {
        Iteration::Power { iterations } => {
            let rounded = if width < ROUNDED_FROM { width } else { width.next_multiple_of(REGISTER) };
            power(tall, options.seed, rounded.min(tall.ncols()), iterations, schedule)
        }
        Iteration::BlockKrylov { iterations, block } => {
            krylov(tall, options.seed, block.unwrap_or(width), iterations, schedule)
        }
    }
}

/// The span of (AᵀA)^iterations AᵀΩ, orthonormalised after every product that could lose digits.
fn power<T: Real>(tall: MatRef<'_, T>, seed: u64, width: usize, iterations: usize, schedule: Schedule) -> Range<T> {
    let squared = through_square(tall, width, iterations, seed, schedule);
    let sketch = squared.unwrap_or_else(|| {
        let omega: DMatrix<T> = gaussian::matrix(width, tall.nrows(), seed, Stream::Sketch, schedule);
        let mut sketch = product_by_panels(schedule, &omega, tall);
        // How much condition one more product can be expected to add: the first block has seen A once, the others twice.
        let mut limit = WELL_CONDITIONED;
        for _ in 0..iterations {
            let basis = condition_well(&sketch, schedule);
            let mut image = product_by_panels(schedule, &basis.q, tall.transpose());
            if basis.condition > limit {
                image = condition_well(&image, schedule).q;
            }
            sketch = product_by_panels(schedule, &image, tall);
            limit = WELL_CONDITIONED * WELL_CONDITIONED;
        }
        sketch
    });
    let basis = orthonormalise(&sketch, schedule).q;
    let image = product_by_panels(schedule, &basis, tall.transpose());
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
    let omega: DMatrix<T> = gaussian::matrix(width, n, seed, Stream::Sketch, schedule);
    let mut sketch = product_by_panels(schedule, &omega, view(&squared));
    for _ in 0..iterations {
        let basis = condition_well(&sketch, schedule);
        if basis.condition > WELL_CONDITIONED * WELL_CONDITIONED {
            return None;
        }
        sketch = product_by_panels(schedule, &basis.q, view(&squared));
    }
    let condition = condition_well(&sketch, schedule).condition;
    (condition <= WELL_CONDITIONED * WELL_CONDITIONED).then_some(sketch)
}

/// The span of AᵀΩ, (AᵀA) AᵀΩ, … , (AᵀA)^iterations AᵀΩ, each block made orthogonal to those before.
fn krylov<T: Real>(tall: MatRef<'_, T>, seed: u64, block: usize, iterations: usize, schedule: Schedule) -> Range<T> {
    let (m, n) = (tall.nrows(), tall.ncols());
    let total = block.saturating_mul(iterations + 1).min(n);
    let (mut basis, mut image): (DMatrix<T>, DMatrix<T>) = (zeros(total, n), zeros(total, m));
    let omega: DMatrix<T> = gaussian::matrix(block, m, seed, Stream::Sketch, schedule);
    let mut fresh = product_by_panels(schedule, &omega, tall);
    let mut filled = 0;
    while filled < total {
        let count = block.min(total - filled);
        // The last block may have to be narrower than the others.
        if count < block {
            fresh = fresh.rows(0, count).into_owned();
        }
        let next = extend(view(&basis).subrows(0, filled), &fresh, schedule);
        let product_with_a = product_by_panels(schedule, &next, tall.transpose());
        basis.rows_mut(filled, count).copy_from(&next);
        image.rows_mut(filled, count).copy_from(&product_with_a);
        filled += count;
        if filled < total {
            fresh = product_by_panels(schedule, &product_with_a, tall);
        }
    }
    Range { basis, image }
}
