//! Every case of `peft_layers.safetensors`: output, gradient of the input and of every factor against double precision, through
//! ordinary Burn layers with an attached adapter.

use super::support::{doubles, fixtures, gradients, relative_error, set};
use burn::module::{Module, Param};
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{Linear, LinearConfig, PaddingConfig2d};
use burn::tensor::{Device, Tensor, TensorData};
use safetensors::SafeTensors;
use salt_peft::{AdapterConfig, AttachOptions, Method, SaltForm, attach};
use std::collections::BTreeMap;

const TOLERANCE: f64 = 1e-5;

/// The golden tensors of one case.
struct Case<'a> {
    file: &'a SafeTensors<'a>,
    name: &'a str,
}

impl Case<'_> {
    fn tensor(&self, key: &str) -> (Vec<f64>, Vec<usize>) {
        let key = format!("{}.{key}", self.name);
        let view = self.file.tensor(&key).unwrap_or_else(|_| panic!("{key}"));
        let values = view.data().as_chunks::<8>().0.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect();
        (values, view.shape().to_vec())
    }

    fn data(&self, key: &str) -> TensorData {
        let (values, shape) = self.tensor(key);
        TensorData::new(values, shape).convert::<f32>()
    }

    /// In Burn's order: matrices of a linear layer are `[in, out]`.
    fn transposed(&self, key: &str) -> TensorData {
        let (values, shape) = self.tensor(key);
        let (rows, columns) = (shape[0], shape[1]);
        let moved = (0..columns)
            .flat_map(|column| (0..rows).map(move |row| (row, column)))
            .map(|(row, column)| values[row * columns + column])
            .collect();
        TensorData::new::<f64, _>(moved, [columns, rows]).convert::<f32>()
    }

    fn rows(&self, key: &str, range: std::ops::Range<usize>) -> TensorData {
        let (values, shape) = self.tensor(key);
        let width: usize = shape[1..].iter().product();
        let mut cut = vec![range.len()];
        cut.extend(&shape[1..]);
        TensorData::new(values[range.start * width..range.end * width].to_vec(), cut).convert::<f32>()
    }

    fn flat(&self, key: &str) -> TensorData {
        let (values, shape) = self.tensor(key);
        let rows = shape[0];
        let columns = shape[1..].iter().product();
        TensorData::new(values, [rows, columns]).convert::<f32>()
    }

    fn has(&self, key: &str) -> bool {
        self.file.tensor(&format!("{}.{key}", self.name)).is_ok()
    }
}

/// Columns of a matrix.
fn columns(data: &TensorData, range: std::ops::Range<usize>) -> TensorData {
    let width = data.shape()[1];
    let values: Vec<f32> =
        data.as_slice::<f32>().expect("f32").chunks_exact(width).flat_map(|row| row[range.clone()].to_vec()).collect();
    let rows = values.len() / range.len();
    TensorData::new(values, [rows, range.len()])
}

fn rows(data: &TensorData, range: std::ops::Range<usize>) -> TensorData {
    let width = data.shape()[1];
    let values = data.as_slice::<f32>().expect("f32")[range.start * width..range.end * width].to_vec();
    TensorData::new(values, [range.len(), width])
}

/// The factors of the attached adapter by the path of the module, and the golden key of each gradient.
struct Wiring {
    values: BTreeMap<String, TensorData>,
    gradients: Vec<(String, String)>,
}

fn wire(case: &Case<'_>, method: Method, linear: bool) -> Wiring {
    let mut wiring = Wiring { values: BTreeMap::new(), gradients: Vec::new() };
    let mut factor = |path: &str, key: &str, data: TensorData| {
        let path = format!("weight.peft.default.{path}");
        wiring.gradients.push((path.clone(), format!("d_{key}")));
        wiring.values.insert(path, data);
    };
    match method {
        Method::Lora => {
            factor("a", "A", case.flat("A"));
            factor("b", "B", case.flat("B"));
        }
        Method::Dora => {
            factor("direction.a", "A", case.data("A"));
            factor("direction.b", "B", case.data("B"));
            factor("magnitude", "m", case.data("m"));
        }
        _ => {
            let k = case.tensor("S").0.len();
            let r = case.tensor("alpha").0.len();
            factor("top.alpha", "alpha", case.data("alpha"));
            factor("top.beta", "beta", case.data("beta"));
            if case.has("X") {
                factor("tail.x", "X", case.data("X"));
                factor("tail.y", "Y", case.data("Y"));
            }
            let (left, right) =
                if linear { (case.transposed("Vt"), case.transposed("U")) } else { (case.data("U"), case.data("Vt")) };
            let mut block = |name: &str, range: std::ops::Range<usize>| {
                let path = |part: &str| format!("weight.peft.default.{name}.basis.{part}");
                wiring.values.insert(path("left"), columns(&left, range.clone()));
                wiring.values.insert(path("sigma"), case.rows("S", range.clone()));
                wiring.values.insert(path("right"), rows(&right, range));
            };
            block("top", 0..r);
            if r < k {
                block("tail", r..k);
            }
        }
    }
    wiring
}

