//! The loader: order, prefetching, cache, resuming, errors in their place.

use crate::support::{bar, picture};
use burn::tensor::Device;
use medseg_data::transform::Augmentation;
use medseg_data::{Batch, DataError, Dataset, Item, Loader, LoaderConfig, Pipeline, Protocol};

fn data(count: usize) -> (tempfile::TempDir, Dataset) {
    let dir = tempfile::tempdir().unwrap();
    for k in 0..count {
        picture(dir.path().join(format!("images/{k}.png")), 30 + k % 5, 24, k);
        bar(dir.path().join(format!("masks/{k}.png")), 30 + k % 5, 24);
    }
    let data = Dataset::open(dir.path()).unwrap();
    (dir, data)
}

fn loader(data: &Dataset, config: LoaderConfig) -> Loader {
    Loader::new(data.samples.clone(), Pipeline::training(Protocol::Default, 32).unwrap(), config).unwrap()
}

fn config() -> LoaderConfig {
    LoaderConfig { batch_size: 3, workers: 2, shuffle: true, ..LoaderConfig::default() }
}

fn all(loader: &Loader, epoch: u64) -> Vec<Item> {
    loader.items(epoch).map(|i| i.unwrap()).collect()
}

#[test]
fn workers_cache_and_prefetching_change_nothing() {
    let (_dir, data) = data(11);
    let reference = all(&loader(&data, LoaderConfig { workers: 1, prefetch: 0, ..config() }), 3);
    assert_eq!(reference.len(), 11);
    for (workers, prefetch, cache_mib) in [(1, 4, 0), (4, 0, 0), (4, 3, 1), (2, 1, 64)] {
        let loader = loader(&data, LoaderConfig { workers, prefetch, cache_mib, ..config() });
        // The first epochs fill the cache; epoch 3 must come out the same from it.
        for epoch in 0..3 {
            all(&loader, epoch);
        }
        assert_eq!(all(&loader, 3), reference, "{workers} workers, {prefetch} ahead, cache of {cache_mib} MiB");
        assert_eq!(loader.cached_bytes() > 0, cache_mib > 0);
    }
}

#[test]
fn the_cache_keeps_its_limit() {
    let dir = tempfile::tempdir().unwrap();
    for k in 0..6 {
        picture(dir.path().join(format!("images/{k}.png")), 512, 512, k);
        bar(dir.path().join(format!("masks/{k}.png")), 512, 512);
    }
    let data = Dataset::open(dir.path()).unwrap();
    let pipeline = Pipeline::evaluation(Protocol::Default, 512).unwrap();
    // Each sample takes 2 x 256 KiB: four of six fit into 2 MiB.
    let loader = Loader::new(data.samples, pipeline, LoaderConfig { cache_mib: 2, ..config() }).unwrap();
    for epoch in 0..2 {
        all(&loader, epoch);
        assert_eq!(loader.cached_bytes(), 4 * 2 * 512 * 512);
    }
}

#[test]
fn epochs_differ_and_cover_everything() {
    let (_dir, data) = data(10);
    let loader = loader(&data, config());
    assert_ne!(loader.order(0), loader.order(1));
    for epoch in 0..3 {
        let mut order = loader.order(epoch);
        order.sort_unstable();
        assert_eq!(order, (0..10).collect::<Vec<_>>());
    }
    let (a, b) = (all(&loader, 0), all(&loader, 1));
    let other = |item: &Item| b.iter().find(|o| o.id == item.id).unwrap().image != item.image;
    assert!(a.iter().filter(|i| other(i)).count() > 5, "augmentation differs between epochs");
}

