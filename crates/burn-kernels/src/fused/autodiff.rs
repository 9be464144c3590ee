//! What the backward passes keep, and where their gradients go.

use super::backend::{
    Activation, AttentionState, ConvolutionState, Each, Geometry, KernelBackend, KernelGradients, LinearState, Terms,
};
use crate::ops::AdamW;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, AutodiffBackend, TensorMetadata};

/// Hands gradients to the parents that want them. A macro, because Burn does not name the type of a parent for others.
macro_rules! register {
    ($grads:ident, $parents:expr, $found:expr) => {
        for (node, gradient) in $parents.into_iter().zip($found) {
            if let (Some(node), Some(gradient)) = (node, gradient) {
                $grads.register::<B>(node.id, gradient);
            }
        }
    };
}

impl<B: KernelGradients, C: CheckpointStrategy> KernelBackend for Autodiff<B, C> {
    fn kernel_linear(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        left: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        right: FloatTensor<Self>,
        first: FloatTensor<Self>,
        second: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        gelu: bool,
    ) -> FloatTensor<Self> {
        let parents = [&x, &weight, &scale, &first, &second, &bias, &residual].map(|tensor| tensor.node());
        let tracked = Each {
            x: x.is_tracked(),
            weight: weight.is_tracked(),
            scale: scale.is_tracked(),
            first: first.is_tracked(),
            second: second.is_tracked(),
            bias: bias.is_tracked(),
            residual: residual.is_tracked(),
        };
        let x = x.into_primitive();
        let terms = Terms::<B> {
            weight: weight.into_primitive(),
            left: left.into_primitive(),
            scale: scale.into_primitive(),
            right: right.into_primitive(),
            first: first.into_primitive(),
            second: second.into_primitive(),
            bias: bias.into_primitive(),
        };
        // No backward pass reads it.
        let residual = residual.into_primitive();
        match Linear.prepare::<C>(parents).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                let activation = if gelu { Activation::GeluBesideSum } else { Activation::None };
                let output = B::linear_forward(x.clone(), &terms, residual, activation);
                let state = LinearState {
                    x: (tracked.weight || tracked.first).then_some(x),
                    sum: output.sum,
                    terms,
                    coordinates: output.coordinates.filter(|_| tracked.scale),
                    inner: output.inner.filter(|_| tracked.second),
                };
                prepared.finish(state, output.y)
            }
            OpsKind::UnTracked(prepared) => {
                let activation = if gelu { Activation::Gelu } else { Activation::None };
                prepared.finish(B::linear_forward(x, &terms, residual, activation).y)
            }
        }
    }

    fn kernel_conv2d(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        geometry: Geometry,
    ) -> FloatTensor<Self> {
        let parents = [x.node(), weight.node(), bias.node()];
        let trains = weight.is_tracked();
        let [x, weight, bias] = [x, weight, bias].map(|tensor| tensor.into_primitive());
        match Convolution.prepare::<C>(parents).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                let y = B::kernel_conv2d(x.clone(), weight.clone(), bias, geometry);
                let input = x.shape().dims();
                prepared.finish(ConvolutionState { x: trains.then_some(x), input, weight, geometry }, y)
            }
            OpsKind::UnTracked(prepared) => prepared.finish(B::kernel_conv2d(x, weight, bias, geometry)),
        }
    }

    fn kernel_batch_norm(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        epsilon: f64,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let parents = [x.node(), weight.node(), bias.node()];
        let [x, weight, bias] = [x, weight, bias].map(|tensor| tensor.into_primitive());
        let prepared = (BatchNorm { epsilon }).prepare::<C>(parents).compute_bound().stateful();
        let (y, mean, variance) = B::kernel_batch_norm(x.clone(), weight.clone(), bias, epsilon);
        let y = match prepared {
            OpsKind::Tracked(prepared) => prepared.finish([x, mean.clone(), variance.clone(), weight], y),
            OpsKind::UnTracked(prepared) => prepared.finish(y),
        };
        (y, Self::from_inner(mean), Self::from_inner(variance))
    }

    /// Called without autodiff alone: the result is a constant.
    fn kernel_batch_norm_by(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        mean: FloatTensor<Self>,
        variance: FloatTensor<Self>,
        epsilon: f64,
    ) -> FloatTensor<Self> {
        let [x, weight, bias, mean, variance] = [x, weight, bias, mean, variance].map(|tensor| tensor.into_primitive());
        Self::from_inner(B::kernel_batch_norm_by(x, weight, bias, mean, variance, epsilon))
    }

    fn kernel_prelu(x: FloatTensor<Self>, slope: FloatTensor<Self>) -> FloatTensor<Self> {
        let parents = [x.node(), slope.node()];
        let [x, slope] = [x, slope].map(|tensor| tensor.into_primitive());
        match PRelu.prepare::<C>(parents).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                let y = B::kernel_prelu(x.clone(), slope.clone());
                prepared.finish([x, slope], y)
            }
            OpsKind::UnTracked(prepared) => prepared.finish(B::kernel_prelu(x, slope)),
        }
    }

    fn kernel_permute(x: FloatTensor<Self>, axes: Vec<usize>) -> FloatTensor<Self> {
        let node = x.node();
        let y = B::kernel_permute(x.into_primitive(), axes.clone());
        match Permute.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                let mut back = vec![0; axes.len()];
                axes.into_iter().enumerate().for_each(|(to, from)| back[from] = to);
                prepared.finish(back, y)
            }
            OpsKind::UnTracked(prepared) => prepared.finish(y),
        }
    }

    fn kernel_halve_by_maximum(map: FloatTensor<Self>) -> FloatTensor<Self> {
        let node = map.node();
        let map = map.into_primitive();
        match Halve.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                let halved = B::kernel_halve_by_maximum(map.clone());
                prepared.finish(map, halved)
            }
            OpsKind::UnTracked(prepared) => prepared.finish(B::kernel_halve_by_maximum(map)),
        }
    }

    fn kernel_gelu(x: FloatTensor<Self>) -> FloatTensor<Self> {
        let node = x.node();
        let x = x.into_primitive();
        match Gelu.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                let y = B::kernel_gelu(x.clone());
                prepared.finish(x, y)
            }
            OpsKind::UnTracked(prepared) => prepared.finish(B::kernel_gelu(x)),
        }
    }

    fn kernel_layer_norm(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        epsilon: f64,
    ) -> FloatTensor<Self> {
        let parents = [x.node(), weight.node(), bias.node()];
        let [x, weight, bias] = [x, weight, bias].map(|tensor| tensor.into_primitive());
        match (LayerNorm { epsilon }).prepare::<C>(parents).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                let y = B::kernel_layer_norm(x.clone(), weight.clone(), bias, epsilon);
                prepared.finish([x, weight], y)
            }
            OpsKind::UnTracked(prepared) => prepared.finish(B::kernel_layer_norm(x, weight, bias, epsilon)),
        }
    }

    fn kernel_self_attention(
        qkv: FloatTensor<Self>,
        by_row: FloatTensor<Self>,
        by_column: FloatTensor<Self>,
        heads: usize,
    ) -> FloatTensor<Self> {
        let parents = [qkv.node(), by_row.node(), by_column.node()];
        let inputs = [qkv, by_row, by_column].map(|tensor| tensor.into_primitive());
        match SelfAttention.prepare::<C>(parents).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                let [qkv, by_row, by_column] = inputs.clone();
                let (output, log_sum_exp) = B::self_attention_forward(qkv, [by_row, by_column], heads);
                prepared.finish(AttentionState { inputs, output: output.clone(), log_sum_exp, heads }, output)
            }
            OpsKind::UnTracked(prepared) => {
                let [qkv, by_row, by_column] = inputs;
                prepared.finish(B::kernel_self_attention(qkv, by_row, by_column, heads))
            }
        }
    }

    fn kernel_cross_attention(
        query: FloatTensor<Self>,
        key: FloatTensor<Self>,
        value: FloatTensor<Self>,
        heads: usize,
    ) -> FloatTensor<Self> {
        let parents = [query.node(), key.node(), value.node()];
        let inputs = [query, key, value].map(|tensor| tensor.into_primitive());
        match CrossAttention.prepare::<C>(parents).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                let (output, log_sum_exp) = B::cross_attention_forward(inputs.clone(), heads);
                prepared.finish(AttentionState { inputs, output: output.clone(), log_sum_exp, heads }, output)
            }
            OpsKind::UnTracked(prepared) => {
                let [query, key, value] = inputs;
                prepared.finish(B::kernel_cross_attention(query, key, value, heads))
            }
        }
    }

    /// Nothing is differentiated through a step of the optimiser: its results are constants.
    fn kernel_adamw(
        parameter: FloatTensor<Self>,
        first: FloatTensor<Self>,
        second: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        step: AdamW,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let [parameter, first, second, gradient] =
            [parameter, first, second, gradient].map(|tensor| tensor.into_primitive());
        let (parameter, first, second) = B::kernel_adamw(parameter, first, second, gradient, step);
        (Self::from_inner(parameter), Self::from_inner(first), Self::from_inner(second))
    }
}

