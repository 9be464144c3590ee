//! Polygon filling against pycocotools, and hostile annotation files.

use crate::support::{fixture, parity, real};
use medseg_data::coco::{Coco, CocoImage, Shape, fill_polygon};
use medseg_data::decode::Limits;
use medseg_data::{DataError, Mask};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::path::Path;

#[derive(serde::Deserialize)]
struct Case {
    width: usize,
    height: usize,
    points: Vec<f64>,
    counts: Vec<usize>,
}

/// Run lengths down the columns, background first.
fn from_counts(counts: &[usize], width: usize, height: usize) -> Mask {
    let mut data = vec![0u8; width * height];
    let (mut position, mut value) = (0, 0u8);
    for &count in counts {
        for p in position..position + count {
            data[p % height * width + p / height] = value;
        }
        position += count;
        value = 1 - value;
    }
    assert_eq!(position, data.len());
    Mask::from_bytes(height, width, &data).unwrap()
}

#[test]
fn generated_polygons_fill_as_in_pycocotools() {
    let cases: Vec<Case> = serde_json::from_slice(&std::fs::read(fixture("coco_fills.json")).unwrap()).unwrap();
    assert_eq!(cases.len(), 60);
    for (number, case) in cases.iter().enumerate() {
        let points: Vec<(f64, f64)> = case.points.chunks_exact(2).map(|p| (p[0], p[1])).collect();
        let ours = fill_polygon(&points, case.width, case.height).unwrap();
        let theirs = from_counts(&case.counts, case.width, case.height);
        assert_eq!(ours, theirs, "polygon {number}: IoU {:?}", ours.iou(&theirs));
    }
}

/// Equal area and equal hash of the pixels mean an IoU of 1, for every annotated image of the three parts.
#[test]
fn real_arcade_polygons_fill_as_in_pycocotools() {
    let Some(root) = real("ARCADE/stenosis") else { return };
    let table = std::fs::read_to_string(fixture("arcade_stenosis_fills.csv")).unwrap();
    let mut expected: HashMap<(String, u64), (usize, String)> = HashMap::new();
    for line in table.lines().skip(1) {
        let fields: Vec<&str> = line.split(',').collect();
        let key = (fields[0].to_owned(), fields[1].parse().unwrap());
        expected.insert(key, (fields[2].parse().unwrap(), fields[3].to_owned()));
    }
    let mut checked = 0;
    for split in ["train", "val", "test"] {
        let path = root.join(split).join("annotations").join(format!("{split}.json"));
        for image in Coco::read(&path, &Limits::default()).unwrap().images {
            let mask = image.mask(None).unwrap();
            let Some((area, hash)) = expected.get(&(split.to_owned(), image.id.parse().unwrap())) else {
                assert_eq!(mask.count(), 0, "{split} {} has no annotation", image.id);
                continue;
            };
            assert_eq!(mask.count(), *area as u64, "{split} {}", image.id);
            let ours: String = Sha256::digest(mask.to_bytes()).iter().take(8).map(|b| format!("{b:02x}")).collect();
            assert_eq!(ours, *hash, "{split} {}", image.id);
            checked += 1;
        }
    }
    assert_eq!(checked, expected.len());
}

