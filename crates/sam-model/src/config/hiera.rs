//! What SAM 2's encoder has that a plain vision transformer has not: stages.

use sam_preprocess::Protocol;
use serde::{Deserialize, Serialize};

use super::{PositionResize, SamConfig, SamVariant};
use crate::SamError;

/// Tokens per side of the image: the patch convolution's stride.
pub(crate) const PATCH_STRIDE: usize = 4;

/// The stages of a Hiera trunk, the encoder of SAM 2 and 2.1.
///
/// From one stage to the next the grid halves, and width and heads double. What a trunk shares with a plain vision transformer is
/// in [`SamConfig`]: `embed_dim`, `num_heads` and `window_size` are those of the first stage, `depth` counts the blocks of all
/// stages, `patch_size` is the stride of the image embedding (16).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HieraConfig {
    /// Blocks of each stage.
    pub stages: [usize; 4],
    /// Side of an attention window in tokens, for each stage. The first block of a stage still has the window of the stage before.
    pub windows: [usize; 4],
    /// Rows and columns of the stored background positions.
    pub background_grid: [usize; 2],
}

/// What one block of a trunk is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HieraBlockShape {
    /// Width of its input.
    pub from: usize,
    /// Width of its output.
    pub to: usize,
    /// Attention heads.
    pub heads: usize,
    /// Window side in tokens of its input's grid; 0 means global attention.
    pub window: usize,
    /// Whether its queries are pooled, and the grid halved: the first block of every stage but the first.
    pub pools: bool,
}

impl HieraConfig {
    /// The stage of a block and whether the block is its first.
    fn stage_of(&self, index: usize) -> (usize, bool) {
        let mut first = 0;
        for (stage, &blocks) in self.stages.iter().enumerate() {
            if index < first + blocks {
                return (stage, index == first);
            }
            first += blocks;
        }
        (self.stages.len() - 1, false)
    }

    /// Index of the last block of each stage.
    pub(crate) fn stage_ends(&self) -> [usize; 4] {
        let mut end = 0;
        self.stages.map(|blocks| {
            end += blocks;
            end.saturating_sub(1)
        })
    }
}

impl SamConfig {
    fn hiera(
        embed_dim: usize,
        num_heads: usize,
        stages: [usize; 4],
        windows: [usize; 4],
        background_grid: [usize; 2],
        global_attention_blocks: Vec<usize>,
    ) -> Self {
        Self {
            embed_dim,
            num_heads,
            depth: stages.iter().sum(),
            window_size: windows[0],
            global_attention_blocks,
            position_resize: PositionResize::Bicubic,
            hiera: Some(HieraConfig { stages, windows, background_grid }),
            ..Self::vit_b()
        }
    }

    /// SAM 2 and SAM 2.1, tiny: 31.4 million parameters on the image path. The two versions differ in their weights alone.
    pub fn sam2_tiny() -> Self {
        Self::hiera(96, 1, [1, 2, 7, 2], [8, 4, 14, 7], [7, 7], vec![5, 7, 9])
    }

    /// SAM 2 and SAM 2.1, small: 38.5 million parameters on the image path.
    pub fn sam2_small() -> Self {
        Self::hiera(96, 1, [1, 2, 11, 2], [8, 4, 14, 7], [7, 7], vec![7, 10, 13])
    }

    /// SAM 2 and SAM 2.1, base+: 73.3 million parameters on the image path.
    pub fn sam2_base_plus() -> Self {
        Self::hiera(112, 2, [2, 3, 16, 3], [8, 4, 14, 7], [14, 14], vec![12, 16, 20])
    }

    /// SAM 2 and SAM 2.1, large: 216.9 million parameters on the image path.
    pub fn sam2_large() -> Self {
        Self::hiera(144, 2, [2, 6, 36, 4], [8, 4, 16, 8], [7, 7], vec![23, 33, 43])
    }

    /// A small SAM 2 (3.8 million parameters) that two CPU cores can train: width 48, one head, windows of 8, 4, 8 and 4, embedding and
    /// decoder 128 wide, native input 256. It has more of its blocks in the fine stages than the published models, for thin
    /// structures.
    pub fn sam2_mini() -> Self {
        Self {
            image_size: 256,
            output_channels: 128,
            decoder_mlp_dim: 512,
            iou_head_hidden_dim: 128,
            ..Self::hiera(48, 1, [2, 3, 2, 1], [8, 4, 8, 4], [8, 8], vec![6])
        }
    }

