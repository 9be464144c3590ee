//! From the pixels of an image to the input of Segment Anything, and from its logits back to a mask of the image.
//!
//! A network sees a square of floats; a person has a photograph of any size. What lies between decides more pixels of a thin
//! vessel than many a training method does: another resampling filter, another rounding or another threshold, and a model is
//! used with other inputs than it was trained and scored with. So there is one way here, for training, scoring and
//! prediction alike:
//!
//! - [`Preprocess`] is the way's name: a [`Protocol`] and the side of the square. It is small, `Copy`, and can be stored beside a
//!   model's weights.
//! - [`Preprocess::prepare`] takes an 8-bit [`Image`] and gives the network's input, `[3, size, size]`, with the
//!   [`ResizeGeometry`] that leads back. Resizing agrees with Pillow's (or torchvision's) to the last bit.
//! - [`Preprocess::restore`] takes the logits of the square, `[size, size]`, back to the original pixels and decides which of them are
//!   foreground. The comparison belongs to the protocol: see [`Protocol::is_foreground`].
//! - [`Tiling`] cuts an image that is larger than the network's view into overlapping tiles, and a [`Mosaic`] blends their logits.
//!
//! There is no tensor library below this crate: inputs and logits are slices, and any framework can hold them.
//!
//! ```
//! use sam_preprocess::{Image, Preprocess, Protocol};
//!
//! // A grey image of 60 x 40 pixels for a network with inputs of 64 x 64.
//! let image = Image::new(60, 40, 1, vec![90; 60 * 40]).ok_or("pixels that do not fill the image")?;
//! let preprocess = Preprocess::new(Protocol::Default, 64)?;
//! let input = preprocess.prepare(&image);
//! assert_eq!(input.values.len(), 3 * 64 * 64);
//! assert_eq!(input.geometry.resized, (64, 43));
//!
//! // What a network might answer: everything left of the middle is foreground.
//! let logits: Vec<f32> = (0..64 * 64).map(|at| if at % 64 < 32 { 2.0 } else { -2.0 }).collect();
//! let restored = preprocess.restore(&input.geometry, &logits)?;
//! assert_eq!((restored.mask.height(), restored.mask.width()), (40, 60));
//! assert_eq!(restored.mask.count(), 40 * 30);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod error;
mod geometry;
mod pixels;
mod preprocess;
mod probability;
mod protocol;
mod resize;
mod spline;
mod tiles;

pub use error::PreprocessError;
pub use geometry::ResizeGeometry;
pub use pixels::Image;
pub use preprocess::{NetworkInput, Preprocess, RestoredMask};
pub use probability::{logit, sigmoid};
pub use protocol::Protocol;
pub use resize::{resize_image, resize_to_floats};
pub use tiles::{FinishedRows, Mosaic, Tile, TileGrid, Tiling};

/// The example of the readme is a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
