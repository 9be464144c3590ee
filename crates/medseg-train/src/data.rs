//! From a folder of images to the batches of a run.
//!
//! Every image is decoded, checked and resized once and kept in memory (a data set of 1000 images at 512 px takes about
//! 1 GB); augmentation and normalisation happen per batch, drawn from (seed, epoch, sample id) alone.

mod split;

pub use split::SplitRule;

use crate::error::{Result, TrainError};
use crate::files::sha256;
use burn::tensor::{Device, Tensor, TensorData};
use medseg_data::dataset::{Dataset, OpenOptions, Sample};
use medseg_data::decode::MaskPolicy;
use medseg_data::random::Stream;
use medseg_data::split::Split;
use medseg_data::transform::{Augmentation, Item, Pipeline, Prepared, Preprocess, Protocol};
use medseg_metrics::Mask;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

/// Images and masks of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct DataConfig {
    /// The data set's folder; its layout is recognised.
    pub path: PathBuf,
    /// What the masks show: the name of the label.
    #[serde(default = "default_label")]
    pub label: String,
    /// Side of the network's square input in px, a multiple of the model's patch.
    #[serde(default = "default_image_size")]
    pub image_size: usize,
    /// Right preprocessing, or the paper's with its quirks.
    #[serde(default)]
    pub protocol: Protocol,
    /// What is varied in training; the protocol's own choice when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub augmentation: Option<Augmentation>,
    /// Whether images without any foreground are accepted.
    #[serde(default)]
    pub allow_empty_masks: bool,
    /// Largest numbers of images used for training, validation and test; the first of a seeded order. All when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<[usize; 3]>,
    /// Who trains, who chooses, who is reported on.
    #[serde(default)]
    pub split: SplitRule,
    /// Choices that a layout leaves open.
    #[serde(default)]
    pub options: OpenOptions,
}

fn default_label() -> String {
    "vessel".into()
}

fn default_image_size() -> usize {
    256
}

impl DataConfig {
    /// The data set at `path` with every default.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            label: default_label(),
            image_size: default_image_size(),
            protocol: Protocol::Default,
            augmentation: None,
            allow_empty_masks: false,
            limit: None,
            split: SplitRule::default(),
            options: OpenOptions::default(),
        }
    }

    pub(crate) fn resolve(&mut self, resolve: &dyn Fn(&Path) -> PathBuf) {
        self.path = resolve(&self.path);
        if let SplitRule::Table { file, .. } = &mut self.split {
            *file = resolve(file);
        }
    }

    pub(crate) fn validate(&self) -> Result<()> {
        self.pipelines().map(drop)?;
        self.options.mask_rule()?;
        self.options.image_options()?;
        if self.limit.is_some_and(|limit| limit.contains(&0)) {
            return Err(TrainError::config("data.limit", "each number must be at least 1"));
        }
        if self.label.trim().is_empty() {
            return Err(TrainError::config("data.label", "expected a name, found an empty text"));
        }
        self.split.validate()
    }

    fn pipelines(&self) -> Result<(Pipeline, Pipeline)> {
        let fail = |error: medseg_data::DataError| TrainError::config("data", error.to_string());
        let training = match &self.augmentation {
            None => Pipeline::training(self.protocol, self.image_size),
            Some(own) => Pipeline::new(self.protocol, self.image_size, own.clone()),
        };
        let evaluation = Pipeline::evaluation(self.protocol, self.image_size).map_err(fail)?;
        Ok((training.map_err(fail)?, evaluation))
    }
}

/// A data set as used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatasetCard {
    /// Name in tables.
    pub name: String,
    /// What it was recognised as.
    pub layout: String,
    /// SHA-256 over the ids and contents of all images and masks used.
    pub sha256: String,
    /// Images to train on.
    pub train: usize,
    /// Images that choose the rate and the checkpoint.
    pub validation: usize,
    /// Images reported on.
    pub test: usize,
    /// How the split was made.
    pub split: String,
}

/// One image, ready for the network, with what evaluation needs.
#[derive(Debug)]
pub struct Case {
    /// Sample id.
    pub id: String,
    /// Patient where the data set tells, else the id.
    pub patient: String,
    /// The reference mask in the image's own pixels.
    pub reference: Mask,
    /// Pixels of the image that count neither in the loss nor in a metric, where there are any.
    pub ignored: Option<Mask>,
    /// The files, for pictures.
    pub sample: Sample,
    prepared: Prepared,
}

/// A data set in memory, split.
#[derive(Debug)]
pub struct PreparedData {
    /// Name, layout, split and checksum.
    pub card: DatasetCard,
    /// The folder.
    pub path: PathBuf,
    /// What a user should know of how the folder was read.
    pub notes: Vec<String>,
    /// Images to train on.
    pub train: Vec<Case>,
    /// Images that choose.
    pub validation: Vec<Case>,
    /// Images reported on.
    pub test: Vec<Case>,
    size: usize,
    training: Pipeline,
    evaluation: Pipeline,
    /// For scores on the network's grid, where that is not the grid of `evaluation`.
    grid: Option<Pipeline>,
}

