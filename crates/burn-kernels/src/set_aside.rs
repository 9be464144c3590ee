//! Stored weights that are rarely read, moved out of memory.

use burn::module::Module;
use std::io;
use std::path::Path;

/// Moves the stored values of some parameters of `module` (`wanted` is asked with their paths) into unnamed files on the disk of `folder`;
/// the module and the bytes that were moved.
///
/// The module stays what it was: every parameter keeps its identity, and whoever reads its values gets the same bits, from the disk and
/// not from memory. Copies of a parameter that were made before keep their memory. Parameters on other devices than the CPU
/// (a device with autodiff is another one) and of other types than `f32` are left as they are; of a reparameterised one the stored base moves.
///
/// # Errors
/// The folder cannot be written, its disk is full, or the system maps no unnamed files (any but Unix).
#[cfg(feature = "cpu")]
pub fn set_aside<M: Module>(module: M, folder: &Path, wanted: impl Fn(&str) -> bool) -> io::Result<(M, usize)> {
    let mut mover = cpu::Mover::new(folder, wanted);
    let module = module.map(&mut mover);
    mover.finish().map(|bytes| (module, bytes))
}

/// Leaves everything in memory: this build has no CPU backend.
///
/// # Errors
/// None.
#[cfg(not(feature = "cpu"))]
pub fn set_aside<M: Module>(module: M, _folder: &Path, _wanted: impl Fn(&str) -> bool) -> io::Result<(M, usize)> {
    Ok((module, 0))
}

/// Gives the memory of weights that were [set aside](set_aside) and read since back to the system, and that of [packed
/// copies](crate::keep_packed) of weights that are gone. Worth calling after whatever read or replaced large ones; it costs microseconds.
pub fn release_set_aside() {
    #[cfg(feature = "cpu")]
    cpu::release();
    crate::packed_bytes();
}

#[cfg(feature = "cpu")]
mod cpu {
    use crate::Stored;
    use burn::backend::DispatchDevice;
    use burn::module::{ModuleMapper, Param};
    use burn::tensor::{DType, Tensor};
    use cpu_kernels::FileBacked;
    use std::io;
    use std::path::Path;
    use std::sync::{Arc, Mutex, PoisonError, Weak};

    /// The files of this process; those whose last tensor is gone are dropped at the next release.
    static FILES: Mutex<Vec<Weak<FileBacked>>> = Mutex::new(Vec::new());

    pub(super) fn release() {
        FILES.lock().unwrap_or_else(PoisonError::into_inner).retain(|file| match file.upgrade() {
            Some(file) => {
                file.release();
                true
            }
            None => false,
        });
    }

    pub(super) struct Mover<'a, F> {
        folder: &'a Path,
        wanted: F,
        path: Vec<String>,
        bytes: usize,
        failure: Option<io::Error>,
    }

    impl<'a, F: Fn(&str) -> bool> Mover<'a, F> {
        pub(super) fn new(folder: &'a Path, wanted: F) -> Self {
            Self { folder, wanted, path: Vec::new(), bytes: 0, failure: None }
        }

        pub(super) fn finish(self) -> io::Result<usize> {
            self.failure.map_or(Ok(self.bytes), Err)
        }

        fn moved<const D: usize>(&mut self, tensor: Tensor<D>) -> Tensor<D> {
            let device = tensor.device();
            let on_cpu =
                !device.is_autodiff() && matches!(device.as_dispatch().clone().inner(), DispatchDevice::Flex(_));
            if !on_cpu || tensor.dtype() != DType::F32 || tensor.shape().num_elements() == 0 || self.failure.is_some() {
                return tensor;
            }
            match Stored::of(&tensor.clone().into_data(), self.folder) {
                Ok(stored) => {
                    self.bytes += stored.bytes();
                    FILES.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::downgrade(stored.file()));
                    stored.tensor(&device)
                }
                Err(error) => {
                    self.failure = Some(error);
                    tensor
                }
            }
        }
    }

    impl<F: Fn(&str) -> bool> ModuleMapper for Mover<'_, F> {
        fn enter_module(&mut self, name: &str, _container_type: &str) {
            self.path.push(name.to_owned());
        }

        fn exit_module(&mut self, _name: &str, _container_type: &str) {
            self.path.pop();
        }

        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            if (self.wanted)(&self.path.join(".")) { param.map(|tensor| self.moved(tensor)) } else { param }
        }
    }
}
