//! Comparison with a reference, stage by stage.
//!
//! A reference file is a safetensors file with an input image, prompts and what the original computes from them after every
//! stage; `tests/fixtures/sam_tiny.py` (SAM) and `sam2_tiny.py` (SAM 2) write one for any configuration. The comparison runs the model from the image on
//! (errors accumulate as they do in use) and reports the largest difference of every tensor of the file.

mod sam2;

use std::collections::BTreeMap;
use std::path::Path;

use burn::tensor::{Device, Int, Tensor, TensorData};
use sam_preprocess::{Preprocess, Protocol};
use serde::Serialize;

use crate::checkpoint::TensorFile;
use crate::{Prompts, Sam, SamError, upsample_logits};

/// How far one stage is from the reference.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StageDifference {
    /// The tensor's name in the reference file.
    pub stage: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Largest absolute difference.
    pub absolute: f64,
    /// Largest absolute difference over the largest absolute value of the reference.
    pub relative: f64,
}

impl StageDifference {
    /// Whether both differences are at most `tolerance`.
    pub fn within(&self, tolerance: f64) -> bool {
        self.absolute <= tolerance && self.relative <= tolerance
    }
}

/// Width and height of the image whose pixels the reference's full-size masks show. They fill the upper three quarters of the input.
const FULL_SIZE: (usize, usize) = (320, 240);

/// Runs `sam` on the inputs of a reference file and compares every tensor that the file holds.
///
/// # Errors
/// [`SamError::Io`] and [`SamError::Format`] for a reference that cannot be read, [`SamError::Format`] for a tensor in it that
/// the comparison does not know, [`SamError::Shape`] for inputs that the model cannot take.
pub fn compare_with_reference(
    sam: &Sam,
    reference: impl AsRef<Path>,
    device: &Device,
) -> Result<Vec<StageDifference>, SamError> {
    let path = reference.as_ref();
    if sam.config().is_sam2() {
        return sam2::compare(sam, path, device);
    }
    let mut comparison = Comparison { path, file: TensorFile::read(path)?.tensors, done: Vec::new(), device };
    let image = comparison.input::<4>("image")?;
    let embedding = comparison.encoder(sam, image.clone(), "enc.")?;
    if comparison.file.contains_key("small.image") {
        let small = comparison.input::<4>("small.image")?;
        comparison.encoder(sam, small, "small.enc.")?;
    }
    let [_, _, height, width] = embedding.dims();
    let [_, _, input_height, input_width] = image.dims();
    comparison.check("dense_pe", sam.prompt_encoder.dense_positions([height, width]))?;

    let coordinates = comparison.input::<3>("points.coords")?;
    let labels: Tensor<2, Int> = comparison.input::<2>("points.labels")?.int();
    let boxes = comparison.input::<2>("box.xyxy")?;
    let mask = comparison.input::<4>("mask.input")?;
    let points = Prompts::none(1).with_point_tensors(coordinates, labels)?;
    let prompts = [
        ("points", points.clone()),
        ("box", Prompts::none(1).with_box_tensor(boxes.clone())?),
        ("points_box", points.clone().with_box_tensor(boxes)?),
        ("mask", points.with_masks(mask)?),
        ("none", Prompts::none(1)),
    ];
    for (name, prompt) in prompts {
        let embedded = sam.prompt_encoder.forward(&prompt, [input_height, input_width]);
        if let Some(sparse) = embedded.sparse {
            comparison.check(&format!("{name}.sparse"), sparse)?;
        }
        let [_, channels, _, _] = embedded.dense.dims();
        comparison.check(&format!("{name}.dense"), embedded.dense.expand([1, channels, height, width]))?;
        for (multimask, suffix) in [(true, ""), (false, "_single")] {
            let answer = sam.decode(embedding.clone(), &prompt, multimask)?;
            if !multimask {
                comparison.check_full(&format!("{name}.full"), answer.low_resolution.clone(), input_height)?;
            }
            comparison.check(&format!("{name}.low_res{suffix}"), answer.low_resolution)?;
            comparison.check(&format!("{name}.iou{suffix}"), answer.iou)?;
        }
    }
    comparison.finish()
}