fn config(case: &Case<'_>, method: Method, form: SaltForm) -> AdapterConfig {
    let rank = if case.has("alpha") { case.tensor("alpha").0.len() } else { 0 };
    let c = 0.5;
    match method {
        // The golden LoRA has a scale of 0.5, the golden DoRA none.
        Method::Lora => AdapterConfig::lora(3, 3.0 * c),
        Method::Dora => AdapterConfig { alpha: None, ..AdapterConfig::dora(3, 1.0) },
        Method::Svd => AdapterConfig::svd(),
        _ => AdapterConfig::salt(rank, 3).with_form(form),
    }
}

fn check(case: &Case<'_>, what: &str, found: &[f64], key: &str) {
    let (golden, _) = case.tensor(key);
    let error = relative_error(found, &golden);
    assert!(error <= TOLERANCE, "{} {what}: relative error {error:e}", case.name);
}

fn run<M: Module>(
    case: &Case<'_>,
    module: M,
    method: Method,
    form: SaltForm,
    linear: bool,
    forward: impl Fn(&M) -> (Tensor<1>, Tensor<1>, Box<dyn Fn(&burn::tensor::Gradients) -> TensorData>),
) {
    let (module, _) = attach(module, &config(case, method, form), &AttachOptions::default()).expect(case.name);
    let wiring = wire(case, method, linear);
    let module = set(module, wiring.values);
    let (output, loss, input_gradient) = forward(&module);
    check(case, "y", &doubles(output.into_data()), "y");
    let grads = loss.backward();
    check(case, "d_x", &doubles(input_gradient(&grads)), "d_x");
    let found = gradients(&module, &grads);
    for (path, key) in &wiring.gradients {
        check(case, key, found.get(path).unwrap_or_else(|| panic!("{} has no gradient", path)), key);
    }
    let expected: Vec<&String> = wiring.gradients.iter().map(|(path, _)| path).collect();
    let mut got: Vec<&String> = found.keys().collect();
    got.retain(|path| !expected.contains(path));
    assert!(got.is_empty(), "{}: frozen parameters with a gradient: {got:?}", case.name);
}

fn linear_case(case: &Case<'_>, method: Method, form: SaltForm) {
    let device = Device::default().autodiff();
    let (_, shape) = case.tensor("W");
    let mut layer: Linear = LinearConfig::new(shape[1], shape[0]).init(&device);
    layer.weight = Param::from_data(case.transposed("W"), &device);
    layer.bias = Some(Param::from_data(case.data("b"), &device));
    let x = Tensor::<3>::from_data(case.data("x"), &device).require_grad();
    let dy = Tensor::<3>::from_data(case.data("dy"), &device);
    run(case, layer, method, form, true, |layer| {
        let y = layer.forward(x.clone());
        let input = x.clone();
        (
            y.clone().flatten(0, 2),
            (y * dy.clone()).sum(),
            Box::new(move |grads| input.grad(grads).expect("x is tracked").into_data()),
        )
    });
}

fn conv_case(case: &Case<'_>, method: Method, form: SaltForm) {
    let device = Device::default().autodiff();
    let (_, shape) = case.tensor("W");
    let mut layer: Conv2d = Conv2dConfig::new([shape[1], shape[0]], [shape[2], shape[3]])
        .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
        .init(&device);
    layer.weight = Param::from_data(case.data("W"), &device);
    layer.bias = Some(Param::from_data(case.data("b"), &device));
    let x = Tensor::<4>::from_data(case.data("x"), &device).require_grad();
    let dy = Tensor::<4>::from_data(case.data("dy"), &device);
    run(case, layer, method, form, false, |layer| {
        let y = layer.forward(x.clone());
        let input = x.clone();
        (
            y.clone().flatten(0, 3),
            (y * dy.clone()).sum(),
            Box::new(move |grads| input.grad(grads).expect("x is tracked").into_data()),
        )
    });
}

#[test]
fn every_golden_case_is_within_a_hundred_thousandth() {
    let bytes = std::fs::read(fixtures().join("peft_layers.safetensors")).expect("the golden file");
    let file = SafeTensors::deserialize(&bytes).expect("the golden file");
    let mut names: Vec<&str> = file.names().into_iter().filter_map(|name| name.strip_suffix(".W")).collect();
    names.sort_unstable();
    assert_eq!(names.len(), 18, "{names:?}");
    for name in names {
        let case = Case { file: &file, name };
        let (stem, kind) = match name.split_once('_') {
            Some((stem, kind)) => (stem, kind),
            None => (name, "linear"),
        };
        let (method, form) = match stem {
            "lora" => (Method::Lora, SaltForm::Paper),
            "dora" => (Method::Dora, SaltForm::Paper),
            "svd" => (Method::Svd, SaltForm::Paper),
            "salt.full" => (Method::Salt, SaltForm::Paper),
            "salt.diag" => (Method::Salt, SaltForm::Diag),
            "salt.none" => (Method::Salt, SaltForm::Linear),
            other => panic!("unknown case {other}"),
        };
        if kind == "conv" { conv_case(&case, method, form) } else { linear_case(&case, method, form) }
    }
}
