//! Weights whose values no adapter can live with, and the place where numbers went wrong.

use crate::support::{Toy, WIDTH, batch, doubles, set, state};
use burn::module::{Module, Param};
use burn::nn::LinearConfig;
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor, TensorData};
use salt_peft::{
    AdapterConfig, AttachOptions, Method, PeftError, Slices, attach, check, first_non_finite,
    first_non_finite_gradient, load_adapter, plan, save_adapter,
};
use std::collections::BTreeMap;

/// The toy with some outputs of `qkv [WIDTH, 3 WIDTH]` multiplied.
fn with_outputs(outputs: &[usize], factor: f64) -> Toy {
    let toy = Toy::new(&Device::default());
    let columns = 3 * WIDTH;
    let values: Vec<f32> = doubles(state(&toy)["qkv.weight"].clone())
        .into_iter()
        .enumerate()
        .map(|(i, value)| if outputs.contains(&(i % columns)) { (value * factor) as f32 } else { value as f32 })
        .collect();
    set(toy, BTreeMap::from([("qkv.weight".to_owned(), TensorData::new(values, [WIDTH, columns]))]))
}

fn with_value(path: &str, index: usize, value: f32) -> Toy {
    let toy = Toy::new(&Device::default());
    let data = state(&toy)[path].clone();
    let shape = data.shape().clone();
    let mut values: Vec<f32> = doubles(data).into_iter().map(|value| value as f32).collect();
    values[index] = value;
    set(toy, BTreeMap::from([(path.to_owned(), TensorData::new(values, shape))]))
}

#[test]
fn dora_names_the_weight_and_the_rows_that_have_no_norm() {
    let dora = AdapterConfig::dora(2, 2.0);
    for (factor, what) in
        [(0.0, "zero"), (1e-30, "so small that the square is zero"), (1e30, "so large that it overflows")]
    {
        let toy = || with_outputs(&[5, 17], factor);
        plan(&toy(), &dora).expect("shapes alone do not tell");
        for error in [
            check(&toy(), &dora).map(|_| ()).expect_err(what),
            attach(toy(), &dora, &AttachOptions::default()).map(|_| ()).expect_err(what),
        ] {
            let PeftError::DoraRow { path, rows, count, .. } = &error else { panic!("{what}: {error}") };
            assert_eq!((path.as_str(), rows.as_slice(), *count), ("qkv.weight", [5, 17].as_slice(), 2), "{what}");
            let text = error.to_string();
            assert!(text.contains("qkv.weight") && text.contains("outputs 5, 17"), "{text}");
        }
        // LoRA does not divide, other weights are not concerned, and neither are other parts of this one.
        check(&toy(), &AdapterConfig::lora(2, 2.0)).expect(what);
        check(&toy(), &dora.clone().with_exclude(["qkv"])).expect(what);
        let slices = |adapt| AdapterConfig {
            slices: BTreeMap::from([("qkv".to_owned(), Slices { parts: 3, adapt })]),
            ..dora.clone()
        };
        check(&toy(), &slices(vec![1])).expect(what);
        let part = check(&toy(), &slices(vec![1, 2])).map(|_| ()).expect_err(what);
        assert!(matches!(&part, PeftError::DoraRow { rows, .. } if rows == &[17]), "{part}");
    }
    // Small and large rows that can be computed with are adapted, to finite weights.
    for factor in [1e-15, 1e15] {
        let (model, _) = attach(with_outputs(&[5], factor), &dora, &AttachOptions::default()).expect("within range");
        assert!(doubles(model.qkv.weight.val().into_data()).iter().all(|value| value.is_finite()));
    }
}

#[test]
fn dora_of_a_convolution_counts_whole_filters() {
    let toy = Toy::new(&Device::default());
    let data = state(&toy)["neck.weight"].clone();
    let (shape, filter) = (data.shape().clone(), 9 * WIDTH);
    let values: Vec<f32> =
        doubles(data).into_iter().enumerate().map(|(i, v)| if i / filter == 3 { 0.0 } else { v as f32 }).collect();
    let toy = set(toy, BTreeMap::from([("neck.weight".to_owned(), TensorData::new(values, shape))]));
    let error = check(&toy, &AdapterConfig::dora(2, 2.0)).map(|_| ()).expect_err("a dead filter");
    assert!(
        matches!(&error, PeftError::DoraRow { path, rows, .. } if path == "neck.weight" && rows == &[3]),
        "{error}"
    );
}

