//! Files that labelling programs leave instead of masks: named, so that nobody wonders why they count for nothing.

use crate::names::{entries, name_of, sub_folders};
use std::io::Read;
use std::path::{Path, PathBuf};

/// Bytes at the start of a file that are looked at.
const HEAD: u64 = 4096;
/// Levels of folders, and folders of one level, that are looked through.
const DEPTH: usize = 3;
const FOLDERS_A_LEVEL: usize = 64;

/// What a labelling program wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// One json a picture, with `shapes`.
    LabelMe,
    /// One json for all pictures.
    Coco,
    /// XML of CVAT, of Pascal VOC, or of the older LabelMe.
    Xml,
}

/// What a file is by its extension and first bytes.
fn kind(path: &Path) -> Option<Kind> {
    let extension = path.extension()?.to_ascii_lowercase();
    if extension != "json" && extension != "xml" {
        return None;
    }
    let mut head = Vec::new();
    std::fs::File::open(path).ok()?.take(HEAD).read_to_end(&mut head).ok()?;
    let head = String::from_utf8_lossy(&head);
    let has = |word: &str| head.contains(word);
    match () {
        () if extension == "xml" && (has("<annotation>") || has("<annotations>")) => Some(Kind::Xml),
        () if has("\"shapes\"") || has("\"imagePath\"") => Some(Kind::LabelMe),
        () if has("\"categories\"") || has("\"annotations\"") || (has("\"info\"") && has("\"licenses\"")) => {
            Some(Kind::Coco)
        }
        () => None,
    }
}

/// The first annotation file at or below a folder.
fn first(root: &Path) -> Option<(PathBuf, Kind)> {
    let mut level = vec![root.to_owned()];
    for _ in 0..=DEPTH {
        let files = level.iter().flat_map(|folder| entries(folder).unwrap_or_default());
        if let Some(found) = files.filter(|path| path.is_file()).find_map(|path| kind(&path).map(|kind| (path, kind))) {
            return Some(found);
        }
        level = level.iter().flat_map(|folder| sub_folders(folder)).take(FOLDERS_A_LEVEL).collect();
    }
    None
}

/// What to say of annotations in a folder that is no data set as it is.
pub(super) fn hint(root: &Path) -> Option<String> {
    let (path, kind) = first(root)?;
    let place = path.strip_prefix(root).unwrap_or(&path).display();
    Some(match kind {
        Kind::Coco => format!(
            "{place} is a COCO file: those are read in ARCADE's layout, syntax/train/images/... beside \
             syntax/train/annotations/NAME.json (train, val or test)"
        ),
        Kind::LabelMe | Kind::Xml => {
            format!(
                "{place} holds outlines of a labelling program, which are not read: let it export masks as images, or COCO"
            )
        }
    })
}

/// What to say of the annotations of one image that has no mask.
pub(super) fn beside(image: &Path) -> Option<String> {
    let file = ["json", "xml"].map(|e| image.with_extension(e)).into_iter().find(|path| kind(path).is_some())?;
    Some(format!("{} beside it holds outlines of a labelling program, which are not read", name_of(&file)))
}
