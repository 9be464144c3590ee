//! Gradients of a step that keeps one block's intermediate results at a time.
//!
//! The ordinary way records every operation from the image to the loss and keeps what its backward pass reads: of each block of the
//! encoder some fourteen tensors of the size of its input. Here the blocks run once without a record, and only their inputs are kept.
//! The rest (neck, prompt, decoder, loss) is recorded and differentiated as ever, down to the gradient of the last block's output. Then
//! each block, from the last to the first, runs again with a record, and that gradient is carried through it. (Chen et al. 2016,
//! "Training Deep Nets with Sublinear Memory Cost", with one segment for each block.)
//!
//! The second run repeats the operations of the first one, so on a CPU gradients have the bits of the ordinary way. Burn's own
//! checkpointing recomputes single operations that are cheap; products, attention and norms it keeps.

use crate::error::{Result, TrainError};
use crate::model::Segmenter;
use crate::model::parts::is_trained;
use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Gradients, Tensor};
use sam_model::image_encoder::VitEncoder;

/// The key that asks for it.
const KEY: &str = "training.activation-checkpointing";

/// The encoder whose blocks can be run one by one.
///
/// # Errors
/// The model has another one.
pub(super) fn encoder(model: &Segmenter) -> Result<&VitEncoder> {
    model.plain_transformer().ok_or_else(|| {
        TrainError::config(KEY, "recomputes the blocks of SAM's own encoder; this model has another encoder")
    })
}

/// Gradients of all trained parameters with respect to `weight` times what `loss` makes of the logits, and its value without the weight;
/// the encoder's blocks are computed a second time instead of kept.
///
/// `images` are `[n, 3, size, size]`, on the autodiff device of the model.
///
/// # Errors
/// A model with another encoder than SAM's own, an image size that it does not take, and what `loss` fails with.
pub fn gradients(
    model: &Segmenter,
    images: Tensor<4>,
    weight: f64,
    loss: impl FnOnce(Tensor<4>) -> Result<Tensor<1>>,
) -> Result<(GradientsParams, f32)> {
    let encoder = encoder(model)?;
    let [_, _, height, width] = images.dims();
    model.check_images(&images)?;
    let embeds = is_trained(&encoder.patch_embed) || is_trained(&encoder.pos_embed);
    // Blocks before the first trained parameter have no gradients: nothing is kept of them.
    let count = encoder.blocks.len();
    let first = if embeds { 0 } else { encoder.blocks.iter().position(is_trained).unwrap_or(count) };

    let constant = encoder.clone().no_grad();
    let mut x = constant.embed(images.clone());
    let mut inputs = Vec::with_capacity(count - first);
    for (index, block) in constant.blocks.iter().enumerate() {
        if index >= first {
            inputs.push(x.clone());
        }
        x = block.forward(x);
    }
    drop(constant);

    let reaches_blocks = embeds || first < count;
    let encoded = leaf(x, reaches_blocks);
    let loss = loss(model.decode(encoder.finish(encoded.clone()).into(), [height, width])?)?;
    let value = loss.clone().into_scalar::<f32>();
    let loss = if weight == 1.0 { loss } else { loss * weight };
    let mut grads = loss.backward();
    drop(loss);
    let mut found = GradientsParams::from_module(&mut grads, model);
    let mut flow = encoded.grad_remove(&mut grads);
    drop((grads, encoded));

    for (index, block) in encoder.blocks.iter().enumerate().skip(first).rev() {
        let (Some(gradient), Some(input)) = (flow.take(), inputs.pop()) else { break };
        let input = leaf(input, embeds || index > first);
        let mut grads = pull_back(block.forward(input.clone()), gradient);
        collect(&mut found, &mut grads, block);
        flow = input.grad_remove(&mut grads);
    }
    if let (true, Some(gradient)) = (embeds, flow) {
        let mut grads = pull_back(encoder.embed(images), gradient);
        collect(&mut found, &mut grads, &encoder.patch_embed);
        collect(&mut found, &mut grads, &encoder.pos_embed);
    }
    Ok((found, value))
}

/// The start of a record, with a gradient of its own where one is wanted.
fn leaf(x: Tensor<4>, wanted: bool) -> Tensor<4> {
    let x = x.detach();
    if wanted { x.require_grad() } else { x }
}

/// The gradients of everything that `y` was computed from, where `gradient` is that of `y`. The factor 1 of the sum's gradient changes
/// no bit of it.
fn pull_back(y: Tensor<4>, gradient: Tensor<4>) -> Gradients {
    (y * gradient.autodiff()).sum().backward()
}

struct Collect<'a> {
    from: GradientsParams,
    to: &'a mut GradientsParams,
}

impl ModuleVisitor for Collect<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.from.remove::<D>(param.id) {
            self.to.register(param.id, gradient);
        }
    }
}

/// Adds the gradients of a module's parameters to `found`.
fn collect<M: Module>(found: &mut GradientsParams, grads: &mut Gradients, module: &M) {
    let from = GradientsParams::from_module(grads, module);
    module.visit(&mut Collect { from, to: found });
}
