//! The features of the texts that prompt a model: from CLIP's text tower, or from the folder in which they are kept.
//!
//! CLIP is asked once for each text. What it answers is kept under a hash of its weights and of the text's tokens, so that a later run
//! needs neither the time nor, for the same text, the file. Entries appear whole or not at all and carry a checksum; a damaged one is
//! reported and made again.

use crate::device;
use crate::error::{Result, TrainError};
use crate::files::{self, sha256};
use burn::tensor::{Device, Tensor, TensorData};
use clip_text::{Checkpoint, Overflow, Tokenizer};
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use sam_model::{AutomaticPrompt, TextSource};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashMap};
use std::io::Read;
use std::path::{Path, PathBuf};

/// Features of some texts, one row for each.
#[derive(Debug, Clone, PartialEq)]
pub struct TextFeatures {
    /// The texts, and the hash of the CLIP that encoded them.
    pub source: TextSource,
    rows: Vec<Vec<f32>>,
}

impl TextFeatures {
    /// What a prompt that is made from texts holds; nothing for learned tokens and for features of unknown texts.
    pub fn of_prompt(prompt: &AutomaticPrompt) -> Option<Self> {
        let source = prompt.text_affine.as_ref()?.source.clone()?;
        let data = prompt.token.val().into_data();
        let width = data.shape()[1];
        let values: Vec<f32> = data.iter().collect();
        Some(Self { source, rows: values.chunks(width).map(<[f32]>::to_vec).collect() })
    }

    /// The features, `[texts, width]`.
    pub fn tensor(&self, device: &Device) -> Tensor<2> {
        let shape = [self.rows.len(), self.width()];
        Tensor::from_data(TensorData::new(self.rows.concat(), shape), device)
    }

    /// Numbers of each text.
    pub fn width(&self) -> usize {
        self.rows.first().map_or(0, Vec::len)
    }
}

/// Where features may come from.
#[derive(Debug, Clone, Copy, Default)]
pub struct TextFinder<'a> {
    /// CLIP's weights, as OpenAI or transformers store them.
    pub clip: Option<&'a Path>,
    /// The folder that keeps features between runs.
    pub cache: Option<&'a Path>,
    /// Features at hand: their texts need neither, and all others must come from the same CLIP.
    pub known: Option<&'a TextFeatures>,
}

/// Refuses texts that no run can have.
///
/// # Errors
/// No text, or one that is empty, holds one of CLIP's markers or has more than 77 tokens (start and end included): CLIP's own
/// `tokenize` refuses it too.
pub fn check_texts(texts: &[String]) -> Result<()> {
    tokens(texts).map(drop)
}

fn tokens(texts: &[String]) -> Result<Vec<Vec<u32>>> {
    let fail = |problem: String| TrainError::config("text", problem);
    if texts.is_empty() {
        return Err(fail("expected at least one text, found none".into()));
    }
    let tokenizer = Tokenizer::new()?;
    let encode = |text: &String| {
        if text.trim().is_empty() {
            return Err(fail(format!("expected words, found the empty text {text:?}")));
        }
        tokenizer.encode(text, Overflow::Refuse).map_err(|error| fail(format!("{text:?}: {error}")))
    };
    texts.iter().map(encode).collect()
}

