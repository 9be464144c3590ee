//! What a comparison runs: data, base model, budget. The methods are in [`rows`](super::rows).

use crate::error::{Result, StudyError};
use crate::methods::TableChoice;
use medseg_data::DataError;
use medseg_data::dataset::{ArcadeTask, Dataset, Layout, OpenOptions};
use medseg_data::split::{PaperSizes, Split};
use medseg_data::synth::{Counts, write_arcade, write_rose};
use medseg_data::transform::Protocol;
use medseg_metrics::Definition;
use medseg_train::TrainError;
use medseg_train::config::{Architecture, EvaluationConfig, EvaluationGrid, ModelConfig, RunConfig, TrainingConfig};
use medseg_train::data::{DataConfig, SplitRule};
use medseg_train::files::new_folder;
use medseg_train::losses::WeightedLoss;
use medseg_train::optimizer::OptimizerConfig;
use medseg_train::schedule::Schedule;
use medseg_train::shipped;
use sam_model::{SamConfig, SamVariant};
use std::path::{Path, PathBuf};

/// A comparison's settings.
#[derive(Debug, Clone)]
pub struct Profile {
    /// `demo`, `data` or `paper`.
    pub name: &'static str,
    /// What the results are and are not, printed above every table.
    pub notice: String,
    /// Everything but data set, method, seed and learning rate.
    pub template: RunConfig,
    /// The learning rates that every method tries.
    pub rates: Vec<f64>,
    /// The seeds that every cell runs with.
    pub seeds: Vec<u64>,
    /// The released code's initial values and ReLU.
    pub released: bool,
    /// The data.
    pub datasets: Vec<DatasetSource>,
}

/// A data set of a comparison.
#[derive(Debug, Clone, PartialEq)]
pub struct DatasetSource {
    /// Name in tables and file names.
    pub name: String,
    /// Where it is and how it is split.
    pub config: DataConfig,
    /// How to make it, for synthetic sets.
    pub synthetic: Option<Synthetic>,
}

/// A synthetic set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Synthetic {
    /// What it shows.
    pub kind: SyntheticKind,
    /// Side in px.
    pub size: usize,
    /// Training, validation and test images.
    pub counts: [usize; 3],
    /// Seed.
    pub seed: u64,
}

/// The two generators.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyntheticKind {
    /// Coronary angiography, in ARCADE's layout.
    Angiography,
    /// OCT angiography, in ROSE's layout.
    Octa,
}

impl Synthetic {
    /// Makes the set under `root` unless it is there, and returns its folder. The set appears only when it is complete.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn make(&self, root: &Path) -> Result<PathBuf> {
        let [train, val, test] = self.counts;
        let kind = match self.kind {
            SyntheticKind::Angiography => "angiography",
            SyntheticKind::Octa => "octa",
        };
        let place = root.join(format!("{kind}-{}px-{train}-{val}-{test}-seed{}", self.size, self.seed));
        if place.is_dir() {
            return Ok(place);
        }
        let made = new_folder::<StudyError>(&place, |folder| {
            match self.kind {
                SyntheticKind::Angiography => {
                    write_arcade(folder, ArcadeTask::Syntax, self.size, Counts { train, val, test }, self.seed)?;
                }
                // ROSE's layout has no validation part: it is drawn from the training part.
                SyntheticKind::Octa => {
                    let counts = Counts { train: train + val, val: 0, test };
                    write_rose(folder, self.size, counts, self.seed)?;
                }
            }
            Ok(())
        });
        match made {
            // Processes that begin together make it at once: the first that finishes gives it its name.
            Err(StudyError::Train(error)) if matches!(*error, TrainError::Occupied { .. }) && place.is_dir() => {}
            other => other?,
        }
        Ok(place)
    }
}

/// The two synthetic sets of the demonstration.
fn synthetic(size: usize, counts: [usize; 3]) -> Vec<DatasetSource> {
    let [train, val, _] = counts;
    let source = |name: &str, kind, split| DatasetSource {
        name: name.into(),
        config: DataConfig { image_size: size, split, ..DataConfig::new("") },
        synthetic: Some(Synthetic { kind, size, counts, seed: 1 }),
    };
    let share = val as f64 / (train + val) as f64;
    vec![
        source("Synthetic angiography", SyntheticKind::Angiography, SplitRule::default()),
        source("Synthetic OCTA", SyntheticKind::Octa, SplitRule::Auto { validation: share, seed: 0 }),
    ]
}

