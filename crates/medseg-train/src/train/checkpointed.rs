//! Gradients of a step that keeps one block's intermediate results at a time.
//!
//! The ordinary way records every operation from the image to the loss and keeps what its backward pass reads: of each block of the
//! encoder some fourteen tensors of the size of its input. Here the blocks run once without a record, and only their inputs are kept.
//! The rest (neck, prompt, decoder, loss) is recorded and differentiated as ever, down to the gradients of the blocks that it starts from:
//! in SAM the last one, in SAM 2 the last one of each stage. Then
//! each block, from the last to the first, runs again with a record, and the gradient of its output is carried through it. (Chen et al. 2016,
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
use sam_model::image_encoder::{HieraEncoder, ImageEncoder};

/// The key that asks for it.
const KEY: &str = "training.activation-checkpointing";

/// The encoder whose blocks can be run one by one.
///
/// # Errors
/// The model has none: it is a convolutional network.
pub(super) fn encoder(model: &Segmenter) -> Result<&ImageEncoder> {
    model.image_encoder().ok_or_else(|| {
        TrainError::config(KEY, "recomputes the blocks of the encoder of SAM or SAM 2; this model is another network")
    })
}

/// Gradients of all trained parameters with respect to `weight` times what `loss` makes of the logits, and its value without the weight;
/// the encoder's blocks are computed a second time instead of kept.
///
/// `images` are `[n, 3, size, size]`, on the autodiff device of the model.
///
/// # Errors
/// A model that is no SAM, an image size that it does not take, and what `loss` fails with.
pub fn gradients(
    model: &Segmenter,
    images: Tensor<4>,
    weight: f64,
    loss: impl FnOnce(Tensor<4>) -> Result<Tensor<1>>,
) -> Result<(GradientsParams, f32)> {
    let encoder = encoder(model)?;
    let [_, _, height, width] = images.dims();
    model.check_images(&images)?;
    let (embeds, ends) = (trains_embedding(encoder), ends(encoder));
    // Blocks before the first trained parameter have no gradients: nothing is kept of them.
    let count = ends.last().map_or(0, |end| end + 1);
    let first = if embeds { 0 } else { (0..count).find(|&index| trains_block(encoder, index)).unwrap_or(count) };
    let has_gradient = |index: usize| embeds || index >= first;

    let constant = encoder.clone().no_grad();
    let mut x = embed(&constant, images.clone());
    let mut inputs = Vec::with_capacity(count - first);
    let mut leaves = Vec::with_capacity(ends.len());
    for index in 0..count {
        if index >= first {
            inputs.push(x.clone());
        }
        x = run_block(&constant, index, x);
        if ends.contains(&index) {
            leaves.push(leaf(x.clone(), has_gradient(index)));
        }
    }
    drop((constant, x));

    let features = model.features(&finish(encoder, &leaves)?)?;
    let loss = loss(model.decode(features, [height, width])?)?;
    let value = loss.clone().into_scalar::<f32>();
    let loss = if weight == 1.0 { loss } else { loss * weight };
    let mut grads = loss.backward();
    drop(loss);
    let mut found = GradientsParams::from_module(&mut grads, model);
    let mut of_ends: Vec<_> = ends.into_iter().zip(leaves.iter().map(|leaf| leaf.grad_remove(&mut grads))).collect();
    drop((grads, leaves));

    let mut flow: Option<Tensor<4>> = None;
    for index in (first..count).rev() {
        if let Some((_, Some(gradient))) = of_ends.pop_if(|(end, _)| *end == index) {
            flow = Some(match flow {
                Some(flow) => flow + gradient,
                None => gradient,
            });
        }
        let (Some(gradient), Some(input)) = (flow.take(), inputs.pop()) else { continue };
        let input = leaf(input, embeds || index > first);
        let mut grads = pull_back(run_block(encoder, index, input.clone()), gradient);
        collect_block(&mut found, &mut grads, encoder, index);
        flow = input.grad_remove(&mut grads);
    }
    if let (true, Some(gradient)) = (embeds, flow) {
        let mut grads = pull_back(embed(encoder, images), gradient);
        collect_embedding(&mut found, &mut grads, encoder);
    }
    Ok((found, value))
}

/// Patches and positions.
fn embed(encoder: &ImageEncoder, images: Tensor<4>) -> Tensor<4> {
    match encoder {
        ImageEncoder::Vit(encoder) => encoder.embed(images),
        ImageEncoder::Hiera(encoder) => encoder.trunk.embed(images),
    }
}

fn run_block(encoder: &ImageEncoder, index: usize, x: Tensor<4>) -> Tensor<4> {
    match encoder {
        ImageEncoder::Vit(encoder) => encoder.blocks[index].forward(x),
        ImageEncoder::Hiera(encoder) => encoder.trunk.blocks[index].forward(x),
    }
}

/// The blocks whose results are read by more than the next block, the last one included.
fn ends(encoder: &ImageEncoder) -> Vec<usize> {
    match encoder {
        ImageEncoder::Vit(encoder) => encoder.blocks.len().checked_sub(1).into_iter().collect(),
        ImageEncoder::Hiera(encoder) => encoder.trunk.stage_ends().to_vec(),
    }
}

/// The maps of the encoder, from the results of the [`ends`].
fn finish(encoder: &ImageEncoder, results: &[Tensor<4>]) -> Result<Vec<Tensor<4>>> {
    match (encoder, results) {
        (ImageEncoder::Vit(encoder), [last]) => Ok(vec![encoder.finish(last.clone())]),
        (ImageEncoder::Hiera(encoder), [first, second, third, fourth]) => {
            Ok(encoder.finish([first, second, third, fourth].map(Clone::clone)).into())
        }
        _ => Err(TrainError::config(KEY, format!("the encoder has {} results", results.len()))),
    }
}

fn trains_embedding(encoder: &ImageEncoder) -> bool {
    match encoder {
        ImageEncoder::Vit(encoder) => is_trained(&encoder.patch_embed) || is_trained(&encoder.pos_embed),
        ImageEncoder::Hiera(HieraEncoder { trunk, .. }) => {
            is_trained(&trunk.patch_embed) || is_trained(&trunk.pos_embed) || is_trained(&trunk.pos_embed_window)
        }
    }
}

fn trains_block(encoder: &ImageEncoder, index: usize) -> bool {
    match encoder {
        ImageEncoder::Vit(encoder) => is_trained(&encoder.blocks[index]),
        ImageEncoder::Hiera(encoder) => is_trained(&encoder.trunk.blocks[index]),
    }
}

fn collect_block(found: &mut GradientsParams, grads: &mut Gradients, encoder: &ImageEncoder, index: usize) {
    match encoder {
        ImageEncoder::Vit(encoder) => collect(found, grads, &encoder.blocks[index]),
        ImageEncoder::Hiera(encoder) => collect(found, grads, &encoder.trunk.blocks[index]),
    }
}

fn collect_embedding(found: &mut GradientsParams, grads: &mut Gradients, encoder: &ImageEncoder) {
    match encoder {
        ImageEncoder::Vit(encoder) => {
            collect(found, grads, &encoder.patch_embed);
            collect(found, grads, &encoder.pos_embed);
        }
        ImageEncoder::Hiera(HieraEncoder { trunk, .. }) => {
            collect(found, grads, &trunk.patch_embed);
            collect(found, grads, &trunk.pos_embed);
            collect(found, grads, &trunk.pos_embed_window);
        }
    }
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
