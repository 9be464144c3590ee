//! Standard normal numbers keyed by (seed, stream), so that no draw depends on the order of calls.
//!
//! The generator is ChaCha with eight rounds, which `rand_chacha` computes with the processor's vector instructions: sketches take
//! millions of numbers. Its bits are part of [`ALGORITHM_VERSION`](crate::ALGORITHM_VERSION).

use nalgebra::DMatrix;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use rand_distr::{Distribution, StandardNormal};
use rayon::prelude::*;

use crate::product::{Schedule, zeros};
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

/// Numbers that are drawn one after the other; the next ones have a generator of their own, which may run on another thread.
const CHUNK: usize = 1 << 14;

pub(crate) fn matrix<T: Real>(rows: usize, cols: usize, seed: u64, stream: Stream, schedule: Schedule) -> DMatrix<T> {
    let fill = |(index, chunk): (usize, &mut [T])| {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(((index as u64) << 8) | stream as u64);
        for value in chunk {
            let draw: f32 = StandardNormal.sample(&mut rng);
            *value = T::narrow(f64::from(draw));
        }
    };
    let mut out: DMatrix<T> = zeros(rows, cols);
    match schedule {
        Schedule::Sequential => out.as_mut_slice().chunks_mut(CHUNK).enumerate().for_each(fill),
        Schedule::Parallel => out.as_mut_slice().par_chunks_mut(CHUNK).enumerate().for_each(fill),
    }
    out
}
