//! The model in two parts: the encoder, and what follows it.

use super::Segmenter;
use crate::error::{Result, TrainError};
use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;
use sam_model::image_encoder::{ImageEncoder, ImageFeatures};
use sam_model::upsample_logits;

/// What only a SAM has.
const PARTS: &str = "an encoder apart from a decoder";

/// Whether some parameter is trained.
struct AnyTrained(bool);

impl ModuleVisitor for AnyTrained {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.0 |= param.is_require_grad();
    }
}

/// Whether some parameter of a module is trained.
pub(crate) fn is_trained<M: Module>(module: &M) -> bool {
    let mut visitor = AnyTrained(false);
    module.visit(&mut visitor);
    visitor.0
}

impl Segmenter {
    /// The image encoder, if the model is a SAM or a SAM 2.
    pub(crate) fn image_encoder(&self) -> Option<&ImageEncoder> {
        Some(&self.sam()?.sam.image_encoder)
    }

    /// Whether the model has an image encoder and nothing of it is trained.
    pub(crate) fn has_frozen_encoder(&self) -> bool {
        self.image_encoder().is_some_and(|encoder| !is_trained(encoder))
    }

    /// Refuses images that the model does not take.
    pub(crate) fn check_images(&self, images: &Tensor<4>) -> Result<()> {
        Ok(self.require_sam(PARTS)?.sam.check_images(images)?)
    }

    /// What the encoder makes of normalised images `[n, 3, size, size]`: SAM's embedding, or the three maps of SAM 2's pyramid, the
    /// finest first. No parameter outside of the encoder has a part in them.
    pub(crate) fn encoder_maps(&self, images: Tensor<4>) -> Result<Vec<Tensor<4>>> {
        self.check_images(&images)?;
        Ok(match &self.require_sam(PARTS)?.sam.image_encoder {
            ImageEncoder::Vit(encoder) => vec![encoder.forward(images)],
            ImageEncoder::Hiera(encoder) => encoder.forward(images).into(),
        })
    }

    /// What the decoder reads, from the [maps](Self::encoder_maps) of the encoder: in SAM 2 a vector is added to one, and the others pass
    /// two convolutions of the decoder.
    pub(crate) fn features(&self, maps: &[Tensor<4>]) -> Result<ImageFeatures> {
        let sam = &self.require_sam(PARTS)?.sam;
        match (&sam.image_encoder, maps) {
            (ImageEncoder::Vit(_), [embedding]) => Ok(embedding.clone().into()),
            (ImageEncoder::Hiera(_), [finest, finer, embedding]) => {
                Ok(sam.finish_pyramid([finest, finer, embedding].map(Clone::clone)))
            }
            _ => Err(TrainError::config("model", format!("its encoder does not make {} maps", maps.len()))),
        }
    }

    /// Logits `[n, labels, height, width]` of encoded images of that size. [`encoder_maps`](Self::encoder_maps),
    /// [`features`](Self::features) and this are [`forward`](Self::forward).
    pub(crate) fn decode(&self, features: ImageFeatures, size: [usize; 2]) -> Result<Tensor<4>> {
        Ok(upsample_logits(self.decode_small(features)?, size))
    }

    /// The same at the decoder's own resolution.
    pub(crate) fn decode_small(&self, features: ImageFeatures) -> Result<Tensor<4>> {
        let model = self.require_sam(PARTS)?;
        Ok(model.sam.decode_automatic(features, &model.prompt)?)
    }
}
