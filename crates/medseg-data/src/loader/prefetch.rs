//! Work ahead in parallel, hand over in order.

use super::{Batch, Shared};
use crate::error::{DataError, Result};
use crate::transform::Item;
use burn::tensor::Device;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};

/// The finished samples of an epoch, in order.
#[derive(Debug)]
pub struct Items {
    shared: Arc<Shared>,
    order: std::vec::IntoIter<usize>,
    ahead: usize,
    seed: u64,
    epoch: u64,
    running: VecDeque<Receiver<Result<Item>>>,
}

impl Items {
    pub(super) fn new(shared: Arc<Shared>, order: Vec<usize>, ahead: usize, seed: u64, epoch: u64) -> Self {
        Self { shared, order: order.into_iter(), ahead: ahead.max(1), seed, epoch, running: VecDeque::new() }
    }

    fn fill(&mut self) {
        while self.running.len() < self.ahead {
            let Some(index) = self.order.next() else { return };
            let (sender, receiver) = sync_channel(1);
            let (shared, seed, epoch) = (Arc::clone(&self.shared), self.seed, self.epoch);
            self.shared.pool.spawn_fifo(move || {
                // The receiver is gone when the epoch was abandoned: nobody wants the result then.
                let _ = sender.send(shared.item(index, seed, epoch));
            });
            self.running.push_back(receiver);
        }
    }
}

impl Iterator for Items {
    type Item = Result<Item>;

    fn next(&mut self) -> Option<Self::Item> {
        self.fill();
        let received = self.running.pop_front()?.recv();
        self.fill();
        Some(received.unwrap_or_else(|_| {
            Err(DataError::config("workers", "worker threads that finish", "a worker thread that died"))
        }))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.order.len() + self.running.len();
        (left, Some(left))
    }
}

impl ExactSizeIterator for Items {}

/// The batches of an epoch, in order.
#[derive(Debug)]
pub struct Batches {
    items: Items,
    batch_size: usize,
    device: Device,
}

impl Batches {
    pub(super) fn new(items: Items, batch_size: usize, device: Device) -> Self {
        Self { items, batch_size, device }
    }
}

impl Iterator for Batches {
    type Item = Result<Batch>;

    fn next(&mut self) -> Option<Self::Item> {
        // The whole batch is taken off before an error is reported, so that the following batches keep their place.
        let taken: Vec<Result<Item>> = self.items.by_ref().take(self.batch_size).collect();
        if taken.is_empty() {
            return None;
        }
        let items: Result<Vec<Item>> = taken.into_iter().collect();
        Some(items.and_then(|items| Batch::new(&items, &self.device)))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.items.len().div_ceil(self.batch_size);
        (left, Some(left))
    }
}

impl ExactSizeIterator for Batches {}
