//! The stages of a SAM 2.

use std::path::Path;

use burn::tensor::{Device, Int, Tensor};

use super::{Comparison, StageDifference};
use crate::checkpoint::TensorFile;
use crate::image_encoder::ImageFeatures;
use crate::image_encoder::hiera::HieraStages;
use crate::mask_decoder::HighResolutionRows;
use crate::{MaskChoice, Prompts, Sam, SamError};

/// What a reference holds beside the stages: gradients, the predictor's answers, the paper's decoder, the choice among masks, and the
/// sine positions that only the video part uses.
const BESIDE: [&str; 5] = ["grad.", "e2e.", "paper.", "stability.", "enc.fpn_pos"];

pub(super) fn compare(sam: &Sam, path: &Path, device: &Device) -> Result<Vec<StageDifference>, SamError> {
    let file = TensorFile::read_some(path, |name| !BESIDE.iter().any(|beside| name.starts_with(beside)))?;
    let mut comparison = Comparison { path, file: file.tensors, done: Vec::new(), device };
    let image = comparison.input::<4>("image")?;
    let [_, _, input_height, input_width] = image.dims();
    let stages = comparison.hiera(sam, image)?;
    comparison.hiera_stages(&stages)?;
    let [finest, finer, embedding, _] = stages.pyramid;
    let features = sam.finish_pyramid([finest, finer, embedding]);
    comparison.check("feat.embed", features.embedding.clone())?;
    if let Some([first, second]) = features.high_resolution.clone() {
        comparison.check("feat.s0", first)?;
        comparison.check("feat.s1", second)?;
    }
    let small = comparison.input::<4>("small.image")?;
    let small = comparison.hiera(sam, small)?;
    if let Some(last) = small.blocks.last() {
        comparison.check("small.block_last", last.output.clone())?;
    }
    for (level, map) in small.pyramid.into_iter().enumerate() {
        comparison.check(&format!("small.fpn{level}"), map)?;
    }
    let [_, _, height, width] = features.embedding.dims();
    comparison.check("dense_pe", sam.prompt_encoder.dense_positions([height, width]))?;

    let mut labelled = |name: &str| -> Result<Prompts, SamError> {
        let coordinates = comparison.input::<3>(&format!("{name}.coords"))?;
        let labels: Tensor<2, Int> = comparison.input::<2>(&format!("{name}.labels"))?.int();
        Prompts::none(1).with_point_tensors(coordinates, labels)
    };
    let (points, padded) = (labelled("points")?, labelled("pad")?);
    let boxes = comparison.input::<2>("box.xyxy")?;
    let mask = comparison.input::<4>("mask.input")?;
    let nothing = Tensor::<2>::full([1, 1], -1.0, device).int();
    let prompts = [
        ("points", points.clone()),
        ("pad", padded),
        ("box", Prompts::none(1).with_box_tensor(boxes.clone())?),
        ("points_box", points.clone().with_box_tensor(boxes)?),
        ("mask", points.with_masks(mask)?),
        ("empty", Prompts::none(1).with_point_tensors(Tensor::zeros([1, 1, 2], device), nothing)?),
        ("none", Prompts::none(1)),
    ];
    for (name, prompt) in prompts {
        comparison.decoder(sam, &features, name, &prompt, [input_height, input_width])?;
    }
    comparison.finish()
}