struct Comparison<'a> {
    path: &'a Path,
    /// What has not been compared yet.
    file: BTreeMap<String, (Vec<usize>, Vec<f32>)>,
    done: Vec<StageDifference>,
    device: &'a Device,
}

impl Comparison<'_> {
    fn input<const D: usize>(&mut self, name: &str) -> Result<Tensor<D>, SamError> {
        let missing = || SamError::format(self.path, format!("expected a tensor `{name}`"));
        let (shape, values) = self.file.remove(name).ok_or_else(missing)?;
        let shape: [usize; D] = shape
            .try_into()
            .map_err(|found| SamError::format(self.path, format!("`{name}`: expected {D} axes, found {found:?}")))?;
        Ok(Tensor::from_data(TensorData::new(values, shape), self.device))
    }

    fn encoder(&mut self, sam: &Sam, image: Tensor<4>, prefix: &str) -> Result<Tensor<4>, SamError> {
        sam.check_images(&image)?;
        let encoder = sam.image_encoder.as_vit().ok_or_else(|| {
            SamError::format(self.path, "expected a reference of a SAM 2, as the model is one; found one of a SAM")
        })?;
        let stages = encoder.forward_stages(image);
        self.check(&format!("{prefix}patch_embed"), stages.patch_embed)?;
        self.check(&format!("{prefix}pos"), stages.positions)?;
        for (index, block) in stages.blocks.into_iter().enumerate() {
            self.check(&format!("{prefix}block{index}"), block)?;
        }
        self.check(&format!("{prefix}neck"), stages.neck.clone())?;
        Ok(stages.neck)
    }

    /// Compares one stage, if the file has it.
    fn check<const D: usize>(&mut self, name: &str, found: Tensor<D>) -> Result<(), SamError> {
        let Some((shape, expected)) = self.file.remove(name) else { return Ok(()) };
        if shape != found.dims() {
            let reason = format!("`{name}`: the reference is {shape:?}, the model gives {:?}", found.dims());
            return Err(SamError::format(self.path, reason));
        }
        let (mut absolute, mut largest) = (0f64, 0f64);
        for (expected, found) in expected.iter().zip(found.into_data().convert::<f32>().iter::<f32>()) {
            let difference = (f64::from(*expected) - f64::from(found)).abs();
            // A NaN counts as infinitely far.
            absolute = absolute.max(if difference.is_nan() { f64::INFINITY } else { difference });
            largest = largest.max(f64::from(expected.abs()));
        }
        let relative = if absolute == 0.0 { 0.0 } else { absolute / largest };
        self.done.push(StageDifference { stage: name.to_owned(), shape, absolute, relative });
        Ok(())
    }

    /// Compares a mask in the original image's pixels.
    fn check_full(&mut self, name: &str, low_resolution: Tensor<4>, side: usize) -> Result<(), SamError> {
        let geometry = Preprocess::new(Protocol::Default, side)?.geometry(FULL_SIZE);
        let square = upsample_logits(low_resolution, [side, side]).into_data().convert::<f32>();
        let full = geometry.restore(&square.iter::<f32>().collect::<Vec<f32>>())?;
        let (width, height) = FULL_SIZE;
        self.check(name, Tensor::<4>::from_data(TensorData::new(full, [1, 1, height, width]), self.device))
    }

    fn finish(self) -> Result<Vec<StageDifference>, SamError> {
        if self.file.is_empty() {
            return Ok(self.done);
        }
        let names: Vec<_> = self.file.into_keys().collect();
        Err(SamError::format(self.path, format!("tensors that no stage of the model produces: {names:?}")))
    }
}
