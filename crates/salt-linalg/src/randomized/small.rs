//! The leading components of the image A Zᵀ of a basis, which is much smaller than A.

use nalgebra::DMatrix;

use crate::error::SvdError;
use crate::exact::{symmetric_eigen, thin_with};
use crate::product::{Schedule, gram_of_rows, product, view};
use crate::real::Real;
use crate::real::sealed::Kernel;

/// Below this share of the largest, a singular value needs the care of a full decomposition: a left vector computed as image times
/// right vector is off by about the rounding unit over that share.
const RELIABLE: f64 = 0.02;

/// Leading components of an m x l matrix that is given by its transpose.
pub(super) struct Leading<T: Real> {
    /// The transpose, l x m.
    image: DMatrix<T>,
    left: Left<T>,
    /// r, descending.
    pub(super) values: Vec<T>,
    /// Right singular vectors as rows, r x l.
    pub(super) right: DMatrix<T>,
}

enum Left<T: Real> {
    /// The left vectors are image times these, l x r.
    Weights(DMatrix<T>),
    /// m x r.
    Vectors(DMatrix<T>),
}

impl<T: Real> Leading<T> {
    /// m x r.
    pub(super) fn left(self, schedule: Schedule) -> DMatrix<T> {
        match self.left {
            Left::Weights(weights) => product(schedule, view(&self.image).transpose(), view(&weights)),
            Left::Vectors(vectors) => vectors,
        }
    }

    /// r x m.
    pub(super) fn left_rows(self, schedule: Schedule) -> DMatrix<T> {
        match self.left {
            Left::Weights(weights) => product(schedule, view(&weights.transpose()), view(&self.image)),
            Left::Vectors(vectors) => vectors.transpose(),
        }
    }
}

/// The leading `rank` components. Single precision goes through the Gram matrix in double precision where the spectrum allows.
pub(super) fn leading<T: Real>(image: DMatrix<T>, rank: usize, schedule: Schedule) -> Result<Leading<T>, SvdError> {
    if <T as Kernel>::EPSILON > 1e-10
        && let Some((values, vectors)) = eigen(&image, rank, schedule)
    {
        let right = DMatrix::from_fn(rank, image.nrows(), |i, j| T::narrow(vectors[(j, i)]));
        let weights = DMatrix::from_fn(image.nrows(), rank, |i, j| T::narrow(vectors[(i, j)] / values[j]));
        let values = values.into_iter().map(T::narrow).collect();
        return Ok(Leading { image, left: Left::Weights(weights), values, right });
    }
    let svd = thin_with(&image.transpose(), schedule)?.truncate(rank)?;
    let values = svd.singular_values.as_slice().to_vec();
    Ok(Leading { image, left: Left::Vectors(svd.u), values, right: svd.v_t })
}

/// Singular values and right vectors (columns), if the smallest wanted value is large enough.
fn eigen<T: Real>(image: &DMatrix<T>, rank: usize, schedule: Schedule) -> Option<(Vec<f64>, DMatrix<f64>)> {
    let (squares, vectors) = symmetric_eigen(gram_of_rows(image, schedule)).ok()?;
    let values: Vec<f64> = squares.iter().take(rank).map(|square| square.max(0.0).sqrt()).collect();
    // Written so that NaN is rejected.
    (values[rank - 1] > RELIABLE * values[0]).then_some((values, vectors))
}
