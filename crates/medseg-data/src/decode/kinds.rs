//! Which files are images, by their names. What is in a file of an image's name is told by its content.

use std::path::Path;

/// Extensions of image files that are read, lower case.
const READ: [&str; 11] = ["png", "jpg", "jpeg", "tif", "tiff", "gif", "bmp", "pgm", "ppm", "pbm", "pnm"];

/// Extensions of image files that are not read, lower case, with the name of their format.
const UNREAD: [(&str, &str); 27] = [
    ("webp", "WebP"),
    ("avif", "AVIF"),
    ("heic", "HEIF"),
    ("heif", "HEIF"),
    ("jp2", "JPEG 2000"),
    ("j2k", "JPEG 2000"),
    ("jpx", "JPEG 2000"),
    ("jxl", "JPEG XL"),
    ("jls", "JPEG-LS"),
    ("dcm", "DICOM"),
    ("dicom", "DICOM"),
    ("nii", "NIfTI"),
    ("nii.gz", "NIfTI"),
    ("mha", "MetaImage"),
    ("mhd", "MetaImage"),
    ("nrrd", "NRRD"),
    ("svs", "whole-slide"),
    ("ndpi", "whole-slide"),
    ("czi", "CZI"),
    ("exr", "OpenEXR"),
    ("hdr", "Radiance"),
    ("tga", "TGA"),
    ("pam", "PAM"),
    ("pfm", "PFM"),
    ("xcf", "GIMP"),
    ("psd", "Photoshop"),
    ("npy", "NumPy"),
];

/// What a file is by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileKind {
    /// An image in a format that is read.
    Image,
    /// An image in a format that is not read, which has this name.
    UnreadImage(&'static str),
    /// Anything else.
    Other,
}

impl FileKind {
    /// By the extension, in capitals or not.
    ///
    /// ```
    /// use medseg_data::decode::FileKind;
    /// assert_eq!(FileKind::of("a/17.PNG"), FileKind::Image);
    /// assert_eq!(FileKind::of("17.nii.gz"), FileKind::UnreadImage("NIfTI"));
    /// assert_eq!(FileKind::of(".png"), FileKind::Other);
    /// ```
    pub fn of(path: impl AsRef<Path>) -> Self {
        let name = path.as_ref().file_name().map(|name| name.to_string_lossy().to_ascii_lowercase());
        let name = name.as_deref().unwrap_or_default();
        let ends = |extension: &str| {
            name.strip_suffix(extension).and_then(|n| n.strip_suffix('.')).is_some_and(|n| !n.is_empty())
        };
        if READ.iter().any(|extension| ends(extension)) {
            return Self::Image;
        }
        let unread = UNREAD.iter().find(|(extension, _)| ends(extension));
        unread.map_or(Self::Other, |&(_, format)| Self::UnreadImage(format))
    }
}

/// What is said of an image in a format that is not read.
pub fn not_read(format: &str) -> String {
    format!("{format} images are not read; expected png, jpeg, tiff, gif, bmp or pnm")
}
