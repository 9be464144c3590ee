//! The operations as compositions of Burn's own: what other devices than a CPU run, and what the fused ones are held against.

use crate::ops::{AdamW, Heads, LinearTerms, Moments, RelativeTables};
use crate::precision::{Precision, is_cpu, precision};
use burn::tensor::module::{attention as burn_attention, layer_norm as burn_layer_norm, linear as burn_linear};
use burn::tensor::ops::AttentionModuleOptions;
use burn::tensor::{DType, Device, FloatDType, Tensor, TensorData};

/// `a . b` with both rounded to f16, widened to f32 again. The gradients of both are f16 inside and f32 outside.
fn half_product(a: Tensor<2>, b: Tensor<2>) -> Tensor<2> {
    a.cast(FloatDType::F16).matmul(b.cast(FloatDType::F16)).cast(FloatDType::F32)
}

pub(crate) fn linear(x: Tensor<2>, terms: LinearTerms) -> Tensor<2> {
    let LinearTerms { weight, scaled, factors, bias, ending } = terms;
    let in_half = precision() == Precision::F16 && x.dtype() == DType::F32 && !is_cpu(&x.device());
    let product = |a: Tensor<2>, b: Tensor<2>| if in_half { half_product(a, b) } else { a.matmul(b) };
    let (mut sum, bias) = match weight {
        Some(weight) if in_half => (Some(half_product(x.clone(), weight)), bias),
        Some(weight) => (Some(burn_linear(x.clone(), weight, bias)), None),
        None => (None, bias),
    };
    let mut add = |term: Tensor<2>| {
        sum = Some(match sum.take() {
            Some(sum) => sum + term,
            None => term,
        })
    };
    if let Some(scaled) = scaled {
        let r = scaled.scale.dims()[0];
        add(product(product(x.clone(), scaled.left) * scaled.scale.reshape([1, r]), scaled.right));
    }
    if let Some((first, second)) = factors {
        add(product(product(x, first), second));
    }
    let sum = sum.expect("a linear layer has a weight, singular triplets or factors");
    ending.applied_to(match bias {
        Some(bias) => sum + bias.unsqueeze(),
        None => sum,
    })
}

/// Composed of the error function: the derivative that Burn's own GELU has on some backends is that of the approximation.
pub(crate) fn gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    let twice_the_probability = (x.clone() * std::f64::consts::FRAC_1_SQRT_2).erf() + 1.0;
    x * twice_the_probability * 0.5
}

pub(crate) fn layer_norm<const D: usize>(x: Tensor<D>, weight: Tensor<1>, bias: Tensor<1>, epsilon: f64) -> Tensor<D> {
    burn_layer_norm(x, weight, Some(bias), epsilon)
}

pub(crate) fn self_attention(qkv: Tensor<3>, heads: Heads, relative: Option<RelativeTables>) -> Tensor<3> {
    let [batch, tokens, columns] = qkv.dims();
    let channels = columns / 3;
    let head_dim = channels / heads.count;
    let scale = (head_dim as f64).powf(-0.5);
    let [query, key, value] =
        std::array::from_fn(|index| split(qkv.clone().narrow(2, index * channels, channels), heads.count));
    let out = match (relative, heads.grid) {
        (Some(tables), Some(grid)) => {
            // Instead of broadcasting both biases over the scores, they are appended to the queries, and one-hot rows and columns to the
            // keys: `[scale * q | bias_rows | bias_columns] . [k | onehot(row) | onehot(column)]`.
            let groups = batch * heads.count;
            let bias = relative_biases(query.clone(), grid, tables);
            let onehot = onehot_grid(grid, (&key.device(), key.dtype())).unsqueeze::<3>().expand([
                groups,
                tokens,
                grid[0] + grid[1],
            ]);
            attention(Tensor::cat(vec![query * scale, bias], 2), Tensor::cat(vec![key, onehot], 2), value)
        }
        _ => attention(query * scale, key, value),
    };
    join(out, batch)
}

pub(crate) fn cross_attention(query: Tensor<3>, key: Tensor<3>, value: Tensor<3>, heads: usize) -> Tensor<3> {
    let [batch, _, channels] = query.dims();
    let scale = ((channels / heads) as f64).powf(-0.5);
    join(attention(split(query, heads) * scale, split(key, heads), split(value, heads)), batch)
}

