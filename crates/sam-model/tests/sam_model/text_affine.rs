//! The text affine layer against PyTorch, and in a batch of images.

use std::path::PathBuf;

use burn::module::{Module, Param, RunningState};
use burn::tensor::{Device, Tensor, TensorData};
use safetensors::SafeTensors;
use sam_model::{AutomaticPrompt, TextAffine, TextNormKind, TextSource};

use crate::support::{close, normal};

/// The reference's tensors: from `SALT_PARITY_DIR` if they are there, else the copy beside clip-text's tests.
struct Fixture(Vec<u8>);

impl Fixture {
    fn read() -> Self {
        const NAME: &str = "clip_text_tiny_io.safetensors";
        let given = std::env::var_os("SALT_PARITY_DIR").map(|folder| PathBuf::from(folder).join(NAME));
        let copy = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../clip-text/tests/fixtures").join(NAME);
        Self(std::fs::read(given.filter(|path| path.is_file()).unwrap_or(copy)).unwrap())
    }

    fn data(&self, name: &str) -> TensorData {
        let file = SafeTensors::deserialize(&self.0).unwrap();
        let view = file.tensor(&format!("tal.{name}")).unwrap();
        let values: Vec<f32> = view.data().chunks_exact(4).map(|c| f32::from_le_bytes(c.try_into().unwrap())).collect();
        TensorData::new(values, view.shape().to_vec())
    }

    fn tensor<const D: usize>(&self, name: &str, device: &Device) -> Tensor<D> {
        Tensor::from_data(self.data(name), device)
    }

    /// The layer with the reference's initial values.
    fn layer(&self, kind: TextNormKind, device: &Device) -> TextAffine {
        let [channels, features] = self.tensor::<2>("weight", device).dims();
        let mut layer = TextAffine::new([features, channels], kind, device);
        layer.linear.weight = Param::from_tensor(self.tensor::<2>("weight", device).transpose());
        layer.linear.bias = Some(Param::from_tensor(self.tensor("bias", device)));
        layer.norm.weight = Param::from_tensor(self.tensor("bn_weight", device));
        layer.norm.bias = Param::from_tensor(self.tensor("bn_bias", device));
        if kind == TextNormKind::Batch {
            layer.norm.running_mean = Some(RunningState::new(self.tensor("mean", device)));
            layer.norm.running_var = Some(RunningState::new(self.tensor("var", device)));
        }
        layer
    }
}

fn statistics(layer: &TextAffine) -> [Tensor<1>; 2] {
    let value = |state: &Option<RunningState<Tensor<1>>>| state.as_ref().unwrap().value_sync();
    [value(&layer.norm.running_mean), value(&layer.norm.running_var)]
}

fn flat(tensor: Tensor<1>) -> Tensor<2> {
    tensor.unsqueeze()
}

#[test]
fn outputs_gradients_and_running_statistics_are_pytorchs() {
    let (fixture, device) = (Fixture::read(), Device::default().autodiff());
    for (kind, part) in [(TextNormKind::Batch, ""), (TextNormKind::PerText, "ln_")] {
        let layer = fixture.layer(kind, &device);
        let x = fixture.tensor::<2>("x", &device).require_grad();
        let y = layer.forward(x.clone(), 1);
        close(y.clone(), fixture.tensor(&format!("{part}y"), &device), 1e-5);
        let gradients = (y * fixture.tensor("r", &device)).sum().backward();
        // The reference calls the norm's parameters after its kind.
        let norm = if part.is_empty() { "bn" } else { "ln" };
        let expected = |name: &str| fixture.data(&format!("{part}grad_{name}"));
        let plain = Device::default();
        close(x.grad(&gradients).unwrap(), Tensor::from_data(expected("x"), &plain), 1e-4);
        let weight = layer.linear.weight.val().grad(&gradients).unwrap();
        close(weight.transpose(), Tensor::from_data(expected("weight"), &plain), 1e-4);
        for (parameter, name) in [
            (layer.linear.bias.as_ref().unwrap(), "bias".to_owned()),
            (&layer.norm.weight, format!("{norm}_weight")),
            (&layer.norm.bias, format!("{norm}_bias")),
        ] {
            let found = parameter.val().grad(&gradients).unwrap();
            close(flat(found), flat(Tensor::from_data(expected(&name), &plain)), 1e-4);
        }
        if kind == TextNormKind::Batch {
            let [mean, variance] = statistics(&layer);
            close(flat(mean), flat(fixture.tensor("mean_after", &device)), 1e-5);
            close(flat(variance), flat(fixture.tensor("var_after", &device)), 1e-5);
            let evaluated = layer.valid().forward(fixture.tensor("x", &plain), 1);
            close(evaluated, fixture.tensor("y_eval", &plain), 1e-5);
        }
    }
}