impl TextFinder<'_> {
    /// The features of texts, in their order.
    ///
    /// # Errors
    /// As [`check_texts`]; a text that is neither known nor kept, without CLIP's file; a CLIP other than that of the known features; a
    /// file that is no CLIP.
    pub fn find(&self, texts: &[String]) -> Result<TextFeatures> {
        let tokens = tokens(texts)?;
        let mut rows: HashMap<&str, Vec<f32>> = HashMap::new();
        if let Some(known) = self.known {
            for (text, row) in known.source.texts.iter().zip(&known.rows) {
                rows.insert(text, row.clone());
            }
        }
        let missing = |rows: &HashMap<&str, Vec<f32>>| -> Vec<usize> {
            (0..texts.len()).filter(|&at| !rows.contains_key(texts[at].as_str())).collect()
        };
        let encoder = match missing(&rows)[..] {
            // Of what is known, CLIP's file would tell nothing new.
            [] => self.known.map(|known| known.source.encoder.clone()).unwrap_or_default(),
            _ => self.encoder(&tokens)?,
        };
        let lacking = missing(&rows);
        for &at in &lacking {
            if let Some(row) = self.kept(&encoder, &tokens[at])? {
                rows.insert(&texts[at], row);
            }
        }
        let lacking = missing(&rows);
        if !lacking.is_empty() {
            let clip = self.clip.ok_or_else(|| self.needs_clip(&texts[lacking[0]]))?;
            let made = encode(clip, lacking.iter().map(|&at| &tokens[at]))?;
            for (&at, row) in lacking.iter().zip(made) {
                self.keep(&encoder, &tokens[at], &row)?;
                rows.insert(&texts[at], row);
            }
        }
        let rows: Vec<Vec<f32>> = texts.iter().filter_map(|text| rows.get(text.as_str()).cloned()).collect();
        if let Some(known) = self.known
            && rows.iter().any(|row| row.len() != known.width())
        {
            let problem = format!("expected features of {} numbers, found another number", known.width());
            return Err(TrainError::config("clip", problem));
        }
        Ok(TextFeatures { source: TextSource { texts: texts.to_vec(), encoder }, rows })
    }

    fn needs_clip(&self, text: &str) -> TrainError {
        let problem = format!(
            "the features of {text:?} are not kept from an earlier run, so CLIP's weights are needed: give the safetensors file of \
             openai/clip-vit-base-patch32 with --clip FILE (`[model] clip` in a run file)"
        );
        TrainError::config("clip", problem)
    }

    /// The hash of the CLIP that answers: of the file that is given, of the known features, or of the only one that these texts are
    /// kept of.
    fn encoder(&self, tokens: &[Vec<u32>]) -> Result<String> {
        let known = self.known.map(|known| known.source.encoder.clone());
        if let Some(clip) = self.clip {
            let found = fingerprint(clip)?;
            if let Some(expected) = known.filter(|expected| *expected != found) {
                let problem = format!(
                    "the model was trained with the features of a CLIP with SHA-256 {expected}, but {} has {found}",
                    clip.display()
                );
                return Err(TrainError::config("clip", problem));
            }
            return Ok(found);
        }
        if let Some(known) = known {
            return Ok(known);
        }
        let mut candidates = self.encoders()?;
        candidates
            .retain(|encoder| tokens.iter().all(|tokens| self.entry(encoder, tokens).is_some_and(|p| p.is_file())));
        match &candidates[..] {
            [] => Ok(String::new()),
            [only] => Ok(only.clone()),
            several => {
                let problem =
                    format!("the texts are kept of {} different CLIPs; say which with --clip FILE", several.len());
                Err(TrainError::config("clip", problem))
            }
        }
    }

    /// The hashes under which features are kept.
    fn encoders(&self) -> Result<Vec<String>> {
        let Some(folder) = self.cache.map(|cache| cache.join(FOLDER)) else { return Ok(Vec::new()) };
        let entries = match std::fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(TrainError::Io { action: "cannot read", path: folder, source }),
        };
        let mut names: Vec<String> =
            entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        Ok(names)
    }

    fn entry(&self, encoder: &str, tokens: &[u32]) -> Option<PathBuf> {
        let folder = self.cache.filter(|_| !encoder.is_empty())?.join(FOLDER).join(encoder);
        Some(folder.join(format!("{}.safetensors", of_tokens(tokens))))
    }

    fn kept(&self, encoder: &str, tokens: &[u32]) -> Result<Option<Vec<f32>>> {
        let Some(path) = self.entry(encoder, tokens) else { return Ok(None) };
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(TrainError::Io { action: "cannot read", path, source }),
        };
        let row = decode(&bytes);
        if row.is_none() {
            tracing::warn!(path = %path.display(), "damaged text features; they will be made again");
        }
        Ok(row)
    }

    fn keep(&self, encoder: &str, tokens: &[u32], row: &[f32]) -> Result<()> {
        let Some(path) = self.entry(encoder, tokens) else { return Ok(()) };
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(TrainError::io("cannot create", folder))?;
        }
        files::write(&path, &encode_row(row, &path)?)
    }
}

/// The folder of text features in the folder of caches; in it one folder for each CLIP.
const FOLDER: &str = "text";
/// Name of the tensor in an entry.
const FEATURES: &str = "text_features";
/// Metadata key of an entry's checksum.
const CHECKSUM: &str = "sha256";

fn of_tokens(tokens: &[u32]) -> String {
    sha256(&tokens.iter().flat_map(|token| token.to_le_bytes()).collect::<Vec<u8>>())
}

fn bytes_of(row: &[f32]) -> Vec<u8> {
    row.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn encode_row(row: &[f32], path: &Path) -> Result<Vec<u8>> {
    let bytes = bytes_of(row);
    let fail = |error: safetensors::SafeTensorError| TrainError::format(path, error.to_string());
    let view = TensorView::new(Dtype::F32, vec![1, row.len()], &bytes).map_err(fail)?;
    let metadata = HashMap::from([(CHECKSUM.to_string(), sha256(&bytes))]);
    safetensors::serialize(BTreeMap::from([(FEATURES, view)]), Some(metadata)).map_err(fail)
}

/// The row of an entry; nothing where it is damaged.
fn decode(bytes: &[u8]) -> Option<Vec<f32>> {
    let (_, head) = SafeTensors::read_metadata(bytes).ok()?;
    let expected = head.metadata().as_ref()?.get(CHECKSUM)?.clone();
    let file = SafeTensors::deserialize(bytes).ok()?;
    let view = file.tensor(FEATURES).ok()?;
    let sound = view.dtype() == Dtype::F32 && view.shape().len() == 2 && sha256(view.data()) == expected;
    let number = |four: &[u8]| f32::from_le_bytes([four[0], four[1], four[2], four[3]]);
    sound.then(|| view.data().chunks_exact(4).map(number).collect())
}

/// SHA-256 of CLIP's file, and of the `config.json` beside it, which may change what is computed.
fn fingerprint(clip: &Path) -> Result<String> {
    let mut hash = Sha256::new();
    let mut file = std::fs::File::open(clip).map_err(TrainError::io("cannot read", clip))?;
    let mut part = vec![0; 1 << 20];
    loop {
        let count = file.read(&mut part).map_err(TrainError::io("cannot read", clip))?;
        if count == 0 {
            break;
        }
        hash.update(&part[..count]);
    }
    if let Ok(config) = std::fs::read(clip.with_file_name("config.json")) {
        hash.update(&config);
    }
    Ok(hex::encode(hash.finalize()))
}

/// The features of token lists, each encoded alone, on the CPU: its bits depend on nothing else.
fn encode<'a>(clip: &Path, tokens: impl Iterator<Item = &'a Vec<u32>>) -> Result<Vec<Vec<f32>>> {
    let device = device::open("cpu")?;
    let checkpoint = Checkpoint::open(clip)?;
    let (tower, _) = checkpoint.load(&checkpoint.config()?, &device)?;
    let row = |tokens: &Vec<u32>| -> Result<Vec<f32>> {
        let features = tower.encode(std::slice::from_ref(tokens))?;
        Ok(features.into_data().iter::<f32>().collect())
    };
    tokens.map(row).collect()
}
