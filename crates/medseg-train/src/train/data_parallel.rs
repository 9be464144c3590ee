//! One batch on several devices, through the data-parallel step of burn-train.
//!
//! Burn's step keeps one thread per device, gives each what its loader yields, and collects the answers. Loaders are asked in
//! turn, so that the first device computes while the images of the next are prepared. Two things it leaves open are settled here.
//! Answers come as devices finish: they are put into the devices' order before gradients are added, so a sum has the same bits every
//! time. And Burn would send each device the whole model at every step; here each keeps a [copy](Copies), which gets the
//! values of what is trained.

use super::copies::{Copies, moved};
use super::share::Share;
use crate::error::{Result, TrainError};
use crate::model::Segmenter;
use burn::data::dataloader::{DataLoaderIterator, Progress};
use burn::data::dataset::DatasetError;
use burn::module::Module;
use burn::optim::{GradientsAccumulator, GradientsParams};
use burn::tensor::{Device, ExecutionError};
use burn::train::train::MultiDevicesTrainStep;
use burn::train::{InferenceStep, ItemLazy, TrainOutput, TrainStep};

/// The devices of a run and their threads, which end with this.
pub(super) struct DataParallel {
    devices: Vec<Device>,
    step: MultiDevicesTrainStep<Worker>,
    copies: Copies,
}

impl DataParallel {
    /// `devices` without autodiff, the one that gradients come together on first.
    pub(super) fn new(devices: &[Device]) -> Result<Self> {
        Ok(Self { devices: devices.to_vec(), step: MultiDevicesTrainStep::new(devices), copies: Copies::new(devices) })
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
        let newest = self.copies.newest(model);
        let mut loaders: Vec<Box<dyn DataLoaderIterator<Task> + '_>> = Vec::with_capacity(self.devices.len());
        for (index, device) in self.devices.iter().enumerate() {
            let (share, newest) = (&share, &newest);
            let next = parts.get(index).map(|indices| {
                move || {
                    let share = share(indices, weight * portion(indices), device);
                    let model = self.copies.on(index, newest);
                    Task { index, share, model: Box::new(model) }
                }
            });
            loaders.push(Box::new(Loader { next }));
        }
        let (outputs, _) =
            self.step.step(&mut loaders, &Worker {}).map_err(|error| TrainError::Model(error.to_string()))?;
        let mut outputs: Vec<_> = outputs.into_iter().map(|output| output.output).collect();
        outputs.sort_by_key(|output| output.item.index);
        let (mut sum, mut loss) = (GradientsAccumulator::new(), 0.0);
        for ((TrainOutput { grads, item }, indices), device) in outputs.into_iter().zip(&parts).zip(&self.devices) {
            loss += item.loss? * portion(indices) as f32;
            sum.accumulate(model, moved(grads, model, [device, &self.devices[0]]));
        }
        Ok((sum.grads(), loss))
    }
}

/// One device's part of a step.
struct Task {
    index: usize,
    share: Share,
    /// Makes the model on the device, trainable.
    model: Box<dyn FnOnce() -> Segmenter + Send>,
}

/// The loader of one device for one step: its share, made when it is asked for.
struct Loader<F> {
    next: Option<F>,
}

impl<F: FnOnce() -> Task> Iterator for Loader<F> {
    type Item = std::result::Result<Task, DatasetError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next.take().map(|make| Ok(make()))
    }
}

impl<F: FnOnce() -> Task> DataLoaderIterator<Task> for Loader<F> {
    fn progress(&self) -> Progress {
        Progress::new(usize::from(self.next.is_none()), 1, None)
    }
}

/// What burn-train takes for the model that it sends about: nothing, since each task brings its own.
#[derive(Module, Debug)]
struct Worker {}

struct Answer {
    index: usize,
    loss: Result<f32>,
}

impl ItemLazy for Answer {
    fn sync(self) -> std::result::Result<Self, ExecutionError> {
        Ok(self)
    }
}

impl TrainStep for Worker {
    type Input = Task;
    type Output = Answer;

    fn step(&self, Task { index, share, model }: Task) -> TrainOutput<Answer> {
        let (grads, loss) = match share.gradients(&model()) {
            Ok((grads, loss)) => (grads, Ok(loss)),
            Err(error) => (GradientsParams::new(), Err(error)),
        };
        TrainOutput { grads, item: Answer { index, loss } }
    }
}

/// burn-train asks every model for both steps; the loop validates by itself.
impl InferenceStep for Worker {
    type Input = Task;
    type Output = Answer;

    fn step(&self, task: Task) -> Answer {
        TrainStep::step(self, task).item
    }
}
