//! What an image encoder hands to the decoder.

use burn::tensor::Tensor;

/// An embedded image: the embedding, and in SAM 2 the two finer maps that the decoder adds to its own.
///
/// SAM's embedding alone converts into it, so a `Tensor<4>` can be handed to everything that asks for features.
#[derive(Debug, Clone)]
pub struct ImageFeatures {
    /// `[N, C, h, w]`.
    pub embedding: Tensor<4>,
    /// SAM 2: `[N, C / 8, 4h, 4w]` and `[N, C / 4, 2h, 2w]`.
    pub high_resolution: Option<[Tensor<4>; 2]>,
}

impl From<Tensor<4>> for ImageFeatures {
    fn from(embedding: Tensor<4>) -> Self {
        Self { embedding, high_resolution: None }
    }
}

impl ImageFeatures {
    /// The features of image `index` alone.
    pub fn image(&self, index: usize) -> Self {
        self.clone().map(|map| map.narrow(0, index, 1))
    }

    /// The same numbers without the graph that made them.
    pub fn detach(self) -> Self {
        self.map(Tensor::detach)
    }

    /// Every image `times` times, one after the other.
    pub(crate) fn repeat_each(self, times: usize) -> Self {
        if times == 1 {
            return self;
        }
        self.map(|map| {
            let [images, channels, height, width] = map.dims();
            map.unsqueeze_dim::<5>(1).expand([images, times, channels, height, width]).reshape([
                images * times,
                channels,
                height,
                width,
            ])
        })
    }

    fn map(self, change: impl Fn(Tensor<4>) -> Tensor<4>) -> Self {
        Self { embedding: change(self.embedding), high_resolution: self.high_resolution.map(|maps| maps.map(&change)) }
    }
}
