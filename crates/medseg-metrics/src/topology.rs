//! Topology: components, holes, and how far two masks disagree about them.

use crate::words::left_neighbours;
use crate::{Connectivity, Mask, Result, count_components};
use serde::{Deserialize, Serialize};

/// Betti numbers of a mask: foreground 8-connected, background 4-connected, everything outside the image background.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Betti {
    /// Betti-0: connected components.
    pub components: u64,
    /// Betti-1: holes, that is background components that do not reach the outside.
    pub holes: u64,
}

impl Betti {
    /// Betti numbers of `mask`, in two passes: runs for the components, 2 x 2 patterns for the Euler characteristic.
    ///
    /// ```
    /// use medseg_metrics::{Betti, Mask};
    /// let ring = Mask::from_bytes(3, 3, &[1, 1, 1, 1, 0, 1, 1, 1, 1])?;
    /// assert_eq!(Betti::new(&ring), Betti { components: 1, holes: 1 });
    /// # Ok::<(), medseg_metrics::MetricsError>(())
    /// ```
    pub fn new(mask: &Mask) -> Self {
        let components = count_components(mask, Connectivity::Eight);
        let holes = components as i64 - euler_characteristic(mask);
        Self { components, holes: holes.max(0) as u64 }
    }

    /// Euler characteristic: components minus holes.
    pub fn euler(&self) -> i64 {
        self.components as i64 - self.holes as i64
    }
}

/// Euler characteristic for 8-connected foreground, from the 2 x 2 patterns of the image (Gray 1971):
/// (patterns with one pixel - patterns with three - 2 x diagonal patterns) / 4.
fn euler_characteristic(mask: &Mask) -> i64 {
    let words = mask.row_words();
    let (mut one, mut three, mut diagonal) = (0i64, 0i64, 0i64);
    let blank = vec![0u64; words];
    let mut upper = &blank[..];
    for row in 0..=mask.height() {
        let lower = if row < mask.height() { mask.row(row) } else { &blank[..] };
        // The corner right of the last column, which may need one bit more than the row has words.
        for w in 0..=words {
            let (ne, se, nw, sw) = if w < words {
                (upper[w], lower[w], left_neighbours(upper, w), left_neighbours(lower, w))
            } else {
                (0, 0, upper[words - 1] >> 63, lower[words - 1] >> 63)
            };
            let odd = ne ^ se ^ nw ^ sw;
            let pairs = (ne & se) | (nw & sw) | (ne & nw) | (se & sw) | (ne & sw) | (nw & se);
            one += i64::from((odd & !pairs).count_ones());
            three += i64::from((odd & pairs).count_ones());
            diagonal += i64::from((!odd & (ne ^ nw) & (ne ^ se)).count_ones());
        }
        upper = lower;
    }
    (one - three - 2 * diagonal) / 4
}

/// Absolute differences of the Betti numbers of a prediction and a reference.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct TopologyErrors {
    /// |Betti-0 of the prediction - Betti-0 of the reference|.
    pub betti0: f64,
    /// |Betti-1 of the prediction - Betti-1 of the reference|.
    pub betti1: f64,
    /// |Euler characteristic of the prediction - that of the reference|.
    pub euler: f64,
}

impl TopologyErrors {
    /// Over the whole image.
    ///
    /// # Errors
    /// When the sizes differ.
    pub fn new(prediction: &Mask, reference: &Mask) -> Result<Self> {
        prediction.same_shape(reference)?;
        let (p, r) = (Betti::new(prediction), Betti::new(reference));
        Ok(Self {
            betti0: p.components.abs_diff(r.components) as f64,
            betti1: p.holes.abs_diff(r.holes) as f64,
            euler: p.euler().abs_diff(r.euler()) as f64,
        })
    }

    /// Mean over disjoint patches of `side` x `side` pixels, the last of a row or column possibly smaller. (The literature on
    /// topological losses reports patches of 64 x 64 pixels.)
    ///
    /// # Errors
    /// When the sizes differ or `side` is 0.
    pub fn in_patches(prediction: &Mask, reference: &Mask, side: usize) -> Result<Self> {
        prediction.same_shape(reference)?;
        let step = side.max(1);
        let mut sum = Self { betti0: 0.0, betti1: 0.0, euler: 0.0 };
        let mut patches = 0.0;
        for row in (0..prediction.height()).step_by(step) {
            for column in (0..prediction.width()).step_by(step) {
                let cut = |mask: &Mask| mask.crop(row..row + side, column..column + side);
                let errors = Self::new(&cut(prediction)?, &cut(reference)?)?;
                sum.betti0 += errors.betti0;
                sum.betti1 += errors.betti1;
                sum.euler += errors.euler;
                patches += 1.0;
            }
        }
        Ok(Self { betti0: sum.betti0 / patches, betti1: sum.betti1 / patches, euler: sum.euler / patches })
    }
}
