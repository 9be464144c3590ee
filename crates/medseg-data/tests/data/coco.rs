//! Polygon filling against pycocotools, and hostile annotation files.

use crate::support::{fixture, real};
use medseg_data::coco::{Coco, fill_polygon};
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
fn from_counts(case: &Case) -> Mask {
    let mut data = vec![0u8; case.width * case.height];
    let (mut position, mut value) = (0, 0u8);
    for &count in &case.counts {
        for p in position..position + count {
            data[p % case.height * case.width + p / case.height] = value;
        }
        position += count;
        value = 1 - value;
    }
    assert_eq!(position, data.len());
    Mask::from_bytes(case.height, case.width, &data).unwrap()
}

#[test]
fn generated_polygons_fill_as_in_pycocotools() {
    let cases: Vec<Case> = serde_json::from_slice(&std::fs::read(fixture("coco_fills.json")).unwrap()).unwrap();
    assert_eq!(cases.len(), 60);
    for (number, case) in cases.iter().enumerate() {
        let points: Vec<(f64, f64)> = case.points.chunks_exact(2).map(|p| (p[0], p[1])).collect();
        let ours = fill_polygon(&points, case.width, case.height).unwrap();
        assert_eq!(ours, from_counts(case), "polygon {number}");
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
            let Some((area, hash)) = expected.get(&(split.to_owned(), image.id)) else {
                assert_eq!(mask.count(), 0, "{split} {} has no annotation", image.id);
                continue;
            };
            assert_eq!(mask.count(), *area, "{split} {}", image.id);
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

#[test]
fn a_well_formed_file_is_read() {
    let text = file(IMAGE, &annotation("[2,2,8,2,8,6,2,6]"));
    let coco = Coco::parse(Path::new("a.json"), text.as_bytes(), &Limits::default()).unwrap();
    assert_eq!(coco.images[0].mask(None).unwrap().count(), 24);
    assert_eq!(coco.images[0].mask(Some(&[9])).unwrap().count(), 0);
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
    assert!(reason(file(IMAGE, &annotation("[22,2,28,2,28,6]")).as_bytes()).contains("outside"));
    assert!(reason(file(IMAGE, &annotation("[2,2,1e30,2,8,6]")).as_bytes()).contains("near"));
    assert!(reason(file(IMAGE, &annotation("[2,2,-9e9,2,8,6]")).as_bytes()).contains("near"));
    // Partly outside is cut off, as pycocotools does.
    let text = file(IMAGE, &annotation("[-5,-5,25,-5,25,15,-5,15]"));
    let coco = Coco::parse(Path::new("a.json"), text.as_bytes(), &Limits::default()).unwrap();
    assert_eq!(coco.images[0].mask(None).unwrap().count(), 200);
}

#[test]
fn threat_malformed_polygons() {
    assert!(reason(file(IMAGE, &annotation("[2,2,8,2]")).as_bytes()).contains("at least 3 points"));
    assert!(reason(file(IMAGE, &annotation("[2,2,8,2,8,6,2]")).as_bytes()).contains("7 numbers"));
    assert!(reason(file(IMAGE, &annotation("[2,2,\"8\",2,8,6]")).as_bytes()).contains("polygons"));
    let rle = r#"{"id":7,"image_id":1,"category_id":1,"segmentation":{"counts":[1,2],"size":[1,3]}}"#;
    assert!(reason(file(IMAGE, rle).as_bytes()).contains("polygons"));
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
    assert!(reason(file(&format!("{IMAGE},{IMAGE}"), "").as_bytes()).contains("twice"));
    let other = r#"{"id":7,"image_id":9,"category_id":1,"segmentation":[[2,2,8,2,8,6]]}"#;
    assert!(reason(file(IMAGE, other).as_bytes()).contains("no such image"));
    let category = r#"{"id":7,"image_id":1,"category_id":5,"segmentation":[[2,2,8,2,8,6]]}"#;
    assert!(reason(file(IMAGE, category).as_bytes()).contains("category 5"));
    let huge = r#"{"id":1,"width":4000000000,"height":10,"file_name":"1.png"}"#;
    assert!(reason(file(huge, "").as_bytes()).contains("16384"));
}
