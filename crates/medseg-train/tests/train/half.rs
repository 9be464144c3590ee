//! Frozen weights in half precision: what a check expects that they save.

use crate::support::{config, images, prepared};
use medseg_train::config::Precision;
use salt_peft::{AdapterConfig, Method, store_frozen_in_half};

#[test]
fn a_check_expects_what_half_precision_saves() {
    let folder = images([2, 1, 1]);
    let layers = ["qkv.weight$", "proj.weight$", "lin[12].weight$", r"neck\.[02]\.weight$"];
    let full = AdapterConfig { method: Method::Full, ..AdapterConfig::default() };
    for adapter in [
        AdapterConfig::salt(6, 4).with_include(layers).with_train(["norm", "prompt"]),
        AdapterConfig::svd().with_include(layers),
        AdapterConfig::lora(2, 2.0).with_include(layers),
        full,
    ] {
        let mut config = config(folder.path());
        config.adapter = Some(adapter.clone());
        let (_, base) = prepared(&config);
        let expected = |config: &medseg_train::config::RunConfig| base.expected_memory(config, 1).unwrap().unwrap();
        assert_eq!(expected(&config).halved, 0);
        config.training.precision = Precision::F16;
        config.devices = vec!["wgpu".into()];
        let found = expected(&config);
        let device = medseg_train::device::open("cpu").unwrap();
        let (_, saved) = store_frozen_in_half(base.adapted(Some(&adapter), &device).unwrap().segmenter);
        let (found, saved) = (found.halved as f64, saved as f64);
        assert!((found - saved).abs() <= 0.05 * saved, "{adapter:?}: {found} bytes expected, {saved} saved");
    }
}
