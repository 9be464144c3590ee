//! What a run needs of the folder that it writes into, checked before hours are spent.

use crate::error::{Result, TrainError};
use std::path::Path;

/// Makes `folder` where it is missing and checks that files can be written in it and that its disk has `bytes` to spare.
///
/// # Errors
/// The folder cannot be made or written (a read-only one, for one), or its disk has less room ([`TrainError::NoRoom`]).
pub fn check_room(folder: &Path, bytes: u64) -> Result<()> {
    std::fs::create_dir_all(folder).map_err(TrainError::io("cannot create", folder))?;
    tempfile::tempfile_in(folder).map_err(TrainError::io("cannot write in", folder))?;
    let free = fs4::available_space(folder).map_err(TrainError::io("cannot ask for the free space of", folder))?;
    if free < bytes {
        return Err(TrainError::NoRoom { path: folder.to_path_buf(), needed: megabytes(bytes), free: megabytes(free) });
    }
    Ok(())
}

/// Rounded up, so that "needed" is never shown as no more than "free".
fn megabytes(bytes: u64) -> u64 {
    bytes.div_ceil(1_000_000)
}

#[cfg(test)]
mod tests {
    use super::check_room;
    use crate::error::TrainError;

    #[test]
    fn a_disk_without_room_is_named_with_what_is_needed() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("made/on/the/way");
        check_room(&place, 1).unwrap();
        let error = check_room(&place, u64::MAX).unwrap_err();
        assert!(matches!(&error, TrainError::NoRoom { needed, free, .. } if needed > free), "{error}");
        let message = error.to_string();
        assert!(message.contains("made/on/the/way") && message.contains("18446744073710 MB"), "{message}");
        // Nothing is left behind.
        assert_eq!(std::fs::read_dir(&place).unwrap().count(), 0);
    }
}
