//! Bytes that lie in a file and come into memory when they are read.

use std::io;
use std::path::Path;

/// Bytes in a file without a name, mapped into memory: the system reads a page when it is touched, and takes it back when memory is
/// scarce or when it is [released](Self::release). The file ends with the last owner of this, or with the process, however that ends.
///
/// ```
/// # #[cfg(unix)] {
/// let bytes: Vec<u8> = (0..=255).cycle().take(100_000).collect();
/// let stored = cpu_kernels::FileBacked::new(&std::env::temp_dir(), &bytes)?;
/// stored.release();
/// assert_eq!(stored.as_ref(), bytes);
/// # }
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct FileBacked {
    #[cfg(unix)]
    map: memmap2::Mmap,
    #[cfg(not(unix))]
    never: std::convert::Infallible,
}

impl FileBacked {
    /// Writes `bytes` to an unnamed file on the disk of `folder`. They start at a page.
    ///
    /// # Errors
    /// The folder cannot be written, its disk is full, or the system has no such files (any but Unix).
    #[cfg(unix)]
    pub fn new(folder: &Path, bytes: &[u8]) -> io::Result<Self> {
        use io::Write;
        if bytes.is_empty() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "expected some bytes to store, found none"));
        }
        let mut file = tempfile::tempfile_in(folder)?;
        file.write_all(bytes)?;
        // SAFETY: the file has no name, so no other process can open it, and this one drops its only handle here: the bytes under the
        // map never change and never get fewer.
        let map = unsafe { memmap2::Mmap::map(&file) }?;
        Ok(Self { map })
    }

    /// Fails: this system has no such files.
    ///
    /// # Errors
    /// Always.
    #[cfg(not(unix))]
    pub fn new(_folder: &Path, _bytes: &[u8]) -> io::Result<Self> {
        Err(io::Error::new(io::ErrorKind::Unsupported, "unnamed files are mapped on Unix alone"))
    }

    /// Gives the pages that were read back to the system; the next read fetches them again.
    pub fn release(&self) {
        #[cfg(unix)]
        {
            // SAFETY: the map is read-only, shared with a file that never changes: a page that is dropped comes back with the same bytes.
            // A refusal leaves everything as it is.
            let _ = unsafe { self.map.unchecked_advise(memmap2::UncheckedAdvice::DontNeed) };
        }
    }
}

impl AsRef<[u8]> for FileBacked {
    fn as_ref(&self) -> &[u8] {
        #[cfg(unix)]
        {
            &self.map
        }
        #[cfg(not(unix))]
        match self.never {}
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::FileBacked;

    #[test]
    fn bytes_stay_the_same_through_releases_and_leave_no_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let bytes: Vec<u8> = (0..3_000_001u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        let stored = FileBacked::new(folder.path(), &bytes).expect("room for three megabytes");
        assert_eq!(std::fs::read_dir(folder.path()).expect("the folder").count(), 0);
        for _ in 0..3 {
            assert!(stored.as_ref() == bytes);
            stored.release();
        }
        assert_eq!(stored.as_ref()[2_999_999], bytes[2_999_999]);
    }

    #[test]
    fn what_cannot_be_stored_is_an_error() {
        let folder = tempfile::tempdir().expect("a folder");
        assert!(FileBacked::new(&folder.path().join("absent"), &[1]).is_err());
        assert!(FileBacked::new(folder.path(), &[]).is_err());
    }
}
