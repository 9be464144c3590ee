//! Image and mask files.

use crate::scratch::with_files;
use medseg_data::decode::{
    ExifOrientation, ImageOptions, IntensityRange, Limits, MaskPolicy, Pages, decode_image_bytes, decode_mask,
    inspect_image,
};
use std::path::Path;

fn limits() -> Limits {
    Limits { max_file_bytes: 1 << 20, max_side: 1024, max_decoded_bytes: 8 << 20 }
}

pub(crate) fn image(bytes: &[u8]) {
    let path = Path::new("image");
    let plain = decode_image_bytes(path, bytes, &limits(), &ImageOptions::default());
    if let Ok(image) = &plain {
        let (width, height) = image.size();
        assert!((1..=1024).contains(&width) && (1..=1024).contains(&height), "{width} x {height}");
        assert_eq!(image.data().len(), width * height * image.channels());
        let again =
            decode_image_bytes(path, bytes, &limits(), &ImageOptions::default()).expect("it was decoded before");
        assert!(again.data() == image.data(), "the same file gives other pixels");
    }
    let every_choice = ImageOptions {
        range: IntensityRange::Percentiles([1.0, 99.0]),
        pages: Pages::Minimum,
        orientation: ExifOrientation::Apply,
    };
    with_files(&[("image", bytes)], |folder| {
        let path = folder.join("image");
        let inspected = inspect_image(&path, &limits(), &every_choice);
        if let Ok((image, _)) = inspected {
            assert_eq!(image.data().len(), image.width() * image.height() * image.channels());
        }
        if let Ok((decoded, _)) = decode_mask(&path, &limits(), &ImageOptions::default(), &MaskPolicy::default())
            && let Ok(image) = &plain
        {
            assert_eq!((decoded.mask.width(), decoded.mask.height()), image.size());
        }
    });
}
