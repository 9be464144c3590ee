//! Patterns, several named adapters, warnings, seeds, conversion, inspection.

use crate::support::{Toy, WIDTH, batch, doubles, fill, perturb, relative_error, set, state};
use burn::module::Module;
use burn::nn::conv::{ConvTranspose2d, ConvTranspose2dConfig};
use burn::nn::{BatchNorm, BatchNormConfig, Linear, LinearConfig};
use burn::tensor::{Device, Tensor, TensorData};
use salt_peft::{
    AdapterConfig, AttachOptions, Initialization, KeyMap, Layout, LoadOptions, Method, PeftError, Rank, SaltForm,
    SaveOptions, active_adapter, adapter_names, attach, disable, inspect, load_adapter, merge, plan, remove,
    save_adapter, switch, to_lora, trainable_report,
};
use std::collections::BTreeMap;

fn device() -> Device {
    Device::default()
}

fn output(model: &Toy) -> Vec<f64> {
    doubles(model.forward(batch(&device())).into_data())
}

fn named(name: &str) -> AttachOptions {
    AttachOptions::default().with_name(name)
}

#[test]
fn the_dry_run_lists_what_matched_and_what_did_not() {
    let model = Toy::new(&device());
    let config = AdapterConfig::lora(2, 2.0).with_include(["qkv", "proj"]).with_exclude(["proj"]).with_train(["norm"]);
    let plan = plan(&model, &config).expect("plans");
    let paths: Vec<&str> = plan.layers.iter().map(|layer| layer.path.as_str()).collect();
    assert_eq!(paths, ["qkv.weight"]);
    assert_eq!(plan.trained.iter().map(|p| p.path.as_str()).collect::<Vec<_>>(), ["norm.gamma", "norm.beta"]);
    assert_eq!(plan.frozen.len(), 5, "biases, proj and neck");
    assert_eq!(plan.base_parameters(), model.num_params());
    let text = plan.to_string();
    assert!(text.contains("qkv.weight") && text.contains("neck.bias"), "{text}");
}

#[test]
fn the_dry_run_brings_no_parameter_into_being() {
    let layer: Linear = LinearConfig::new(1 << 20, 1 << 20).init(&device());
    let planned = plan(&layer, &AdapterConfig::salt(100, 4)).expect("plans four terabytes");
    assert_eq!(planned.trainable(), Some(2 * 100 + 2 * 4 * ((1 << 20) - 100)));
    assert!(!layer.weight.is_initialized());
}

