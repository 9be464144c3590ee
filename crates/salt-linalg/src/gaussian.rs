//! Standard normal numbers keyed by (seed, stream), so that no draw depends on the order of calls.

use nalgebra::DMatrix;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use rand_distr::{Distribution, StandardNormal};

use crate::product::zeros;
use crate::real::Real;

/// Streams of one seed; each purpose draws from its own.
#[derive(Debug, Clone, Copy)]
#[repr(u64)]
pub(crate) enum Stream {
    Sketch = 0,
    Certificate = 1,
    LeftDefect = 2,
    RightDefect = 3,
}

pub(crate) fn matrix<T: Real>(rows: usize, cols: usize, seed: u64, stream: Stream) -> DMatrix<T> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(stream as u64);
    let mut out: DMatrix<T> = zeros(rows, cols);
    for value in out.as_mut_slice() {
        let draw: f32 = StandardNormal.sample(&mut rng);
        *value = T::narrow(f64::from(draw));
    }
    out
}