#[derive(Debug)]
struct Linear;

impl<B: KernelGradients> Backward<B, 7> for Linear {
    type State = LinearState<B>;

    fn backward(self, ops: Ops<Self::State, 7>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = grads.consume::<B>(&ops.node);
        let [x, weight, scale, first, second, bias, residual] = ops.parents;
        let wanted = Each {
            x: x.is_some(),
            weight: weight.is_some(),
            scale: scale.is_some(),
            first: first.is_some(),
            second: second.is_some(),
            bias: bias.is_some(),
            residual: residual.is_some(),
        };
        let found = B::linear_gradients(ops.state, dy, wanted);
        let Each { x: dx, weight: d_weight, scale: d_scale, first: d_first, second: d_second, .. } = found;
        let found = [dx, d_weight, d_scale, d_first, d_second, found.bias, found.residual];
        let parents = [x, weight, scale, first, second, bias, residual];
        register!(grads, parents, found);
    }
}

#[derive(Debug)]
struct Convolution;

impl<B: KernelGradients> Backward<B, 3> for Convolution {
    type State = ConvolutionState<B>;

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = grads.consume::<B>(&ops.node);
        let wanted = std::array::from_fn(|parent| ops.parents[parent].is_some());
        let found = B::conv2d_gradients(ops.state, dy, wanted);
        register!(grads, ops.parents, found);
    }
}

