//! A folder with a small data set, run files and what runs leave.

use assert_cmd::Command;
use medseg_data::dataset::ArcadeTask;
use medseg_data::synth::{Counts, write_arcade};
use medseg_train::train::Outcome;
use safetensors::SafeTensors;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// A SAM of a few thousand parameters, adapted by SALT.
pub(crate) const TINY_SALT: &str = "[model]\nbase = \"random\"\n[model.architecture.custom]\nimage_size = 64\npatch_size = 8\n\
    embed_dim = 16\ndepth = 2\nnum_heads = 2\noutput_channels = 16\nwindow_size = 3\nglobal_attention_blocks = [1]\ndecoder_heads = 2\n\
    decoder_mlp_dim = 16\niou_head_hidden_dim = 16\n\
    [adapter]\nmethod = \"salt\"\ninclude = [\"qkv\", \"lin1\"]\nsvd-rank = 8\nlora-rank = 2\ntrain = [\"norm\", \"prompt\"]\n";

/// What to train and how, beside devices and data: tables of a run file, epochs, images of a step, learning rate.
#[derive(Clone, Copy)]
pub(crate) struct Recipe {
    pub(crate) tables: &'static str,
    pub(crate) epochs: usize,
    pub(crate) batch: usize,
    pub(crate) rate: f64,
}

/// Two steps an epoch.
pub(crate) const SHORT: Recipe = Recipe { tables: TINY_SALT, epochs: 3, batch: 4, rate: 0.05 };

pub(crate) struct Place(tempfile::TempDir);

impl Place {
    /// A folder with a data set of eight training images.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let counts = Counts { train: 8, val: 2, test: 2 };
        write_arcade(&folder.path().join("data"), ArcadeTask::Syntax, 64, counts, 3).unwrap();
        Self(folder)
    }

    pub(crate) fn folder(&self) -> &Path {
        self.0.path()
    }

    /// A run file in it. Plain descent at a constant rate: a step is the gradients and nothing else.
    pub(crate) fn config(&self, devices: &[&str], recipe: Recipe) -> PathBuf {
        let devices = if devices.is_empty() { String::new() } else { format!("devices = {devices:?}\n") };
        let Recipe { tables, epochs, batch, rate } = recipe;
        let text = format!(
            "{devices}seed = 4\n[data]\npath = \"data\"\nimage-size = 64\nallow-empty-masks = true\n{tables}\
             [[loss]]\nkind = \"cross-entropy\"\n[optimizer]\nkind = \"sgd\"\n[schedule]\nkind = \"constant\"\n\
             [training]\nepochs = {epochs}\nbatch-size = {batch}\nlearning-rate = {rate:e}\ncheckpoint-seconds = 0\n"
        );
        let file = self.folder().join("run.toml");
        fs::write(&file, text).unwrap();
        file
    }

    pub(crate) fn run(&self, name: &str) -> PathBuf {
        self.folder().join(name)
    }

    pub(crate) fn trained(&self, name: &str, devices: &[&str], recipe: Recipe) -> Ending {
        let run = self.run(name);
        train(&self.config(devices, recipe), &run).assert().success();
        Ending::of(&run)
    }
}

pub(crate) fn train(config: &Path, run: &Path) -> Command {
    let mut command = Command::cargo_bin("salt").unwrap();
    command.args(["train", "--config"]).arg(config).arg("--out").arg(run).env("SALT_CACHE_DIR", "");
    command
}

/// What a run ends with: the loss of each epoch and the selected weights.
#[derive(Debug, PartialEq)]
pub(crate) struct Ending {
    pub(crate) losses: Vec<f64>,
    pub(crate) weights: Tensors,
}

impl Ending {
    pub(crate) fn of(run: &Path) -> Self {
        let outcome: Outcome = toml::from_str(&fs::read_to_string(run.join("outcome.toml")).unwrap()).unwrap();
        let bytes = fs::read(run.join("best.safetensors")).unwrap();
        let tensors = SafeTensors::deserialize(&bytes).unwrap();
        let values = |data: &[u8]| data.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
        let weights = tensors.iter().map(|(name, view)| (name.to_owned(), values(view.data()))).collect();
        Self { losses: outcome.curve.iter().map(|epoch| epoch.loss).collect(), weights }
    }
}

pub(crate) type Tensors = BTreeMap<String, Vec<f32>>;

pub(crate) fn largest(values: &[f32]) -> f32 {
    values.iter().fold(0.0, |largest, value| largest.max(value.abs()))
}

/// The largest distance between two sets of tensors: in each as a share of its largest value.
pub(crate) fn apart(found: &Tensors, expected: &Tensors) -> f32 {
    assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    let of_one = |(name, values): (&String, &Vec<f32>)| {
        let expected = &expected[name];
        assert_eq!(values.len(), expected.len(), "{name}");
        let distance = values.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        if distance == 0.0 { 0.0 } else { distance / largest(expected) }
    };
    found.iter().map(of_one).fold(0.0, f32::max)
}
