//! What every method must keep, whatever it is: its declared change at step 0, merged = unmerged, saved and loaded to the same bits,
//! gradients that finite differences confirm, its formula of parameters, a frozen base, a refusal of another base.

use crate::support::{Toy, WIDTH, batch, doubles, gradients, in_doubles, perturb, relative_error, set, state, values};
use burn::module::Module;
use burn::optim::{AdamWConfig, GradientsParams};
use burn::tensor::{DType, Device, Tensor, TensorData};
use salt_peft::{
    AdapterConfig, AttachOptions, BasisStorage, Difference, Initialization, LoadOptions, Method, PeftError, Rank,
    SaltForm, SaveOptions, Slices, attach, load_adapter, materialize, merge, merge_report, save_adapter,
    trainable_report,
};
use std::collections::BTreeMap;

/// The adapted weights of the toy: `[out, in]`.
const SHAPES: [(&str, usize, usize); 3] = [("qkv", 3 * WIDTH, WIDTH), ("proj", WIDTH, WIDTH), ("neck", 6, 9 * WIDTH)];

struct Tested {
    name: &'static str,
    config: AdapterConfig,
    /// Whether the model at step 0 is the base.
    identity: bool,
    /// Trained parameters of one weight `[out, in]`.
    count: fn(usize, usize) -> usize,
}

fn methods() -> Vec<Tested> {
    let salt = |form| AdapterConfig { svd_rank: Rank::Fixed(3), lora_rank: 2, form, ..AdapterConfig::default() };
    let core = |out: usize, inp: usize| 2 * 3 + 2 * 2 * (out.min(inp) - 3);
    let method = |name, config, identity, count| Tested { name, config, identity, count };
    vec![
        method("lora", AdapterConfig::lora(2, 3.0), true, |o, i| 2 * (o + i)),
        method("rslora", AdapterConfig { rank_stabilized: true, ..AdapterConfig::lora(3, 3.0) }, true, |o, i| {
            3 * (o + i)
        }),
        method("dora", AdapterConfig::dora(2, 2.0), true, |o, i| 2 * (o + i) + o),
        method("svd", AdapterConfig::svd(), true, |o, i| 2 * o.min(i)),
        method("salt paper", salt(SaltForm::Paper), true, core),
        method("salt diag", salt(SaltForm::Diag), true, core),
        method("salt linear", salt(SaltForm::Linear), true, core),
        method("salt projector", salt(SaltForm::Projector), true, |o, i| 2 * 3 + 2 * (o + i)),
        method(
            "salt released for SAM",
            salt(SaltForm::Paper).with_initialization(Initialization::ReleasedSam1),
            false,
            core,
        ),
    ]
}

fn adapted(config: &AdapterConfig, device: &Device) -> Toy {
    attach(Toy::new(device), config, &AttachOptions::default()).expect("attaches").0
}

fn output(model: &Toy, device: &Device) -> Vec<f64> {
    doubles(model.forward(batch(device)).into_data())
}

#[test]
fn step_zero_is_what_the_initialisation_declares() {
    let device = Device::default();
    let base = output(&Toy::new(&device), &device);
    for method in methods() {
        let found = output(&adapted(&method.config, &device), &device);
        let difference = relative_error(&found, &base);
        if !method.identity {
            assert!((1e-6..1e-2).contains(&difference), "{}: {difference:e}", method.name);
        } else if method.config.method == Method::Dora {
            // The norm and the division by it each round once.
            assert!(difference < 1e-6, "{}: {difference:e}", method.name);
        } else {
            assert_eq!(found, base, "{} must start as the base, bit for bit", method.name);
        }
    }
}