pub(crate) fn adamw<const D: usize>(step: &AdamW, moments: Moments<D>, gradient: Tensor<D>) -> Moments<D> {
    let [correction_1, correction_2] = step.corrections();
    let first = moments.first * step.beta_1 + gradient.clone() * (1.0 - step.beta_1);
    let second = moments.second * step.beta_2 + gradient.square() * (1.0 - step.beta_2);
    let root = (second.clone() / correction_2).sqrt() + step.epsilon;
    let direction = (first.clone() / correction_1) / root;
    let parameter = moments.parameter * (1.0 - step.learning_rate * step.weight_decay) - direction * step.learning_rate;
    Moments { parameter, first, second }
}

/// `[batch, tokens, heads * head_dim]` to `[batch * heads, tokens, head_dim]`.
fn split(x: Tensor<3>, heads: usize) -> Tensor<3> {
    let [batch, tokens, channels] = x.dims();
    let head_dim = channels / heads;
    x.reshape([batch, tokens, heads, head_dim]).swap_dims(1, 2).reshape([batch * heads, tokens, head_dim])
}

/// The inverse of [`split`].
fn join(x: Tensor<3>, batch: usize) -> Tensor<3> {
    let [groups, tokens, head_dim] = x.dims();
    let heads = groups / batch;
    x.reshape([batch, heads, tokens, head_dim]).swap_dims(1, 2).reshape([batch, tokens, heads * head_dim])
}

/// `softmax(query . key^T) . value` for `[groups, tokens, width]` tensors. The scale is expected to be in `query` already.
///
/// Without gradients, Burn's fused kernel does the work. With them, the scores are written once, exponentiated once, and
/// the row sums come out of the product with the values (a column of ones), so that neither pass of the division by the
/// sum ever touches the score matrix. Both are the stable softmax that subtracts the row maximum.
fn attention(query: Tensor<3>, key: Tensor<3>, value: Tensor<3>) -> Tensor<3> {
    let tracked = query.is_tracked() || key.is_tracked() || value.is_tracked();
    if !tracked {
        let options = AttentionModuleOptions { scale: Some(1.0), ..Default::default() };
        return burn_attention(query.unsqueeze(), key.unsqueeze(), value.unsqueeze(), None, None, options)
            .squeeze_dim(0);
    }
    let [groups, tokens, width] = value.dims();
    let scores = query.matmul(key.swap_dims(1, 2));
    let maximum = scores.clone().detach().max_dim(2);
    let weights = (scores - maximum).exp();
    let ones = Tensor::ones([groups, tokens, 1], (&value.device(), value.dtype()));
    let sums = weights.matmul(Tensor::cat(vec![value, ones], 2));
    let normaliser = sums.clone().narrow(2, width, 1);
    sums.narrow(2, 0, width) / normaliser
}

/// The biases of every query: `[groups, tokens, rows + columns]`, from the unscaled `query [groups, tokens, head_dim]`.
fn relative_biases(query: Tensor<3>, [rows, columns]: [usize; 2], tables: RelativeTables) -> Tensor<3> {
    let [groups, tokens, head_dim] = query.dims();
    let query = query.reshape([groups, rows, columns, head_dim]);
    let row_bias = query.clone().matmul(tables.by_row.swap_dims(1, 2).unsqueeze::<4>());
    let column_bias = query.swap_dims(1, 2).matmul(tables.by_column.swap_dims(1, 2).unsqueeze::<4>()).swap_dims(1, 2);
    Tensor::cat(vec![row_bias, column_bias], 3).reshape([groups, tokens, rows + columns])
}

/// The one-hot key columns of a `rows x columns` grid: `[rows * columns, rows + columns]`.
fn onehot_grid([rows, columns]: [usize; 2], target: (&Device, DType)) -> Tensor<2> {
    let width = rows + columns;
    let mut data = vec![0f32; rows * columns * width];
    for row in 0..rows {
        for column in 0..columns {
            let start = (row * columns + column) * width;
            data[start + row] = 1.0;
            data[start + rows + column] = 1.0;
        }
    }
    Tensor::from_data(TensorData::new(data, [rows * columns, width]).convert_dtype(target.1), target)
}