fn file(images: &str, annotations: &str) -> String {
    format!(r#"{{"images":[{images}],"annotations":[{annotations}],"categories":[{{"id":1,"name":"1"}}]}}"#)
}

const IMAGE: &str = r#"{"id":1,"width":20,"height":10,"file_name":"1.png"}"#;

fn annotation(polygon: &str) -> String {
    format!(r#"{{"id":7,"image_id":1,"category_id":1,"segmentation":[{polygon}]}}"#)
}

fn reason(bytes: &[u8]) -> String {
    match Coco::parse(Path::new("a.json"), bytes, &Limits::default()) {
        Err(error @ DataError::Annotation { .. }) => {
            let text = error.to_string();
            assert!(text.starts_with("a.json: "), "{text}");
            text
        }
        other => panic!("expected an annotation error, found {other:?}"),
    }
}

fn parse(text: &str) -> Coco {
    Coco::parse(Path::new("a.json"), text.as_bytes(), &Limits::default()).unwrap()
}

/// The only image of a file with these annotations.
fn image_with(annotations: &str) -> CocoImage {
    parse(&file(IMAGE, annotations)).images.remove(0)
}

/// What is wrong with the only annotation.
fn problem(annotation: &str) -> String {
    let mut image = image_with(annotation);
    assert_eq!(image.problems.len(), 1, "{image:?}");
    assert!(image.regions.is_empty(), "{image:?}");
    let text = image.problems.remove(0);
    assert!(text.starts_with("annotation 7: "), "{text}");
    text
}

fn segmentation(json: &str) -> String {
    format!(r#"{{"id":7,"image_id":1,"category_id":1,"segmentation":{json}}}"#)
}

#[test]
fn a_well_formed_file_is_read() {
    let image = image_with(&annotation("[2,2,8,2,8,6,2,6]"));
    assert_eq!(image.mask(None).unwrap().count(), 24);
    assert_eq!(image.mask(Some(&["1".into()])).unwrap().count(), 24);
    assert_eq!(image.mask(Some(&["9".into()])).unwrap().count(), 0);
}

#[derive(serde::Deserialize)]
struct Golden {
    files: Vec<GoldenFile>,
}

#[derive(serde::Deserialize)]
struct GoldenFile {
    coco: serde_json::Value,
    counts: Vec<Vec<usize>>,
    union: Vec<usize>,
}

#[test]
fn polygons_run_lengths_and_crowds_cover_what_they_cover_in_pycocotools() {
    let golden: Golden = serde_json::from_slice(&std::fs::read(parity("coco_masks.json")).unwrap()).unwrap();
    assert!(golden.files.len() >= 20);
    let (mut compressed, mut listed, mut crowds) = (0, 0, 0);
    for (number, file) in golden.files.iter().enumerate() {
        let image = parse(&file.coco.to_string()).images.remove(0);
        assert_eq!(image.problems, [""; 0]);
        assert_eq!(image.mask(None).unwrap(), from_counts(&file.union, image.width, image.height), "file {number}");
        for (annotation, counts) in file.coco["annotations"].as_array().unwrap().iter().zip(&file.counts) {
            let mut alone = file.coco.clone();
            alone["annotations"] = serde_json::json!([annotation]);
            let image = parse(&alone.to_string()).images.remove(0);
            let theirs = from_counts(counts, image.width, image.height);
            assert_eq!(image.mask(None).unwrap(), theirs, "file {number}, annotation {}", annotation["id"]);
            compressed += usize::from(annotation["segmentation"]["counts"].is_string());
            listed += usize::from(annotation["segmentation"]["counts"].is_array());
            crowds += usize::from(annotation["iscrowd"] == 1);
        }
    }
    assert!(compressed > 5 && listed > 5 && crowds > 5, "{compressed} {listed} {crowds}");
}

#[test]
fn run_lengths_and_polygons_may_stand_in_one_list() {
    let runs = r#"{"counts":[0,10,190],"size":[10,20]}"#;
    let image = image_with(&segmentation(&format!("[{runs},[2,2,8,2,8,6,2,6]]")));
    assert_eq!(image.regions[0].shape, Shape::RunLengths(vec![0, 10, 190]));
    assert_eq!(image.mask(None).unwrap().count(), 10 + 24);
}

#[test]
fn ids_are_numbers_or_text_and_sizes_may_be_written_as_floats() {
    for (image, reference) in [
        ("1", "1"),
        ("1.0", "1"),
        (r#""1""#, "1"),
        (r#""scan a""#, r#""scan a""#),
        ("-3", "-3.0"),
        ("12345678901", "12345678901"),
    ] {
        for size in [r#""width":20,"height":10"#, r#""width":20.0,"height":1.0e1"#] {
            let text = format!(
                r#"{{"images":[{{"id":{image},{size},"file_name":"1.png"}}],"annotations":[{{"id":"x","image_id":{reference},
                   "category_id":"1","segmentation":[[2,2,8,2,8,6,2,6]]}}],"categories":[{{"id":1,"name":"vessel"}}]}}"#
            );
            let coco = parse(&text);
            assert_eq!(coco.images[0].mask(None).unwrap().count(), 24, "{text}");
            assert_eq!((coco.images[0].width, coco.images[0].height), (20, 10));
        }
    }
    for size in [
        r#""width":20.5,"height":10"#,
        r#""width":"NaN","height":10"#,
        r#""width":-20,"height":10"#,
        r#""width":0,"height":10"#,
    ] {
        let text = file(&format!(r#"{{"id":1,{size},"file_name":"1.png"}}"#), "");
        assert!(reason(text.as_bytes()).contains("width and height"), "{size}");
    }
    assert!(reason(file(r#"{"id":1.5,"width":2,"height":2,"file_name":"1.png"}"#, "").as_bytes()).contains("1.5"));
}

#[test]
fn images_are_in_the_natural_order_of_their_ids() {
    let image = |id: &str| format!(r#"{{"id":{id},"width":2,"height":2,"file_name":"{}.png"}}"#, id.trim_matches('"'));
    let coco = parse(&file(&[image("10"), image("9"), image("\"b\""), image("100")].join(","), ""));
    let ids: Vec<&str> = coco.images.iter().map(|i| i.id.as_str()).collect();
    assert_eq!(ids, ["9", "10", "100", "b"]);
}

/// Every number that is not finite is named by annotation and place, whatever it stands in the file as, and costs its image.
#[test]
fn numbers_that_are_not_finite_are_named() {
    for word in ["NaN", "-NaN", "Infinity", "-Infinity", "1e999", "-1e400", "nan", "null", "\"NaN\"", "true"] {
        for place in [0, 3, 7] {
            let mut numbers = ["2", "2", "8", "2", "8", "6", "2", "6"];
            numbers[place] = word;
            let found = problem(&segmentation(&format!("[[1,1,5,1,5,5],[{}]]", numbers.join(","))));
            let expected =
                format!("segmentation[1][{place}]: expected a finite number, found {}", word.trim_matches('"'));
            assert!(found.contains(&expected), "{found}");
        }
    }
    // A number that is not read does not matter.
    let area = r#"{"id":7,"image_id":1,"category_id":1,"area":NaN,"bbox":[Infinity,0,1,1],"segmentation":[[2,2,8,2,8,6,2,6]]}"#;
    assert_eq!(image_with(area).mask(None).unwrap().count(), 24);
    assert!(reason(file(IMAGE, "NaN,").as_bytes()).contains("not a COCO file"));
}

#[test]
fn bad_annotations_are_all_listed_and_cost_only_their_image() {
    let images = [1, 2].map(|id| format!(r#"{{"id":{id},"width":20,"height":10,"file_name":"{id}.png"}}"#)).join(",");
    let bad = ["[]", "[[]]", "null", "[[1,2,3,4]]", "{}", r#""text""#, "[[1,1,5,1,5,5],7]", "5"];
    let bad: Vec<String> = bad
        .iter()
        .enumerate()
        .map(|(id, s)| format!(r#"{{"id":{id},"image_id":1,"category_id":1,"segmentation":{s}}}"#))
        .collect();
    let good = r#"{"id":"fine","image_id":2,"category_id":1,"segmentation":[[2,2,8,2,8,6,2,6]]}"#;
    let coco = parse(&file(&images, &format!("{},{good}", bad.join(","))));
    assert_eq!(coco.images[0].problems.len(), bad.len(), "{:?}", coco.images[0].problems);
    for (id, problem) in coco.images[0].problems.iter().enumerate() {
        assert!(problem.starts_with(&format!("annotation {id}: ")), "{problem}");
    }
    assert_eq!(coco.images[1].problems.len(), 0);
    assert_eq!(coco.images[1].mask(None).unwrap().count(), 24);
    let nameless = r#"{"image_id":1,"category_id":1,"segmentation":[]}"#;
    assert!(image_with(nameless).problems[0].starts_with("annotation number 0"));
}

#[test]
fn threat_run_lengths_that_do_not_fit() {
    for (counts, size, expected) in [
        ("[200]", "[20,10]", "size to be the image's [10, 20]"),
        ("[200]", "[10]", "size"),
        ("[200]", "null", "size"),
        ("[199]", "[10,20]", "= 200 pixels together, found 199"),
        ("[201]", "[10,20]", "found 201"),
        ("[]", "[10,20]", "found 0"),
        ("[-1,201]", "[10,20]", "counts[0]"),
        ("[1.5,198.5]", "[10,20]", "counts[0]"),
        ("[100,\"100\"]", "[10,20]", "counts[1]"),
        ("[4294967295,4294967295,4294967295]", "[10,20]", "found 12884901885"),
        ("[4294967296]", "[10,20]", "counts[0]"),
        ("[NaN]", "[10,20]", "counts[0]"),
        ("7", "[10,20]", "counts to be a list or text"),
        ("\"\"", "[10,20]", "found 0"),
        ("\"X\"", "[10,20]", "end within run 0"),
        ("\"0p\"", "[10,20]", "'p'"),
        ("\"0é\"", "[10,20]", "'é'"),
        ("\"ooooooooooo\"", "[10,20]", "32 bits"),
        ("\"O\"", "[10,20]", "found -1"),
    ] {
        let found = problem(&segmentation(&format!(r#"{{"counts":{counts},"size":{size}}}"#)));
        assert!(found.contains(expected), "{counts} {size}: {found}");
    }
}

#[test]
fn threat_non_utf8_json() {
    let mut bytes = file(IMAGE, "").into_bytes();
    bytes[20] = 0xff;
    assert!(reason(&bytes).contains("UTF-8"));
}

#[test]
fn threat_truncated_json() {
    let text = file(IMAGE, &annotation("[2,2,8,2,8,6,2,6]"));
    for end in (0..text.len()).step_by(7) {
        reason(&text.as_bytes()[..end]);
    }
}

#[test]
fn threat_deeply_nested_json() {
    let text = file(IMAGE, &annotation(&"[".repeat(100_000)));
    reason(text.as_bytes());
}

#[test]
fn threat_polygon_outside_the_image() {
    assert!(problem(&annotation("[22,2,28,2,28,6]")).contains("outside"));
    assert!(problem(&annotation("[2,2,1e30,2,8,6]")).contains("near"));
    assert!(problem(&annotation("[2,2,-9e9,2,8,6]")).contains("near"));
    // Partly outside is cut off, as pycocotools does.
    assert_eq!(image_with(&annotation("[-5,-5,25,-5,25,15,-5,15]")).mask(None).unwrap().count(), 200);
}

#[test]
fn threat_malformed_polygons() {
    assert!(problem(&annotation("[2,2,8,2]")).contains("at least 3 points"));
    assert!(problem(&annotation("[2,2,8,2,8,6,2]")).contains("7 numbers"));
    assert!(problem(&annotation("[2,2,\"8\",2,8,6]")).contains("segmentation[0][2]"));
    assert!(problem(&annotation("2,2,8,2,8,6")).contains("segmentation[0]"));
}

#[test]
fn threat_path_traversal_in_file_name() {
    for name in ["../1.png", "/etc/passwd", "a/b.png", "..", "a\\\\b.png", "C:1.png", "", "a\\u0000.png"] {
        let image = format!(r#"{{"id":1,"width":20,"height":10,"file_name":"{name}"}}"#);
        assert!(reason(file(&image, "").as_bytes()).contains("plain file name"), "{name}");
    }
}

#[test]
fn threat_inconsistent_references() {
    let text = reason(file(&format!("{IMAGE},{IMAGE}"), "").as_bytes());
    assert!(text.contains("used twice") && text.contains("described twice"), "{text}");
    let orphan = r#"{"id":7,"image_id":9,"category_id":1,"segmentation":[[2,2,8,2,8,6]]}"#;
    let coco = parse(&file(IMAGE, &format!("{orphan},{}", orphan.replace("\"image_id\":9,", ""))));
    assert_eq!(coco.orphans, ["annotation 7 of image 9", "annotation 7 of image null"]);
    let category = r#"{"id":7,"image_id":1,"category_id":5,"segmentation":[[2,2,8,2,8,6]]}"#;
    assert!(problem(category).contains("category 5"));
    let huge = r#"{"id":1,"width":4000000000,"height":10,"file_name":"1.png"}"#;
    assert!(reason(file(huge, "").as_bytes()).contains("16384"));
}
