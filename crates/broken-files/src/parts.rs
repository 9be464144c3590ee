//! Several files in one input.

/// Stands between the files of an input that is a folder.
pub const DIVIDER: &[u8] = b"\0--8<--\n";

/// An input of several files.
pub fn joined(files: &[&[u8]]) -> Vec<u8> {
    files.join(DIVIDER)
}

/// The files of an input, the last ones empty where there are fewer than `N`; what follows the last divider belongs to the last file.
pub(crate) fn divided<const N: usize>(bytes: &[u8]) -> [&[u8]; N] {
    let mut rest = bytes;
    let mut parts = [&[][..]; N];
    for (index, part) in parts.iter_mut().enumerate() {
        let end = rest.windows(DIVIDER.len()).position(|window| window == DIVIDER).filter(|_| index + 1 < N);
        *part = &rest[..end.unwrap_or(rest.len())];
        rest = end.map_or(&[], |end| &rest[end + DIVIDER.len()..]);
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::{divided, joined};

    #[test]
    fn what_was_joined_is_divided() {
        let whole = joined(&[b"one", b"", b"three"]);
        assert_eq!(divided::<3>(&whole), [b"one".as_slice(), b"", b"three"]);
        assert_eq!(divided::<4>(&whole), [b"one".as_slice(), b"", b"three", b""]);
        assert_eq!(divided::<1>(&whole), [whole.as_slice()]);
        assert_eq!(divided::<2>(&whole)[1], joined(&[b"", b"three"]));
    }
}
