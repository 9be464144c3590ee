//! The two number types, and the few operations that differ between them.

use faer::linalg::matmul::triangular::{self, BlockStructure};
use faer::{Accum, MatMut, MatRef, Par};

/// `f32` or `f64`. Sealed: the algorithms and their accuracy claims were made for these two.
pub trait Real: nalgebra::RealField + Copy + sealed::Kernel {}

impl Real for f32 {}
impl Real for f64 {}

pub(crate) mod sealed {
    use super::{MatMut, MatRef};

    /// Operations of a number type. Their implementations are not generic, so faer's kernels are compiled once, here.
    pub trait Kernel: nalgebra::Scalar + Copy + Send + Sync + bytemuck::Pod {
        /// Distance from 1 to the next larger number.
        const EPSILON: f64;
        const NAME: &'static str;
        const DTYPE: safetensors::Dtype;
        fn widen(self) -> f64;
        fn narrow(value: f64) -> Self;
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
