//! The words that tell images from masks, in names of folders and of files.

/// Names of folders of images, and what the name of an image may carry beyond that of its mask; see [`plain`].
pub(super) const IMAGES: [&str; 7] = ["image", "images", "img", "imgs", "original", "originals", "jpegimages"];
/// The same of masks.
pub(super) const MASKS: [&str; 20] = [
    "mask",
    "masks",
    "label",
    "labels",
    "gt",
    "gts",
    "annotation",
    "annotations",
    "groundtruth",
    "groundtruths",
    "seg",
    "segs",
    "segmentation",
    "segmentations",
    "segmask",
    "segmentationclass",
    "segmentationclasspng",
    "manual",
    "manual1",
    "1stmanual",
];

/// A name as the lists above have it: `Ground_Truth` is `groundtruth`.
pub(super) fn plain(name: &str) -> String {
    name.chars().filter(|c| !matches!(c, '_' | '-' | ' ')).flat_map(char::to_lowercase).collect()
}

/// A name without one of the words at its end or start, divided from it by `_`, `-` or a blank.
pub(super) fn without_word<'a>(name: &'a str, words: &[&str]) -> Option<&'a str> {
    let divides = |c: char| matches!(c, '_' | '-' | ' ');
    let cuts = || name.match_indices(divides).map(|(at, divider)| (&name[..at], &name[at + divider.len()..]));
    let is_word = |text: &str| words.contains(&plain(text).as_str());
    let kept = cuts().find(|(_, end)| is_word(end)).map(|(kept, _)| kept);
    let kept = kept.or_else(|| cuts().filter(|(start, _)| is_word(start)).map(|(_, kept)| kept).next_back());
    kept.filter(|kept| !kept.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_left_out_only_where_it_stands_apart() {
        for (name, kept) in [
            ("17_mask", Some("17")),
            ("17_Ground_Truth", Some("17")),
            ("label-17", Some("17")),
            ("a_gt_mask", Some("a_gt")),
            ("17mask", None),
            ("masked_17", None),
            ("mask", None),
            ("_mask", None),
            ("mask_", None),
        ] {
            assert_eq!(without_word(name, &MASKS), kept, "{name}");
        }
    }
}
