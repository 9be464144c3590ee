//! The numbers of one step: what encoder, decoder and loss keep for the backward pass, and what they need besides.

use super::numbers;
use salt_peft::{Kind, LinearShape, Plan, kept_numbers};
use sam_model::{HieraBlockShape, SamConfig};

/// One step on one device.
#[derive(Clone, Copy)]
pub(super) struct Step<'a> {
    pub(super) model: &'a SamConfig,
    pub(super) plan: &'a Plan,
    pub(super) size: usize,
    pub(super) batch: usize,
    /// Whether layers are single operations that keep only what they read.
    pub(super) fused: bool,
}

/// What is done to a weight.
#[derive(Clone, Copy)]
enum Treatment {
    Frozen,
    Trained,
    Adapted(Kind),
}

/// The sizes of a block of an encoder.
#[derive(Clone, Copy)]
struct Block {
    /// Tokens and channels of its input.
    inputs: [usize; 2],
    /// Tokens and channels of its output.
    outputs: [usize; 2],
    heads: usize,
    /// Channels inside of its MLP.
    hidden: usize,
    /// Tokens of its attention's keys, with the padding of windows, and those of one window.
    attended: usize,
    window: usize,
    /// Whether the grid is halved.
    pools: bool,
    /// The paths of its MLP's layers.
    mlp: [&'static str; 2],
}

/// What the encoder's part of a step takes.
pub(super) struct Encoder {
    /// What is kept until the backward pass.
    pub(super) kept: usize,
    /// The most that is there while the backward pass is in the encoder.
    pub(super) in_backward: usize,
    /// Copies of the factors of an attention, or of the largest product that gives a weight's gradient: working memory that threads do not give
    /// back.
    pub(super) packed: usize,
}

impl Step<'_> {
    /// Tokens of the embedding.
    fn tokens(&self) -> usize {
        self.batch * (self.size / self.model.patch_size).pow(2)
    }

    fn treatment(&self, path: &str) -> Treatment {
        let ends = |found: &str| found.ends_with(path);
        if let Some(layer) = self.plan.layers.iter().find(|layer| ends(&layer.path)) {
            return layer.parts.first().and_then(|part| part.kind).map_or(Treatment::Frozen, Treatment::Adapted);
        }
        let trained = self.plan.trained.iter().any(|parameter| ends(&parameter.path));
        if trained { Treatment::Trained } else { Treatment::Frozen }
    }

    /// Whether something under a path is trained or adapted.
    fn touches(&self, part: &str) -> bool {
        let paths = self.plan.layers.iter().map(|layer| &layer.path);
        paths.chain(self.plan.trained.iter().map(|parameter| &parameter.path)).any(|path| path.contains(part))
    }

    /// Index of the first block whose input or parameters have a gradient; the number of blocks where none has.
    fn first_tracked(&self) -> usize {
        if self.touches("pos_embed") || self.touches("patch_embed") {
            return 0;
        }
        (0..self.model.depth).find(|index| self.touches(&format!("blocks.{index}."))).unwrap_or(self.model.depth)
    }

    /// The step as the encoder sees it: one image at a time where nothing of it is trained.
    pub(super) fn of_encoder(self) -> Self {
        Self { batch: if self.has_frozen_encoder() { 1 } else { self.batch }, ..self }
    }

    fn has_frozen_encoder(&self) -> bool {
        self.first_tracked() == self.model.depth && !self.touches("neck")
    }

    fn linear(&self, path: &str, tokens: usize, [inputs, outputs]: [usize; 2]) -> usize {
        match self.treatment(path) {
            Treatment::Frozen => 0,
            Treatment::Trained => tokens * inputs,
            Treatment::Adapted(kind) => kept_numbers(&kind, LinearShape { tokens, inputs, outputs, training: true }),
        }
    }

