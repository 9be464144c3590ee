//! Scaled dot-product attention over several heads.

use burn::tensor::Tensor;
use burn::tensor::activation::softmax;
use burn::tensor::module::attention as fused_attention;
use burn::tensor::ops::AttentionModuleOptions;

/// `softmax(query . key^T / sqrt(d)) . value` with the heads side by side in the last axis: `[batch, tokens, heads * d]`, and as
/// many keys as values.
///
/// Without gradients, Burn's fused kernel does the work.
pub(crate) fn attention(query: Tensor<3>, key: Tensor<3>, value: Tensor<3>, heads: usize) -> Tensor<3> {
    let [batch, tokens, width] = query.dims();
    let [_, keys, _] = key.dims();
    let depth = width / heads;
    let split = |x: Tensor<3>, length: usize| x.reshape([batch, length, heads, depth]).swap_dims(1, 2);
    let scale = (depth as f64).sqrt().recip();
    let (query, key, value) = (split(query, tokens), split(key, keys), split(value, keys));
    let mixed = if query.is_tracked() || key.is_tracked() || value.is_tracked() {
        let scores = (query * scale).matmul(key.swap_dims(2, 3));
        softmax(scores, 3).matmul(value)
    } else {
        let options = AttentionModuleOptions { scale: Some(scale), ..Default::default() };
        fused_attention(query, key, value, None, None, options)
    };
    mixed.swap_dims(1, 2).reshape([batch, tokens, width])
}
