//! Every publisher's layout on a small tree.

use crate::support::{bar, grey, picture};
use medseg_data::check::ProblemKind;
use medseg_data::dataset::{ArcadeTask, GroundTruth, ImageSource, Layout, Observer, OctaField, Plexus};
use medseg_data::decode::Limits;
use medseg_data::{DataError, Dataset, OpenOptions, Split};
use std::path::Path;

fn tree() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn pair(image: impl AsRef<Path>, mask: impl AsRef<Path>, seed: usize) {
    picture(image, 24, 20, seed);
    bar(mask, 24, 20);
}

/// Opens, checks layout and ids, and decodes everything.
fn open(path: &Path, options: &OpenOptions, layout: Layout, ids: &[&str]) -> Dataset {
    let data = Dataset::open_with(path, options).unwrap();
    assert_eq!(data.layout, layout);
    let found: Vec<&str> = data.samples.iter().map(|s| s.id.as_str()).collect();
    assert_eq!(found, ids, "{}", data.description);
    for sample in &data.samples {
        let loaded = sample.load().unwrap();
        assert_eq!(loaded.image.size(), (loaded.mask.width(), loaded.mask.height()));
        assert!(!loaded.mask.is_empty());
    }
    data
}

fn splits(data: &Dataset) -> Vec<Option<Split>> {
    data.samples.iter().map(|s| s.split).collect()
}

const TRAIN: Option<Split> = Some(Split::Train);
const VAL: Option<Split> = Some(Split::Val);
const TEST: Option<Split> = Some(Split::Test);

