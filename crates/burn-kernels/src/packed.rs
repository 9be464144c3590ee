//! Packed copies of weights.

/// Keeps packed copies of the weights of linear layers on a CPU from product to product, in at most `budget` bytes, in the whole process;
/// 0, the default, keeps none. The results have the same bits.
///
/// A product copies its right factor into the order in which its kernel reads it. A weight that is multiplied again unchanged, because it is
/// frozen or because images are predicted, is copied once and kept until the weight itself is gone. Training reads two copies of a weight, one
/// forward and one backward, each as large as the weight (in bf16 half as large, in `f32-amx` half as large again). Another budget than before drops all copies.
pub fn keep_packed(budget: usize) {
    #[cfg(feature = "cpu")]
    crate::fused::packed::keep(budget);
    #[cfg(not(feature = "cpu"))]
    let _ = budget;
}

/// Bytes of the copies that are [kept](keep_packed) now. Those of weights that are gone are dropped first.
pub fn packed_bytes() -> usize {
    #[cfg(feature = "cpu")]
    return crate::fused::packed::bytes();
    #[cfg(not(feature = "cpu"))]
    0
}