/// Opens a data set and splits it, decoding nothing.
///
/// # Errors
/// The folder is not recognised or has structural problems (all listed), or the split leaves a part empty.
pub fn open(config: &DataConfig) -> Result<(Dataset, String)> {
    let mut dataset = Dataset::open_with(&config.path, &config.options)?;
    let description = config.split.apply(&mut dataset)?;
    if let Some(limit) = config.limit {
        for (split, most) in [Split::Train, Split::Val, Split::Test].into_iter().zip(limit) {
            let ids: Vec<String> = dataset.split(split).map(|sample| sample.id.clone()).collect();
            let order = Stream::seeded(0, "limit").permutation(ids.len());
            let kept: std::collections::HashSet<String> = order.iter().take(most).map(|&at| ids[at].clone()).collect();
            dataset.retain(|sample| sample.split != Some(split) || kept.contains(&sample.id));
        }
    }
    for split in [Split::Train, Split::Val, Split::Test] {
        if dataset.split(split).next().is_none() && !(split == Split::Val && config.split.selects_on_test()) {
            return Err(TrainError::data(
                &config.path,
                format!("the split ({description}) leaves {split} without images"),
            ));
        }
    }
    Ok((dataset, description))
}

/// Decodes, checks and resizes all images of a data set; `name` is used in tables.
///
/// # Errors
/// As [`open`], and every image or mask that cannot be used, in one list.
pub fn prepare(config: &DataConfig, name: &str) -> Result<PreparedData> {
    let (dataset, split) = open(config)?;
    let (training, evaluation) = config.pipelines()?;
    let policy = MaskPolicy { allow_empty: config.allow_empty_masks, ..evaluation.mask_policy().clone() };
    let loaded: Vec<Result<(Case, String)>> = dataset
        .samples
        .par_iter()
        .map(|sample| {
            let loaded = sample.load_with(evaluation.limits(), &policy)?;
            let mut hash = Sha256::new();
            let ignored = loaded.ignored.as_ref().map(Mask::to_bytes);
            let parts = [sample.id.as_bytes(), loaded.image.data(), &loaded.mask.to_bytes()];
            for part in parts.into_iter().chain(ignored.as_deref()) {
                hash.update((part.len() as u64).to_le_bytes());
                hash.update(part);
            }
            let digest: String = hex::encode(hash.finalize());
            let case = Case {
                id: sample.id.clone(),
                patient: sample.patient.clone().unwrap_or_else(|| sample.id.clone()),
                reference: loaded.mask.clone(),
                ignored: loaded.ignored.clone(),
                sample: sample.clone(),
                prepared: evaluation.prepare(loaded),
            };
            Ok((case, digest))
        })
        .collect();
    let mut problems = Vec::new();
    let (mut train, mut validation, mut test) = (Vec::new(), Vec::new(), Vec::new());
    let mut all = String::new();
    for loaded in loaded {
        match loaded {
            Err(error) => problems.push(error.to_string()),
            Ok((case, digest)) => {
                all.push_str(&digest);
                match case.sample.split {
                    Some(Split::Train) => train.push(case),
                    Some(Split::Val) => validation.push(case),
                    Some(Split::Test) => test.push(case),
                    None => {}
                }
            }
        }
    }
    if !problems.is_empty() {
        return Err(TrainError::Check(problems));
    }
    let card = DatasetCard {
        name: name.to_string(),
        layout: dataset.description.clone(),
        sha256: sha256(all.as_bytes()),
        train: train.len(),
        validation: if config.split.selects_on_test() { test.len() } else { validation.len() },
        test: test.len(),
        split,
    };
    let path = config.path.clone();
    let mut notes = dataset.notes.clone();
    notes.extend(dataset.warnings.iter().map(ToString::to_string));
    Ok(PreparedData {
        card,
        path,
        notes,
        train,
        validation,
        test,
        size: config.image_size,
        training,
        evaluation,
        grid: None,
    })
}

/// Images and masks on a device.
#[derive(Debug)]
pub struct Batch {
    /// Normalised, `[n, 3, size, size]`.
    pub images: Tensor<4>,
    /// In 0..=1, `[n, 1, size, size]`.
    pub masks: Tensor<4>,
    /// 1 where a pixel counts neither in the loss nor in a metric, `[n, 1, size, size]`; `None` where all count.
    pub ignored: Option<Tensor<4>>,
    /// The items, in order, for mapping predictions back.
    pub items: Vec<Item>,
}

