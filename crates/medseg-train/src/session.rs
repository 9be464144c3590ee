//! A model ready to be used, whatever it was opened from.
//!
//! A [`Session`] opens the directory of a finished run, a bundle, a plain checkpoint, or an adapter with its base, on any device. It
//! holds the model with its adapters folded in, together with the way images are prepared for it: scoring and prediction ask
//! the same session, so an image has one mask, whoever asks. A session may be shared between threads.

mod text;

use crate::bundle::{Bundle, MANIFEST_FILE, Manifest, Preprocessing};
use crate::config::ModelConfig;
use crate::error::{Result, TrainError};
use crate::evaluate::merged;
use crate::model::{BaseModel, Segmenter};
use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use burn_kernels::{Precision, check_precision_on, use_precision};
use medseg_data::decode::ImageOptions;
use medseg_data::{Image, Protocol};
use rayon::prelude::*;
use sam_model::{ImagePrompt, MaskAnswer, Preprocess, RestoredMask, SamPredictor, restore_masks};
use seg_baselines::Network;
use std::path::{Path, PathBuf};

/// Name of the bundle's folder in the directory of a run.
pub const BUNDLE_FOLDER: &str = "bundle";

/// What opening a model may need besides its place.
#[derive(Debug, Clone, Default)]
pub struct SessionOptions {
    /// Where the base of an adapter is, if not where the bundle says: a shipped model (`sam-mini`, `sam2-mini`) or a checkpoint file.
    pub base: Option<String>,
    /// Side of the network's input in px, for plain checkpoints and adapters; their native size when absent. A bundle has its
    /// own.
    pub input_size: Option<usize>,
    /// How images are prepared and masks decided, for plain checkpoints and adapters; their own way when absent. MedSAM's checkpoint is
    /// a SAM's by its tensors, so [`Protocol::MedSam`] has to be asked for. A bundle has its own.
    pub protocol: Option<Protocol>,
    /// How image files are read, for plain checkpoints and adapters. A bundle has its own way.
    pub reading: ImageOptions,
    /// A folder that keeps decompositions, for adapters stored without their basis.
    pub basis_cache: Option<PathBuf>,
}

/// An opened model.
#[derive(Debug)]
pub struct Session {
    segmenter: Segmenter,
    /// The same with its adapters attached, for looking at them.
    adapted: Option<Segmenter>,
    base: Option<BaseModel>,
    /// Whether the prompt tokens were trained or shipped with the model; a plain checkpoint has none.
    automatic: bool,
    labels: Vec<String>,
    preprocessing: Preprocessing,
    manifest: Option<Manifest>,
    fingerprint: String,
}

/// What lies at a path.
enum Kind {
    Bundle(PathBuf),
    Adapter,
    Weights,
}

impl Session {
    /// Opens the model at `place`: the directory of a finished run, a bundle, the folder of an adapter, a checkpoint file, or
    /// a shipped model's name.
    ///
    /// # Errors
    /// Nothing of the kind is there, or a part of it is missing, damaged, newer than this program or made for another base.
    pub fn open(place: &str, device: &Device, options: &SessionOptions) -> Result<Self> {
        match kind(place)? {
            Kind::Bundle(folder) => Self::bundle(&Bundle::open(&folder)?, device, options),
            Kind::Adapter => {
                let base = options.base.clone().ok_or_else(|| TrainError::AdapterAlone { path: place.into() })?;
                let model = ModelConfig { base, adapter: Some(place.into()), ..ModelConfig::default() };
                Self::plain(&model, device, options)
            }
            Kind::Weights => {
                Self::plain(&ModelConfig { base: place.into(), ..ModelConfig::default() }, device, options)
            }
        }
    }

