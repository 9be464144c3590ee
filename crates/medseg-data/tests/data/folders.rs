//! Folders as users have them: names, nestings, what is left out, split tables as programs write them.

use crate::support::{bar, picture};
use medseg_data::check::{ProblemKind, Severity, VerifyOptions, verify};
use medseg_data::dataset::Layout;
use medseg_data::split::SplitTable;
use medseg_data::{DataError, Dataset, OpenOptions, Split};
use std::path::Path;

fn pair(image: impl AsRef<Path>, mask: impl AsRef<Path>, seed: usize) {
    picture(image, 24, 20, seed);
    bar(mask, 24, 20);
}

fn ids(data: &Dataset) -> Vec<&str> {
    data.samples.iter().map(|s| s.id.as_str()).collect()
}

fn counts(data: &Dataset) -> [usize; 3] {
    [Split::Train, Split::Val, Split::Test].map(|split| data.split(split).count())
}

/// The folders that the warnings name, relative to the set.
fn unused(root: &Path, data: &Dataset) -> Vec<String> {
    assert!(data.warnings.iter().all(|w| w.severity == Severity::Warning && w.kind == ProblemKind::Unused));
    data.warnings.iter().map(|w| w.path.strip_prefix(root).unwrap().display().to_string()).collect()
}

fn named(images: Option<&str>, masks: Option<&str>) -> OpenOptions {
    OpenOptions { images: images.map(str::to_owned), masks: masks.map(str::to_owned), ..OpenOptions::default() }
}

fn capitals(name: &str) -> String {
    let (first, rest) = name.split_at(1);
    first.to_uppercase() + rest
}

/// Each name of the lists, small, with a first capital, and in capitals.
fn spelled(names: &[&str]) -> Vec<String> {
    names.iter().flat_map(|n| [(*n).to_owned(), capitals(n), n.to_uppercase()]).collect()
}

const IMAGES: [&str; 4] = ["image", "images", "img", "imgs"];
const MASKS: [&str; 12] = [
    "label",
    "labels",
    "mask",
    "masks",
    "gt",
    "annotation",
    "annotations",
    "groundtruth",
    "ground_truth",
    "seg",
    "Ground Truth",
    "ground-truths",
];
const PARTS: [(&str, Split); 7] = [
    ("train", Split::Train),
    ("training", Split::Train),
    ("val", Split::Val),
    ("valid", Split::Val),
    ("validation", Split::Val),
    ("test", Split::Test),
    ("testing", Split::Test),
];

#[test]
fn every_usual_name_of_a_folder_is_known() {
    for image in spelled(&IMAGES) {
        for mask in spelled(&MASKS) {
            let dir = tempfile::tempdir().unwrap();
            let root = dir.path();
            pair(root.join(&image).join("a.png"), root.join(&mask).join("a.png"), 1);
            let data = Dataset::open(root).unwrap_or_else(|e| panic!("{image} and {mask}: {e}"));
            assert_eq!((data.layout, ids(&data)), (Layout::Folder, vec!["a"]), "{image} and {mask}");
            assert!(data.description.contains(&format!("{image} and {mask}")), "{}", data.description);
            assert_eq!(data.warnings, []);
        }
    }
}

#[test]
fn every_usual_name_of_a_part_is_known_above_and_below() {
    for (number, (part, split)) in PARTS.into_iter().enumerate() {
        for part in spelled(&[part]) {
            for below in [false, true] {
                let dir = tempfile::tempdir().unwrap();
                let root = dir.path();
                let (image, mask) = (spelled(&IMAGES), spelled(&MASKS));
                let (image, mask) = (&image[number % image.len()], &mask[(5 * number) % mask.len()]);
                let place = |kind: &str| match below {
                    true => root.join(kind).join(&part),
                    false => root.join(&part).join(kind),
                };
                pair(place(image).join("7.png"), place(mask).join("7_mask.png"), 1);
                let data = Dataset::open(root).unwrap_or_else(|e| panic!("{part}, {image}, {mask}, {below}: {e}"));
                assert_eq!(data.layout, Layout::Folder, "{part}");
                assert_eq!(ids(&data), [format!("{split}_7")]);
                assert_eq!(data.samples[0].split, Some(split));
                assert_eq!(data.warnings, []);
            }
        }
    }
}

#[test]
fn one_kind_in_parts_tells_the_parts_of_both() {
    for (images, masks) in [("images/{part}", "masks"), ("images", "masks/{part}")] {
        let dir = tempfile::tempdir().unwrap();
        for (k, part) in ["train", "train", "valid", "testing"].into_iter().enumerate() {
            let at = |place: &str| dir.path().join(place.replace("{part}", part)).join(format!("{k}.png"));
            pair(at(images), at(masks), k);
        }
        let data = Dataset::open(dir.path()).unwrap();
        assert_eq!(ids(&data), ["test_3", "train_0", "train_1", "val_2"]);
        assert_eq!((counts(&data), data.warnings.len()), ([2, 1, 1], 0));
        // A name that stands in two parts is no guess either.
        let doubled = dir.path().join(images.replace("{part}", "testing")).join("2.jpg");
        picture(&doubled, 24, 20, 5);
        let Err(DataError::Problems(report)) = Dataset::open(dir.path()) else { panic!("expected a report") };
        assert_eq!(report.errors(), 1, "{report}");
    }
}

