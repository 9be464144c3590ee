//! Gradients against the original's automatic differentiation, parameter by parameter.

use std::collections::BTreeMap;
use std::path::Path;

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Gradients, Int, Tensor, TensorData};
use safetensors::SafeTensors;
use sam_model::{Checkpoint, Prompts, Sam, SamConfig};

use super::support::FixtureSet;

/// The reference file's tensors.
pub(crate) struct Reference(pub(crate) BTreeMap<String, (Vec<usize>, Vec<f32>)>);

impl Reference {
    fn read() -> Self {
        const NAME: &str = "sam_gradients.safetensors";
        Self::from(&FixtureSet::with(&[NAME]).path(NAME))
    }

    pub(crate) fn from(path: &Path) -> Self {
        let bytes = std::fs::read(path).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let read = |(name, view): (String, safetensors::tensor::TensorView<'_>)| {
            let values = view.data().chunks_exact(4).map(|c| f32::from_le_bytes(c.try_into().unwrap())).collect();
            (name, (view.shape().to_vec(), values))
        };
        Self(file.tensors().into_iter().map(read).collect())
    }

    pub(crate) fn tensor<const D: usize>(&self, name: &str, device: &Device) -> Tensor<D> {
        let (shape, values) = &self.0[name];
        Tensor::from_data(TensorData::new(values.clone(), shape.clone()), device)
    }
}

/// The reference's sizes.
pub(crate) fn config() -> SamConfig {
    SamConfig {
        image_size: 56,
        patch_size: 8,
        embed_dim: 24,
        depth: 2,
        num_heads: 2,
        mlp_ratio: 2.0,
        output_channels: 16,
        window_size: 3,
        global_attention_blocks: vec![1],
        mask_input_channels: 8,
        decoder_heads: 2,
        decoder_mlp_dim: 24,
        iou_head_hidden_dim: 16,
        ..SamConfig::vit_b()
    }
}

/// The reference's weights, through a checkpoint file.
fn reference_model(reference: &Reference, device: &Device) -> Sam {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.safetensors");
    let weights: BTreeMap<&str, (Vec<usize>, Vec<u8>)> = reference
        .0
        .iter()
        .filter_map(|(name, (shape, values))| {
            let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
            Some((name.strip_prefix("w.")?, (shape.clone(), bytes)))
        })
        .collect();
    let views = weights.iter().map(|(name, (shape, bytes))| {
        (*name, safetensors::tensor::TensorView::new(safetensors::Dtype::F32, shape.clone(), bytes).unwrap())
    });
    safetensors::serialize_to_file(views, None, &path).unwrap();
    Checkpoint::open(&path).unwrap().load(&config(), device).unwrap().0
}

/// The loss that `sam_gradients.py` describes.
fn reference_loss(sam: &Sam, reference: &Reference, image: Tensor<4>, device: &Device) -> Tensor<1> {
    let labels: Tensor<2, Int> = reference.tensor::<2>("points.labels", device).int();
    let coordinates = || reference.tensor::<3>("points.coords", device);
    let embedding = sam.encode_image(image).unwrap();
    let points_and_box = Prompts::none(2)
        .with_point_tensors(coordinates(), labels.clone())
        .and_then(|p| p.with_box_tensor(reference.tensor("box", device)))
        .unwrap();
    let refined = Prompts::none(2)
        .with_point_tensors(coordinates(), labels - 1)
        .and_then(|p| p.with_masks(reference.tensor("mask", device)))
        .unwrap();
    let first = sam.decode(embedding.clone(), &points_and_box, true).unwrap();
    let second = sam.decode(embedding.clone(), &refined, false).unwrap();
    let third = sam.decode(embedding, &Prompts::none(2), false).unwrap();
    let mix_mask = reference.tensor::<4>("mix.mask", device);
    (reference.tensor::<4>("mix.points", device) * first.low_resolution).sum()
        + (reference.tensor::<2>("mix.iou", device) * first.iou).sum()
        + (mix_mask.clone() * second.low_resolution).sum()
        + (mix_mask * third.low_resolution).sum()
}