#[test]
fn batches_are_the_items_stacked() {
    let (_dir, data) = data(7);
    let loader = loader(&data, config());
    let items = all(&loader, 2);
    let batches: Vec<Batch> = loader.epoch(2, &Device::default()).map(|b| b.unwrap()).collect();
    assert_eq!(batches.iter().map(Batch::len).collect::<Vec<_>>(), [3, 3, 1]);
    assert_eq!(loader.batches_per_epoch(), 3);
    let ids: Vec<&String> = batches.iter().flat_map(|b| &b.ids).collect();
    assert_eq!(ids, items.iter().map(|i| &i.id).collect::<Vec<_>>());
    let second = &batches[1];
    assert_eq!(second.images.dims(), [3, 3, 32, 32]);
    assert_eq!(second.masks.dims(), [3, 1, 32, 32]);
    let images = second.images.to_data().try_to_vec::<f32>().unwrap();
    assert_eq!(images[3 * 32 * 32..2 * 3 * 32 * 32], items[4].image);
    let masks = second.masks.to_data().try_to_vec::<f32>().unwrap();
    assert_eq!(masks[32 * 32..2 * 32 * 32], items[4].mask);
    assert_eq!(second.geometry[1], items[4].geometry);
    let dropping = LoaderConfig { drop_last: true, ..config() };
    assert_eq!(Loader::new(data.samples, loader.pipeline().clone(), dropping).unwrap().items(0).len(), 6);
}

#[test]
fn resuming_in_the_middle_of_an_epoch_gives_the_rest() {
    let (_dir, data) = data(8);
    let loader = loader(&data, config());
    let device = Device::default();
    let whole: Vec<Batch> = loader.epoch(5, &device).map(|b| b.unwrap()).collect();
    let rest: Vec<Batch> = loader.epoch_from(5, 1, &device).map(|b| b.unwrap()).collect();
    assert_eq!(rest.len(), 2);
    for (a, b) in whole[1..].iter().zip(&rest) {
        assert_eq!(a.ids, b.ids);
        assert_eq!(a.images.to_data().try_to_vec::<f32>().unwrap(), b.images.to_data().try_to_vec::<f32>().unwrap());
    }
    assert_eq!(loader.epoch_from(5, 99, &device).count(), 0);
}

#[test]
fn a_broken_sample_is_an_error_in_its_place() {
    let (dir, data) = data(6);
    std::fs::write(dir.path().join("images/3.png"), "no image").unwrap();
    let loader = loader(&data, LoaderConfig { batch_size: 2, shuffle: false, ..config() });
    let batches: Vec<_> = loader.epoch(0, &Device::default()).collect();
    assert_eq!(batches.len(), 3);
    assert!(batches[0].is_ok() && batches[2].is_ok());
    let error = batches[1].as_ref().unwrap_err().to_string();
    assert!(error.contains("3.png"), "{error}");
}

#[test]
fn an_abandoned_epoch_harms_nobody() {
    let (_dir, data) = data(9);
    let loader = loader(&data, config());
    for _ in 0..20 {
        assert!(loader.items(0).next().unwrap().is_ok());
    }
    assert_eq!(all(&loader, 1).len(), 9);
}

#[test]
fn configurations_are_checked() {
    let (_dir, data) = data(2);
    let pipeline = Pipeline::evaluation(Protocol::Default, 32).unwrap();
    let none = LoaderConfig { batch_size: 0, ..config() };
    assert!(matches!(Loader::new(data.samples.clone(), pipeline.clone(), none), Err(DataError::Config { .. })));
    assert!(matches!(Loader::new([], pipeline, config()), Err(DataError::Config { .. })));
    assert!(Pipeline::evaluation(Protocol::Default, 4).is_err());
    let foreign = Augmentation { vertical_flip: 0.5, ..Augmentation::paper() };
    assert!(Pipeline::new(Protocol::Paper, 64, foreign).unwrap_err().to_string().contains("vertical_flip"));
    let wild = Augmentation { horizontal_flip: f64::NAN, ..Augmentation::none() };
    assert!(Pipeline::new(Protocol::Default, 64, wild).is_err());
    assert!(toml::from_str::<LoaderConfig>("batchsize = 3").is_err(), "unknown keys are errors");
    assert!(toml::from_str::<Augmentation>("[rotation]\nprobability = 1\nlow = 0\nhigh = 1\nmiddle = 2").is_err());
    let text = toml::to_string(&Augmentation::paper()).unwrap();
    assert_eq!(toml::from_str::<Augmentation>(&text).unwrap(), Augmentation::paper());
}
