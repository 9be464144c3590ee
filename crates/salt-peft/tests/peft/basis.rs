//! Where bases come from: the cache, and randomised decompositions.

use crate::support::{batch, doubles, fill, perturb, relative_error, state};
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor, TensorData};
use salt_peft::{
    AdapterConfig, AttachOptions, BasisStorage, Decomposition, LoadOptions, PeftError, Rank, SaltForm, SaveOptions,
    Sketch, attach, load_adapter, plan, save_adapter,
};
use std::path::Path;

const INPUTS: usize = 40;
const OUTPUTS: usize = 56;

fn layer() -> Linear {
    fill(LinearConfig::new(INPUTS, OUTPUTS).init(&Device::default()), 5)
}

fn projector() -> AdapterConfig {
    AdapterConfig::salt(4, 2).with_form(SaltForm::Projector)
}

fn randomized() -> AdapterConfig {
    projector().with_decomposition(Decomposition::Randomized(Sketch::default()))
}

fn entries(folder: &Path) -> usize {
    std::fs::read_dir(folder).expect("a folder").count()
}

#[test]
fn a_cache_gives_the_same_bits_and_one_entry_serves_every_form_and_rank() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let cached = AttachOptions::default().with_basis_cache(folder.path());
    for config in [
        AdapterConfig::salt(4, 2),
        AdapterConfig::salt(7, 3).with_form(SaltForm::Paper),
        projector(),
        AdapterConfig { svd_rank: Rank::energy(0.5), ..projector() },
        AdapterConfig::svd(),
    ] {
        let plain = attach(layer(), &config, &AttachOptions::default()).expect("attaches").0;
        for _ in 0..2 {
            let model = attach(layer(), &config, &cached).expect("attaches").0;
            assert_eq!(state(&model), state(&plain));
            assert_eq!(entries(folder.path()), 1);
        }
    }
    attach(layer(), &randomized(), &cached).expect("attaches");
    assert_eq!(entries(folder.path()), 2, "a sketch is another decomposition");
    let file = folder.path().join("not a folder");
    std::fs::write(&file, "").expect("written");
    let refused = attach(layer(), &projector(), &AttachOptions::default().with_basis_cache(&file)).map(|_| ());
    assert!(matches!(refused, Err(PeftError::Cache(_))), "{refused:?}");
}

#[test]
fn a_sketch_gives_nearly_the_leading_basis_and_the_record_says_so() {
    let exact = attach(layer(), &projector(), &AttachOptions::default()).expect("attaches").0;
    let (model, _) = attach(layer(), &randomized(), &AttachOptions::default()).expect("attaches");
    let sigma = |model: &Linear| doubles(state(model)["weight.peft.default.top.basis.sigma"].clone());
    assert!(relative_error(&sigma(&model), &sigma(&exact)) < 1e-2);
    assert_ne!(sigma(&model), sigma(&exact));
    let x = Tensor::<2>::from_data(
        TensorData::new(crate::support::values(3 * INPUTS, 2, 1.0), [3, INPUTS]),
        &Device::default(),
    );
    let output = |model: &Linear| doubles(model.forward(x.clone()).into_data());
    assert_eq!(output(&model), output(&layer()), "the start is the base, whatever the basis");

    let model = perturb(model, 3);
    for storage in [BasisStorage::Basis, BasisStorage::Recompute] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        save_adapter(&model, folder.path(), &SaveOptions::default().with_basis(storage)).expect("saves");
        let text = std::fs::read_to_string(folder.path().join("adapter_config.json")).expect("written");
        assert!(text.contains("randomized-power") && text.contains("\"oversampling\": 10"), "{text}");
        let (loaded, _) = load_adapter(layer(), folder.path(), &LoadOptions::default()).expect("loads");
        assert_eq!(state(&loaded), state(&model), "{storage:?}");
    }
    // Another seed of the sketch, another basis; the seed of the adapter does not touch it.
    let sketch = Sketch { seed: 1, ..Sketch::default() };
    let other = projector().with_decomposition(Decomposition::Randomized(sketch));
    let other = attach(layer(), &other, &AttachOptions::default()).expect("attaches").0;
    let again = attach(layer(), &randomized().with_seed(9), &AttachOptions::default()).expect("attaches").0;
    assert_ne!(sigma(&other), sigma(&again));
    assert_eq!(sigma(&model), sigma(&again));
}

#[test]
fn a_sketch_as_wide_as_the_weight_is_an_exact_decomposition() {
    let wide = |config: AdapterConfig| {
        attach(layer(), &AdapterConfig { svd_rank: Rank::Fixed(30), ..config }, &AttachOptions::default())
            .expect("attaches")
            .0
    };
    assert_eq!(state(&wide(randomized())), state(&wide(projector())));
}

#[test]
fn only_what_needs_the_leading_basis_alone_may_be_sketched() {
    let refused = |config: AdapterConfig| plan(&layer(), &config).map(|_| ()).expect_err("refused").to_string();
    for form in [SaltForm::Paper, SaltForm::Diag, SaltForm::Linear] {
        let text = refused(randomized().with_form(form));
        assert!(text.contains("decomposition") && text.contains("projector"), "{text}");
        // Without an update nothing beyond the top block is needed.
        let config = AdapterConfig { lora_rank: 0, ..randomized().with_form(form) };
        attach(layer(), &config, &AttachOptions::default()).expect("attaches");
    }
    assert!(refused(AdapterConfig { svd_rank: Rank::energy(0.9), ..randomized() }).contains("rank"));
    plan(&layer(), &AdapterConfig { svd_rank: Rank::fraction(0.1), ..randomized() }).expect("a fraction is known");
    let svd = AdapterConfig::svd().with_decomposition(Decomposition::Randomized(Sketch::default()));
    assert!(refused(svd).contains("`svd`"));
    assert_eq!(batch(&Device::default()).dims().len(), 4);
}
