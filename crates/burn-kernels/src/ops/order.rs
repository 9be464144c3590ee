//! Another order of axes.

use burn::tensor::Tensor;

/// `x` with its axes in the order `axes`, as [`Tensor::permute`] has it. On a CPU the elements are copied into that order at once, and their
/// gradients back: what follows would do it anyway where it reshapes the result or reads its rows.
///
/// # Panics
/// If `axes` are not all the axes, each once.
pub fn permute<const D: usize>(x: Tensor<D>, axes: [usize; D]) -> Tensor<D> {
    let mut sorted = axes;
    sorted.sort_unstable();
    assert!(sorted.iter().enumerate().all(|(axis, found)| axis == *found), "{axes:?} are not the {D} axes of a tensor");
    #[cfg(feature = "cpu")]
    if super::is_fused(&x) {
        return crate::fused::permute(x, axes);
    }
    x.permute(axes.map(|axis| axis as isize))
}