#[test]
fn patterns_that_match_nothing_or_contradict_are_errors() {
    let model = Toy::new(&device());
    let fails = |config: AdapterConfig| plan(&model, &config).map(|_| ()).expect_err("must fail").to_string();
    let typo = fails(AdapterConfig::lora(2, 2.0).with_include(["qvk"]));
    assert!(typo.contains("qvk") && typo.contains("qkv.weight"), "{typo}");
    assert!(fails(AdapterConfig::lora(2, 2.0).with_train(["prompt_token"])).contains("prompt_token"));
    assert!(fails(AdapterConfig::lora(2, 2.0).with_exclude(["absent"])).contains("absent"));
    assert!(fails(AdapterConfig::lora(2, 2.0).with_include(["("])).contains("regular expression"));
    assert!(fails(AdapterConfig::lora(2, 2.0).with_include(["qkv"]).with_exclude(["qkv"])).contains("excluded"));
    assert!(fails(AdapterConfig::salt(9, 2).with_include(["proj"])).contains("exceeds its 8"));
    assert!(fails(AdapterConfig::lora(0, 2.0)).contains("lora-rank"));
    assert!(fails(AdapterConfig::lora(2, f64::NAN)).contains("alpha"));
    assert!(fails(AdapterConfig::lora(2, 2.0).with_train(["qkv.weight"])).contains("trained in full"));
    let ambiguous = AdapterConfig {
        lora_rank_pattern: BTreeMap::from([("qkv".to_owned(), 3), ("weight".to_owned(), 4)]),
        ..AdapterConfig::lora(2, 2.0)
    };
    assert!(fails(ambiguous).contains("different values"));
    let unused =
        AdapterConfig { alpha_pattern: BTreeMap::from([("nothing".to_owned(), 3.0)]), ..AdapterConfig::lora(2, 2.0) };
    assert!(fails(unused).contains("nothing"));
    let unknown = serde_json::from_str::<AdapterConfig>(r#"{"method": "lora", "rnak": 4}"#)
        .expect_err("an unknown field")
        .to_string();
    assert!(unknown.contains("rnak"), "{unknown}");
}

#[test]
fn ranks_can_be_fixed_a_fraction_per_pattern_or_a_rule() {
    let model = Toy::new(&device());
    let config: AdapterConfig = serde_json::from_str(
        r#"{"method": "salt", "lora-rank": 2, "svd-rank": {"rule": "fraction", "share": 0.5},
            "svd-rank-pattern": {"qkv": {"rule": "energy", "share": 0.9}, "neck": 3}}"#,
    )
    .expect("parses");
    let planned = plan(&model, &config).expect("plans");
    assert_eq!(planned.trainable(), None, "an energy rule needs the values");
    let (model, report) = attach(model, &config, &AttachOptions::default()).expect("attaches");
    let ranks: Vec<usize> = report
        .plan
        .layers
        .iter()
        .map(|layer| match layer.parts[0].kind {
            Some(salt_peft::Kind::Salt { svd_rank, .. }) => svd_rank,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(ranks[1..], [4, 3]);
    assert!((1..WIDTH).contains(&ranks[0]), "{ranks:?}");
    assert_eq!(report.plan.trainable(), Some(trainable_report(&model).expect("ours").trainable));
}

#[test]
fn several_adapters_live_on_one_base_with_their_own_trained_parameters() {
    let base = output(&Toy::new(&device()));
    let (model, _) = attach(Toy::new(&device()), &AdapterConfig::lora(2, 2.0).with_train(["norm"]), &named("first"))
        .expect("attaches");
    let model = perturb(model, 20);
    let first = output(&model);
    let config = AdapterConfig::salt(3, 2).with_include(["proj"]).with_train(["neck.bias"]);
    let (model, _) = attach(model, &config, &named("second")).expect("attaches");
    assert_eq!(output(&model), base, "the second starts as the base");
    assert_eq!(active_adapter(&model).expect("ours").as_deref(), Some("second"));
    assert_eq!(adapter_names(&model).expect("ours"), ["first", "second"]);
    let before = state(&model);
    let model = switch(model, "first").expect("exists");
    assert_eq!(output(&model), first);
    assert_eq!(state(&model), before, "switching changes no value");
    let model = disable(model).expect("ours");
    assert_eq!(output(&model), base);
    assert_eq!(active_adapter(&model).expect("ours"), None);
    let model = switch(model, "first").expect("exists");
    assert!(matches!(switch(model.clone(), "third"), Err(PeftError::UnknownAdapter { .. })));
    assert!(matches!(attach(model.clone(), &config, &named("first")), Err(PeftError::DuplicateAdapter { .. })));
    assert!(matches!(attach(model.clone(), &config, &named("a.b")), Err(PeftError::Config { .. })));
    let model = remove(remove(model, "second").expect("exists"), "first").expect("exists");
    assert_eq!(output(&model), base);
    assert_eq!(state(&model), state(&Toy::new(&device())), "nothing is left behind");
}

#[test]
fn only_the_active_adapter_gets_gradients() {
    let device = device().autodiff();
    let (model, _) = attach(Toy::new(&device), &AdapterConfig::lora(2, 2.0), &named("first")).expect("attaches");
    let (model, _) = attach(model, &AdapterConfig::svd(), &named("second")).expect("attaches");
    let model = switch(perturb(model, 3), "first").expect("exists");
    let grads = model.forward(batch(&device)).square().sum().backward();
    let paths: Vec<String> = crate::support::gradients(&model, &grads).into_keys().collect();
    assert_eq!(paths.len(), 6, "{paths:?}");
    assert!(paths.iter().all(|path| path.contains(".peft.first.")), "{paths:?}");
}

#[test]
fn a_seed_gives_the_same_factors_and_no_two_factors_share_a_stream() {
    let config = AdapterConfig::salt(3, 2).with_initialization(Initialization::ReleasedSam1).with_seed(9);
    let values = |config: &AdapterConfig| {
        state(&attach(Toy::new(&device()), config, &AttachOptions::default()).expect("attaches").0)
    };
    let (one, two) = (values(&config), values(&config));
    assert_eq!(one, two);
    let other = values(&config.clone().with_seed(10));
    let x = |state: &BTreeMap<String, TensorData>, path: &str| doubles(state[path].clone());
    assert_ne!(x(&one, "proj.weight.peft.default.tail.x"), x(&other, "proj.weight.peft.default.tail.x"));
    // qkv and proj have the same number of singular values: same shapes, other numbers.
    assert_ne!(x(&one, "proj.weight.peft.default.tail.x"), x(&one, "qkv.weight.peft.default.tail.x"));
    assert_ne!(x(&one, "proj.weight.peft.default.tail.x"), x(&one, "proj.weight.peft.default.tail.y"));
}

#[test]
fn the_projector_form_does_not_depend_on_signs_and_the_core_form_does() {
    let changed = |form| {
        let config = AdapterConfig {
            svd_rank: Rank::Fixed(3),
            lora_rank: 2,
            form,
            include: vec!["proj".into()],
            ..AdapterConfig::default()
        };
        let model = perturb(attach(Toy::new(&device()), &config, &AttachOptions::default()).expect("attaches").0, 5);
        // Flip the last pair of whichever block carries the update: the same decomposition, mathematically.
        let block = if form == SaltForm::Projector { "top" } else { "tail" };
        let now = state(&model);
        let path = |part: &str| format!("proj.weight.peft.default.{block}.basis.{part}");
        let flip = |part: &str, is_last: &dyn Fn(usize, usize) -> bool| {
            let data = &now[&path(part)];
            let (rows, columns) = (data.shape()[0], data.shape()[1]);
            let last = if part == "left" { columns - 1 } else { rows - 1 };
            let flipped: Vec<f32> = doubles(data.clone())
                .iter()
                .enumerate()
                .map(|(i, v)| {
                    if is_last(if part == "left" { i % columns } else { i / columns }, last) {
                        -*v as f32
                    } else {
                        *v as f32
                    }
                })
                .collect();
            (path(part), TensorData::new(flipped, data.shape().clone()))
        };
        let same = |index: usize, last: usize| index == last;
        let flipped = set(model.clone(), BTreeMap::from([flip("left", &same), flip("right", &same)]));
        relative_error(&output(&flipped), &output(&model))
    };
    assert!(changed(SaltForm::Projector) < 1e-6);
    assert!(changed(SaltForm::Linear) > 1e-3);
}

#[test]
fn trivial_methods_train_what_their_names_say() {
    let trained = |config: AdapterConfig| {
        let (model, report) = attach(Toy::new(&device()), &config, &AttachOptions::default()).expect("attaches");
        assert_eq!(output(&model), output(&Toy::new(&device())));
        report.plan.trained.into_iter().map(|parameter| parameter.path).collect::<Vec<_>>()
    };
    let method = |method| AdapterConfig { method, ..AdapterConfig::default() };
    assert_eq!(trained(method(Method::Biases)), ["qkv.bias", "norm.beta", "proj.bias", "neck.bias"]);
    assert_eq!(trained(method(Method::Norms)), ["norm.gamma", "norm.beta"]);
    assert_eq!(trained(method(Method::Named).with_include(["neck"])), ["neck.weight", "neck.bias"]);
    assert_eq!(trained(method(Method::Full)).len(), 8);
    assert!(plan(&Toy::new(&device()), &method(Method::Named)).is_err());
}

#[derive(Module, Debug)]
struct Upscaler {
    up: ConvTranspose2d,
    norm: BatchNorm,
    table: burn::module::Param<Tensor<2>>,
    last: Linear,
}

fn upscaler() -> Upscaler {
    let device = device();
    let model = Upscaler {
        up: ConvTranspose2dConfig::new([6, 4], [2, 2]).with_stride([2, 2]).init(&device),
        norm: BatchNormConfig::new(4).init(&device),
        table: burn::module::Param::from_data(TensorData::new(vec![1.0f32; 15], [5, 3]), &device),
        last: LinearConfig::new(4, 3).init(&device),
    };
    fill(model, 80)
}

#[test]
fn transposed_convolutions_bare_parameters_and_running_statistics_are_covered() {
    let config = AdapterConfig {
        include: vec!["up".into(), "table".into()],
        layouts: BTreeMap::from([("^table$".to_owned(), Layout::OutIn)]),
        train: vec!["norm".into(), "last".into()],
        ..AdapterConfig::salt(2, 2)
    };
    let planned = plan(&upscaler(), &config).expect("plans");
    assert_eq!(planned.buffers.len(), 2, "running mean and variance are no parameters");
    let (model, _) = attach(upscaler(), &config, &AttachOptions::default()).expect("attaches");
    // ConvTranspose2d [6, 4, 2, 2]: in 6, out 16, six singular values; the table [5, 3]: three.
    let full = 4 + 4 + 4 * 3 + 3;
    assert_eq!(trainable_report(&model).expect("ours").trainable, (2 * 2 + 2 * 2 * 4) + (2 * 2 + 2 * 2) + full);
    let model = perturb(model, 81);
    let x = Tensor::<4>::from_data(TensorData::new(crate::support::values(6 * 9, 1, 1.0), [1, 6, 3, 3]), &device());
    let y = model.up.forward(x.clone()).into_data();
    let folder = tempfile::tempdir().expect("a temporary folder");
    save_adapter(&model, folder.path(), &SaveOptions::default()).expect("saves");
    let other_statistics =
        set(upscaler(), BTreeMap::from([("norm.running_mean".to_owned(), TensorData::new(vec![9.0f32; 4], [4]))]));
    let (loaded, report) = load_adapter(other_statistics, folder.path(), &LoadOptions::default()).expect("loads");
    assert_eq!(report.trained.len(), 4, "{report:?}");
    assert_eq!(state(&loaded), state(&model), "the statistics of a trained normalisation belong to the adapter");
    loaded.up.forward(x.clone()).into_data().assert_eq(&y, true);
    merge(loaded).expect("merges").module().up.forward(x).into_data().assert_eq(&y, true);
}

#[test]
fn a_key_map_renames_modules_both_ways() {
    let keys = KeyMap::new([("^qkv", "attn.in_proj"), ("^", "image_encoder.")]).expect("patterns");
    let (model, _) =
        attach(Toy::new(&device()), &AdapterConfig::lora(2, 2.0), &AttachOptions::default()).expect("attaches");
    let model = perturb(model, 9);
    let folder = tempfile::tempdir().expect("a temporary folder");
    save_adapter(&model, folder.path(), &SaveOptions::default().with_keys(keys.clone())).expect("saves");
    let bytes = std::fs::read(folder.path().join("adapter_model.safetensors")).expect("written");
    let file = safetensors::SafeTensors::deserialize(&bytes).expect("safetensors");
    assert!(file.tensor("base_model.model.image_encoder.attn.in_proj.lora_A.weight").is_ok(), "{:?}", file.names());
    let missing = load_adapter(Toy::new(&device()), folder.path(), &LoadOptions::default()).map(|_| ());
    assert!(matches!(missing, Err(PeftError::Keys { .. })), "{missing:?}");
    let (loaded, _) =
        load_adapter(Toy::new(&device()), folder.path(), &LoadOptions::default().with_keys(keys)).expect("loads");
    assert_eq!(output(&loaded), output(&model));
}

#[test]
fn two_files_that_do_not_belong_together_are_refused() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (model, _) =
        attach(Toy::new(&device()), &AdapterConfig::salt(3, 2), &AttachOptions::default()).expect("attaches");
    save_adapter(&model, folder.path(), &SaveOptions::default()).expect("saves");
    let config = std::fs::read(folder.path().join("adapter_config.json")).expect("written");
    save_adapter(&perturb(model, 2), folder.path(), &SaveOptions::default()).expect("saves");
    std::fs::write(folder.path().join("adapter_config.json"), config).expect("written");
    let torn = load_adapter(Toy::new(&device()), folder.path(), &LoadOptions::default()).map(|_| ());
    assert!(
        matches!(&torn, Err(PeftError::Format { reason, .. }) if reason.contains("do not belong together")),
        "{torn:?}"
    );
}

#[test]
fn a_specification_that_makes_no_sense_is_refused_and_never_a_panic() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (model, _) =
        attach(Toy::new(&device()), &AdapterConfig::salt(3, 2), &AttachOptions::default()).expect("attaches");
    save_adapter(&model, folder.path(), &SaveOptions::default()).expect("saves");
    let file = folder.path().join("adapter_config.json");
    let text = std::fs::read_to_string(&file).expect("written");
    for (from, to) in [
        ("\"len\": 24", "\"len\": 99"),
        ("\"len\": 24", "\"len\": 0"),
        ("\"start\": 0", "\"start\": 18446744073709551615"),
        ("\"svd_rank\": 3", "\"svd_rank\": 9"),
        ("\"lora_rank\": 2", "\"lora_rank\": 18446744073709551615"),
        ("\"format\": 1", "\"format\": 2"),
        ("\"weights_sha256\"", "\"weights_sha512\""),
    ] {
        assert!(text.contains(from), "{from}");
        std::fs::write(&file, text.replacen(from, to, 1)).expect("written");
        let refused = load_adapter(Toy::new(&device()), folder.path(), &LoadOptions::default()).map(|_| ());
        assert!(matches!(refused, Err(PeftError::Format { .. })), "{from} -> {to}: {refused:?}");
    }
}

