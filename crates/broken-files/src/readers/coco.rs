//! COCO json.

use medseg_data::coco::Coco;
use medseg_data::decode::Limits;
use std::path::Path;

/// Sides of up to 512 px, so that a fuzzer sees many files in a second.
fn limits() -> Limits {
    Limits { max_side: 512, ..Limits::default() }
}

pub(crate) fn coco(bytes: &[u8]) {
    let path = Path::new("annotations.json");
    let Ok(file) = Coco::parse(path, bytes, &limits()) else { return };
    for image in &file.images {
        assert!(
            (1..=512).contains(&image.width) && (1..=512).contains(&image.height),
            "{} x {}",
            image.width,
            image.height
        );
        assert!(!image.file_name.contains(['/', '\\']), "{:?}", image.file_name);
        let all = image.mask(None).expect("checked regions fill a mask");
        assert_eq!(all.size(), (image.height, image.width));
        // The union of the categories is the whole.
        let categories: std::collections::BTreeSet<&String> =
            image.regions.iter().map(|region| &region.category).collect();
        let mut union = medseg_metrics::Mask::new(image.height, image.width).expect("a size within the limits");
        for category in categories {
            let own = image.mask(Some(std::slice::from_ref(category))).expect("checked regions fill a mask");
            union.unite(&own).expect("the same size");
        }
        assert!(union == all, "image {}: the categories together are not the whole", image.id);
    }
}