impl PreparedData {
    /// Side of the network's square input, px.
    pub fn image_size(&self) -> usize {
        self.size
    }

    /// Side of the square on which [`EvaluationGrid::Network`](crate::config::EvaluationGrid::Network) compares masks, px: that of the
    /// input, but for data that [`test_prepared_as`](Self::test_prepared_as) made.
    pub fn grid_size(&self) -> usize {
        self.grid.as_ref().map_or(self.size, Pipeline::size)
    }

    /// The test images once more, prepared in another way; `config` is what this data was prepared with. On the network's grid they are
    /// compared at this data's size still, so that distances in pixels mean the same.
    ///
    /// # Errors
    /// A size that no pipeline has; files that are gone.
    pub fn test_prepared_as(&self, config: &DataConfig, protocol: Protocol, image_size: usize) -> Result<Self> {
        let other = |size| DataConfig { protocol, image_size: size, augmentation: None, ..config.clone() }.pipelines();
        let ((training, evaluation), (_, grid)) = (other(image_size)?, other(self.grid_size())?);
        // The pixels and the masks are those that were read before, so the rule for masks is the first protocol's.
        let policy = MaskPolicy { allow_empty: config.allow_empty_masks, ..self.evaluation.mask_policy().clone() };
        let prepare = |case: &Case| {
            let loaded = case.sample.load_with(evaluation.limits(), &policy)?;
            Ok(Case {
                id: case.id.clone(),
                patient: case.patient.clone(),
                reference: case.reference.clone(),
                ignored: case.ignored.clone(),
                sample: case.sample.clone(),
                prepared: evaluation.prepare(loaded),
            })
        };
        Ok(Self {
            card: self.card.clone(),
            path: self.path.clone(),
            notes: Vec::new(),
            train: Vec::new(),
            validation: Vec::new(),
            test: self.test.par_iter().map(prepare).collect::<Result<_>>()?,
            size: image_size,
            grid: (grid.size() != image_size).then_some(grid),
            training,
            evaluation,
        })
    }

    /// Images without augmentation on the grid of [`grid_size`](Self::grid_size), where that is not the input's.
    pub(crate) fn grid_items(&self, cases: &[Case]) -> Option<Vec<Item>> {
        let grid = self.grid.as_ref()?;
        Some(cases.par_iter().map(|case| grid.finish(&case.prepared, &case.id, 0, 0)).collect())
    }

    /// The way of an image to the network and of its logits back.
    pub fn preprocess(&self) -> Preprocess {
        self.evaluation.preprocess()
    }

    /// The images that choose the checkpoint: validation, or test where the split says so (the paper).
    pub fn selection(&self) -> &[Case] {
        if self.validation.is_empty() { &self.test } else { &self.validation }
    }

    /// Whether training sees an image differently in different epochs.
    pub fn varies_training_images(&self) -> bool {
        !self.training.augmentation().is_none()
    }

    /// The order of the training images in an epoch.
    pub fn order(&self, seed: u64, epoch: usize) -> Vec<usize> {
        Stream::new(seed, epoch as u64, "", "order").permutation(self.train.len())
    }

    /// Augmented training images by index.
    pub fn training_batch(&self, indices: &[usize], seed: u64, epoch: usize, device: &Device) -> Batch {
        let items: Vec<Item> = indices
            .par_iter()
            .map(|&index| {
                let case = &self.train[index];
                self.training.finish(&case.prepared, &case.id, seed, epoch as u64)
            })
            .collect();
        self.collate(items, device)
    }

    /// Images without augmentation.
    pub fn evaluation_batch(&self, cases: &[Case], device: &Device) -> Batch {
        let items: Vec<Item> =
            cases.par_iter().map(|case| self.evaluation.finish(&case.prepared, &case.id, 0, 0)).collect();
        self.collate(items, device)
    }

    fn collate(&self, items: Vec<Item>, device: &Device) -> Batch {
        let (count, size) = (items.len(), self.size);
        let mut images = Vec::with_capacity(count * 3 * size * size);
        let mut masks = Vec::with_capacity(count * size * size);
        for item in &items {
            images.extend_from_slice(&item.image);
            masks.extend_from_slice(&item.mask);
        }
        let ignored = items.iter().any(|item| item.ignored.is_some()).then(|| {
            let none = || vec![0f32; size * size];
            let planes: Vec<f32> = items.iter().flat_map(|item| item.ignored.clone().unwrap_or_else(none)).collect();
            Tensor::from_data(TensorData::new(planes, [count, 1, size, size]), device)
        });
        Batch {
            ignored,
            images: Tensor::from_data(TensorData::new(images, [count, 3, size, size]), device),
            masks: Tensor::from_data(TensorData::new(masks, [count, 1, size, size]), device),
            items,
        }
    }
}