#[test]
fn conversion_to_lora_reports_what_it_loses_and_keeps_trained_parameters() {
    let config = AdapterConfig::salt(3, 2).with_train(["norm"]);
    let (model, _) = attach(Toy::new(&device()), &config, &AttachOptions::default()).expect("attaches");
    let model = perturb(model, 4);
    let before = output(&model);
    let error = |rank, name: &str| {
        let (converted, report) = to_lora(model.clone(), rank, name).expect("converts");
        let worst = report.layers.iter().map(|row| row.relative_error).fold(0.0, f64::max);
        assert!(report.relative_error <= worst && report.layers.len() == 3, "{report}");
        assert!(report.to_string().contains("neck.weight") && report.to_string().contains("all"), "{report}");
        (relative_error(&output(&converted), &before), worst, converted)
    };
    let (whole, none_lost, converted) = error(8, "all");
    assert!(whole < 1e-5 && none_lost < 1e-6, "{whole:e} {none_lost:e}");
    let (rough, lost, _) = error(1, "one");
    assert!(rough > 1e-3 && lost > 1e-2, "{rough:e} {lost:e}");
    let folder = tempfile::tempdir().expect("a temporary folder");
    save_adapter(&converted, folder.path(), &SaveOptions::default()).expect("saves");
    let text = std::fs::read_to_string(folder.path().join("adapter_config.json")).expect("written");
    assert!(text.contains("\"peft_type\": \"LORA\"") && text.contains("\"norm\""), "{text}");
    let (loaded, _) = load_adapter(Toy::new(&device()), folder.path(), &LoadOptions::default()).expect("loads");
    assert_eq!(output(&loaded), output(&converted));
}

