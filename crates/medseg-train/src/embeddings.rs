//! What a frozen encoder makes of each image, computed once and kept on a disk.
//!
//! Where nothing of the encoder is trained and an image is the same in every epoch, its embedding is the same too: the first epoch
//! computes it, later ones read it. Each image goes through a frozen encoder alone, kept or not, so that its embedding does not depend on
//! the batch that it comes with; a run has the same bits with and without kept embeddings.
//!
//! Of SAM 2 three maps are kept, as they leave the encoder: what the decoder makes of the finer two is trained with it.

use crate::config::RunConfig;
use crate::data::PreparedData;
use crate::error::{Result, TrainError};
use crate::model::Segmenter;
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use burn_kernels::Stored;
use sam_model::{ImageFeatures, upsample_logits};
use std::cell::OnceCell;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// The key that asks for it.
const KEY: &str = "training.keep-embeddings-mib";

/// The images that an id belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Part {
    Training,
    Selection,
}

/// The embeddings of a run's images, in unnamed files on the disk of its directory: they end with the process, and a run that continues
/// computes them again.
#[derive(Debug)]
pub(crate) struct Embeddings {
    folder: PathBuf,
    /// Bytes that may lie on the disk.
    limit: usize,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    images: HashMap<(Part, String), Vec<Stored>>,
    bytes: usize,
    /// Why nothing more is kept.
    refused: Option<String>,
}

impl Embeddings {
    /// Nothing yet, for a run that asks for it.
    ///
    /// # Errors
    /// Something of the encoder is trained, the model is none whose embeddings can be kept, or training varies its images.
    pub(crate) fn of_run(
        config: &RunConfig,
        data: &PreparedData,
        model: &Segmenter,
        folder: &Path,
    ) -> Result<Option<Self>> {
        let Some(mebibytes) = config.training.keep_embeddings_mib else { return Ok(None) };
        if !model.has_frozen_encoder() {
            let problem = "needs an image encoder of which nothing is trained (SAM's or SAM 2's): leave it out, or train \
                           prompt and decoder alone";
            return Err(TrainError::config(KEY, problem));
        }
        if data.varies_training_images() {
            let problem = "needs images that are the same in every epoch, and this run varies them: switch the \
                           augmentation off ([data.augmentation] with every probability 0), or leave the key out";
            return Err(TrainError::config(KEY, problem));
        }
        let limit = usize::try_from(mebibytes.saturating_mul(1 << 20)).unwrap_or(usize::MAX);
        Ok(Some(Self { folder: folder.to_path_buf(), limit, kept: Mutex::default() }))
    }

    /// Bytes on the disk, and why nothing more is kept, where that is so.
    pub(crate) fn state(&self) -> (usize, Option<String>) {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        (kept.bytes, kept.refused.clone())
    }

    /// What the encoder makes of one image, from the disk if it lies there.
    fn one(
        &self,
        key: (Part, String),
        device: &Device,
        compute: impl FnOnce() -> Result<Vec<Tensor<4>>>,
    ) -> Result<Vec<Tensor<4>>> {
        let found = self.kept.lock().unwrap_or_else(PoisonError::into_inner).images.get(&key).cloned();
        if let Some(stored) = found {
            return Ok(stored.iter().map(|map| map.tensor(device)).collect());
        }
        let maps = compute()?;
        let bytes = maps.iter().map(|map| 4 * map.shape().num_elements()).sum::<usize>();
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.refused.is_none() {
            if kept.bytes + bytes > self.limit {
                kept.refused = Some(format!("{} images fill the {} MiB", kept.images.len(), self.limit >> 20));
            } else {
                match maps.iter().map(|map| Stored::new(map.clone(), &self.folder)).collect() {
                    Ok(stored) => {
                        kept.images.insert(key, stored);
                        kept.bytes += bytes;
                    }
                    Err(error) => kept.refused = Some(format!("{}: {error}", self.folder.display())),
                }
            }
        }
        Ok(maps)
    }
}

/// How a run's images are encoded.
#[derive(Debug, Clone, Default)]
pub(crate) struct Encoding {
    /// Nothing of the encoder is trained: each image goes through it alone.
    pub(crate) frozen: bool,
    /// Where embeddings are kept.
    pub(crate) kept: Option<Arc<Embeddings>>,
}

impl Encoding {
    /// Logits of images (with the ids of their samples in a part of the split): by the parts of the model where its encoder is frozen, else as ever.
    ///
    /// # Errors
    /// An image size that the model does not take.
    pub(crate) fn logits(&self, model: &Segmenter, images: Tensor<4>, part: Part, ids: &[&str]) -> Result<Tensor<4>> {
        let [_, _, height, width] = images.dims();
        Ok(upsample_logits(self.small_logits(model, images, part, ids)?, [height, width]))
    }

    /// The same at the resolution at which the model decides.
    ///
    /// # Errors
    /// As [`logits`](Self::logits).
    pub(crate) fn small_logits(
        &self,
        model: &Segmenter,
        images: Tensor<4>,
        part: Part,
        ids: &[&str],
    ) -> Result<Tensor<4>> {
        if !self.frozen {
            return model.forward_small(images);
        }
        model.decode_small(frozen_features(model, &images, (part, ids), self.kept.as_deref())?)
    }
}

/// The features of images `[n, 3, size, size]` (with the ids of their samples) by a frozen encoder, one image at a time, each from
/// `kept` if it is there.
///
/// # Errors
/// An image size that the model does not take.
fn frozen_features(
    model: &Segmenter,
    images: &Tensor<4>,
    (part, ids): (Part, &[&str]),
    kept: Option<&Embeddings>,
) -> Result<ImageFeatures> {
    let device = images.device();
    // Without autodiff, so that training and validation compute the same.
    let (plain, inner) = (OnceCell::new(), device.clone().without_autodiff());
    let mut of_images = Vec::with_capacity(ids.len());
    for (index, id) in ids.iter().enumerate() {
        let compute = || {
            let image = images.clone().without_autodiff().narrow(0, index, 1);
            plain.get_or_init(|| model.valid()).encoder_maps(image)
        };
        of_images.push(match kept {
            Some(kept) => kept.one((part, (*id).to_owned()), &inner, compute)?,
            None => compute()?,
        });
    }
    let joined = |map: usize| {
        let joined = Tensor::cat(of_images.iter().map(|maps| maps[map].clone()).collect(), 0);
        if device.is_autodiff() { joined.autodiff() } else { joined }
    };
    let maps: Vec<_> = (0..of_images.first().map_or(0, Vec::len)).map(joined).collect();
    model.features(&maps)
}