/// Relative distance of every parameter's gradient from the reference's, in the file's layout.
pub(crate) struct Compare<'a> {
    reference: &'a Reference,
    gradients: &'a Gradients,
    /// What stands before a parameter's name in the reference.
    prefix: &'a str,
    /// The largest distance that is no problem, as a share of the norm.
    pub(crate) limit: f64,
    path: Vec<(String, String)>,
    pub(crate) compared: usize,
    /// The largest distance over the norm, among gradients that are not zero.
    pub(crate) largest: f64,
    pub(crate) problems: Vec<String>,
}

impl<'a> Compare<'a> {
    pub(crate) fn new(reference: &'a Reference, gradients: &'a Gradients, prefix: &'a str) -> Self {
        let (path, problems) = (Vec::new(), Vec::new());
        Self { reference, gradients, prefix, limit: 2e-5, path, compared: 0, largest: 0.0, problems }
    }
}

impl ModuleVisitor for Compare<'_> {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.push((name.to_owned(), container.to_owned()));
    }
    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let name = self.path.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(".");
        let expected = self.reference.0.get(&format!("{}{name}", self.prefix));
        let found = param.val().grad(self.gradients);
        match (expected, found) {
            (None, None) => {}
            // PyTorch gives a gradient of zeros where it computes and then discards; here the part is not computed.
            (Some((_, expected)), None) => {
                if expected.iter().any(|v| *v != 0.0) {
                    self.problems.push(format!("{name}: no gradient, but the reference has one"));
                }
            }
            (None, Some(_)) => self.problems.push(format!("{name}: a gradient that the reference has not")),
            (Some((_, expected)), Some(found)) => {
                let is_linear = self.path.last().is_some_and(|(_, container)| container == "Struct:Linear");
                let found = if is_linear && D == 2 { found.swap_dims(0, 1) } else { found };
                let found: Vec<f32> = found.into_data().iter::<f32>().collect();
                assert_eq!(found.len(), expected.len(), "{name}");
                let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>().sqrt();
                let scale = norm(&mut expected.iter().map(|v| f64::from(*v)));
                let distance = norm(&mut expected.iter().zip(&found).map(|(a, b)| f64::from(*a) - f64::from(*b)));
                if scale > 1e-4 {
                    self.largest = self.largest.max(distance / scale);
                }
                if distance.is_nan() || distance > self.limit * scale + 1e-5 {
                    self.problems.push(format!("{name}: distance {distance:.2e}, norm {scale:.2e}"));
                }
                self.compared += 1;
            }
        }
    }
}

#[test]
fn every_gradient_is_that_of_the_original() {
    let device = Device::default().autodiff();
    let reference = Reference::read();
    let sam = reference_model(&reference, &device);
    let image = reference.tensor::<4>("image", &device).require_grad();
    let loss = reference_loss(&sam, &reference, image.clone(), &device);
    let value = loss.clone().into_scalar::<f32>();
    let expected = reference.0["loss"].1[0];
    assert!((value - expected).abs() <= 1e-5 * expected.abs().max(100.0), "loss {value}, expected {expected}");

    let gradients = loss.backward();
    let mut compare = Compare::new(&reference, &gradients, "g.");
    sam.visit(&mut compare);
    assert!(compare.problems.is_empty(), "{:#?}", compare.problems);
    assert!(compare.compared >= 140, "only {} gradients were compared", compare.compared);

    let expected = reference.tensor::<4>("g.image", &device);
    let distance = (image.grad(&gradients).unwrap() - expected.clone().inner()).powf_scalar(2.0).sum().sqrt();
    let norm = expected.inner().powf_scalar(2.0).sum().sqrt();
    assert!((distance / norm).into_scalar::<f32>() < 2e-5);
}