    fn bundle(bundle: &Bundle, device: &Device, options: &SessionOptions) -> Result<Self> {
        let manifest = bundle.manifest.clone();
        let size = manifest.preprocessing.preprocess.size();
        if let Some(asked) = options.input_size.filter(|asked| *asked != size) {
            let problem = format!("this model was trained and is used with inputs of {size} px, found {asked}");
            return Err(TrainError::config("input size", problem));
        }
        let protocol = manifest.preprocessing.preprocess.protocol();
        if options.protocol.is_some_and(|asked| asked != protocol) {
            let problem =
                format!("this model was trained and is used with its own, {protocol:?}; leave the option away");
            return Err(TrainError::config("protocol", problem));
        }
        if options.reading != ImageOptions::default() && options.reading != manifest.preprocessing.reading {
            let problem = "this model says itself how images are read; leave the options away";
            return Err(TrainError::config("range, pages, orientation", problem));
        }
        let trained =
            manifest.provenance.as_ref().map_or(Precision::F32, |provenance| provenance.run.training.precision);
        if let Err(error) = check_precision_on(trained, device).and_then(|()| use_precision(trained)) {
            tracing::warn!("the model was trained in {}, and is used in f32 here: {error}", trained.name());
            use_precision(Precision::F32).map_err(|error| TrainError::config("precision", error.to_string()))?;
        }
        let opened = bundle.load(device, options.base.as_deref(), options.basis_cache.as_deref())?;
        Ok(Self {
            segmenter: merged(&opened.segmenter),
            adapted: opened.base.is_some().then_some(opened.segmenter),
            base: opened.base,
            automatic: true,
            labels: manifest.labels.clone(),
            preprocessing: manifest.preprocessing.clone(),
            fingerprint: bundle.fingerprint().to_owned(),
            manifest: Some(manifest),
        })
    }

    fn plain(model: &ModelConfig, device: &Device, options: &SessionOptions) -> Result<Self> {
        let size = match options.input_size {
            Some(size) => size,
            None => BaseModel::native_size(model)?,
        };
        use_precision(Precision::F32).map_err(|error| TrainError::config("precision", error.to_string()))?;
        let base = BaseModel::load(model, size, device)?;
        let labels = match base.network() {
            // A state dict does not say what its masks show.
            Some(_) => vec!["foreground".to_owned()],
            None => base.labels().unwrap_or_default().to_vec(),
        };
        // What was trained here saw images that were prepared in one way; a plain checkpoint of SAM has its own.
        let automatic = !labels.is_empty();
        let protocol = match options.protocol {
            Some(protocol) => protocol,
            None if automatic => Protocol::Default,
            None => base.config()?.native_protocol(),
        };
        Ok(Self {
            segmenter: merged(&base.segmenter()),
            adapted: None,
            labels,
            automatic,
            preprocessing: Preprocessing::new(options.reading, protocol, size)?,
            fingerprint: base.card.sha256.clone(),
            base: Some(base),
            manifest: None,
        })
    }

    /// The model, adapters folded in.
    pub fn segmenter(&self) -> &Segmenter {
        &self.segmenter
    }

    /// The model with its adapters attached; none where it was stored whole.
    pub fn adapted(&self) -> Option<&Segmenter> {
        self.adapted.as_ref()
    }

    /// What the adapter was put on, or the plain model itself.
    pub fn base(&self) -> Option<&BaseModel> {
        self.base.as_ref()
    }

    /// What the masks show, one name per prompt token or map of logits.
    pub fn labels(&self) -> &[String] {
        &self.labels
    }

    /// Whether the model segments without a user's prompt. A plain checkpoint of SAM does not.
    pub fn is_automatic(&self) -> bool {
        self.automatic
    }

    /// How images are read and prepared.
    pub fn preprocessing(&self) -> &Preprocessing {
        &self.preprocessing
    }

    /// What the bundle says of itself; none for plain checkpoints.
    pub fn manifest(&self) -> Option<&Manifest> {
        self.manifest.as_ref()
    }