#[derive(Debug)]
struct BatchNorm {
    epsilon: f64,
}

impl<B: KernelGradients> Backward<B, 3> for BatchNorm {
    /// Input, mean, variance and weight.
    type State = [FloatTensor<B>; 4];

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = grads.consume::<B>(&ops.node);
        let [x, mean, variance, weight] = ops.state;
        let found = B::batch_norm_gradients(x, [mean, variance], weight, dy, self.epsilon);
        register!(grads, ops.parents, found.map(Some));
    }
}

#[derive(Debug)]
struct PRelu;

impl<B: KernelGradients> Backward<B, 2> for PRelu {
    type State = [FloatTensor<B>; 2];

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = grads.consume::<B>(&ops.node);
        let [x, slope] = ops.state;
        register!(grads, ops.parents, B::prelu_gradients(x, slope, dy).map(Some));
    }
}

#[derive(Debug)]
struct Permute;

impl<B: KernelGradients> Backward<B, 1> for Permute {
    /// The order that undoes it.
    type State = Vec<usize>;

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = grads.consume::<B>(&ops.node);
        register!(grads, ops.parents, [Some(B::kernel_permute(dy, ops.state))]);
    }
}

#[derive(Debug)]
struct Halve;

impl<B: KernelGradients> Backward<B, 1> for Halve {
    type State = FloatTensor<B>;

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = grads.consume::<B>(&ops.node);
        register!(grads, ops.parents, [Some(B::halve_gradient(ops.state, dy))]);
    }
}

#[derive(Debug)]
struct Gelu;

impl<B: KernelGradients> Backward<B, 1> for Gelu {
    type State = FloatTensor<B>;

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = grads.consume::<B>(&ops.node);
        if let [Some(x)] = ops.parents {
            grads.register::<B>(x.id, B::gelu_gradient(ops.state, dy));
        }
    }
}

#[derive(Debug)]
struct LayerNorm {
    epsilon: f64,
}

impl<B: KernelGradients> Backward<B, 3> for LayerNorm {
    type State = [FloatTensor<B>; 2];

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = grads.consume::<B>(&ops.node);
        let [x, weight, bias] = ops.parents;
        let [input, scale] = ops.state;
        let parameters = weight.is_some() || bias.is_some();
        let (dx, rest) = B::layer_norm_gradients(input, scale, dy, self.epsilon, parameters);
        if let Some(x) = x {
            grads.register::<B>(x.id, dx);
        }
        if let Some(rest) = rest {
            register!(grads, [weight, bias], rest.map(Some));
        }
    }
}

#[derive(Debug)]
struct SelfAttention;

impl<B: KernelGradients> Backward<B, 3> for SelfAttention {
    type State = AttentionState<B>;

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = grads.consume::<B>(&ops.node);
        let [qkv, by_row, by_column] = ops.parents;
        let (d_qkv, tables) = B::self_attention_gradients(ops.state, dy, by_row.is_some() || by_column.is_some());
        if let Some(qkv) = qkv {
            grads.register::<B>(qkv.id, d_qkv);
        }
        if let Some(tables) = tables {
            register!(grads, [by_row, by_column], tables.map(Some));
        }
    }
}

#[derive(Debug)]
struct CrossAttention;

impl<B: KernelGradients> Backward<B, 3> for CrossAttention {
    type State = AttentionState<B>;

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = grads.consume::<B>(&ops.node);
        let gradients = B::cross_attention_gradients(ops.state, dy);
        register!(grads, ops.parents, gradients.map(Some));
    }
}
