//! The two number types, and the few operations that differ between them.

use faer::linalg::matmul::triangular::{self, BlockStructure};
use faer::{Accum, MatMut, MatRef, Par};

/// `f32` or `f64`. Sealed: the algorithms and their accuracy claims were made for these two.
pub trait Real: nalgebra::RealField + Copy + sealed::Kernel {}

impl Real for f32 {}
impl Real for f64 {}

pub(crate) mod sealed {
    use super::{MatMut, MatRef};

    /// What one pass over values tells.
    #[derive(Debug, Clone, Copy)]
    pub struct Survey {
        /// Largest magnitude, not counting NaN.
        pub largest: f64,
        /// NaN if a value is NaN or infinite, otherwise 0.
        pub poison: f64,
        /// Sum of squares.
        pub squares: f64,
    }

    /// Operations of a number type. Their implementations are not generic, so faer's kernels are compiled once, here.
    pub trait Kernel: nalgebra::Scalar + Copy + Send + Sync + bytemuck::Pod {
        /// Distance from 1 to the next larger number.
        const EPSILON: f64;
        const NAME: &'static str;
        const DTYPE: safetensors::Dtype;
        fn widen(self) -> f64;
        fn narrow(value: f64) -> Self;
        /// Surveys values in one pass; the squares are summed in double precision.
        fn survey(values: &[Self]) -> Survey;
        /// `dst = alpha * lhs * rhs`, added to `dst` if `accumulate`; sequential.
        fn gemm(dst: MatMut<'_, Self>, accumulate: bool, lhs: MatRef<'_, Self>, rhs: MatRef<'_, Self>, alpha: Self);
        /// The lower triangle of `lhs * rhs`; sequential.
        fn gemm_lower(dst: MatMut<'_, Self>, lhs: MatRef<'_, Self>, rhs: MatRef<'_, Self>);
    }
}

macro_rules! kernel {
    ($type:ty, $name:literal, $dtype:ident) => {
        impl sealed::Kernel for $type {
            const EPSILON: f64 = <$type>::EPSILON as f64;
            const NAME: &'static str = $name;
            const DTYPE: safetensors::Dtype = safetensors::Dtype::$dtype;

            #[inline(always)]
            fn widen(self) -> f64 {
                self as f64
            }

            #[inline(always)]
            fn narrow(value: f64) -> Self {
                value as $type
            }

            fn survey(values: &[Self]) -> sealed::Survey {
                // Many lanes in three plain loops, which the compiler turns into SIMD code; the accumulators stay in the first cache.
                const LANES: usize = 256;
                let mut largest: [$type; LANES] = [0.0; LANES];
                // A NaN or infinity times zero is NaN and stays in the sum; a maximum alone would drop a NaN.
                let mut poison: [$type; LANES] = [0.0; LANES];
                let mut squares = [0.0f64; LANES];
                for part in values.chunks(LANES) {
                    for (largest, value) in largest.iter_mut().zip(part) {
                        *largest = if value.abs() > *largest { value.abs() } else { *largest };
                    }
                    for (poison, value) in poison.iter_mut().zip(part) {
                        *poison += value * 0.0;
                    }
                    for (square, &value) in squares.iter_mut().zip(part) {
                        *square += value as f64 * value as f64;
                    }
                }
                sealed::Survey {
                    largest: largest.iter().fold(0.0, |largest, &lane| largest.max(lane as f64)),
                    poison: poison.iter().map(|&lane| lane as f64).sum(),
                    squares: squares.iter().sum(),
                }
            }

            fn gemm(
                dst: MatMut<'_, Self>,
                accumulate: bool,
                lhs: MatRef<'_, Self>,
                rhs: MatRef<'_, Self>,
                alpha: Self,
            ) {
                let mode = if accumulate { Accum::Add } else { Accum::Replace };
                faer::linalg::matmul::matmul(dst, mode, lhs, rhs, alpha, Par::Seq);
            }

            fn gemm_lower(dst: MatMut<'_, Self>, lhs: MatRef<'_, Self>, rhs: MatRef<'_, Self>) {
                let full = BlockStructure::Rectangular;
                let lower = BlockStructure::TriangularLower;
                triangular::matmul(dst, lower, Accum::Replace, lhs, full, rhs, full, 1.0, Par::Seq);
            }
        }
    };
}

kernel!(f32, "f32", F32);
kernel!(f64, "f64", F64);