    /// The blocks of the encoder.
    fn blocks(&self) -> Vec<Block> {
        let model = self.model;
        // Rows with the padding of windows, and the length of one window.
        let attended = |grid: usize, window: usize| match window {
            0 => [self.batch * grid * grid, grid * grid],
            side => [self.batch * grid.next_multiple_of(side).pow(2), side * side],
        };
        if !model.is_sam2() {
            let (grid, tokens) = (self.size / model.patch_size, self.tokens());
            let block = |index| {
                let [attended, window] = attended(grid, model.block_window(index));
                Block {
                    inputs: [tokens, model.embed_dim],
                    outputs: [tokens, model.embed_dim],
                    heads: model.num_heads,
                    hidden: model.mlp_dim(),
                    attended,
                    window,
                    pools: false,
                    mlp: ["mlp.lin1.weight", "mlp.lin2.weight"],
                }
            };
            return (0..model.depth).map(block).collect();
        }
        let mut grid = 4 * (self.size / model.patch_size);
        let block = |shape: HieraBlockShape| {
            let before = grid;
            grid = if shape.pools { grid / 2 } else { grid };
            let [attended, window] = attended(before, shape.window);
            Block {
                inputs: [self.batch * before * before, shape.from],
                outputs: [self.batch * grid * grid, shape.to],
                heads: shape.heads,
                hidden: (shape.to as f64 * model.mlp_ratio) as usize,
                attended,
                window,
                pools: shape.pools,
                mlp: ["mlp.layers.0.weight", "mlp.layers.1.weight"],
            }
        };
        model.hiera_blocks().into_iter().map(block).collect()
    }

    /// What the encoder keeps and takes, block by block or, `checkpointing`, as inputs of blocks that are computed once more.
    pub(super) fn encoder(&self, checkpointing: bool) -> Encoder {
        let first = self.first_tracked();
        let blocks: Vec<Block> = self.blocks();
        let (mut kept, mut in_backward, mut packed) = (0, 0, 0);
        if self.fused {
            // Keys and values of an attention.
            let images = self.of_encoder().batch;
            let of_block = |block: &Block| 2 * block.attended / self.batch * images * block.outputs[1];
            packed = blocks.iter().map(of_block).max().unwrap_or(0);
        }
        for (index, block) in blocks.iter().enumerate().skip(first) {
            if self.fused {
                packed = packed.max(block.outputs[0] * (block.outputs[1] + block.hidden));
            }
            let whole = self.kept_by(index, *block, index == first);
            if checkpointing {
                let [[n, c], [m, d]] = [block.inputs, block.outputs];
                kept += n * c;
                // The output, the gradient of that, and what carries the one into the other are there once more.
                in_backward = in_backward.max(kept + whole + 5 * m * d + temporaries(block, true));
            } else {
                kept += whole;
                in_backward = in_backward.max(kept + temporaries(block, true));
            }
        }
        Encoder { kept, in_backward, packed }
    }

    /// What a block keeps for its backward pass.
    fn kept_by(&self, index: usize, block: Block, is_first: bool) -> usize {
        let ([n, c], [m, d], hidden) = (block.inputs, block.outputs, block.hidden);
        let name = |layer: &str| format!("blocks.{index}.{layer}");
        let tracked_input = !is_first || self.touches("pos_embed") || self.touches("patch_embed");
        let norm_1 = if tracked_input || self.touches(&name("norm1")) { n * c } else { 0 };
        let qkv = self.linear(&name("attn.qkv.weight"), n, [c, 3 * d]);
        let tracks_qkv = norm_1 > 0 || self.touches(&name("attn.qkv")) || self.touches(&name("attn.rel_pos"));
        let attention = if tracks_qkv { self.attention(block) } else { 0 };
        let shortcut = if c == d { 0 } else { self.linear(&name("proj.weight"), n, [c, d]) };
        let pooled = if block.pools && tracks_qkv { POOLED * n * d } else { 0 };
        let mut proj = self.linear(&name("attn.proj.weight"), m, [d, d]);
        if block.window == block.attended / self.batch && proj >= m * d && attention > 0 {
            // Its input is the output that the attention keeps.
            proj -= m * d;
        }
        let [layer_1, layer_2] = block.mlp.map(&name);
        let lin_1 = self.linear(&layer_1, m, [d, hidden]);
        let lin_2 = self.linear(&layer_2, m, [hidden, d]);
        let kept = norm_1 + qkv + attention + shortcut + pooled + proj + m * d + lin_1 + m * hidden + lin_2;
        // Composed of Burn's operations, the two norms keep two more tensors each and GELU two.
        if self.fused { kept } else { kept + 2 * n * c + 2 * m * d + 2 * m * hidden }
    }

