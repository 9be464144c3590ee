//! Products of linear layers in f16.

use super::runs::{Place, STEPS, apart, on_its_layers};
use super::support::{both, doubles, relative_error, values};
use super::tolerance::{HALF, HALF_LOSS};
use burn::tensor::{DType, Device, Tensor, TensorData};
use burn_kernels::{LinearTerms, Precision, Scaled, check_precision_on, linear, use_precision};
use salt_peft::AdapterConfig;

/// Set in the process that computes in f16: what is chosen holds for the whole process.
const CHILD: &str = "GPU_TESTS_IN_F16";

#[test]
fn a_device_says_which_precisions_it_lacks() {
    let [cpu, gpu] = both();
    assert!(check_precision_on(Precision::F32, &gpu).is_ok());
    if let Err(error) = check_precision_on(Precision::F16, &gpu) {
        assert!(error.to_string().contains("f16"), "{error}");
    }
    for (precision, device, reason) in
        [(Precision::Bf16, &gpu, "WGSL"), (Precision::F32Amx, &gpu, "AMX"), (Precision::F16, &cpu, "GPUs")]
    {
        let error = check_precision_on(precision, device).unwrap_err().to_string();
        assert!(error.contains(reason) && error.contains(precision.name()), "{error}");
    }
}

/// Output and gradients of a linear layer with all its terms, those that are frozen stored as `frozen`.
fn layer(device: &Device, frozen: DType) -> [Vec<f64>; 4] {
    let device = device.clone().autodiff();
    let [n, i, o, r] = [64, 192, 192, 50];
    let matrix = |rows: usize, columns: usize, seed: u64| {
        let data = TensorData::new(values(rows * columns, seed), [rows, columns]);
        Tensor::<2>::from_data(data, &device)
    };
    let (x, first, second) =
        (matrix(n, i, 1).require_grad(), matrix(i, 4, 2).require_grad(), matrix(4, o, 3).require_grad());
    let terms = LinearTerms {
        weight: Some(matrix(i, o, 4).cast(frozen)),
        scaled: Some(Scaled {
            left: matrix(i, r, 5).cast(frozen),
            scale: matrix(1, r, 6).reshape([r]),
            right: matrix(r, o, 7).cast(frozen),
        }),
        factors: Some((first.clone(), second.clone())),
        bias: Some(matrix(1, o, 8).reshape([o])),
        ..LinearTerms::default()
    };
    let y = linear(x.clone(), terms);
    let gradients = (y.clone() * matrix(n, o, 9)).sum().backward();
    let of = |input: Tensor<2>| doubles(input.grad(&gradients).unwrap().into_data());
    [doubles(y.into_data()), of(x), of(first), of(second)]
}

fn in_half() {
    let [cpu, gpu] = both();
    use_precision(Precision::F16).unwrap();
    let found = layer(&gpu, DType::F32);
    assert_eq!(found, layer(&gpu, DType::F16), "frozen factors are rounded, stored so or not");
    for (index, (found, expected)) in found.iter().zip(&layer(&cpu, DType::F32)).enumerate() {
        let error = relative_error(found, expected);
        eprintln!("linear layer in f16, {index}: {error:.1e}");
        assert!(error > 1e-6, "{index}: as exact as f32: {error:e}");
        assert!(error <= HALF, "{index}: {error:e}");
    }
    let place = Place::new();
    let salt = on_its_layers(AdapterConfig::salt(50, 4));
    let curve = |device: &str, precision: Precision| {
        let mut config = place.config(&salt, device);
        config.training.precision = precision;
        let run = tempfile::tempdir().unwrap();
        place.finish(&config, run.path())
    };
    let (cpu, gpu) = (curve("cpu", Precision::F32), curve("wgpu", Precision::F16));
    let (loss, dice) = apart(&gpu, &cpu);
    eprintln!("SALT in f16: losses {loss:.1e}, Dice {dice:.1e} away");
    assert!(loss > 0.0 && loss <= HALF_LOSS, "losses {loss:e}, Dice {dice:e}; {gpu:?} against {cpu:?}");
    // A loss so large that its first gradients are beyond f16: steps are left out until the factor suits.
    let mut config = place.config(&salt, "wgpu");
    config.training.precision = Precision::F16;
    config.loss.terms.iter_mut().for_each(|term| term.weight *= 30.0);
    let run = tempfile::tempdir().unwrap();
    let outcome = place.outcome(&config, run.path());
    eprintln!("{} of {} steps left out", outcome.skipped_steps, outcome.steps);
    assert!((1..STEPS).contains(&outcome.skipped_steps), "{outcome:?}");
    assert!(outcome.validation_dice.is_some() && outcome.curve.iter().all(|epoch| epoch.loss.is_finite()));
    eprintln!("done in f16");
}

#[test]
fn products_in_half_precision() {
    if std::env::var_os(CHILD).is_some() {
        return in_half();
    }
    if let Err(error) = check_precision_on(Precision::F16, &both()[1]) {
        eprintln!("skipped: {error}");
        return;
    }
    let child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["half::products_in_half_precision", "--exact", "--nocapture"])
        .env(CHILD, "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&child.stderr);
    eprintln!("{text}");
    assert!(child.status.success() && text.contains("done in f16"), "{text}");
}
