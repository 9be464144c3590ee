//! Tensors of an adapter on the host, in the order that files have.

use super::tensors::{Array, sha256_floats};
use crate::config::Layout;
use crate::error::PeftError;
use crate::layer::{Basis, matrix_shape, outputs_inputs, transpose};
use crate::manage::floats;
use crate::model::Site;
use burn::tensor::Tensor;

/// A basis on the host in the papers' orientation: `U^T [k, out]`, `sigma [k]`, `V^T [k, in]`.
pub(crate) struct HostBasis {
    pub(crate) outputs: usize,
    pub(crate) inputs: usize,
    pub(crate) u_t: Vec<f32>,
    pub(crate) sigma: Vec<f32>,
    pub(crate) v_t: Vec<f32>,
}

impl HostBasis {
    /// Joins consecutive blocks of triplets.
    pub(crate) fn gather(path: &str, layout: Layout, blocks: &[&Basis]) -> Result<Self, PeftError> {
        let mut host = Self { outputs: 0, inputs: 0, u_t: Vec::new(), sigma: Vec::new(), v_t: Vec::new() };
        for block in blocks {
            let (u, v_t) = block.papers_factors(layout);
            [host.outputs, host.inputs] = [u.dims()[0], v_t.dims()[1]];
            host.u_t.extend(read(path, u.transpose())?);
            host.sigma.extend(read1(path, block.sigma.val())?);
            host.v_t.extend(read(path, v_t)?);
        }
        Ok(host)
    }

    pub(crate) fn hash(&self) -> String {
        sha256_floats([self.u_t.as_slice(), &self.sigma, &self.v_t])
    }
}

pub(crate) fn read(path: &str, tensor: Tensor<2>) -> Result<Vec<f32>, PeftError> {
    floats(path, tensor.without_autodiff().into_data())
}

pub(crate) fn read1(path: &str, tensor: Tensor<1>) -> Result<Vec<f32>, PeftError> {
    floats(path, tensor.without_autodiff().into_data())
}

/// PEFT's shapes of `lora_A` and `lora_B`: those of the two layers that they are in PyTorch.
pub(crate) fn low_rank_shapes(layout: Layout, shape: &[usize], rank: usize) -> (Vec<usize>, Vec<usize>) {
    let [outputs, inputs] = outputs_inputs(layout, shape);
    if layout == Layout::OutIn && shape.len() > 2 {
        let a = [vec![rank], shape[1..].to_vec()].concat();
        let b = [vec![outputs, rank], vec![1; shape.len() - 2]].concat();
        (a, b)
    } else {
        (vec![rank, inputs], vec![outputs, rank])
    }
}

/// Whether files hold this parameter transposed: a linear layer's matrix is `[out, in]` there.
pub(crate) fn is_transposed(site: &Site) -> bool {
    site.container == "Linear" && site.name() == "weight" && site.shape.len() == 2
}

/// A parameter's values in the file's layout.
pub(crate) fn parameter_array(site: &Site, values: Vec<f32>) -> Array {
    match (is_transposed(site), matrix_shape(&site.shape)) {
        (true, [rows, columns]) => Array::new([columns, rows], transpose(&values, rows, columns)),
        (false, _) => Array::new(site.shape.clone(), values),
    }
}