impl Profile {
    /// The embedded demonstration: two synthetic sets, sam-mini, a few minutes on two cores.
    pub fn demo() -> Self {
        let mut template = RunConfig::new("");
        template.training = TrainingConfig { epochs: 9, batch_size: 2, ..TrainingConfig::default() };
        template.training.validate_every = 3;
        Self {
            name: "demo",
            notice: "Demo profile: two small synthetic data sets, a small SAM, minutes of training. It shows that everything \
                     works and how methods compare here; it says nothing about patients and reproduces no published figure."
                .into(),
            template,
            rates: vec![5e-4, 4e-3, 1.6e-2],
            seeds: vec![0],
            released: false,
            datasets: synthetic(128, [24, 8, 16]),
        }
    }

    /// The comparison on the user's own data sets, with sam-mini by default.
    ///
    /// # Errors
    /// A folder in which nothing is recognised.
    pub fn data(folders: &[PathBuf], options: &OpenOptions, image_size: usize) -> Result<Self> {
        let demo = Self::demo();
        let mut datasets = Vec::new();
        for folder in folders {
            datasets.extend(discover(folder, options)?);
        }
        for source in &mut datasets {
            source.config.image_size = image_size;
        }
        distinct(&mut datasets);
        let notice = "A comparison at a small budget: every method gets the same few epochs, the same augmentation and the \
                      same learning rates, chosen on validation images. It reproduces no published figure.";
        Ok(Self { name: "data", notice: notice.into(), datasets, ..demo })
    }

    /// The paper's recipe on SAM ViT-B at 512 px: its model variant, ranks, initial values, losses, augmentation, split sizes,
    /// metrics, 200 epochs at a constant rate of 1e-4.
    ///
    /// # Errors
    /// A folder in which nothing is recognised, or whose number of images is not the paper's.
    pub fn paper(checkpoint: &str, folders: &[PathBuf], options: &OpenOptions) -> Result<Self> {
        let mut template = RunConfig::new("");
        template.model = ModelConfig {
            base: checkpoint.into(),
            architecture: if checkpoint == "random" { Architecture::VitB } else { Architecture::Auto },
            variant: SamVariant::Paper,
            ..ModelConfig::default()
        };
        template.data.image_size = 512;
        template.loss = WeightedLoss::paper();
        template.optimizer = OptimizerConfig::default();
        template.schedule = Schedule::Step { epochs: 200, gamma: 0.2 };
        template.training = TrainingConfig {
            epochs: 200,
            batch_size: 2,
            accumulate: 1,
            learning_rate: 1e-4,
            clip_norm: None,
            patience: None,
            validate_every: 1,
            checkpoint_seconds: 300,
            ..TrainingConfig::default()
        };
        template.evaluation = EvaluationConfig {
            definition: Definition::PaperReleasedOpenBorder,
            grid: EvaluationGrid::Network,
            best_of_each: true,
            ..EvaluationConfig::default()
        };
        let mut datasets = Vec::new();
        for folder in folders {
            datasets.extend(discover(folder, options)?);
        }
        for source in &mut datasets {
            source.config.image_size = 512;
            source.config.protocol = Protocol::Paper;
            source.config.allow_empty_masks = true;
            source.config.split = paper_split(source)?;
        }
        distinct(&mut datasets);
        let notice = format!(
            "Paper profile: the paper's recipe with the quirks of its released code (focal loss on probabilities, {SAM_QUIRKS}, \
             soft masks, checkpoints chosen on the split that is reported).{NETWORKS} The ids of the paper's splits are not published: the \
             sizes are the paper's, the draw is ours."
        );
        Ok(Self { name: "paper", notice, template, rates: vec![1e-4], seeds: vec![0], released: true, datasets })
    }

    /// The same for the base model that a table is about, or for `base` where the user chose one.
    ///
    /// On SAM 2 the shipped base is sam2-mini, random weights are its (the paper's profile: those of base+), the synthetic sets are seen
    /// at 256 px (masks have a quarter of the input's resolution there, sam-mini's half of it), and the paper's notice says what
    /// the released code leaves out of that model.
    #[must_use]
    pub fn for_table(mut self, table: TableChoice, base: Option<&str>) -> Self {
        let model = &mut self.template.model;
        if let Some(base) = base {
            model.base = base.into();
        }
        if table != TableChoice::Sam2 {
            return self;
        }
        let (own, random) = match self.released {
            true => (None, Architecture::Sam2BasePlus),
            false => (Some(sam2_mini::MODEL.name), Architecture::Sam2Mini),
        };
        match (base, own) {
            (None, Some(own)) => model.base = own.into(),
            _ if model.base == "random" => model.architecture = random,
            _ => {}
        }
        for source in self.datasets.iter_mut().filter(|source| source.synthetic.is_some()) {
            source.config.image_size = 256;
        }
        self.notice = self.notice.replace(SAM_QUIRKS, SAM2_QUIRKS).replace(NETWORKS, "");
        self
    }