fn coco(folder: &Path, json: &str, ids: &[u32]) {
    let image = |id: &u32| format!(r#"{{"id":{id},"width":24,"height":20,"file_name":"{id}.png"}}"#);
    let annotation = |id: &u32| {
        format!(
            r#"{{"id":{id},"image_id":{id},"category_id":1,"segmentation":[[2.5,3,20,3,20,9.25,2.5,9.25]],"iscrowd":0}},
               {{"id":1{id},"image_id":{id},"category_id":26,"segmentation":[[2,12,9,12,9,15,2,15]]}}"#
        )
    };
    let list = |f: &dyn Fn(&u32) -> String| ids.iter().map(f).collect::<Vec<_>>().join(",");
    let text = format!(
        r#"{{"licenses":[],"images":[{}],"annotations":[{}],"categories":[{{"id":1,"name":"1"}},{{"id":26,"name":"stenosis"}}]}}"#,
        list(&image),
        list(&annotation)
    );
    std::fs::create_dir_all(folder.join("annotations")).unwrap();
    std::fs::write(folder.join("annotations").join(json), text).unwrap();
    for id in ids {
        picture(folder.join("images").join(format!("{id}.png")), 24, 20, *id as usize);
    }
}

#[test]
fn arcade() {
    let dir = tree();
    let root = dir.path().join("arcade");
    coco(&root.join("syntax/train"), "train.json", &[10, 9]);
    coco(&root.join("syntax/val"), "val.json", &[1]);
    coco(&root.join("stenosis/test"), "test.json", &[1]);
    let ids = ["train_9", "train_10", "val_1"];
    let data = open(dir.path(), &OpenOptions::default(), Layout::Arcade, &["train_9", "train_10", "val_1"]);
    assert_eq!(splits(&data), [TRAIN, TRAIN, VAL]);
    assert!(data.notes.iter().any(|n| n.contains("syntax")), "{:?}", data.notes);
    open(&root.join("syntax"), &OpenOptions::default(), Layout::Arcade, &ids);
    let stenosis = OpenOptions { arcade_task: Some(ArcadeTask::Stenosis), ..OpenOptions::default() };
    open(&root, &stenosis, Layout::Arcade, &["test_1"]);
    open(&root.join("stenosis"), &OpenOptions::default(), Layout::Arcade, &["test_1"]);
    let all = data.samples[0].load().unwrap().mask.count();
    let some = OpenOptions { arcade_categories: Some(vec![26]), ..OpenOptions::default() };
    let data = open(&root, &some, Layout::Arcade, &ids);
    assert_eq!(data.samples[0].load().unwrap().mask.count(), 21);
    assert!(all > 21);
    let none = OpenOptions { arcade_categories: Some(vec![3]), ..OpenOptions::default() };
    assert!(Dataset::open_with(&root, &none).unwrap_err().to_string().contains("arcade-categories"));
}

#[test]
fn arcade_of_the_older_generation() {
    let dir = tree();
    let phase = dir.path().join("arcade_challenge_datasets/dataset_phase_1/segmentation_dataset");
    coco(&phase.join("seg_train"), "seg_train.json", &[3]);
    coco(&phase.join("seg_val"), "seg_val.json", &[3]);
    let last = dir.path().join("arcade_challenge_datasets/dataset_final_phase/test_case_segmentation");
    coco(&last, "instances_default.json", &[3]);
    let data = open(dir.path(), &OpenOptions::default(), Layout::Arcade, &["test_3", "train_3", "val_3"]);
    assert_eq!(splits(&data), [TEST, TRAIN, VAL]);
}

#[test]
fn arcade_without_images_or_with_some_missing() {
    let dir = tree();
    coco(&dir.path().join("stenosis/train"), "train.json", &[1, 2]);
    coco(&dir.path().join("stenosis/val"), "val.json", &[1, 2, 3]);
    std::fs::remove_dir_all(dir.path().join("stenosis/train/images")).unwrap();
    let data = open(dir.path(), &OpenOptions::default(), Layout::Arcade, &["val_1", "val_2", "val_3"]);
    assert!(data.notes.iter().any(|n| n.starts_with("train: annotations without")), "{:?}", data.notes);
    std::fs::remove_file(dir.path().join("stenosis/val/images/1.png")).unwrap();
    std::fs::remove_file(dir.path().join("stenosis/val/images/3.png")).unwrap();
    let Err(DataError::Problems(report)) = Dataset::open(dir.path()) else { panic!("expected a report") };
    assert_eq!(report.errors(), 2);
    assert!(report.problems.iter().all(|p| p.kind == ProblemKind::MissingImage));
    assert!(report.to_string().contains("1.png") && report.to_string().contains("3.png"));
}

#[test]
fn an_image_whose_size_contradicts_its_description() {
    let dir = tree();
    coco(&dir.path().join("syntax/val"), "val.json", &[1]);
    picture(dir.path().join("syntax/val/images/1.png"), 20, 20, 1);
    let data = Dataset::open(dir.path()).unwrap();
    let error = data.samples[0].load().unwrap_err();
    assert!(matches!(error, DataError::SizeMismatch { expected: (20, 20), found: (24, 20), .. }), "{error}");
}

#[test]
fn an_image_without_annotations_is_empty() {
    let dir = tree();
    coco(&dir.path().join("syntax/val"), "val.json", &[1]);
    let text = r#"{"images":[{"id":1,"width":24,"height":20,"file_name":"1.png"}],"annotations":[]}"#;
    std::fs::write(dir.path().join("syntax/val/annotations/val.json"), text).unwrap();
    let error = Dataset::open(dir.path()).unwrap().samples[0].load().unwrap_err();
    assert!(error.to_string().contains("image 1 (1.png) has no annotation"), "{error}");
}

#[test]
fn rose_1() {
    let dir = tree();
    let root = dir.path().join("ROSE/ROSE-1");
    for (plexus, part, name, kind) in [
        ("SVC", "train", "02", "gt"),
        ("SVC", "train", "01", "gt"),
        ("SVC", "test", "01", "gt"),
        ("SVC", "test", "01", "thick_gt"),
        ("SVC", "train", "01", "thick_gt"),
        ("SVC", "train", "02", "thick_gt"),
        ("DVC", "test", "05", "gt"),
    ] {
        let folder = root.join(plexus).join(part);
        pair(folder.join("img").join(format!("{name}.png")), folder.join(kind).join(format!("{name}.tif")), 1);
    }
    let ids = ["test_01", "train_01", "train_02"];
    let data = open(dir.path(), &OpenOptions::default(), Layout::Rose1, &ids);
    assert_eq!(splits(&data), [TEST, TRAIN, TRAIN]);
    assert_ne!(data.samples[0].patient, data.samples[1].patient, "train and test number their subjects apart");
    let dvc = OpenOptions { rose_plexus: Some(Plexus::Dvc), ..OpenOptions::default() };
    open(&root, &dvc, Layout::Rose1, &["test_05"]);
    open(&root.join("DVC"), &OpenOptions::default(), Layout::Rose1, &["test_05"]);
    let thick = OpenOptions { rose_ground_truth: GroundTruth::Thick, ..OpenOptions::default() };
    assert!(open(&root, &thick, Layout::Rose1, &ids).description.contains("thick_gt"));
    let missing = OpenOptions { rose_plexus: Some(Plexus::SvcDvc), ..OpenOptions::default() };
    assert!(Dataset::open_with(&root, &missing).unwrap_err().to_string().contains("SVC_DVC"));
}

#[test]
fn rose_2() {
    let dir = tree();
    for (part, name) in [("train", "1"), ("train", "10"), ("train", "2"), ("test", "3")] {
        let folder = dir.path().join("ROSE-2").join(part);
        pair(folder.join("original").join(format!("{name}.png")), folder.join("gt").join(format!("{name}.tif")), 1);
    }
    let ids = ["test_3", "train_1", "train_2", "train_10"];
    open(dir.path(), &OpenOptions::default(), Layout::Rose2, &ids);
}

#[test]
fn drive() {
    let dir = tree();
    let root = dir.path().join("DRIVE");
    for (part, image, manual, view) in [
        ("training", "21_training", "21_manual1", "21_training_mask"),
        ("training", "22_training", "22_manual1", "22_training_mask"),
        ("test", "01_test", "01_manual1", "01_test_mask"),
    ] {
        let folder = root.join(part);
        pair(folder.join(format!("images/{image}.tif")), folder.join(format!("1st_manual/{manual}.gif")), 1);
        grey(folder.join(format!("mask/{view}.gif")), 24, 20, |x, _| if x > 2 { 255 } else { 0 });
    }
    let data = open(dir.path(), &OpenOptions::default(), Layout::Drive, &["01_test", "21_training", "22_training"]);
    assert_eq!(splits(&data), [TEST, TRAIN, TRAIN]);
    assert_eq!(data.samples[1].patient.as_deref(), Some("21"));
    let view = data.samples[1].load_field_of_view(&Limits::default()).unwrap().unwrap();
    assert_eq!(view.count(), 21 * 20);
    // The current download has no manual of the test images.
    std::fs::remove_dir_all(root.join("test/1st_manual")).unwrap();
    let data = open(&root, &OpenOptions::default(), Layout::Drive, &["21_training", "22_training"]);
    assert!(data.notes.iter().any(|n| n.starts_with("test: ")), "{:?}", data.notes);
    bar(root.join("test/2nd_manual/01_manual2.gif"), 24, 20);
    let second = OpenOptions { observer: Observer::Second, ..OpenOptions::default() };
    open(&root, &second, Layout::Drive, &["01_test"]);
}

#[test]
fn dias_takes_the_minimum_over_a_sequence() {
    let dir = tree();
    let part = dir.path().join("DIAS/training");
    for frame in 0..10usize {
        let name = format!("images/image_s3_i{frame}.png");
        grey(part.join(name), 24, 20, |x, y| if x == frame { 10 } else { 200 - (y % 7) as u8 });
    }
    bar(part.join("labels/label_s3.png"), 24, 20);
    let data = open(dir.path(), &OpenOptions::default(), Layout::Dias, &["s3"]);
    assert!(matches!(&data.samples[0].image, ImageSource::MinimumProjection(frames) if frames.len() == 10));
    let image = data.samples[0].load().unwrap().image;
    assert!(
        (0..20).all(|y| (0..24).all(|x| image.data()[y * 24 + x] == if x < 10 { 10 } else { 200 - (y % 7) as u8 }))
    );
    grey(part.join("images/image_s3_i4.png"), 23, 20, |_, _| 9);
    assert!(matches!(data.samples[0].load().unwrap_err(), DataError::SizeMismatch { .. }), "frames of two sizes");
}

#[test]
fn xray_angio() {
    let dir = tree();
    for k in [1, 2, 10, 101] {
        let root = dir.path().join("Database_134_Angiograms");
        pair(root.join(format!("{k}.pgm")), root.join(format!("{k}_gt.pgm")), k);
    }
    let data = open(dir.path(), &OpenOptions::default(), Layout::XrayAngio, &["1", "2", "10", "101"]);
    assert_eq!(splits(&data), [TRAIN, TRAIN, TRAIN, TEST]);
}

#[test]
fn chase_db1() {
    let dir = tree();
    for (eye, seed) in [("01L", 1), ("01R", 2), ("11L", 3)] {
        pair(dir.path().join(format!("Image_{eye}.jpg")), dir.path().join(format!("Image_{eye}_1stHO.png")), seed);
        grey(dir.path().join(format!("Image_{eye}_2ndHO.png")), 24, 20, |x, _| if x == 3 { 255 } else { 0 });
    }
    let ids = ["Image_01L", "Image_01R", "Image_11L"];
    let data = open(dir.path(), &OpenOptions::default(), Layout::ChaseDb1, &ids);
    assert_eq!(splits(&data), [TRAIN, TRAIN, TEST]);
    assert_eq!(data.samples[0].patient, data.samples[1].patient, "two eyes of one child");
    let second = OpenOptions { observer: Observer::Second, ..OpenOptions::default() };
    let data = open(dir.path(), &second, Layout::ChaseDb1, &ids);
    assert_eq!(data.samples[0].load().unwrap().mask.count(), 20);
}

#[test]
fn octa_500() {
    let dir = tree();
    for (field, maps, id) in [
        ("OCTA_3M", "Projection Maps", 10301),
        ("OCTA_3M", "Projection Maps", 10445),
        ("OCTA_3M", "Projection Maps", 10500),
        ("OCTA_6M", "ProjectionMaps", 10001),
    ] {
        let root = dir.path().join(field);
        let image = root.join(maps).join(format!("OCTA(ILM_OPL)/{id}.bmp"));
        pair(image, root.join(format!("GT_LargeVessel/{id}.bmp")), id);
    }
    let data = open(dir.path(), &OpenOptions::default(), Layout::Octa500, &["10301", "10445", "10500"]);
    assert_eq!(splits(&data), [TRAIN, VAL, TEST]);
    let six = OpenOptions { octa_field: Some(OctaField::SixMillimetres), ..OpenOptions::default() };
    open(dir.path(), &six, Layout::Octa500, &["10001"]);
    open(&dir.path().join("OCTA_6M"), &OpenOptions::default(), Layout::Octa500, &["10001"]);
}

#[test]
fn rossa() {
    let dir = tree();
    for (part, id) in [("train_manual", 1), ("val", 101), ("test", 201), ("train_sam", 500)] {
        let root = dir.path().join(part);
        pair(root.join(format!("image/{id}.png")), root.join(format!("label/{id}.png")), id);
    }
    let data = open(dir.path(), &OpenOptions::default(), Layout::Rossa, &["1", "101", "201"]);
    assert_eq!(splits(&data), [TRAIN, VAL, TEST]);
    assert!(data.notes.iter().any(|n| n.contains("train_sam")));
}

#[test]
fn folder_as_the_released_code_has_it() {
    let dir = tree();
    for k in 1..4 {
        pair(dir.path().join(format!("images/{k}.png")), dir.path().join(format!("masks/{k}_mask.png")), k);
    }
    let table = "imgs,labels,split,fold\n/home/a/images/1.png,/home/a/masks/1_mask.png,train,0\n\
                 C:\\data\\images\\2.png,x,val,0\n../../etc/3.png,x,test,0\n";
    std::fs::write(dir.path().join("data_split.csv"), table).unwrap();
    let data = open(dir.path(), &OpenOptions::default(), Layout::Folder, &["1", "2", "3"]);
    assert_eq!(splits(&data), [TRAIN, VAL, TEST], "only base names count");
    std::fs::write(dir.path().join("data_split.csv"), "imgs,labels,split,fold\n9.png,x,train,0\n1.png,x,train,0\n")
        .unwrap();
    let error = Dataset::open(dir.path()).unwrap_err().to_string();
    assert!(error.contains("\"9\""), "{error}");
    std::fs::write(dir.path().join("data_split.csv"), "imgs,labels,split,fold\n1.png,x,tarin,0\n").unwrap();
    assert!(Dataset::open(dir.path()).unwrap_err().to_string().contains("tarin"));
    std::fs::write(dir.path().join("data_split.csv"), "a,b\n1,2\n").unwrap();
    assert!(Dataset::open(dir.path()).unwrap_err().to_string().contains("found a,b"));
}

#[test]
fn folders_of_users() {
    let dir = tree();
    pair(dir.path().join("a.png"), dir.path().join("a_mask.png"), 1);
    pair(dir.path().join("b c.jpg"), dir.path().join("b c_mask.png"), 2);
    std::fs::write(dir.path().join("split.csv"), "id,split,fold,patient\na,train,0,p1\nb c,test,,p2\n").unwrap();
    let data = open(dir.path(), &OpenOptions::default(), Layout::Folder, &["a", "b c"]);
    assert_eq!(data.samples[1].patient.as_deref(), Some("p2"));
    let dir = tree();
    for part in ["train", "val"] {
        pair(dir.path().join(part).join("images/1.png"), dir.path().join(part).join("masks/1.png"), 1);
    }
    let data = open(dir.path(), &OpenOptions::default(), Layout::Folder, &["train_1", "val_1"]);
    assert_eq!(splits(&data), [TRAIN, VAL]);
}

#[test]
fn all_structural_problems_in_one_report() {
    let dir = tree();
    let root = dir.path();
    pair(root.join("images/fine.png"), root.join("masks/fine.png"), 1);
    picture(root.join("images/lonely.png"), 24, 20, 1);
    bar(root.join("masks/orphan.png"), 24, 20);
    pair(root.join("images/twice.png"), root.join("masks/twice.png"), 1);
    picture(root.join("images/twice.jpg"), 24, 20, 1);
    bar(root.join("masks/fine_mask.png"), 24, 20);
    let Err(DataError::Problems(report)) = Dataset::open(root) else { panic!("expected a report") };
    let kinds: Vec<ProblemKind> = report.problems.iter().map(|p| p.kind).collect();
    assert_eq!(report.errors(), 4, "{report}");
    assert!(kinds.contains(&ProblemKind::MissingMask) && kinds.contains(&ProblemKind::MissingImage), "{report}");
    assert_eq!(kinds.iter().filter(|k| **k == ProblemKind::Ambiguous).count(), 2, "{report}");
}

#[test]
fn nothing_recognised() {
    let dir = tree();
    let error = Dataset::open(dir.path()).unwrap_err().to_string();
    for name in
        ["ARCADE", "ROSE-1", "DRIVE", "DIAS", "XRay-Angio", "CHASE_DB1", "OCTA-500", "ROSSA", "images and masks"]
    {
        assert!(error.contains(name), "{error}");
    }
    let insisted = OpenOptions { layout: Some(Layout::Drive), ..OpenOptions::default() };
    assert!(!Dataset::open_with(dir.path(), &insisted).unwrap_err().to_string().contains("ROSE"));
    assert!(matches!(Dataset::open(dir.path().join("none")).unwrap_err(), DataError::Io { .. }));
    let unknown: Result<OpenOptions, _> = toml::from_str("arcade_tsk = \"syntax\"");
    assert!(unknown.is_err(), "unknown keys are errors");
}