/// Public copies of OCTA-500 are laid out like this, with nothing of ROSSA about them.
#[test]
fn the_commonest_layout_is_read_whole() {
    let numbers = [("train", 0..14), ("val", 14..15), ("test", 15..20)];
    for (image, mask) in
        [("image", "label"), ("images", "labels"), ("Images", "Masks"), ("original", "gt"), ("img", "gt")]
    {
        for below in [false, true] {
            let dir = tempfile::tempdir().unwrap();
            let root = dir.path().join("OCTA500_3M");
            for (part, range) in numbers.clone() {
                for k in range {
                    let place =
                        |kind: &str| if below { root.join(kind).join(part) } else { root.join(part).join(kind) };
                    pair(
                        place(image).join(format!("{}.bmp", 10301 + k)),
                        place(mask).join(format!("{}.bmp", 10301 + k)),
                        k,
                    );
                }
            }
            let data = Dataset::open(&root).unwrap();
            assert_eq!(counts(&data), [14, 1, 5], "{image} and {mask}: {}", data.description);
            assert_eq!((data.notes.len(), data.warnings.len()), (0, 0), "{:?} {:?}", data.notes, data.warnings);
            let known = matches!((image, below), ("original", false));
            assert_eq!(data.layout, if known { Layout::Rose2 } else { Layout::Folder }, "{}", data.description);
        }
    }
}

/// What looks like a publisher's layout at first sight, and is not.
#[test]
fn a_layout_is_recognised_by_what_is_particular_to_it() {
    for (what, files) in [
        (
            "annotations that are masks, not ARCADE",
            vec![("syntax/train/images/1.png", "syntax/train/annotations/1.png")],
        ),
        (
            "a manual without DRIVE's names",
            vec![
                ("train/images/Image_01L.png", "train/1st_manual/Image_01L_manual1.png"),
                ("test/images/Image_11L.png", "test/1st_manual/Image_11L_manual1.png"),
            ],
        ),
        (
            "frames without DIAS's names",
            vec![("training/images/image_segment.png", "training/labels/image_segment.png")],
        ),
        ("numbers beside names, not DCA1", vec![("1.pgm", "1_gt.pgm"), ("scan.pgm", "scan_gt.pgm")]),
        ("DCA1's names in another format", vec![("1.png", "1_gt.png"), ("2.png", "2_gt.png")]),
        (
            "parts of ROSSA without its training",
            vec![("val/image/1.png", "val/label/1.png"), ("test/image/1.png", "test/label/1.png")],
        ),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let root = if what.contains("ARCADE") { dir.path().join("syntax/train") } else { dir.path().to_owned() };
        for (k, (image, mask)) in files.iter().enumerate() {
            pair(dir.path().join(image), dir.path().join(mask), k);
        }
        let data = Dataset::open(&root).unwrap_or_else(|e| panic!("{what}: {e}"));
        assert_eq!(data.layout, Layout::Folder, "{what}: {}", data.description);
        assert_eq!(data.samples.len(), files.len(), "{what}");
        assert_eq!(data.warnings, [], "{what}");
    }
    let dir = tempfile::tempdir().unwrap();
    pair(dir.path().join("syntax/train/images/1.png"), dir.path().join("syntax/train/annotations/1.png"), 1);
    assert!(matches!(Dataset::open(dir.path()).unwrap_err(), DataError::Unrecognised { .. }));
}

/// Publishers' layouts with parts that the publisher does not have, or by another usual name, are read whole.
#[test]
fn no_part_of_a_publishers_layout_is_dropped() {
    for (layout, files) in [
        (
            Layout::Drive,
            [
                "train/images/21_training.tif train/1st_manual/21_manual1.gif",
                "test/images/01_test.tif test/1st_manual/01_manual1.gif",
                "val/images/31_val.tif val/1st_manual/31_manual1.gif",
            ],
        ),
        (
            Layout::Dias,
            [
                "train/images/image_s1_i0.png train/labels/label_s1.png",
                "Val/images/image_s2_i0.png Val/labels/label_s2.png",
                "testing/images/image_s3_i0.png testing/labels/label_s3.png",
            ],
        ),
        (
            Layout::Rose1,
            [
                "SVC/train/img/1.png SVC/train/gt/1.png",
                "SVC/val/img/1.png SVC/val/gt/1.png",
                "SVC/test/img/1.png SVC/test/gt/1.png",
            ],
        ),
        (
            Layout::Rose2,
            [
                "train/original/1.png train/gt/1.png",
                "validation/original/1.png validation/gt/1.png",
                "test/original/1.png test/gt/1.png",
            ],
        ),
    ] {
        let dir = tempfile::tempdir().unwrap();
        for (k, names) in files.iter().enumerate() {
            let (image, mask) = names.split_once(' ').unwrap();
            pair(dir.path().join(image), dir.path().join(mask), k);
        }
        let data = Dataset::open(dir.path()).unwrap();
        assert_eq!((data.layout, counts(&data)), (layout, [1, 1, 1]));
        assert_eq!((data.notes.len(), data.warnings.len()), (0, 0), "{:?} {:?}", data.notes, data.warnings);
    }
}

