//! A tensor that lies on a disk.

use burn::tensor::{DType, Device, Shape, Tensor, TensorData};
use std::io;
use std::path::Path;

/// The values of an `f32` tensor in an unnamed file, which ends with the last copy of this and the last CPU tensor made of it, or with
/// the process.
#[derive(Clone, Debug)]
pub struct Stored {
    #[cfg(feature = "cpu")]
    file: std::sync::Arc<cpu_kernels::FileBacked>,
    /// There is none without the CPU backend.
    #[cfg(not(feature = "cpu"))]
    never: std::convert::Infallible,
    shape: Shape,
}

impl Stored {
    /// Writes the values of a tensor (of any device; in `f32`) to an unnamed file on the disk of `folder`.
    ///
    /// # Errors
    /// The folder cannot be written, its disk is full, the values cannot be read, or the system maps no unnamed files (any but Unix, and
    /// builds without the CPU backend).
    pub fn new<const D: usize>(tensor: Tensor<D>, folder: &Path) -> io::Result<Self> {
        let data = tensor.without_autodiff().try_into_data();
        let data = data.map_err(|error| io::Error::other(format!("the values cannot be read: {error:?}")))?;
        Self::of(&data.convert_dtype(DType::F32), folder)
    }

    #[cfg(feature = "cpu")]
    pub(crate) fn of(data: &TensorData, folder: &Path) -> io::Result<Self> {
        let file = std::sync::Arc::new(cpu_kernels::FileBacked::new(folder, data.as_bytes())?);
        Ok(Self { file, shape: data.shape().clone() })
    }

    #[cfg(not(feature = "cpu"))]
    pub(crate) fn of(_data: &TensorData, _folder: &Path) -> io::Result<Self> {
        Err(io::Error::new(io::ErrorKind::Unsupported, "tensors are stored by builds with the CPU backend alone"))
    }

    /// The tensor on `device`. On a CPU nothing is copied: pages come from the disk when they are read.
    ///
    /// # Panics
    /// If it has another number of dimensions.
    #[cfg(feature = "cpu")]
    pub fn tensor<const D: usize>(&self, device: &Device) -> Tensor<D> {
        use burn::tensor::{AllocationProperty, Bytes};
        let bytes = Bytes::from_shared(bytes::Bytes::from_owner(Owner(self.file.clone())), AllocationProperty::File);
        let data = TensorData::from_bytes(bytes, self.shape.clone(), DType::F32);
        Tensor::from_data(data, (device, DType::F32))
    }

    /// The tensor on `device`: there is none in this build.
    ///
    /// # Panics
    /// Never: nothing can be [stored](Self::new).
    #[cfg(not(feature = "cpu"))]
    pub fn tensor<const D: usize>(&self, _device: &Device) -> Tensor<D> {
        match self.never {}
    }

    /// Bytes on the disk.
    pub fn bytes(&self) -> usize {
        4 * self.shape.num_elements()
    }

    /// Gives the pages that were read back to the system.
    pub fn release(&self) {
        #[cfg(feature = "cpu")]
        self.file.release();
    }

    #[cfg(feature = "cpu")]
    pub(crate) fn file(&self) -> &std::sync::Arc<cpu_kernels::FileBacked> {
        &self.file
    }
}

/// What keeps the bytes of a tensor.
#[cfg(feature = "cpu")]
struct Owner(std::sync::Arc<cpu_kernels::FileBacked>);

#[cfg(feature = "cpu")]
impl AsRef<[u8]> for Owner {
    fn as_ref(&self) -> &[u8] {
        (*self.0).as_ref()
    }
}