    fn attention(&self, block: Block) -> usize {
        let (rows, channels) = (block.attended, block.outputs[1]);
        let queries = if block.pools { rows / 4 } else { rows };
        if self.fused {
            // Queries, keys and values, the output, and a number for each query and head.
            return 2 * (queries + rows) * channels + queries * block.heads;
        }
        // Query, key and value apart, the exponentials of the scores, the unnormalised and the normalised output.
        let relative = self.model.uses_relative_positions();
        let relative = if relative { 2 * rows * block.heads * block.window.isqrt() * 2 } else { 0 };
        (3 * queries + 2 * rows) * channels + queries * block.window * block.heads + relative
    }

    /// What neck, decoder and loss keep.
    pub(super) fn head(&self) -> usize {
        let (n, c, width) = (self.tokens(), self.model.embed_dim, self.model.output_channels);
        let pixels = self.batch * self.size * self.size;
        let neck = match self.model.is_sam2() {
            // Three maps of each image, joined for the batch.
            true if self.has_frozen_encoder() => n * width * (16 + 4 + 1),
            true if !self.touches("neck") => 0,
            // The ends of four stages.
            true => n * c * (16 + 8 + 4 + 2),
            false if self.first_tracked() < self.model.depth || self.touches("neck") => n * c + 4 * n * width,
            false => 0,
        };
        let decoder =
            if self.touches("mask_decoder.transformer.layers.0.mlp") { 22 * n * width } else { 13 * n * width };
        neck + decoder + LOSS_MAPS * pixels
    }

    /// The temporaries of the widest place of the encoder where nothing is kept for a backward pass.
    pub(super) fn temporaries(&self) -> usize {
        self.blocks().iter().map(|block| temporaries(block, false)).max().unwrap_or(0)
    }

    /// Numbers in weights that lie on the disk while the training works.
    pub(super) fn at_rest(&self) -> usize {
        let paths: std::collections::BTreeSet<&str> = self.plan.weights_at_rest().collect();
        let of_layers = self.plan.layers.iter().map(|layer| (layer.path.as_str(), numbers(layer)));
        let of_trained = self.plan.trained.iter().map(|parameter| (parameter.path.as_str(), parameter.count()));
        of_layers.chain(of_trained).filter(|(path, _)| paths.contains(path)).map(|(_, count)| count).sum()
    }
}

/// The temporaries of the widest place of a block: its MLP, or its attention where that is fed from four times as many tokens.
fn temporaries(block: &Block, in_backward: bool) -> usize {
    let ([n, c], [m, d], hidden) = (block.inputs, block.outputs, block.hidden);
    let mlp = 2 * m * hidden + 4 * m * d + 2 * d * hidden;
    // Input, norm and residual connection; what pooling keeps; and queries, keys and values three times: the projection's output, its gradient,
    // and that of one of the three, which comes as a map of all with zeros for the others.
    // Without a backward pass there are the projection's output and the three cut out of it.
    let pooled = if in_backward { POOLED * n * d / 2 + 9 * block.attended * d } else { 6 * block.attended * d };
    let pooling = 2 * n * c + n * d + pooled;
    if block.pools { mlp.max(pooling) } else { mlp }
}

/// What pooling the queries and the residual connection keeps of each number: the places of the larger ones in 64 bits, for half of the
/// numbers and then for a quarter.
const POOLED: usize = 3;

/// Maps of the size of the image that upsampling and loss keep.
const LOSS_MAPS: usize = 16;