#[test]
fn a_loaded_dora_that_cancels_a_row_is_refused() {
    let device = Device::default();
    let base = || {
        let mut layer = LinearConfig::new(2, 2).with_bias(false).init(&device);
        layer.weight = Param::from_data(TensorData::new(vec![1.0f32, 1.0, 2.0, 3.0], [2, 2]), &device);
        layer
    };
    let (model, _) = attach(base(), &AdapterConfig::dora(1, 1.0), &AttachOptions::default()).expect("attaches");
    // W [out, in] = [[1, 2], [1, 3]]; b a = [[-1, -2], [0, 0]] leaves nothing of the first row.
    let factors = BTreeMap::from([
        ("weight.peft.default.direction.a".to_owned(), TensorData::new(vec![1.0f32, 2.0], [1, 2])),
        ("weight.peft.default.direction.b".to_owned(), TensorData::new(vec![-1.0f32, 0.0], [2, 1])),
    ]);
    let model = set(model, factors);
    let folder = tempfile::tempdir().expect("a temporary folder");
    save_adapter(&model, folder.path(), &Default::default()).expect("saves");
    let error = load_adapter(base(), folder.path(), &Default::default()).map(|_| ()).expect_err("NaN");
    assert!(matches!(&error, PeftError::DoraRow { rows, .. } if rows == &[0]), "{error}");
}

#[test]
fn a_weight_that_is_not_finite_is_named_before_anything_is_done() {
    let full = AdapterConfig { method: Method::Full, ..AdapterConfig::default() };
    for config in [AdapterConfig::lora(2, 2.0), AdapterConfig::salt(2, 2), AdapterConfig::svd(), full] {
        for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let toy = || with_value("proj.weight", WIDTH + 3, value);
            for error in [
                check(&toy(), &config).map(|_| ()).expect_err("not finite"),
                attach(toy(), &config, &AttachOptions::default()).map(|_| ()).expect_err("not finite"),
            ] {
                let PeftError::NotFinite { path, position, .. } = &error else { panic!("{error}") };
                assert_eq!((path.as_str(), position.as_slice()), ("proj.weight", [1, 3].as_slice()));
            }
        }
    }
    let trained = AdapterConfig::lora(2, 2.0).with_train(["norm"]);
    let error = check(&with_value("norm.gamma", 2, f32::NAN), &trained).map(|_| ()).expect_err("not finite");
    assert!(error.to_string().contains("norm.gamma"), "{error}");
}

#[test]
fn the_place_where_numbers_went_wrong_is_found() {
    let device = Device::default().autodiff();
    let (model, _) =
        attach(Toy::new(&device), &AdapterConfig::lora(2, 2.0), &AttachOptions::default()).expect("attaches");
    assert_eq!(first_non_finite(&model), None);
    let x = batch(&device);
    let gradients =
        |model: &Toy, x: Tensor<4>| GradientsParams::from_grads(model.forward(x).square().sum().backward(), model);
    assert_eq!(first_non_finite_gradient(&model, &gradients(&model, x.clone())), None);
    let spoilt = first_non_finite_gradient(&model, &gradients(&model, x.clone() * f32::INFINITY)).expect("NaN");
    assert!(spoilt.path.starts_with("qkv.weight.peft.default."), "{spoilt}");
    let mut values = vec![0.0f32; 2 * WIDTH];
    values[WIDTH + 1] = f32::NAN;
    let path = "proj.weight.peft.default.a";
    let model = set(model, BTreeMap::from([(path.to_owned(), TensorData::new(values, [2, WIDTH]))]));
    let found = first_non_finite(&model).expect("one");
    assert_eq!((found.path.as_str(), found.position.as_slice()), (path, [1, 1].as_slice()));
    assert!(found.to_string().contains(path), "{found}");
    assert!(model.num_params() > 0);
}
