//! Weights as right factors of products, with packed copies that are kept from product to product.
//!
//! A product packs its right factor: it copies it into the order in which the kernels read it. A frozen weight is the same in every step,
//! and so is any weight while images are predicted. Where there is memory for it, such a copy is kept.
//!
//! A weight is known by the memory that its numbers lie in. An entry holds a weak reference to that memory. As long as it does, nobody can
//! change the numbers where they are, for that takes the only reference, and no other tensor gets the same address. So a weight that the
//! optimiser has changed is another weight. The first product with a weight notes it, and the second packs it: a factor that each
//! step computes anew costs an entry and no memory.

use super::flex::{Strided, Values, precision};
use burn::tensor::Bytes;
use cpu_kernels::{Matrix, Packed, Precision, RightFactor};
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, Weak};

/// A weight, or its transpose, that many products have as their right factor.
pub(super) struct Weight {
    values: Strided,
    is_transposed: bool,
    copy: Option<Arc<Packed>>,
}

impl Weight {
    /// For a product with a left factor of so many rows.
    pub(super) fn new(weight: &Values, rows: usize) -> Self {
        Self::turned(weight, rows, false)
    }

    /// Its transpose, for such a product.
    pub(super) fn transposed(weight: &Values, rows: usize) -> Self {
        Self::turned(weight, rows, true)
    }

    fn turned(weight: &Values, rows: usize, is_transposed: bool) -> Self {
        let weight = Self { values: Strided::new(weight), is_transposed, copy: None };
        Self { copy: weight.kept_copy(rows, precision()), ..weight }
    }

    fn matrix(&self) -> Matrix<'_> {
        let matrix = self.values.view();
        if self.is_transposed { matrix.transposed() } else { matrix }
    }

    pub(super) fn factor(&self) -> RightFactor<'_> {
        match &self.copy {
            Some(copy) => RightFactor::packed(self.matrix(), copy),
            None => self.matrix().into(),
        }
    }

    /// The kept copy; none where there is none, or where no product would read it.
    fn kept_copy(&self, rows: usize, precision: Precision) -> Option<Arc<Packed>> {
        if BUDGET.load(Ordering::Relaxed) == 0 || !Packed::serves(self.matrix(), rows, precision) {
            return None;
        }
        let memory = self.values.0.data_arc();
        let layout = self.values.0.layout();
        let key = Key {
            memory: Arc::as_ptr(&memory).addr(),
            start: layout.start_offset(),
            size: [layout.shape()[0], layout.shape()[1]],
            strides: [layout.strides()[0], layout.strides()[1]],
            is_transposed: self.is_transposed,
            precision,
        };
        {
            let mut store = store();
            match store.entries.get(&key).map(|entry| &entry.copy) {
                None => {
                    store.note(key, &memory);
                    return None;
                }
                Some(Copy::Kept(packed, _)) => return Some(packed.clone()),
                Some(Copy::Awaited(_) | Copy::TooLarge) => return None,
                Some(Copy::Noted) => {}
            }
            if !store.reserve(key, Packed::bytes(self.matrix(), precision), BUDGET.load(Ordering::Relaxed)) {
                return None;
            }
        }
        // Not under the lock: while this thread waits for others to pack their parts, it may take up work that asks for a copy.
        let packed = Arc::new(Packed::new(self.matrix(), precision));
        store().deliver(key, &packed);
        Some(packed)
    }
}

/// Bytes that the copies of this process may take.
static BUDGET: AtomicUsize = AtomicUsize::new(0);

static STORE: LazyLock<Mutex<Store>> = LazyLock::new(Mutex::default);

/// The copies of this process.
#[derive(Default)]
struct Store {
    /// Bytes that they take.
    used: usize,
    entries: HashMap<Key, Entry>,
    /// As soon as there are so many entries, those of weights that are gone are looked for.
    purge_at: usize,
}

/// A matrix in memory as a factor in one precision.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    memory: usize,
    start: usize,
    size: [usize; 2],
    strides: [isize; 2],
    is_transposed: bool,
    precision: Precision,
}

struct Entry {
    memory: Weak<Bytes>,
    copy: Copy,
}