#[test]
fn merged_equals_unmerged_and_unmerging_restores_the_base_bits() {
    let device = Device::default();
    let base = state(&Toy::new(&device));
    for method in methods() {
        let model = perturb(adapted(&method.config, &device), 40);
        let before = output(&model, &device);
        assert!(
            relative_error(&before, &output(&Toy::new(&device), &device)) > 1e-3,
            "{}: the perturbation must show",
            method.name
        );
        let report = merge_report(&model, |model| model.forward(batch(&device))).expect(method.name);
        assert!(report.relative() < 1e-6, "{}: {report:?}", method.name);
        assert_eq!(output(&materialize(&model), &device), before, "{}", method.name);
        let attached = state(&model);
        let merged = merge(model).expect(method.name);
        assert_eq!(merged.module().num_params(), Toy::new(&device).num_params(), "{}: plain weights only", method.name);
        assert_eq!(output(merged.module(), &device), before, "{}", method.name);
        let restored = state(&merged.unmerge());
        assert_eq!(restored, attached, "{}", method.name);
        for (path, values) in &base {
            assert_eq!(&restored[path], values, "{}: the base's `{path}`", method.name);
        }
    }
}

#[test]
fn saving_and_loading_gives_the_same_bits() {
    let device = Device::default();
    for method in methods() {
        let model = perturb(adapted(&method.config.clone().with_train(["norm"]), &device), 50);
        let before = output(&model, &device);
        for basis in [BasisStorage::Basis, BasisStorage::Recompute, BasisStorage::Delta] {
            let name = format!("{} {basis:?}", method.name);
            let options = SaveOptions::default().with_basis(basis);
            let [first, second] = [0, 1].map(|_| tempfile::tempdir().expect("a temporary folder"));
            save_adapter(&model, first.path(), &options).expect(&name);
            let (loaded, _) = load_adapter(Toy::new(&device), first.path(), &LoadOptions::default()).expect(&name);
            let spectral = matches!(method.config.method, Method::Salt | Method::Svd);
            if basis == BasisStorage::Delta && spectral {
                // Adding the update again rounds once.
                assert!(relative_error(&output(&loaded, &device), &before) < 1e-6, "{name}");
            } else {
                assert_eq!(state(&loaded), state(&model), "{name}");
                assert_eq!(output(&loaded, &device), before, "{name}");
            }
            save_adapter(&loaded, second.path(), &options).expect(&name);
            for file in ["adapter_config.json", "adapter_model.safetensors"] {
                let read = |folder: &tempfile::TempDir| std::fs::read(folder.path().join(file)).expect("written");
                assert!(read(&first) == read(&second), "{name}: {file} is not byte-stable");
            }
        }
    }
}

#[test]
fn gradients_are_those_of_finite_differences() {
    let device = Device::default().autodiff();
    for method in methods() {
        // DoRA's norm is a constant in the gradient by definition, so only its magnitude can be compared.
        let dora = method.config.method == Method::Dora;
        let base = in_doubles(Toy::new(&device));
        let model = perturb(attach(base, &method.config, &AttachOptions::default()).expect(method.name).0, 60);
        let x = batch(&device).cast(DType::F64);
        let loss = |model: &Toy| {
            let y = model.forward(x.clone());
            let weights = TensorData::new(values(y.shape().num_elements(), 5, 1.0), y.shape());
            (y * Tensor::from_data(weights, (&device, DType::F64))).sum()
        };
        let grads = gradients(&model, &loss(&model).backward());
        let now = state(&model);
        let mut compared = 0;
        for (path, gradient) in &grads {
            assert!(path.contains(".peft."), "{}: `{path}` is frozen and has a gradient", method.name);
            if dora && !path.ends_with("magnitude") {
                continue;
            }
            // Along the gradient itself, so that every entry counts; the step is too small to cross a kink of the ReLU.
            let norm = gradient.iter().map(|g| g * g).sum::<f64>().sqrt();
            assert!(norm > 0.0, "{}: no gradient for `{path}`", method.name);
            let step = 1e-6;
            let moved = |sign: f64| {
                let data = &now[path];
                let shifted: Vec<f64> = doubles(data.clone())
                    .iter()
                    .zip(gradient)
                    .map(|(value, g)| value + sign * step * g / norm)
                    .collect();
                let shifted = TensorData::new(shifted, data.shape().clone());
                doubles(loss(&set(model.clone(), BTreeMap::from([(path.clone(), shifted)]))).into_data())[0]
            };
            let slope = (moved(1.0) - moved(-1.0)) / (2.0 * step);
            assert!(
                (slope - norm).abs() < 1e-6 * norm + 1e-7,
                "{} `{path}`: slope {slope}, gradient {norm}",
                method.name
            );
            compared += 1;
        }
        assert!(compared >= SHAPES.len(), "{}: {compared} factors compared", method.name);
    }
}

