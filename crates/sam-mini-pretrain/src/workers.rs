//! Threads that share the work of a step.

use burn::module::Module;
use burn::optim::{GradientsAccumulator, GradientsParams};
use burn::tensor::{Device, Tensor};
use medseg_train::gradients::replica;
use medseg_train::{Result, TrainError};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Threads that each own a rayon pool of one thread: a shard's tensor operations then stay on the shard's thread, instead of
/// every operation being split over all cores, which keeps a small model busy on one core and waiting on the other.
#[derive(Debug)]
pub(crate) struct Workers {
    pools: Vec<rayon::ThreadPool>,
}

impl Workers {
    pub(crate) fn new(threads: usize) -> Result<Self> {
        let pool = |_| rayon::ThreadPoolBuilder::new().num_threads(1).build();
        let pools = (0..threads.max(1)).map(pool).collect::<std::result::Result<Vec<_>, _>>();
        let pools = pools.map_err(|error| TrainError::Model(format!("cannot start {threads} threads: {error}")))?;
        Ok(Self { pools })
    }

    /// Applies `work` to 0..count, spread over the threads; results in order.
    pub(crate) fn map<T: Send>(&self, count: usize, work: impl Fn(usize) -> Result<T> + Sync) -> Result<Vec<T>> {
        let next = AtomicUsize::new(0);
        let done = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for pool in &self.pools {
                scope.spawn(|| {
                    loop {
                        let index = next.fetch_add(1, Ordering::Relaxed);
                        if index >= count {
                            return;
                        }
                        let result = pool.install(|| work(index));
                        done.lock().unwrap_or_else(PoisonError::into_inner).push((index, result));
                    }
                });
            }
        });
        let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
        done.sort_by_key(|(index, _)| *index);
        done.into_iter().map(|(_, result)| result).collect()
    }

    /// The sum of the gradients of `loss(copy of the module on device, shard)` over 0..shards, and the sums of the values that go with
    /// each loss. Shards are added in their order, so the sum has the same bits on any number of threads.
    pub(crate) fn gradients<M: Module + Send + Sync, const N: usize>(
        &self,
        module: &M,
        shards: usize,
        device: &Device,
        loss: impl Fn(&M, usize) -> Result<(Tensor<1>, [f64; N])> + Sync,
    ) -> Result<(GradientsParams, [f64; N])> {
        let plain = device.clone().without_autodiff();
        let copies: Vec<M> = (0..shards).map(|_| replica(module, &plain)).collect();
        let parts = self.map(shards, |shard| {
            let (loss, values) = loss(&copies[shard], shard)?;
            Ok((GradientsParams::from_grads(loss.backward(), &copies[shard]), values))
        })?;
        let mut sum = GradientsAccumulator::new();
        let mut totals = [0.0; N];
        for (grads, values) in parts {
            sum.accumulate(module, grads);
            totals.iter_mut().zip(values).for_each(|(total, value)| *total += value);
        }
        Ok((sum.grads(), totals))
    }
}

#[cfg(test)]
mod tests {
    use super::{Device, Module, TrainError, Workers};
    use burn::module::Param;
    use burn::tensor::Tensor;

    #[derive(Module, Debug)]
    struct One {
        weight: Param<Tensor<1>>,
    }

    #[test]
    fn sums_are_the_same_on_any_number_of_threads() {
        let device = Device::flex().autodiff();
        let module = One { weight: Param::from_tensor(Tensor::from_floats([0.3, -0.7], &device)) };
        let sum = |threads| {
            let workers = Workers::new(threads).unwrap();
            let (grads, [total]) = workers
                .gradients(&module, 7, &device, |copy, shard| {
                    let factor = 0.1 + shard as f64;
                    Ok(((copy.weight.val() * factor).exp().sum(), [factor]))
                })
                .unwrap();
            (grads.get::<1>(module.weight.id).unwrap().into_data().iter::<f32>().collect::<Vec<_>>(), total)
        };
        let (grads, total) = sum(1);
        let expected: f64 = (0..7).map(|k| (0.1 + f64::from(k)) * (0.3 * (0.1 + f64::from(k))).exp()).sum();
        assert!((f64::from(grads[0]) - expected).abs() < 1e-4, "{} against {expected}", grads[0]);
        assert!((total - 21.7).abs() < 1e-9);
        assert_eq!(sum(3), (grads, total));
    }

    #[test]
    fn the_first_failure_is_returned() {
        let workers = Workers::new(2).unwrap();
        let work = |index| if index == 3 { Err(TrainError::Model("three".into())) } else { Ok(index) };
        assert_eq!(workers.map(3, work).unwrap(), [0, 1, 2]);
        assert!(workers.map(9, work).unwrap_err().to_string().contains("three"));
    }
}
