//! The configuration file: spellings, keys that a method ignores, defaults, the way through TOML and back.

use crate::support::Toy;
use burn::tensor::Device;
use salt_peft::{
    AdapterConfig, Decomposition, Initialization, Iteration, Method, PeftError, Rank, SaltForm, Sketch, Slices, plan,
};
use std::collections::BTreeMap;

fn parse(text: &str) -> Result<AdapterConfig, String> {
    toml::from_str(text).map_err(|error| error.to_string())
}

#[test]
fn the_defaults_are_those_that_the_readme_recommends() {
    let config = parse("").expect("every key has a default");
    assert_eq!(config, AdapterConfig::default());
    assert_eq!((config.method, config.form), (Method::Salt, SaltForm::Diag));
    assert_eq!((config.initialization, config.seed), (Initialization::Identity, None));
}

#[test]
fn both_spellings_are_read_and_one_is_written() {
    let new =
        "method = \"salt\"\nsvd-rank = 5\nlora-rank = 3\n[svd-rank-pattern]\nqkv = 2\n[lora-rank-pattern]\nqkv = 1\n";
    let config = parse(new).expect("hyphens");
    assert_eq!(config.svd_rank, Rank::Fixed(5));
    assert_eq!(parse(&new.replace('-', "_")).expect("underscores"), config);
    let lora = "method = \"lora\"\nrank-stabilized = true\n[alpha-pattern]\nqkv = 2.0\n";
    assert_eq!(parse(&lora.replace('-', "_")).expect("underscores"), parse(lora).expect("hyphens"));
    let text = toml::to_string(&config).expect("TOML");
    assert!(text.contains("svd-rank") && !text.contains('_'), "{text}");
    let twice = parse("svd-rank = 5\nsvd_rank = 6").expect_err("which of the two?");
    assert!(twice.contains("twice") && twice.contains("svd_rank"), "{twice}");
}

#[test]
fn a_key_that_the_method_ignores_is_named_with_the_method() {
    for (method, key) in [
        ("salt", "alpha = 4.0"),
        ("salt", "alpha-pattern = { qkv = 4.0 }"),
        ("salt", "rank-stabilized = true"),
        ("svd", "lora-rank = 4"),
        ("svd", "svd-rank = 4"),
        ("svd", "initialization = \"identity\""),
        ("lora", "form = \"diag\""),
        ("lora", "svd_rank = 4"),
        ("dora", "svd-rank-pattern = { qkv = 4 }"),
        ("dora", "decomposition = \"exact\""),
        ("full", "lora-rank = 4"),
        ("biases", "slices = { qkv = { parts = 3, adapt = [0] } }"),
        ("norms", "layouts = { table = \"out-in\" }"),
    ] {
        let name = key.split(' ').next().expect("a key").replace('_', "-");
        let error = parse(&format!("method = \"{method}\"\n{key}")).expect_err(key);
        assert!(error.contains(&format!("`{name}`")) && error.contains(&format!("`{method}`")), "{key}: {error}");
    }
    // The same of a configuration made in code.
    let config = AdapterConfig { alpha: Some(2.0), ..AdapterConfig::salt(2, 2) };
    match plan(&Toy::new(&Device::default()), &config) {
        Err(PeftError::Config { field, reason }) => {
            assert!(field == "alpha" && reason.contains("`salt`") && reason.contains("`lora`"), "{reason}");
        }
        other => panic!("{other:?}"),
    }
    // Every method takes a seed, so that a comparison can give all of them the same.
    for method in ["salt", "svd", "lora", "dora", "biases", "norms", "full"] {
        let config = parse(&format!("method = \"{method}\"\nseed = 0\ntrain = [\"norm\"]")).expect(method);
        assert_eq!(config.seed, Some(0));
    }
}

#[test]
fn what_is_written_reads_as_the_same() {
    let sketch = Sketch { oversampling: 4, iteration: Iteration::Power { iterations: 1 }, seed: 3 };
    let configs = [
        AdapterConfig::default(),
        AdapterConfig::svd().with_form(SaltForm::Linear).with_seed(0),
        AdapterConfig::lora(3, 6.5).with_include(["qkv"]).with_exclude(["proj"]).with_train(["norm"]),
        AdapterConfig {
            slices: BTreeMap::from([("qkv".to_owned(), Slices { parts: 3, adapt: vec![0, 2] })]),
            svd_rank_pattern: BTreeMap::from([
                ("proj".to_owned(), Rank::energy(0.9)),
                ("qkv".to_owned(), Rank::Fixed(1)),
            ]),
            ..AdapterConfig::salt(2, 2)
        },
        AdapterConfig::salt(2, 2).with_form(SaltForm::Projector).with_decomposition(Decomposition::Randomized(sketch)),
        AdapterConfig { method: Method::Full, ..AdapterConfig::default() },
    ];
    for config in configs {
        let text = toml::to_string(&config).expect("TOML");
        assert_eq!(parse(&text).expect(&text), config, "{text}");
        let json = serde_json::to_string(&config).expect("JSON");
        assert_eq!(serde_json::from_str::<AdapterConfig>(&json).expect(&json), config, "{json}");
    }
    // A default is written out, so that a stored file keeps its meaning when the default changes.
    assert!(toml::to_string(&AdapterConfig::default()).expect("TOML").contains("form = \"diag\""));
}

#[test]
fn a_decomposition_is_written_as_a_word_or_a_table() {
    let config = |text: &str| parse(&format!("form = \"projector\"\nsvd-rank = 3\n{text}")).expect(text).decomposition;
    assert_eq!(config("decomposition = \"exact\""), Decomposition::Exact);
    assert_eq!(config("decomposition = { randomized = {} }"), Decomposition::Randomized(Sketch::default()));
    let full = "decomposition = { randomized = { oversampling = 4, seed = 3, iteration = { method = \"power\", iterations = 1 } } }";
    let sketch = Sketch { oversampling: 4, iteration: Iteration::Power { iterations: 1 }, seed: 3 };
    assert_eq!(config(full), Decomposition::Randomized(sketch));
    assert!(parse("decomposition = { randomized = { oversample = 4 } }").expect_err("a typo").contains("oversample"));
}
