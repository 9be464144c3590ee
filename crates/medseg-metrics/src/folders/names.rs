//! Which files of a folder are the user's, and when two names are the same.
//!
//! These two rules hold for every folder that this workspace reads.

use std::borrow::Cow;
use std::ffi::OsStr;
use unicode_normalization::{UnicodeNormalization, is_nfc};

/// What operating systems, file servers and archive programs leave between the files of a user, lower case.
const LEFT_BY_SYSTEMS: [&str; 5] = ["thumbs.db", "ehthumbs.db", "desktop.ini", "__macosx", "@eadir"];

/// Whether a file or folder of this name is none of the user's own and is passed over: its name starts with a full stop
/// (hidden files, and the `._NAME` companions that macOS writes on foreign disks), or it is `Thumbs.db`, `ehthumbs.db`,
/// `desktop.ini`, `__MACOSX` or `@eaDir` in any case.
///
/// ```
/// use medseg_metrics::folders::names::is_system_file;
/// assert!(["._a.png", ".DS_Store", ".git", "Thumbs.db", "DESKTOP.INI", "__MACOSX"].iter().all(is_system_file));
/// assert!(!["a.png", "thumbs.db.png", "_a.png", "a.b.png", "MACOSX"].iter().any(is_system_file));
/// ```
pub fn is_system_file(name: impl AsRef<OsStr>) -> bool {
    let name = name.as_ref().to_string_lossy();
    name.starts_with('.') || LEFT_BY_SYSTEMS.iter().any(|other| name.eq_ignore_ascii_case(other))
}

/// `name` in Unicode's composed form (NFC), in which names are compared: macOS may store "é" as "e" with an accent, other
/// systems store one character, and a reader sees the same name. Borrowed where it has that form already.
///
/// ```
/// use medseg_metrics::folders::names::composed;
/// assert_eq!(composed("re\u{301}tine_1"), composed("r\u{e9}tine_1"));
/// assert_eq!(composed("a_1"), "a_1");
/// ```
pub fn composed(name: &str) -> Cow<'_, str> {
    if is_nfc(name) { Cow::Borrowed(name) } else { Cow::Owned(name.nfc().collect()) }
}
