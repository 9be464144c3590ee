//! One batch on several devices, through the data-parallel step of burn-train.
//!
//! Burn's step keeps one thread per device, sends each a copy of the model and what its loader yields, and collects the
//! answers. Loaders are asked in turn, so that the first device computes while the images of the next are prepared. Two
//! things it leaves open are settled here. Answers come as devices finish: they are put into the devices' order before
//! gradients are added, so a sum has the same bits every time. And each device forks the model that it is sent, which in
//! Burn 0.22.1 leaves a record on the original's graph at every step (see [`crate::gradients::replica`]): it is sent the
//! plain module, and becomes trainable only on its device.

use super::share::Share;
use crate::error::{Result, TrainError};
use crate::model::Segmenter;
use burn::data::dataloader::{DataLoaderIterator, Progress};
use burn::data::dataset::DatasetError;
use burn::module::Module;
use burn::optim::{GradientsAccumulator, GradientsParams};
use burn::tensor::{Device, ExecutionError, Tensor};
use burn::train::train::MultiDevicesTrainStep;
use burn::train::{InferenceStep, ItemLazy, TrainOutput, TrainStep};

/// The devices of a run and their threads, which end with this.
pub(super) struct DataParallel {
    devices: Vec<Device>,
    step: MultiDevicesTrainStep<Replica>,
}

impl DataParallel {
    /// `devices` without autodiff, the one that gradients come together on first.
    pub(super) fn new(devices: &[Device]) -> Result<Self> {
        Ok(Self { devices: devices.to_vec(), step: MultiDevicesTrainStep::new(devices) })
    }

    /// Gradients of `weight` times the mean loss of some images, on the first device, and that loss. `share` makes a
    /// device's part from its images and its weight.
    pub(super) fn gradients(
        &self,
        model: &Segmenter,
        images: &[usize],
        weight: f64,
        share: impl Fn(&[usize], f64, &Device) -> Share,
    ) -> Result<(GradientsParams, f32)> {
        let portion = |indices: &[usize]| indices.len() as f64 / images.len() as f64;
        let parts: Vec<&[usize]> = images.chunks(images.len().div_ceil(self.devices.len())).collect();
        let mut loaders: Vec<Box<dyn DataLoaderIterator<Numbered> + '_>> = Vec::with_capacity(self.devices.len());
        for (index, device) in self.devices.iter().enumerate() {
            let share = &share;
            let next = parts
                .get(index)
                .map(|indices| move || Numbered { index, share: share(indices, weight * portion(indices), device) });
            loaders.push(Box::new(Loader { next }));
        }
        let (outputs, _) = self
            .step
            .step(&mut loaders, &Replica { model: model.valid() })
            .map_err(|error| TrainError::Model(error.to_string()))?;
        let mut outputs: Vec<_> = outputs.into_iter().map(|output| output.output).collect();
        outputs.sort_by_key(|output| output.item.index);
        let (mut sum, mut loss) = (GradientsAccumulator::new(), 0.0);
        for (TrainOutput { grads, item }, indices) in outputs.into_iter().zip(&parts) {
            loss += item.loss? * portion(indices) as f32;
            sum.accumulate(model, grads.to_device(&self.devices[0], model));
        }
        Ok((sum.grads(), loss))
    }
}

struct Numbered {
    index: usize,
    share: Share,
}

/// The loader of one device for one step: its share, made when it is asked for.
struct Loader<F> {
    next: Option<F>,
}

impl<F: FnOnce() -> Numbered> Iterator for Loader<F> {
    type Item = std::result::Result<Numbered, DatasetError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next.take().map(|make| Ok(make()))
    }
}

impl<F: FnOnce() -> Numbered> DataLoaderIterator<Numbered> for Loader<F> {
    fn progress(&self) -> Progress {
        Progress::new(usize::from(self.next.is_none()), 1, None)
    }
}

/// The model as a device has it: plain until its step.
#[derive(Module, Debug)]
struct Replica {
    model: Segmenter,
}

struct Answer {
    index: usize,
    loss: Result<f32>,
}

impl ItemLazy for Answer {
    fn sync(self) -> std::result::Result<Self, ExecutionError> {
        Ok(self)
    }
}

impl TrainStep for Replica {
    type Input = Numbered;
    type Output = Answer;

    fn step(&self, Numbered { index, share }: Numbered) -> TrainOutput<Answer> {
        let (grads, loss) = match share.gradients(&self.model.clone().train()) {
            Ok((grads, loss)) => (grads, Ok(loss)),
            Err(error) => (GradientsParams::new(), Err(error)),
        };
        TrainOutput { grads, item: Answer { index, loss } }
    }
}

/// burn-train asks every model for both steps; the loop validates by itself.
impl InferenceStep for Replica {
    type Input = Numbered;
    type Output = Answer;

    fn step(&self, Numbered { index, share }: Numbered) -> Answer {
        Answer { index, loss: share.forward(&self.model).map(Tensor::into_scalar) }
    }
}
