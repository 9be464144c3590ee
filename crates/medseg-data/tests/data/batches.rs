//! Batches of plain arrays, and the configurations that lead to them.

use crate::support::{bar, picture};
use medseg_data::transform::Augmentation;
use medseg_data::{Batch, Dataset, Item, Pipeline, Protocol};

fn data(count: usize) -> (tempfile::TempDir, Dataset) {
    let dir = tempfile::tempdir().unwrap();
    for k in 0..count {
        picture(dir.path().join(format!("images/{k}.png")), 30 + k % 5, 24, k);
        bar(dir.path().join(format!("masks/{k}.png")), 30 + k % 5, 24);
    }
    let data = Dataset::open(dir.path()).unwrap();
    (dir, data)
}

fn items(data: &Dataset, size: usize) -> Vec<Item> {
    let pipeline = Pipeline::training(Protocol::Default, size).unwrap();
    data.samples.iter().map(|sample| pipeline.apply(sample, 42, 2).unwrap()).collect()
}

#[test]
fn batches_are_the_items_stacked() {
    let (_dir, data) = data(3);
    let items = items(&data, 32);
    let batch = Batch::stack(&items).unwrap();
    assert_eq!((batch.len(), batch.side), (3, 32));
    assert_eq!(batch.ids, ["0", "1", "2"]);
    assert_eq!(batch.images, items.iter().flat_map(|i| i.image.clone()).collect::<Vec<_>>());
    assert_eq!(batch.masks[32 * 32..2 * 32 * 32], items[1].mask);
    assert_eq!(batch.geometry[1], items[1].geometry);
    assert_eq!(batch.ignored, None, "every pixel counts");
}

#[test]
fn only_samples_of_one_size_are_stacked() {
    let (_dir, data) = data(2);
    assert!(Batch::stack(&[]).unwrap_err().to_string().contains("at least one sample"));
    let mixed = [items(&data, 32), items(&data, 40)].concat();
    let error = Batch::stack(&mixed).unwrap_err().to_string();
    assert!(error.contains("32") && error.contains("40"), "{error}");
}

#[test]
fn configurations_are_checked() {
    assert!(Pipeline::evaluation(Protocol::Default, 4).is_err());
    let foreign = Augmentation { vertical_flip: 0.5, ..Augmentation::paper() };
    assert!(Pipeline::new(Protocol::Paper, 64, foreign).unwrap_err().to_string().contains("vertical_flip"));
    let wild = Augmentation { horizontal_flip: f64::NAN, ..Augmentation::none() };
    assert!(Pipeline::new(Protocol::Default, 64, wild).is_err());
    assert!(toml::from_str::<Augmentation>("[rotation]\nprobability = 1\nlow = 0\nhigh = 1\nmiddle = 2").is_err());
    let text = toml::to_string(&Augmentation::paper()).unwrap();
    assert_eq!(toml::from_str::<Augmentation>(&text).unwrap(), Augmentation::paper());
}