    /// The base model of the rows that the reference prompts: the released code's variant has no positions in its decoder and answers
    /// no prompt, so these rows take the faithful model.
    pub fn prompted_model(&self) -> ModelConfig {
        let model = self.template.model.clone();
        ModelConfig { variant: SamVariant::Sam, text: Vec::new(), clip: None, ..model }
    }

    /// The configuration of the base model as far as it is known without reading it: for choosing ranks.
    pub fn expected_architecture(&self) -> Option<SamConfig> {
        let model = &self.template.model;
        model.architecture.config().or_else(|| shipped::config(&model.base))
    }
}

/// What the released code changes in SAM.
const SAM_QUIRKS: &str = "encoder without windows and relative positions";
/// What it changes in SAM 2.
const SAM2_QUIRKS: &str = "decoder without high-resolution features, object score and positions";

/// What the paper does not say of its classic networks.
const NETWORKS: &str =
    " The paper gives no recipe for the classic networks: they are trained by the same one, from random weights.";

/// The paper's split sizes for a data set of the paper.
fn paper_split(source: &DatasetSource) -> Result<SplitRule> {
    let sizes = PaperSizes::ALL.iter().find(|sizes| sizes.name.eq_ignore_ascii_case(&source.name));
    Ok(match sizes {
        Some(sizes) => SplitRule::PaperSizes { name: sizes.name.into(), train: sizes.train, test: sizes.test },
        // Not one of the paper's sets: its recipe on the set's own split.
        None => SplitRule::default(),
    })
}

/// The data sets in a folder: the folder itself, or those directly below it.
fn discover(folder: &Path, options: &OpenOptions) -> Result<Vec<DatasetSource>> {
    let first = match Dataset::open_with(folder, options) {
        Ok(dataset) => return Ok(vec![source(folder, &dataset, options)]),
        Err(error @ (DataError::Unrecognised { .. } | DataError::Several { .. })) => error,
        Err(error) => return Err(error.into()),
    };
    let entries = std::fs::read_dir(folder).map_err(StudyError::io("cannot read", folder))?;
    let mut below: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
    below.sort();
    let mut found = Vec::new();
    for path in below {
        match Dataset::open_with(&path, options) {
            Ok(dataset) => found.push(source(&path, &dataset, options)),
            Err(DataError::Unrecognised { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    if found.is_empty() { Err(first.into()) } else { Ok(found) }
}

fn source(folder: &Path, dataset: &Dataset, options: &OpenOptions) -> DatasetSource {
    let own = || folder.file_name().map_or_else(|| "data".into(), |name| name.to_string_lossy().into_owned());
    let name = match dataset.layout {
        Layout::Arcade if dataset.arcade_task == Some(ArcadeTask::Stenosis) => "ARCADE stenosis".into(),
        Layout::Arcade => "ARCADE".into(),
        Layout::Rose1 => "ROSE".into(),
        Layout::Rose2 => "ROSE-2".into(),
        Layout::Drive => "DRIVE".into(),
        Layout::Dias => "DIAS".into(),
        Layout::XrayAngio => "XRay-Angio".into(),
        Layout::ChaseDb1 => "CHASE_DB1".into(),
        Layout::Octa500 => "OCTA-500".into(),
        Layout::Rossa => "ROSSA".into(),
        _ => own(),
    };
    let mut config = DataConfig { options: options.clone(), ..DataConfig::new(folder) };
    // One split alone (images that the publisher calls validation, for one) is divided by shares.
    let splits = [Split::Train, Split::Val, Split::Test].map(|split| dataset.split(split).count());
    if splits.iter().filter(|&&count| count > 0).count() < 2 {
        config.split = SplitRule::Shares { train: 0.6, validation: 0.2, seed: 0 };
    }
    DatasetSource { name, config, synthetic: None }
}

/// Gives sets of one name a number.
fn distinct(datasets: &mut [DatasetSource]) {
    let mut seen = std::collections::BTreeMap::new();
    for source in datasets {
        let count: &mut usize = seen.entry(source.name.clone()).or_default();
        *count += 1;
        if *count > 1 {
            source.name = format!("{} ({count})", source.name);
        }
    }
}