#[test]
fn trained_parameters_follow_the_formula_and_only_they_move() {
    let device = Device::default().autodiff();
    for method in methods() {
        let config = method.config.clone().with_train(["norm"]);
        let (mut model, report) = attach(Toy::new(&device), &config, &AttachOptions::default()).expect(method.name);
        let expected: usize = SHAPES.iter().map(|(_, out, inp)| (method.count)(*out, *inp)).sum::<usize>() + 2 * WIDTH;
        let trainable = trainable_report(&model).expect("ours");
        assert_eq!(trainable.trainable, expected, "{}\n{trainable}", method.name);
        assert_eq!(report.plan.trainable(), Some(expected), "{}", method.name);
        assert_eq!(trainable.frozen, Toy::new(&device).num_params() - 2 * WIDTH, "{}", method.name);

        let before = state(&model);
        let mut optimizer = AdamWConfig::new().init();
        for _ in 0..3 {
            let loss = model.forward(batch(&device)).square().mean();
            let grads = GradientsParams::from_grads(loss.backward(), &model);
            model = optimizer.step(1e-2, model, grads);
        }
        let after = state(&model);
        for (path, values) in &before {
            let moved = &after[path] != values;
            let trained = path.contains(".peft.") && !path.contains(".basis.");
            assert_eq!(moved, trained, "{}: `{path}`", method.name);
        }
        assert_eq!(trainable_report(&model).expect("ours"), trainable, "{}", method.name);
    }
}

#[test]
fn another_base_is_refused() {
    let device = Device::default();
    for method in methods() {
        let model = adapted(&method.config, &device);
        let folder = tempfile::tempdir().expect("a temporary folder");
        save_adapter(&model, folder.path(), &SaveOptions::default()).expect(method.name);
        let mut weight = doubles(state(&Toy::new(&device))["proj.weight"].clone());
        weight[5] += 1e-3;
        let weight = TensorData::new(weight, [WIDTH, WIDTH]).convert::<f32>();
        let other = set(Toy::new(&device), BTreeMap::from([("proj.weight".to_owned(), weight)]));
        match load_adapter(other, folder.path(), &LoadOptions::default()) {
            Err(PeftError::WrongBase { path, difference, expected, found, .. }) => {
                assert_eq!(difference, Difference::Weight);
                assert_eq!((path.as_str(), expected.len(), found.len()), ("proj.weight", 64, 64));
                assert_ne!(expected, found);
            }
            other => panic!("{}: {:?}", method.name, other.map(|(_, report)| report)),
        }
    }
}

#[test]
fn slices_of_a_fused_weight_leave_the_rest_alone() {
    let device = Device::default();
    for method in methods() {
        let config = AdapterConfig {
            include: vec!["qkv".into()],
            slices: BTreeMap::from([("qkv".to_owned(), Slices { parts: 3, adapt: vec![2, 0] })]),
            ..method.config.clone()
        };
        let model = perturb(adapted(&config, &device), 70);
        let trainable = trainable_report(&model).expect("ours").trainable;
        assert_eq!(trainable, 2 * (method.count)(WIDTH, WIDTH), "{}", method.name);
        let before = output(&model, &device);
        let folder = tempfile::tempdir().expect("a temporary folder");
        save_adapter(&model, folder.path(), &SaveOptions::default()).expect(method.name);
        let (loaded, _) = load_adapter(Toy::new(&device), folder.path(), &LoadOptions::default()).expect(method.name);
        assert_eq!(output(&loaded, &device), before, "{}", method.name);
        let merged = doubles(state(merge(model).expect(method.name).module())["qkv.weight"].clone());
        let base = doubles(state(&Toy::new(&device))["qkv.weight"].clone());
        for (index, (new, old)) in merged.iter().zip(&base).enumerate() {
            let part = (index % (3 * WIDTH)) / WIDTH;
            assert!(part != 1 || new == old, "{}: keys must keep their bits", method.name);
        }
        let moved = |part: usize| (0..merged.len()).any(|i| (i % (3 * WIDTH)) / WIDTH == part && merged[i] != base[i]);
        assert!(moved(0) && moved(2), "{}", method.name);
    }
}