impl Comparison<'_> {
    fn hiera(&self, sam: &Sam, image: Tensor<4>) -> Result<HieraStages, SamError> {
        sam.check_images(&image)?;
        let encoder = sam.image_encoder.as_hiera().ok_or_else(|| {
            SamError::format(self.path, "expected a reference of a SAM, as the model is one; found one of a SAM 2")
        })?;
        Ok(encoder.forward_stages(image))
    }

    fn hiera_stages(&mut self, stages: &HieraStages) -> Result<(), SamError> {
        self.check("enc.patch_embed", stages.patch_embed.clone())?;
        self.check("enc.pos_embed", stages.positions.clone())?;
        for (index, block) in stages.blocks.iter().enumerate() {
            self.check(&format!("enc.block{index}.norm1"), block.norm1.clone())?;
            if let Some(proj) = block.proj.clone() {
                self.check(&format!("enc.block{index}.proj"), proj)?;
            }
            let name = format!("enc.block{index}.attn");
            self.join_windows(&name, block.attention.dims())?;
            self.check(&name, block.attention.clone())?;
            self.check(&format!("enc.block{index}.norm2"), block.norm2.clone())?;
            self.check(&format!("enc.block{index}.mlp"), block.mlp.clone())?;
            self.check(&format!("enc.block{index}"), block.output.clone())?;
        }
        for (level, map) in stages.pyramid.iter().enumerate() {
            self.check(&format!("enc.fpn{level}"), map.clone())?;
        }
        Ok(())
    }

    /// Puts a reference that is still in windows, padding included, together as the map that the model gives.
    fn join_windows(&mut self, name: &str, [n, height, width, channels]: [usize; 4]) -> Result<(), SamError> {
        if !self.file.contains_key(name) {
            return Ok(());
        }
        let windows = self.input::<4>(name)?;
        let [all, rows, columns, found] = windows.dims();
        let (down, across) = (height.div_ceil(rows.max(1)), width.div_ceil(columns.max(1)));
        if all != n * down * across || found != channels {
            let reason = format!(
                "`{name}`: expected windows of [{n}, {height}, {width}, {channels}], found {:?}",
                windows.dims()
            );
            return Err(SamError::format(self.path, reason));
        }
        let map = windows
            .reshape([n, down, across, rows, columns, channels])
            .permute([0, 1, 3, 2, 4, 5])
            .reshape([n, down * rows, across * columns, channels])
            .slice([0..n, 0..height, 0..width, 0..channels]);
        let values = map.into_data().convert::<f32>().iter::<f32>().collect();
        self.file.insert(name.to_owned(), (vec![n, height, width, channels], values));
        Ok(())
    }

    fn decoder(
        &mut self,
        sam: &Sam,
        features: &ImageFeatures,
        name: &str,
        prompt: &Prompts,
        input_size: [usize; 2],
    ) -> Result<(), SamError> {
        let [_, _, height, width] = features.embedding.dims();
        let embedded = sam.prompt_encoder.forward(prompt, input_size);
        if let Some(sparse) = embedded.sparse.clone() {
            self.check(&format!("{name}.sparse"), sparse)?;
        }
        self.check(&format!("{name}.dense"), embedded.dense.clone())?;

        let positions = sam.prompt_encoder.grid_positions([height, width]);
        let decoder = &sam.mask_decoder;
        let attended = decoder.attend(
            features.embedding.clone(),
            positions.clone(),
            embedded.sparse,
            embedded.dense,
            prompt.count(),
        );
        self.check(&format!("{name}.tokens_in"), attended.given.clone())?;
        if let Some((queries, keys)) = decoder.transformer.first_layer(attended.image, positions, attended.given) {
            self.check(&format!("{name}.layer0.queries"), queries)?;
            self.check(&format!("{name}.layer0.keys"), keys)?;
        }
        self.check(&format!("{name}.tokens_out"), attended.tokens.clone())?;
        self.check(&format!("{name}.src_out"), attended.source.clone())?;
        let masks = decoder.output_hypernetworks_mlps.len();
        self.check(&format!("{name}.hyper"), decoder.classifiers(&attended.tokens, 0..masks))?;
        let rows = features.high_resolution.clone().map(|maps| HighResolutionRows::new(maps, [height, width]));
        let [once, twice] = decoder.upscale(attended.source, rows);
        let n = prompt.count();
        let [_, channels] = once.dims();
        let once = once.reshape([n, height, width, 2, 2, channels]).permute([0, 5, 1, 3, 2, 4]).reshape([
            n,
            channels,
            2 * height,
            2 * width,
        ]);
        self.check(&format!("{name}.upscaled1"), once)?;
        let [_, channels] = twice.dims();
        let twice = twice
            .reshape([n, height, width, 2, 2, 2, 2, channels])
            .permute([0, 7, 1, 3, 5, 2, 4, 6])
            .reshape([n, channels, 4 * height, 4 * width]);
        self.check(&format!("{name}.upscaled2"), twice)?;

        let all = sam.decode(features.clone(), prompt, MaskChoice::All)?;
        self.check(&format!("{name}.masks"), all.low_resolution)?;
        self.check(&format!("{name}.iou"), all.iou)?;
        if let Some(score) = all.object_score {
            self.check(&format!("{name}.object"), score)?;
        }
        let one = sam.decode(features.clone(), prompt, MaskChoice::Stable)?;
        self.check(&format!("{name}.single"), one.low_resolution)?;
        self.check(&format!("{name}.single_iou"), one.iou)
    }
}