#[test]
fn names_of_masks_may_carry_a_word_more() {
    for (image, mask) in [
        ("a", "a_mask"),
        ("a", "a_MASK"),
        ("a", "a-label"),
        ("a", "a_gt"),
        ("a", "a_seg"),
        ("a", "a_ground_truth"),
        ("a", "a_manual1"),
        ("a_b", "a_b_mask"),
        ("a_image", "a_mask"),
        ("image_a", "label_a"),
        ("a_mask", "a_mask_mask"),
        ("größe", "größe_mask"),
    ] {
        for apart in [true, false] {
            // In one folder, a name that says mask is a mask.
            if !apart && image == "a_mask" {
                continue;
            }
            let dir = tempfile::tempdir().unwrap();
            let (images, masks) = if apart { ("images", "masks") } else { ("", "") };
            pair(
                dir.path().join(images).join(format!("{image}.png")),
                dir.path().join(masks).join(format!("{mask}.png")),
                1,
            );
            let data = Dataset::open(dir.path()).unwrap_or_else(|e| panic!("{image} and {mask}, {apart}: {e}"));
            assert_eq!(ids(&data), [image], "{mask}");
        }
    }
    let dir = tempfile::tempdir().unwrap();
    for name in ["a_mask", "b_seg", "c"] {
        pair(dir.path().join(format!("images/{name}.png")), dir.path().join(format!("masks/{name}.png")), 1);
    }
    assert_eq!(ids(&Dataset::open(dir.path()).unwrap()), ["a_mask", "b_seg", "c"], "the same name needs no word");
    let dir = tempfile::tempdir().unwrap();
    pair(dir.path().join("train/a.png"), dir.path().join("train/a_mask.png"), 1);
    pair(dir.path().join("test/b.png"), dir.path().join("test/b_mask.png"), 1);
    let data = Dataset::open(dir.path()).unwrap();
    assert_eq!((ids(&data), counts(&data)), (vec!["test_b", "train_a"], [1, 0, 1]));
}

#[test]
fn folders_of_other_names_are_given_as_options_which_the_error_suggests() {
    for place in ["{kind}", "train/{kind}", "{kind}/train", "raw/data/{kind}"] {
        let dir = tempfile::tempdir().unwrap();
        let at = |kind: &str| dir.path().join(place.replace("{kind}", kind));
        for k in 0..3 {
            pair(at("ICA_PNG").join(format!("{k}.png")), at("label").join(format!("{k}.png")), k);
        }
        let error = Dataset::open(dir.path()).unwrap_err().to_string();
        let below = if place.starts_with("raw") { "raw/data/" } else { "" };
        let suggested = format!("--images {below}ICA_PNG --masks {below}label");
        assert!(error.contains(&suggested) && error.contains("(3 image files)"), "{place}: {error}");
        assert!(error.contains(&format!("images = \"{below}ICA_PNG\", masks = \"{below}label\"")), "{error}");
        let options = named(Some(&format!("{below}ICA_PNG")), Some(&format!("{below}label")));
        let data = Dataset::open_with(dir.path(), &options).unwrap();
        assert_eq!((data.samples.len(), data.warnings.len()), (3, 0), "{place}");
        assert_eq!(data.split(Split::Train).count(), if place.contains("train") { 3 } else { 0 });
    }
    let dir = tempfile::tempdir().unwrap();
    pair(dir.path().join("A/1.png"), dir.path().join("B/1.png"), 1);
    let error = Dataset::open(dir.path()).unwrap_err().to_string();
    assert!(
        error.contains("--images FOLDER --masks FOLDER") && error.contains("A (1 image file), B (1 image file)"),
        "{error}"
    );
    assert_eq!(Dataset::open_with(dir.path(), &named(Some("A"), Some("B"))).unwrap().samples.len(), 1);
    let error = Dataset::open_with(dir.path(), &named(Some("A"), Some("C"))).unwrap_err().to_string();
    assert!(error.contains("No folder C with image files"), "{error}");
    for name in ["/A", "../A", "", "."] {
        let error = Dataset::open_with(dir.path(), &named(Some("A"), Some(name))).unwrap_err().to_string();
        assert!(error.starts_with("masks: expected the name of a folder"), "{error}");
    }
    let options = OpenOptions { layout: Some(Layout::Drive), ..named(Some("A"), Some("B")) };
    assert!(Dataset::open_with(dir.path(), &options).unwrap_err().to_string().contains("DRIVE"));
    let empty = tempfile::tempdir().unwrap();
    assert!(!Dataset::open(empty.path()).unwrap_err().to_string().contains("--images"));
}

