//! Another text for a model that is prompted with text.

use super::Session;
use crate::error::{Result, TrainError};
use crate::model::{PromptedSam, Segmenter};
use crate::text::{TextFeatures, TextFinder};
use sam_model::AutomaticPrompt;
use std::path::Path;

impl Session {
    /// The texts that the model was trained with; none where it was trained without.
    pub fn texts(&self) -> Option<&[String]> {
        let affine = self.segmenter.sam()?.prompt.text_affine.as_ref()?;
        Some(affine.source.as_ref()?.texts.as_slice())
    }

    /// The same model asked for other texts, one mask for each, which are then the labels. The texts that it was trained with are
    /// stored with it; others come from CLIP's file or from the folder that keeps features.
    ///
    /// # Errors
    /// A model that was trained without text; as [`TextFinder::find`].
    pub fn with_texts(mut self, texts: &[String], clip: Option<&Path>, cache: Option<&Path>) -> Result<Self> {
        let model = self.segmenter.require_sam("a text")?;
        let Some(known) = TextFeatures::of_prompt(&model.prompt) else {
            let problem = "this model was trained without text, so that a text says nothing to it: train one with --text, or leave \
                           --text away";
            return Err(TrainError::config("text", problem));
        };
        let features = TextFinder { clip, cache, known: Some(&known) }.find(texts)?;
        if let Some(mut affine) = model.prompt.text_affine.clone() {
            let device = model.prompt.token.val().device();
            affine.source = Some(features.source.clone());
            let prompt = AutomaticPrompt::from_affine(features.tensor(&device), affine);
            self.segmenter = Segmenter::Sam(PromptedSam { sam: model.sam.clone(), prompt });
        }
        self.labels = texts.to_vec();
        Ok(self)
    }
}
