//! One batch on several devices: each computes the gradients of its part of the images on a thread of its own, and the first adds them up.
//!
//! Images are prepared here, device by device, so that the first computes while those of the next are prepared. Gradients are added in the
//! order of the devices, not in that in which they finish, so that a sum has the same bits every time. What is frozen does not travel at
//! every step: each device keeps a [copy](Copies) of the model, which gets the values of what is trained.

use super::copies::{Copies, moved};
use super::share::Share;
use crate::error::Result;
use crate::model::Segmenter;
use burn::optim::{GradientsAccumulator, GradientsParams};
use burn::tensor::Device;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

/// The devices of a run and their threads, which end with this.
pub(super) struct DataParallel {
    devices: Vec<Device>,
    workers: Vec<Worker>,
    copies: Copies,
}

impl DataParallel {
    /// `devices` without autodiff, the one that gradients come together on first.
    pub(super) fn new(devices: &[Device]) -> Self {
        let workers = devices.iter().map(|_| Worker::start()).collect();
        Self { devices: devices.to_vec(), workers, copies: Copies::new(devices) }
    }

    /// Gradients of `weight` times the mean loss of some images, on the first device, and that loss. `share` makes a
    /// device's part from its images and its weight.
    ///
    /// # Panics
    /// If a device's computation panicked.
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
        for (index, indices) in parts.iter().enumerate() {
            let share = share(indices, weight * portion(indices), &self.devices[index]);
            self.workers[index].give(Task { share, model: Box::new(self.copies.on(index, &newest)) });
        }
        // All answers are taken before one is looked at: none is left for the next step.
        let answers: Vec<Answer> = self.workers.iter().zip(&parts).map(|(worker, _)| worker.take()).collect();
        let (mut sum, mut loss) = (GradientsAccumulator::new(), 0.0);
        for ((answer, indices), device) in answers.into_iter().zip(&parts).zip(&self.devices) {
            let (gradients, mean) = answer.unwrap_or_else(|panic| resume_unwind(panic))?;
            loss += mean * portion(indices) as f32;
            sum.accumulate(model, moved(gradients, model, [device, &self.devices[0]]));
        }
        Ok((sum.grads(), loss))
    }
}

/// One device's part of a step.
struct Task {
    share: Share,
    /// Makes the model on the device, trainable.
    model: Box<dyn FnOnce() -> Segmenter + Send>,
}

/// Gradients and loss of a task, or what it panicked with.
type Answer = thread::Result<Result<(GradientsParams, f32)>>;

/// The thread of one device. It stays for the run: a GPU's backend keeps memory and a queue for each thread that it has seen.
struct Worker {
    tasks: Sender<Task>,
    answers: Receiver<Answer>,
}

impl Worker {
    fn start() -> Self {
        let (tasks, to_do) = channel::<Task>();
        let (done, answers) = channel();
        thread::spawn(move || {
            for Task { share, model } in to_do {
                let answer = catch_unwind(AssertUnwindSafe(|| share.gradients(&model())));
                if done.send(answer).is_err() {
                    break;
                }
            }
        });
        Self { tasks, answers }
    }

    fn give(&self, task: Task) {
        self.tasks.send(task).expect("the thread waits for tasks as long as this lives");
    }

    fn take(&self) -> Answer {
        self.answers.recv().expect("the thread answers every task")
    }
}