#[test]
fn options_are_spelled_like_all_others() {
    let text = "layout = \"folder\"\nimages = \"A\"\nmasks = \"B\"\narcade-task = \"stenosis\"\narcade-categories = [1]\n\
                rose-plexus = \"dvc\"\nrose-ground-truth = \"thick\"\nocta-field = \"6m\"\nobserver = \"second\"\n";
    let options: OpenOptions = toml::from_str(text).unwrap();
    let again: OpenOptions = toml::from_str(&toml::to_string(&options).unwrap()).unwrap();
    assert_eq!(again, options);
    let older = text
        .lines()
        .map(|line| line.split_once(" = ").unwrap())
        .map(|(key, value)| format!("{} = {value}\n", key.replace('-', "_")));
    assert_eq!(options, toml::from_str(&older.collect::<String>()).unwrap(), "as older run files have it");
    for wrong in ["image = \"A\"", "Images = \"A\"", "arcadetask = \"syntax\"", "observer = \"third\"", "images = 3"] {
        assert!(toml::from_str::<OpenOptions>(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn two_folders_of_one_kind_are_a_question_not_a_guess() {
    let dir = tempfile::tempdir().unwrap();
    pair(dir.path().join("images/1.png"), dir.path().join("masks/1.png"), 1);
    bar(dir.path().join("labels/1.png"), 24, 20);
    let Err(DataError::Problems(report)) = Dataset::open(dir.path()) else { panic!("expected a report") };
    let text = report.to_string();
    assert!(text.contains("labels, masks") && text.contains("--masks"), "{text}");
    let data = Dataset::open_with(dir.path(), &named(None, Some("labels"))).unwrap();
    assert_eq!(unused(dir.path(), &data), ["masks"]);
    // A folder without image files is no folder of masks: labels of detectors, json files.
    std::fs::remove_file(dir.path().join("labels/1.png")).unwrap();
    std::fs::write(dir.path().join("labels/1.txt"), "0 0.5 0.5 1 1").unwrap();
    assert_eq!(Dataset::open(dir.path()).unwrap().warnings, []);
}

#[test]
fn image_files_that_no_sample_came_from_are_warnings() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    for part in ["train", "val"] {
        pair(root.join(part).join("images/1.png"), root.join(part).join("masks/1.png"), 1);
    }
    for file in ["test/images/2.png", "test/images/3.png", "more/deep/down/4.jpg", "5.tif", "train/masks/old/1.png"] {
        picture(root.join(file), 24, 20, 3);
    }
    let data = Dataset::open(root).unwrap();
    assert_eq!(ids(&data), ["train_1", "val_1"]);
    assert_eq!(unused(root, &data), ["", "more/deep/down", "test/images", "train/masks/old"]);
    assert!(data.warnings[2].message.contains("2 image files (2.png, ...)"), "{}", data.warnings[2]);
    let report = verify(&data, &VerifyOptions::default());
    assert_eq!(report.problems.iter().filter(|p| p.kind == ProblemKind::Unused).count(), 4, "{report}");
    // What systems leave behind is nobody's image.
    for file in ["__MACOSX/train/images/._1.png", "train/images/.hidden.png", ".cache/1.png", "@eaDir/1.png"] {
        std::fs::create_dir_all(root.join(file).parent().unwrap()).unwrap();
        std::fs::write(root.join(file), [0, 5, 22, 7]).unwrap();
    }
    assert_eq!(Dataset::open(root).unwrap().warnings, data.warnings);
}

/// Links of a set whose content was not fetched; who has not, still has the names.
#[cfg(unix)]
/// A format that is not read is no reason to leave an image out in silence.
#[test]
fn images_in_formats_that_are_not_read_are_named() {
    let dir = tempfile::tempdir().unwrap();
    pair(dir.path().join("images/a.png"), dir.path().join("masks/a.png"), 0);
    for name in ["images/b.webp", "images/c.WEBP", "masks/b.dcm", "volume.nii.gz", "images/notes.txt"] {
        std::fs::write(dir.path().join(name), "content").unwrap();
    }
    let data = Dataset::open(dir.path()).unwrap();
    let told: Vec<String> = data.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(told.len(), 3, "{told:?}");
    for part in ["2 image files (b.webp, ...): WebP images are not read", "b.dcm: DICOM", "volume.nii.gz: NIfTI"] {
        assert!(told.iter().any(|warning| warning.contains(part)), "{part} in {told:?}");
    }
    std::fs::remove_file(dir.path().join("images/a.png")).unwrap();
    let error = Dataset::open(dir.path()).unwrap_err().to_string();
    assert!(error.contains("images holds 2 image files (b.webp, ...): WebP images are not read"), "{error}");
}

/// What labelling programs write instead of masks: the message says what lies there.
#[test]
fn annotations_of_labelling_programs_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    let refused = || Dataset::open(dir.path()).unwrap_err().to_string();
    picture(dir.path().join("images/a.png"), 24, 20, 0);
    write(
        "images/a.json",
        r#"{"version": "5.4.1", "flags": {}, "shapes": [{"label": "vessel"}], "imagePath": "a.png"}"#,
    );
    assert!(refused().contains("a.json holds outlines of a labelling program"), "{}", refused());
    std::fs::remove_file(dir.path().join("images/a.json")).unwrap();
    write("annotations.xml", "<?xml version=\"1.0\"?>\n<annotations><version>1.1</version></annotations>");
    assert!(refused().contains("annotations.xml holds outlines"), "{}", refused());
    std::fs::remove_file(dir.path().join("annotations.xml")).unwrap();
    write("annotations/instances_default.json", r#"{"licenses": [], "info": {}, "categories": [], "images": []}"#);
    assert!(refused().contains("COCO file: those are read in ARCADE's layout"), "{}", refused());
    // Beside masks, a json is nobody's business; an image that has only that is told so.
    write("images/a.json", r#"{"shapes": []}"#);
    pair(dir.path().join("images/b.png"), dir.path().join("masks/b.png"), 1);
    let error = refused();
    assert!(error.contains("a.png") && error.contains("a.json beside it holds outlines"), "{error}");
    picture(dir.path().join("masks/a.png"), 24, 20, 3);
    assert_eq!(ids(&Dataset::open(dir.path()).unwrap()), ["a", "b"]);
}

/// What CVAT calls "segmentation mask 1.1": the folders of Pascal VOC.
#[test]
fn the_folders_of_pascal_voc_are_known() {
    let dir = tempfile::tempdir().unwrap();
    picture(dir.path().join("JPEGImages/a.jpg"), 24, 20, 0);
    let colour = |name: &str, ink: [u8; 3]| {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        image::RgbImage::from_fn(24, 20, |x, _| image::Rgb(if x < 5 { ink } else { [0; 3] })).save(path).unwrap();
    };
    colour("SegmentationClass/a.png", [250, 50, 83]);
    colour("SegmentationObject/a.png", [128, 0, 0]);
    std::fs::write(dir.path().join("labelmap.txt"), "# label:color_rgb:parts:actions\n").unwrap();
    let data = Dataset::open(dir.path()).unwrap();
    assert_eq!(ids(&data), ["a"]);
    assert_eq!(data.samples[0].load().unwrap().mask.count(), 100);
    assert_eq!(unused(dir.path(), &data), ["SegmentationObject"]);
}

#[test]
fn links_that_lead_nowhere_are_named() {
    use std::os::unix::fs::symlink;
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    pair(root.join("images/1.png"), root.join("masks/1.png"), 1);
    for kind in ["images", "masks"] {
        symlink(root.join("store/2.png"), root.join(kind).join("2.png")).unwrap();
    }
    symlink(root.join("store/train"), root.join("train")).unwrap();
    let data = Dataset::open(root).unwrap();
    assert_eq!(ids(&data), ["1", "2"]);
    let report = verify(&data, &VerifyOptions::default());
    let named = |path: &str, severity: Severity| {
        let place = root.join(path);
        report.problems.iter().any(|p| p.kind == ProblemKind::Unreadable && p.path == place && p.severity == severity)
    };
    assert!(named("images/2.png", Severity::Error) && named("masks/2.png", Severity::Error), "{report}");
    assert!(named("train", Severity::Warning), "{report}");
}

/// Permissions do not bind root, who reads the folder and finds its images unused instead.
#[cfg(unix)]
#[test]
fn a_folder_that_cannot_be_listed_is_a_warning() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    pair(root.join("images/1.png"), root.join("masks/1.png"), 1);
    picture(root.join("more/2.png"), 24, 20, 3);
    let mode = |mode| std::fs::set_permissions(root.join("more"), std::fs::Permissions::from_mode(mode)).unwrap();
    mode(0o000);
    let bound = std::fs::read_dir(root.join("more")).is_err();
    let warnings = Dataset::open(root).unwrap().warnings;
    mode(0o755);
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert_eq!(warnings[0].path, root.join("more"));
    assert_eq!(warnings[0].kind, if bound { ProblemKind::Unreadable } else { ProblemKind::Unused });
}

#[test]
fn images_without_masks_and_masks_without_images_are_named() {
    for place in ["{kind}", "train/{kind}", "{kind}/test"] {
        let dir = tempfile::tempdir().unwrap();
        let at = |kind: &str, name: &str| dir.path().join(place.replace("{kind}", kind)).join(name);
        pair(at("img", "1.png"), at("gt", "1.png"), 1);
        picture(at("img", "lonely.png"), 24, 20, 1);
        bar(at("gt", "orphan.png"), 24, 20);
        let Err(DataError::Problems(report)) = Dataset::open(dir.path()) else { panic!("expected a report") };
        let found: Vec<_> =
            report.problems.iter().map(|p| (p.kind, p.path.file_stem().unwrap().to_str().unwrap())).collect();
        assert_eq!(report.errors(), 2, "{report}");
        assert!(found.contains(&(ProblemKind::MissingMask, "lonely")), "{report}");
        assert!(found.contains(&(ProblemKind::MissingImage, "orphan")), "{report}");
    }
}

#[test]
fn what_systems_leave_behind_hinders_no_layout() {
    let rubbish = |folder: &Path, names: &[&str]| {
        std::fs::create_dir_all(folder).unwrap();
        names.iter().for_each(|name| std::fs::write(folder.join(name), [0, 5, 22, 7]).unwrap());
    };
    let json = r#"{"images":[{"id":1,"width":24,"height":20,"file_name":"1.png"}],
        "annotations":[{"id":1,"image_id":1,"category_id":1,"segmentation":[[2,3,20,3,20,9,2,9]]}],"categories":[{"id":1,"name":"1"}]}"#;
    let dir = tempfile::tempdir().unwrap();
    let part = dir.path().join("dataset_final_phase/test_cases_stenosis");
    picture(part.join("images/1.png"), 24, 20, 1);
    std::fs::create_dir_all(part.join("annotations")).unwrap();
    std::fs::write(part.join("annotations/instances_default.json"), json).unwrap();
    rubbish(&part.join("annotations"), &["._instances_default.json", ".DS_Store", "Thumbs.db"]);
    rubbish(&part.join("images"), &["._1.png"]);
    rubbish(
        &dir.path().join("__MACOSX/dataset_final_phase/test_cases_stenosis/annotations"),
        &["._instances_default.json"],
    );
    let data = Dataset::open(dir.path()).unwrap();
    assert_eq!((data.layout, ids(&data)), (Layout::Arcade, vec!["test_1"]));
    assert_eq!(data.warnings, []);

    for (layout, image, mask) in [
        (Layout::XrayAngio, "1.pgm", "1_gt.pgm"),
        (Layout::ChaseDb1, "Image_01L.jpg", "Image_01L_1stHO.png"),
        (Layout::Dias, "training/images/image_s1_i0.png", "training/labels/label_s1.png"),
        (Layout::Rossa, "train_manual/image/1.png", "train_manual/label/1.png"),
        (Layout::Folder, "images/1.png", "masks/1.png"),
        (Layout::Folder, "1.png", "1_mask.png"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        pair(dir.path().join(image), dir.path().join(mask), 1);
        for file in [image, mask] {
            let (folder, name) = file.rsplit_once('/').unwrap_or(("", file));
            rubbish(&dir.path().join(folder), &[&format!("._{name}"), "Thumbs.db", ".DS_Store", "desktop.ini"]);
        }
        let data = Dataset::open(dir.path()).unwrap();
        assert_eq!((data.layout, data.samples.len(), data.warnings.len()), (layout, 1, 0));
    }
}

#[test]
fn several_data_sets_are_a_question_not_a_guess() {
    let dir = tempfile::tempdir().unwrap();
    pair(dir.path().join("a/SVC/train/img/1.png"), dir.path().join("a/SVC/train/gt/1.png"), 1);
    pair(dir.path().join("b/train/original/1.png"), dir.path().join("b/train/gt/1.png"), 1);
    let error = Dataset::open(dir.path()).unwrap_err();
    assert!(matches!(&error, DataError::Several { found, .. } if found.len() == 2), "{error}");
    assert!(error.to_string().contains("ROSE-1 in") && error.to_string().contains("ROSE-2 in"), "{error}");
    let options = OpenOptions { layout: Some(Layout::Rose2), ..OpenOptions::default() };
    let data = Dataset::open_with(dir.path(), &options).unwrap();
    assert_eq!(unused(dir.path(), &data), ["a/SVC/train/gt", "a/SVC/train/img"]);
}

/// One letter with its accent, and the letter followed by the accent, as file systems of different makers store it.
#[test]
fn names_are_compared_as_they_look() {
    for (composed, decomposed) in [
        ("M\u{fc}ller", "Mu\u{308}ller"),
        ("\u{e9}\u{e0}", "e\u{301}a\u{300}"),
        ("\u{c5}", "\u{212b}"),
        ("\u{ac00}", "\u{1100}\u{1161}"),
    ] {
        for (image, mask) in [(composed, decomposed), (decomposed, composed)] {
            let dir = tempfile::tempdir().unwrap();
            let root = dir.path();
            pair(root.join(format!("images/{image}.png")), root.join(format!("masks/{mask}_mask.png")), 1);
            std::fs::write(root.join("split.csv"), format!("id,split\n{mask},val\n")).unwrap();
            let mut data = Dataset::open(root).unwrap();
            assert_eq!(ids(&data), [composed]);
            assert_eq!(counts(&data), [0, 1, 0]);
            let table = root.join("table.csv");
            std::fs::write(&table, format!("id,split\n{decomposed}.png,test\n")).unwrap();
            data.apply_split(&SplitTable::read(&table, None).unwrap()).unwrap();
            assert_eq!(counts(&data), [0, 0, 1]);
            // A folder by the other form of its name.
            let dir = tempfile::tempdir().unwrap();
            pair(dir.path().join(image).join("1.png"), dir.path().join("masks/1.png"), 1);
            assert_eq!(Dataset::open_with(dir.path(), &named(Some(mask), None)).unwrap().samples.len(), 1);
        }
        // Two files of one name in one folder.
        let dir = tempfile::tempdir().unwrap();
        pair(dir.path().join(format!("images/{composed}.png")), dir.path().join(format!("masks/{composed}.png")), 1);
        picture(dir.path().join(format!("images/{decomposed}.png")), 24, 20, 1);
        let error = Dataset::open(dir.path()).unwrap_err().to_string();
        assert!(error.contains("ambiguous name"), "{error}");
        // The json of a COCO file in one form, the file in the other.
        let dir = tempfile::tempdir().unwrap();
        let part = dir.path().join("stenosis/val");
        picture(part.join(format!("images/{decomposed}.png")), 24, 20, 1);
        std::fs::create_dir_all(part.join("annotations")).unwrap();
        let json = format!(
            r#"{{"images":[{{"id":1,"width":24,"height":20,"file_name":"{composed}.png"}}],"annotations":[]}}"#
        );
        std::fs::write(part.join("annotations/val.json"), json).unwrap();
        let data = Dataset::open(dir.path()).unwrap();
        assert_eq!((ids(&data), data.warnings.len()), (vec![format!("val_{composed}").as_str()], 0));
    }
}

/// Rows as spreadsheets and scripts write them.
fn tables() -> Vec<String> {
    let mut tables = Vec::new();
    for separator in [",", ";", "\t"] {
        for (header, extension) in [
            ("id,split,fold", ""),
            ("ID,Split,Fold", ".png"),
            ("imgs,labels,split,fold", ".png"),
            ("Imgs,Labels,SPLIT,fold", ""),
            ("split,id", ".PNG"),
        ] {
            for line_end in ["\n", "\r\n"] {
                for (start, end) in
                    [("", ""), ("\u{feff}", ""), ("", "\n"), ("", "{;}\n{;}{;}\n\n"), ("\u{feff}", "\n \n")]
                {
                    let mut text = format!("{header}\n");
                    for (name, split) in [("p0", "train"), ("p1", "VAL"), ("p2", "Testing")] {
                        let field = |column: &str| match column.to_lowercase().as_str() {
                            "id" => format!("{name}{extension}"),
                            "imgs" => format!("/data/images/{name}{extension}"),
                            "labels" => format!("masks/{name}.png"),
                            "split" => format!(" {split} "),
                            _ => "0".into(),
                        };
                        text.push_str(&(header.split(',').map(field).collect::<Vec<_>>().join(",") + "\n"));
                    }
                    text.push_str(&end.replace("{;}", ","));
                    tables.push(start.to_owned() + &text.replace(',', separator).replace('\n', line_end));
                }
            }
        }
    }
    tables
}

#[test]
fn split_tables_are_read_as_programs_write_them() {
    let dir = tempfile::tempdir().unwrap();
    for k in 0..3 {
        pair(dir.path().join(format!("images/p{k}.png")), dir.path().join(format!("masks/p{k}.png")), k);
    }
    let plain = Dataset::open(dir.path()).unwrap();
    let tables = tables();
    assert_eq!(tables.len(), 3 * 5 * 2 * 5);
    let split = |data: &Dataset| data.samples.iter().map(|s| s.split.unwrap()).collect::<Vec<_>>();
    for text in tables {
        std::fs::write(dir.path().join("data_split.csv"), &text).unwrap();
        let data = Dataset::open(dir.path()).unwrap_or_else(|e| panic!("{text:?}: {e}"));
        assert_eq!(split(&data), [Split::Train, Split::Val, Split::Test], "{text:?}");
        let mut other = plain.clone();
        other.apply_split(&SplitTable::read(dir.path().join("data_split.csv"), None).unwrap()).unwrap();
        assert_eq!(split(&other), split(&data), "{text:?}");
    }
}

#[test]
fn what_is_wrong_with_a_split_table_is_named() {
    let dir = tempfile::tempdir().unwrap();
    for k in 0..3 {
        pair(dir.path().join(format!("images/p{k}.png")), dir.path().join(format!("masks/p{k}.png")), k);
    }
    let path = dir.path().join("split.csv");
    let mut data = Dataset::open(dir.path()).unwrap();
    for (text, expected) in [
        ("id;split\np0;train\n\np9;test\np8.png;val\n", vec!["p9", "p8.png"]),
        ("id;split\np0;train\np0.png;train\n", vec!["\"p0\"", "twice"]),
        ("id;split\np0;train\n;;\np0;val\n", vec!["\"p0\"", "twice"]),
        ("id;split\np0;tarin\n", vec!["line 2", "\"tarin\""]),
        ("id\tsplit\np0\n", vec!["line 2", "found \"\""]),
        ("name|split\np0|train\n", vec!["found name|split"]),
        ("", vec!["expected the columns"]),
    ] {
        std::fs::write(&path, text).unwrap();
        let opened = Dataset::open(dir.path()).unwrap_err().to_string();
        let read = SplitTable::read(&path, None).and_then(|table| data.apply_split(&table)).unwrap_err().to_string();
        for word in expected {
            assert!(opened.contains(word) && read.contains(word), "{text:?}: {opened}; {read}");
        }
    }
    std::fs::write(&path, [0xff, 0xfe, b'i', 0, b'd', 0]).unwrap();
    assert!(SplitTable::read(&path, None).unwrap_err().to_string().contains("UTF-8"));
    std::fs::write(&path, "id,split,fold\np0,train,0.0\np1,val,\np2,test,1.5\n").unwrap();
    assert!(SplitTable::read(&path, None).unwrap_err().to_string().contains("\"1.5\""));
    std::fs::write(&path, "id,split,fold\np0,train,3.0\np1,val,\n").unwrap();
    assert_eq!(SplitTable::read(&path, None).unwrap().rows()[0].fold, Some(3));
}

/// An ARCADE part whose annotations are bad for one image: the set opens, the image is refused, the other is whole.
#[test]
fn bad_annotations_cost_their_image_and_not_the_set() {
    let dir = tempfile::tempdir().unwrap();
    let part = dir.path().join("syntax/train");
    let image = |id: u8| {
        picture(part.join(format!("images/{id}.png")), 24, 20, usize::from(id));
        format!(r#"{{"id":{id},"width":24.0,"height":20.0,"file_name":"{id}.png"}}"#)
    };
    let annotation = |id: u8, image: u8, segmentation: &str| {
        format!(r#"{{"id":{id},"image_id":{image},"category_id":1,"iscrowd":1,"segmentation":{segmentation}}}"#)
    };
    let json = format!(
        r#"{{"images":[{},{}],"annotations":[{},{},{},{},{}],"categories":[{{"id":1,"name":"1"}}]}}"#,
        image(1),
        image(2),
        annotation(10, 1, "[[]]"),
        annotation(11, 1, "[[NaN,3,20,3,20,9,2,9]]"),
        annotation(12, 1, r#"{"counts":"5","size":[20,24]}"#),
        annotation(20, 2, r#"{"counts":[20,60,400],"size":[20,24]}"#),
        annotation(30, 3, "[[2,3,20,3,20,9,2,9]]"),
    );
    std::fs::create_dir_all(part.join("annotations")).unwrap();
    std::fs::write(part.join("annotations/train.json"), json).unwrap();
    let data = Dataset::open(dir.path()).unwrap();
    assert_eq!(ids(&data), ["train_1", "train_2"]);
    assert_eq!(data.samples[1].load().unwrap().mask.count(), 60);
    let report = verify(&data, &VerifyOptions { near_duplicates: None, ..VerifyOptions::default() });
    let bad: Vec<_> = report.problems.iter().filter(|p| p.kind == ProblemKind::BadAnnotation).collect();
    assert_eq!((bad.len(), report.errors()), (2, 1), "{report}");
    for word in ["annotation 10: segmentation[0]", "annotation 11: segmentation[0][0]", "found NaN", "annotation 12: "]
    {
        assert!(bad[0].message.contains(word), "{word} in {}", bad[0]);
    }
    assert!(bad[1].message.contains("annotation 30 of image 3") && bad[1].severity == Severity::Warning, "{}", bad[1]);
    assert!(
        matches!(data.samples[0].load().unwrap_err(), DataError::BadAnnotations { reasons, .. } if reasons.len() == 3)
    );
}
