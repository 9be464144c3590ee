//! The model in two parts: the encoder, and what follows it.

use super::Segmenter;
use crate::error::Result;
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

    /// Whether the model has SAM's own encoder and nothing of it is trained.
    pub(crate) fn has_frozen_encoder(&self) -> bool {
        self.image_encoder().and_then(ImageEncoder::as_vit).is_some_and(|encoder| !is_trained(encoder))
    }

    /// Refuses images that the model does not take.
    pub(crate) fn check_images(&self, images: &Tensor<4>) -> Result<()> {
        Ok(self.require_sam(PARTS)?.sam.check_images(images)?)
    }

    /// What the encoder makes of normalised images `[n, 3, size, size]`.
    pub(crate) fn encode(&self, images: Tensor<4>) -> Result<ImageFeatures> {
        Ok(self.require_sam(PARTS)?.sam.encode(images)?)
    }

    /// The end of [`encode`](Self::encode) in SAM 2, from the maps of its pyramid.
    pub(crate) fn finish_pyramid(&self, maps: [Tensor<4>; 3]) -> Result<ImageFeatures> {
        Ok(self.require_sam(PARTS)?.sam.finish_pyramid(maps))
    }

    /// Logits `[n, labels, height, width]` of encoded images of that size. [`encode`](Self::encode) and this are
    /// [`forward`](Self::forward).
    pub(crate) fn decode(&self, features: ImageFeatures, size: [usize; 2]) -> Result<Tensor<4>> {
        Ok(upsample_logits(self.decode_small(features)?, size))
    }

    /// The same at the decoder's own resolution.
    pub(crate) fn decode_small(&self, features: ImageFeatures) -> Result<Tensor<4>> {
        let model = self.require_sam(PARTS)?;
        Ok(model.sam.decode_automatic(features, &model.prompt)?)
    }
}
