//! What stands in for several devices where burn-train is not built in.

use super::share::Share;
use crate::error::{Result, TrainError};
use crate::model::Segmenter;
use burn::optim::GradientsParams;
use burn::tensor::Device;
use std::convert::Infallible;

/// There is none.
pub(super) struct DataParallel(Infallible);

impl DataParallel {
    pub(super) fn new(devices: &[Device]) -> Result<Self> {
        let problem = format!("{} devices need the feature `several-devices`, which this build lacks", devices.len());
        Err(TrainError::config("devices", problem))
    }

    pub(super) fn gradients(
        &self,
        _: &Segmenter,
        _: &[usize],
        _: f64,
        _: impl Fn(&[usize], f64, &Device) -> Share,
    ) -> Result<(GradientsParams, f32)> {
        match self.0 {}
    }
}
