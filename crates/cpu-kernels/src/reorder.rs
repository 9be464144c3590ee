//! Tensors copied into another order of axes.

use crate::elementwise::CHUNK;
use crate::isa::Level;
use crate::memory::{written, written_in_chunks};
use rayon::prelude::*;
use std::mem::MaybeUninit;

/// The elements of a strided view one after the other, the last axis fastest: element (i, j, ...) is
/// `values[i * strides[0] + j * strides[1] + ...]`.
///
/// ```
/// use cpu_kernels::in_order;
///
/// // A matrix of 2 x 3, read as its transpose.
/// assert_eq!(in_order(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], &[3, 2], &[1, 3]), [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
/// ```
///
/// # Panics
///
/// If there are not as many strides as sizes, or if an element would lie behind the end of `values`.
pub fn in_order(values: &[f32], sizes: &[usize], strides: &[usize]) -> Vec<f32> {
    assert!(sizes.len() == strides.len(), "{} strides for {} axes", strides.len(), sizes.len());
    let len: usize = sizes.iter().product();
    if len == 0 {
        return Vec::new();
    }
    let last = sizes.iter().zip(strides).try_fold(0usize, |sum, (size, stride)| {
        (size - 1).checked_mul(*stride).and_then(|offset| sum.checked_add(offset))
    });
    let fits = last.is_some_and(|last| last < values.len());
    assert!(fits, "axes of {sizes:?} with strides {strides:?} do not fit into {} elements", values.len());

    let mut axes = merged(sizes, strides);
    let run = axes.pop().unwrap_or(Axis { size: 1, stride: 1 });
    if run.stride == 1 || axes.is_empty() {
        return runs(values, &axes, run);
    }
    // The axis along which the elements lie closest together, read by squares with the last one.
    let inner = (0..axes.len()).min_by_key(|&axis| axes[axis].stride).unwrap_or(0);
    squares(values, &axes, inner, run)
}

#[derive(Clone, Copy, Debug)]
struct Axis {
    size: usize,
    stride: usize,
}

/// The same view with as few axes as it can be written with.
fn merged(sizes: &[usize], strides: &[usize]) -> Vec<Axis> {
    let mut axes: Vec<Axis> = Vec::with_capacity(sizes.len());
    for (&size, &stride) in sizes.iter().zip(strides).filter(|(size, _)| **size != 1) {
        match axes.last_mut() {
            Some(outer) if outer.stride == size * stride => *outer = Axis { size: outer.size * size, stride },
            _ => axes.push(Axis { size, stride }),
        }
    }
    axes
}

/// Where element number `index` of the axes lies, the last axis fastest.
fn offset(axes: &[Axis], mut index: usize) -> usize {
    let mut offset = 0;
    for axis in axes.iter().rev() {
        offset += index % axis.size * axis.stride;
        index /= axis.size;
    }
    offset
}

/// Runs of neighbours, or single elements that are equally far apart.
fn runs(values: &[f32], outer: &[Axis], run: Axis) -> Vec<f32> {
    let count: usize = outer.iter().map(|axis| axis.size).product();
    let together = (CHUNK / run.size).max(1);
    // SAFETY: each run is written to its end.
    unsafe {
        written_in_chunks(count * run.size, together * run.size, |chunk, out| {
            for (index, out) in out.chunks_exact_mut(run.size).enumerate() {
                let from = &values[offset(outer, chunk * together + index)..];
                if run.stride == 1 {
                    out.write_copy_of_slice(&from[..run.size]);
                } else {
                    for (i, out) in out.iter_mut().enumerate() {
                        out.write(from[i * run.stride]);
                    }
                }
            }
        })
    }
}

/// The side of a square: one register of AVX-512.
const SIDE: usize = 16;

/// What tasks write to.
#[derive(Clone, Copy)]
struct Out(*mut f32);

// SAFETY: each task writes elements of its own.
unsafe impl Send for Out {}
// SAFETY: as above.
unsafe impl Sync for Out {}

impl Out {
    fn at(self, index: usize) -> *mut f32 {
        self.0.wrapping_add(index)
    }
}

/// Neighbours along the axis `inner` become neighbours along `last`.
fn squares(values: &[f32], axes: &[Axis], inner: usize, last: Axis) -> Vec<f32> {
    let level = Level::current();
    // Where the same axes lie in the result.
    let mut steps = vec![last.size; axes.len()];
    for axis in (0..axes.len() - 1).rev() {
        steps[axis] = steps[axis + 1] * axes[axis + 1].size;
    }
    let (along, step) = (axes[inner], steps[inner]);
    let [from, to]: [Vec<Axis>; 2] = [
        axes.iter().enumerate().filter(|(axis, _)| *axis != inner).map(|(_, axis)| *axis).collect(),
        (0..axes.len())
            .filter(|axis| *axis != inner)
            .map(|axis| Axis { size: axes[axis].size, stride: steps[axis] })
            .collect(),
    ];
    let blocks = along.size.div_ceil(SIDE);
    let count = blocks * from.iter().map(|axis| axis.size).product::<usize>();
    let together = (CHUNK / (SIDE * last.size)).max(1);
    let fill = |out: &mut [MaybeUninit<f32>]| {
        let out = Out(out.as_mut_ptr().cast());
        (0..count).into_par_iter().with_min_len(together).for_each(|index| {
            let (others, first) = (index / blocks, index % blocks * SIDE);
            let width = (along.size - first).min(SIDE);
            let source = offset(&from, others) + first * along.stride;
            let target = offset(&to, others) + first * step;
            for start in (0..last.size).step_by(SIDE) {
                let depth = (last.size - start).min(SIDE);
                let square = Square {
                    from: &values[source + start * last.stride..],
                    from_strides: [along.stride, last.stride],
                    out: out.at(target + start),
                    step,
                    size: [width, depth],
                };
                // SAFETY: the squares do not overlap and lie inside of the result.
                unsafe { square.write(level) };
            }
        });
    };
    // SAFETY: the squares cover the result.
    unsafe { written(along.size * last.size * (count / blocks), fill) }
}

/// Up to 16 x 16 elements.
struct Square<'a> {
    from: &'a [f32],
    from_strides: [usize; 2],
    out: *mut f32,
    /// Between rows of the result.
    step: usize,
    size: [usize; 2],
}

impl Square<'_> {
    /// # Safety
    ///
    /// `size[0]` rows of `size[1]` elements from `out` on have to be there and the caller's.
    unsafe fn write(&self, level: Level) {
        let [row_stride, column_stride] = self.from_strides;
        #[cfg(target_arch = "x86_64")]
        if self.size == [SIDE, SIDE] && row_stride == 1 && level.isa() >= crate::Isa::Avx512 {
            let mut words = [[0; SIDE]; SIDE];
            for (column, words) in words.iter_mut().enumerate() {
                let from = &self.from[column * column_stride..][..SIDE];
                for (word, value) in words.iter_mut().zip(from) {
                    *word = value.to_bits();
                }
            }
            // SAFETY: `level` is proof of the instructions.
            unsafe { crate::pack::turn_square(&mut words) };
            for (row, words) in words.iter().enumerate() {
                // SAFETY: promised by the caller.
                unsafe { self.out.wrapping_add(row * self.step).cast::<[u32; SIDE]>().write_unaligned(*words) };
            }
            return;
        }
        let _ = level;
        for row in 0..self.size[0] {
            let out = self.out.wrapping_add(row * self.step);
            for column in 0..self.size[1] {
                // SAFETY: promised by the caller.
                unsafe { out.wrapping_add(column).write(self.from[row * row_stride + column * column_stride]) };
            }
        }
    }
}