/// One text for a batch of images is that text as often as there are images: the token is the norm's bias, and nothing reaches the
/// linear layer.
#[test]
fn a_text_that_all_images_share_collapses_under_the_batch_norm() {
    let (fixture, device) = (Fixture::read(), Device::default().autodiff());
    let x = fixture.tensor::<2>("x", &device).narrow(0, 2, 1);
    let (repeated, shared) = (fixture.layer(TextNormKind::Batch, &device), fixture.layer(TextNormKind::Batch, &device));
    let four = repeated.forward(x.clone().repeat_dim(0, 4), 1);
    let once = shared.forward(x.clone(), 4);
    close(four.narrow(0, 0, 1), once.clone(), 1e-5);
    close(once.clone(), flat(fixture.tensor("bn_bias", &device)), 1e-4);
    for (one, other) in statistics(&repeated).into_iter().zip(statistics(&shared)) {
        close(flat(one), flat(other), 1e-5);
    }
    let gradients = (once * fixture.tensor::<2>("r", &device).narrow(0, 0, 1)).sum().backward();
    let weight = shared.linear.weight.val().grad(&gradients).unwrap();
    assert!(weight.abs().max().into_scalar::<f32>() < 1e-4);
    // A single value has no spread: the statistics stay.
    let alone = fixture.layer(TextNormKind::Batch, &device);
    alone.forward(x, 1);
    assert_eq!(statistics(&alone)[0].to_data(), fixture.tensor::<1>("mean", &device).to_data());
}

#[test]
fn texts_and_statistics_survive_their_file() {
    let device = Device::default();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("prompt.safetensors");
    let fixture = Fixture::read();
    for kind in [TextNormKind::PerText, TextNormKind::Batch] {
        let mut layer = fixture.layer(kind, &device);
        layer.source = Some(TextSource { texts: vec!["vessel".into(), "vein".into()], encoder: "ab12".into() });
        let features = fixture.tensor::<2>("x", &device).narrow(0, 0, 2);
        let prompt = AutomaticPrompt::from_affine(features, layer.clone());
        prompt.save(&path, &["a".to_owned(), "b".to_owned()]).unwrap();
        let (read, labels) = AutomaticPrompt::load(&path, &device).unwrap();
        assert_eq!(labels, ["a", "b"]);
        let affine = read.text_affine.as_ref().unwrap();
        assert_eq!((affine.norm_kind(), &affine.source), (kind, &layer.source));
        // The layouts differ, and with them the order of the sums.
        close(read.tokens(), prompt.tokens(), 1e-6);
        let weight = |prompt: &AutomaticPrompt| prompt.text_affine.as_ref().unwrap().linear.weight.val();
        close(weight(&read), weight(&prompt), 0.0);
        assert!(!read.token.is_require_grad());
    }
}

#[test]
fn seeded_layers_follow_from_the_seed() {
    let device = Device::default();
    let features = normal([2, 5], 3, &device);
    for kind in [TextNormKind::PerText, TextNormKind::Batch] {
        let tokens = |seed: u64| {
            let layer = TextAffine::new([5, 8], kind, &device).seeded(seed);
            assert_eq!(layer.norm_kind(), kind);
            AutomaticPrompt::from_affine(features.clone(), layer).tokens().into_data()
        };
        assert_eq!(tokens(1), tokens(1));
        assert_ne!(tokens(1), tokens(2));
        assert!(tokens(1).iter::<f32>().all(f32::is_finite));
    }
}
