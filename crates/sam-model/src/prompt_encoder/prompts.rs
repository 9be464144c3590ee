//! Prompts as tensors, checked when they are made.

use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::SamError;

/// What a point says about the object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PointLabel {
    /// The point is on the object.
    Foreground,
    /// The point is off the object.
    Background,
    /// The point is to be ignored (it fills up a batch of unequal numbers of points).
    Padding,
}

impl PointLabel {
    /// The number that stands for this label in a label tensor: 1, 0 and -1.
    pub fn code(self) -> i32 {
        match self {
            Self::Foreground => 1,
            Self::Background => 0,
            Self::Padding => -1,
        }
    }
}

/// A batch of prompts, one answer each: any combination of points, one box and one mask, or nothing at all.
///
/// Coordinates are pixels (x, y) of the network's input, after resizing. [`SamPredictor`](crate::SamPredictor) accepts
/// coordinates of the original image instead.
///
/// ```
/// # use sam_model::{PointLabel, Prompts};
/// # let device = burn::tensor::Device::default();
/// let prompts = Prompts::none(1).with_points(&[vec![([120.0, 80.0], PointLabel::Foreground)]], &device)?;
/// # Ok::<(), sam_model::SamError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Prompts {
    count: usize,
    points: Option<(Tensor<3>, Tensor<2, Int>)>,
    boxes: Option<Tensor<2>>,
    masks: Option<Tensor<4>>,
}

impl Prompts {
    /// `count` empty prompts: the decoder answers with what it finds salient.
    pub fn none(count: usize) -> Self {
        Self { count, points: None, boxes: None, masks: None }
    }

    /// Adds points, one list per prompt. Shorter lists are filled up with [`PointLabel::Padding`].
    ///
    /// # Errors
    /// [`SamError::Shape`] if the number of lists is not the number of prompts, [`SamError::Value`] for a coordinate
    /// that is not finite.
    pub fn with_points(self, points: &[Vec<([f32; 2], PointLabel)>], device: &Device) -> Result<Self, SamError> {
        self.check_count("points", points.len(), &[points.len()])?;
        let longest = points.iter().map(Vec::len).max().unwrap_or(0);
        if longest == 0 {
            return Ok(self);
        }
        let filler = ([0.0, 0.0], PointLabel::Padding);
        let filled = points.iter().flat_map(|list| (0..longest).map(|i| list.get(i).copied().unwrap_or(filler)));
        let (mut coordinates, mut labels) = (Vec::new(), Vec::new());
        for ([x, y], label) in filled {
            if !(x.is_finite() && y.is_finite()) {
                return Err(SamError::value("point", "finite coordinates", format!("({x}, {y})")));
            }
            coordinates.extend([x, y]);
            labels.push(label.code());
        }
        let coordinates = Tensor::from_data(TensorData::new(coordinates, [self.count, longest, 2]), device);
        let labels = Tensor::from_data(TensorData::new(labels, [self.count, longest]), device);
        Ok(Self { points: Some((coordinates, labels)), ..self })
    }

    /// Adds points as tensors: coordinates `[N, P, 2]` and labels `[N, P]` (see [`PointLabel::code`]; any other number
    /// gives a point without a label's embedding, as in the original).
    ///
    /// # Errors
    /// [`SamError::Shape`].
    pub fn with_point_tensors(self, coordinates: Tensor<3>, labels: Tensor<2, Int>) -> Result<Self, SamError> {
        let [n, count, two] = coordinates.dims();
        self.check_count("points", n, &coordinates.dims())?;
        if two != 2 || labels.dims() != [n, count] {
            return Err(SamError::shape(
                "point labels",
                format!("[{n}, {count}] beside [{n}, {count}, 2]"),
                &labels.dims(),
            ));
        }
        Ok(Self { points: Some((coordinates, labels)), ..self })
    }

    /// Adds one box (x0, y0, x1, y1) per prompt.
    ///
    /// # Errors
    /// [`SamError::Shape`] if there is not one box per prompt, [`SamError::Value`] for a box that is not finite or whose
    /// second corner is left of or above the first.
    pub fn with_boxes(self, boxes: &[[f32; 4]], device: &Device) -> Result<Self, SamError> {
        self.check_count("boxes", boxes.len(), &[boxes.len(), 4])?;
        for rectangle in boxes {
            let [x0, y0, x1, y1] = *rectangle;
            if !(rectangle.iter().all(|v| v.is_finite()) && x0 <= x1 && y0 <= y1) {
                return Err(SamError::value("box", "finite x0 <= x1, y0 <= y1", format!("{rectangle:?}")));
            }
        }
        let data = TensorData::new(boxes.concat(), [boxes.len(), 4]);
        self.with_box_tensor(Tensor::from_data(data, device))
    }

    /// Adds boxes as a tensor `[N, 4]`.
    ///
    /// # Errors
    /// [`SamError::Shape`].
    pub fn with_box_tensor(self, boxes: Tensor<2>) -> Result<Self, SamError> {
        let [n, four] = boxes.dims();
        self.check_count("boxes", n, &boxes.dims())?;
        if four != 4 {
            return Err(SamError::shape("boxes", format!("[{n}, 4]"), &boxes.dims()));
        }
        Ok(Self { boxes: Some(boxes), ..self })
    }

    /// Adds a mask prompt per prompt: low-resolution logits `[N, 1, 4h, 4w]` for a `h x w` embedding, as the decoder
    /// returns them.
    ///
    /// # Errors
    /// [`SamError::Shape`].
    pub fn with_masks(self, masks: Tensor<4>) -> Result<Self, SamError> {
        let [n, channels, height, width] = masks.dims();
        self.check_count("mask prompts", n, &masks.dims())?;
        if channels != 1 || height % 4 != 0 || width % 4 != 0 {
            return Err(SamError::shape("mask prompts", "[N, 1, 4h, 4w]", &masks.dims()));
        }
        Ok(Self { masks: Some(masks), ..self })
    }

    /// Number of prompts.
    pub fn count(&self) -> usize {
        self.count
    }

    pub(crate) fn points(&self) -> Option<&(Tensor<3>, Tensor<2, Int>)> {
        self.points.as_ref()
    }

    pub(crate) fn boxes(&self) -> Option<&Tensor<2>> {
        self.boxes.as_ref()
    }

    pub(crate) fn masks(&self) -> Option<&Tensor<4>> {
        self.masks.as_ref()
    }

    fn check_count(&self, what: &'static str, found: usize, shape: &[usize]) -> Result<(), SamError> {
        if found == self.count {
            Ok(())
        } else {
            Err(SamError::shape(what, format!("one entry for each of the {} prompts", self.count), shape))
        }
    }
}