#[test]
fn inspection_finds_a_top_block_update_in_the_top_block() {
    let config =
        AdapterConfig { include: vec!["proj".into()], train: vec!["norm".into()], ..AdapterConfig::salt(3, 2) };
    let (model, _) = attach(Toy::new(&device()), &config, &AttachOptions::default()).expect("attaches");
    let untouched = inspect(&model, Rank::Fixed(2)).expect("inspects");
    assert!(untouched.layers.iter().all(|layer| layer.relative_size == 0.0), "{untouched}");
    let alpha = TensorData::new(vec![1.5f32, 1.4, 1.6], [3]);
    let model = set(model, BTreeMap::from([("proj.weight.peft.default.top.alpha".to_owned(), alpha)]));
    let report = inspect(&model, Rank::Fixed(2)).expect("inspects");
    let layer = report.layers.iter().find(|layer| layer.path == "proj.weight").expect("listed");
    let spectrum = layer.spectrum.as_ref().expect("a matrix");
    assert_eq!(spectrum.rank, 3);
    assert!(spectrum.top_share > 0.9999, "{report}");
    assert!(spectrum.effective_rank > 1.0 && spectrum.effective_rank <= 3.001, "{report}");
    assert!(spectrum.largest_left_angle < 0.2, "scaling top values turns no direction\n{report}");
    assert!(layer.relative_size > 0.1);
    assert!(serde_json::to_string(&report).expect("JSON").contains("top_share"));
}