    /// SHA-256 of everything that the model is: equal fingerprints give equal masks on the same kind of machine.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// A predictor for points, boxes and masks, which prepares images as this session does. It keeps no embeddings.
    ///
    /// # Errors
    /// An input size that the model does not take; a classic network, which answers no prompts.
    pub fn predictor(&self) -> Result<SamPredictor> {
        let predictor = SamPredictor::new(self.segmenter.require_sam("points, boxes and masks")?.sam.clone())?;
        Ok(predictor.with_preprocess(self.preprocessing.preprocess)?.with_cache(0))
    }

    /// The masks of some images, one per label, in the images' own pixels, without a user's prompt: what scoring counts.
    ///
    /// # Errors
    /// A model without prompt tokens.
    pub fn segment(&self, images: &[Image]) -> Result<Vec<Vec<MaskAnswer>>> {
        if !self.automatic {
            let problem = "a plain checkpoint has no trained prompt: give points or a box";
            return Err(TrainError::config("prompt", problem));
        }
        match &self.segmenter {
            Segmenter::Sam(model) => Ok(self.predictor()?.predict_automatic_batch(images, &model.prompt)?),
            Segmenter::Network(network) => segment_by(network, images, &self.preprocessing.preprocess),
        }
    }

    /// The masks that answer one prompt about an image: one, or with `multimask` several.
    ///
    /// # Errors
    /// A prompt that is none; a classic network, which answers none.
    pub fn prompted(&self, image: &Image, prompt: &ImagePrompt, multimask: bool) -> Result<Vec<MaskAnswer>> {
        let mut predictor = self.predictor()?;
        predictor.set_image(image)?;
        Ok(predictor.predict(std::slice::from_ref(prompt), multimask)?.pop().unwrap_or_default())
    }
}

/// The masks of some images by a network, one per map of logits, in the images' own pixels.
fn segment_by(network: &Network, images: &[Image], preprocess: &Preprocess) -> Result<Vec<Vec<MaskAnswer>>> {
    let Some(device) = network.devices().into_iter().next().filter(|_| !images.is_empty()) else {
        return Ok(Vec::new());
    };
    let prepared: Vec<_> = images.par_iter().map(|image| preprocess.prepare(image)).collect();
    let geometries: Vec<_> = prepared.iter().map(|input| input.geometry).collect();
    let (count, side) = (images.len(), preprocess.size());
    let values: Vec<f32> = prepared.into_iter().flat_map(|input| input.values).collect();
    let logits = network.forward(Tensor::from_data(TensorData::new(values, [count, 3, side, side]), &device))?;
    let answer = |entry: usize, (map, restored): (usize, RestoredMask)| MaskAnswer {
        mask: restored.mask,
        logits: restored.logits,
        low_resolution: logits.clone().slice([entry..entry + 1, map..map + 1]).reshape([side, side]),
        iou: None,
        object_score: None,
    };
    let restored = restore_masks(logits.clone(), preprocess, &geometries)?.into_iter().enumerate();
    Ok(restored.map(|(entry, maps)| maps.into_iter().enumerate().map(|map| answer(entry, map)).collect()).collect())
}

fn kind(place: &str) -> Result<Kind> {
    let path = Path::new(place);
    if crate::shipped::model(place).is_some() || path.is_file() {
        return Ok(Kind::Weights);
    }
    for folder in [path.to_path_buf(), path.join(BUNDLE_FOLDER)] {
        if folder.join(MANIFEST_FILE).is_file() {
            return Ok(Kind::Bundle(folder));
        }
    }
    if path.join(salt_peft::CONFIG_FILE).is_file() {
        return Ok(Kind::Adapter);
    }
    if path.join("run.toml").is_file() {
        return Err(TrainError::UnfinishedRun { path: path.to_path_buf() });
    }
    // The bundle's own message says what is there instead.
    Bundle::open(path).map(|bundle| Kind::Bundle(bundle.folder().to_path_buf()))
}