enum Copy {
    /// The weight was multiplied once.
    Noted,
    /// There was no room for it.
    TooLarge,
    /// Somebody packs it, for so many bytes.
    Awaited(usize),
    /// It takes so many bytes.
    Kept(Arc<Packed>, usize),
}

impl Copy {
    fn bytes(&self) -> usize {
        match self {
            Self::Noted | Self::TooLarge => 0,
            Self::Awaited(bytes) | Self::Kept(_, bytes) => *bytes,
        }
    }
}

impl Store {
    /// Forgets weights that are gone, and tries those again that found no room.
    fn purge(&mut self) {
        /// Below that, looking for them is not worth its time.
        const FEW: usize = 1 << 10;
        let before = self.used;
        self.entries.retain(|_, entry| {
            let is_alive = entry.memory.strong_count() > 0;
            if !is_alive {
                self.used -= entry.copy.bytes();
            }
            is_alive
        });
        if self.used < before {
            for entry in self.entries.values_mut().filter(|entry| matches!(entry.copy, Copy::TooLarge)) {
                entry.copy = Copy::Noted;
            }
        }
        self.purge_at = FEW.max(2 * self.entries.len());
    }

    fn note(&mut self, key: Key, memory: &Arc<Bytes>) {
        if self.entries.len() >= self.purge_at {
            self.purge();
        }
        self.entries.insert(key, Entry { memory: Arc::downgrade(memory), copy: Copy::Noted });
    }

    /// Takes so many bytes for a copy of a weight that was noted, if they are there.
    fn reserve(&mut self, key: Key, bytes: usize, budget: usize) -> bool {
        if self.used + bytes > budget {
            self.purge();
        }
        let has_room = self.used + bytes <= budget;
        if let Some(entry) = self.entries.get_mut(&key) {
            entry.copy = if has_room { Copy::Awaited(bytes) } else { Copy::TooLarge };
            self.used += entry.copy.bytes();
        }
        has_room
    }

    /// Keeps a copy whose bytes were reserved. If the store was emptied meanwhile, nothing waits for it, and the product that made it alone has
    /// it.
    fn deliver(&mut self, key: Key, packed: &Arc<Packed>) {
        if let Some(copy) = self.entries.get_mut(&key).map(|entry| &mut entry.copy)
            && let Copy::Awaited(bytes) = *copy
        {
            *copy = Copy::Kept(packed.clone(), bytes);
        }
    }
}

fn store() -> MutexGuard<'static, Store> {
    STORE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// See [`crate::keep_packed`].
pub(crate) fn keep(budget: usize) {
    let mut store = store();
    if BUDGET.swap(budget, Ordering::Relaxed) != budget {
        *store = Store::default();
    }
}

/// See [`crate::packed_bytes`].
pub(crate) fn bytes() -> usize {
    let mut store = store();
    store.purge();
    store.used
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_that_comes_after_its_store_was_emptied_is_not_counted() {
        let memory = Arc::new(Bytes::from_bytes_vec(vec![0; 16]));
        let key = Key {
            memory: Arc::as_ptr(&memory).addr(),
            start: 0,
            size: [2, 2],
            strides: [2, 1],
            is_transposed: false,
            precision: Precision::F32,
        };
        let packed = Arc::new(Packed::new(Matrix::new(&[1.0; 4], 2, 2), Precision::F32));
        let mut store = Store::default();
        store.note(key, &memory);
        assert!(!store.reserve(key, 256, 255) && store.used == 0);
        store.note(key, &memory);
        assert!(store.reserve(key, 256, 256) && store.used == 256);

        // Another budget, and another product that notes the weight, while the copy is made.
        let mut emptied = Store::default();
        emptied.note(key, &memory);
        emptied.deliver(key, &packed);
        assert!(matches!(emptied.entries[&key].copy, Copy::Noted));

        store.deliver(key, &packed);
        assert!(matches!(store.entries[&key].copy, Copy::Kept(_, 256)));
        drop(memory);
        store.purge();
        emptied.purge();
        assert!(store.used == 0 && store.entries.is_empty() && emptied.entries.is_empty());
    }
}