    /// The published SAM 2 with this width and these blocks per stage, which tell the four apart.
    pub(crate) fn published_sam2(embed_dim: usize, stages: &[usize]) -> Option<Self> {
        [Self::sam2_tiny(), Self::sam2_small(), Self::sam2_base_plus(), Self::sam2_large()].into_iter().find(|preset| {
            preset.embed_dim == embed_dim && preset.hiera.as_ref().is_some_and(|hiera| hiera.stages == *stages)
        })
    }

    /// Whether this is a SAM 2 (or 2.1): an encoder of stages, high-resolution features and an object score in the decoder.
    pub fn is_sam2(&self) -> bool {
        self.hiera.is_some()
    }

    /// Whether the decoder has SAM 2's high-resolution features, object score and IoU sigmoid, and the embedding its vector of "no
    /// memory". The SALT paper's code leaves all of that out.
    pub(crate) fn uses_sam2_heads(&self) -> bool {
        self.is_sam2() && self.variant == SamVariant::Sam
    }

    /// What height and width of an input must be multiples of, in pixels: the patch; in SAM 2 whatever lets three poolings halve the
    /// grid and its first windows tile it (32 in every published model).
    pub fn input_multiple(&self) -> usize {
        match self.hiera {
            None => self.patch_size,
            Some(_) => least_common_multiple(PATCH_STRIDE << 3, PATCH_STRIDE * self.window_size.max(1)),
        }
    }

    /// How images are prepared for the published models of this kind.
    pub fn native_protocol(&self) -> Protocol {
        if self.uses_sam2_heads() { Protocol::Sam2 } else { Protocol::Default }
    }

    /// The blocks of SAM 2's trunk; none for a SAM.
    pub fn hiera_blocks(&self) -> Vec<HieraBlockShape> {
        let blocks = |hiera| (0..self.depth).map(|index| self.hiera_block(hiera, index)).collect();
        self.hiera.as_ref().map_or_else(Vec::new, blocks)
    }

    pub(crate) fn hiera_block(&self, hiera: &HieraConfig, index: usize) -> HieraBlockShape {
        let (stage, is_first) = hiera.stage_of(index);
        let pools = is_first && stage > 0;
        let window =
            if self.global_attention_blocks.contains(&index) { 0 } else { hiera.windows[stage - usize::from(pools)] };
        let to = self.embed_dim << stage;
        HieraBlockShape { from: if pools { to / 2 } else { to }, to, heads: self.num_heads << stage, window, pools }
    }

    pub(super) fn validate_hiera(&self, hiera: &HieraConfig) -> Result<(), SamError> {
        let wrong = |field, expected: String, found: String| Err(SamError::config(field, expected, found));
        if hiera.stages.contains(&0) || hiera.stages.iter().any(|&blocks| blocks > 1 << 10) {
            return wrong("hiera.stages", "1 to 1024 blocks in each stage".into(), format!("{:?}", hiera.stages));
        }
        let blocks: usize = hiera.stages.iter().sum();
        if self.depth != blocks {
            return wrong("depth", format!("the sum of hiera.stages = {blocks}"), self.depth.to_string());
        }
        if hiera.windows.iter().any(|&side| side == 0 || side > 1 << 10) {
            return wrong("hiera.windows", "1 to 1024 tokens in each stage".into(), format!("{:?}", hiera.windows));
        }
        // The queries of the next stage's first block are pooled in these windows.
        if hiera.windows[..3].iter().any(|side| side % 2 != 0) {
            let found = format!("{:?}", hiera.windows);
            return wrong("hiera.windows", "even numbers in the first three stages".into(), found);
        }
        if self.window_size != hiera.windows[0] {
            let expected = format!("the first of hiera.windows = {}", hiera.windows[0]);
            return wrong("window_size", expected, self.window_size.to_string());
        }
        if hiera.background_grid.iter().any(|&side| side == 0 || side > 1 << 10) {
            let found = format!("{:?}", hiera.background_grid);
            return wrong("hiera.background_grid", "1 to 1024 rows and columns".into(), found);
        }
        if self.patch_size != PATCH_STRIDE << 2 {
            return wrong("patch_size", "16 in a SAM 2".into(), self.patch_size.to_string());
        }
        if self.position_resize != PositionResize::Bicubic {
            return wrong("position_resize", "`bicubic` in a SAM 2".into(), format!("{:?}", self.position_resize));
        }
        let multiple = self.input_multiple();
        if !self.image_size.is_multiple_of(multiple) {
            return wrong("image_size", format!("a multiple of {multiple}"), self.image_size.to_string());
        }
        Ok(())
    }
}

fn least_common_multiple(a: usize, b: usize) -> usize {
    let (mut x, mut y) = (a, b);
    while y != 0 {
        (x, y) = (y, x % y);
    }
    a / x * b
}
