//! The layers of a transformer, at sizes of SAM ViT-B, and the optimiser's step.

use super::support::{both, doubles, relative_error, values};
use super::tolerance::LAYER;
use burn::tensor::{Device, Tensor, TensorData};
use burn_kernels::{
    AdamW, Ending, Heads, LinearTerms, Moments, RelativeTables, Scaled, cross_attention, gelu, layer_norm, linear,
    self_attention,
};

/// The output and the gradients of all inputs that have one.
fn run<const D: usize>(
    device: &Device,
    shapes: &[&[usize]],
    call: &impl Fn(&[Tensor<1>]) -> Tensor<D>,
) -> Vec<Option<Vec<f64>>> {
    let device = device.clone().autodiff();
    let fixed =
        |count: usize, seed: u64| Tensor::<1>::from_data(TensorData::new(values(count, seed), [count]), &device);
    let inputs: Vec<Tensor<1>> = shapes
        .iter()
        .enumerate()
        .map(|(index, shape)| fixed(shape.iter().product(), index as u64 + 1).require_grad())
        .collect();
    let y = call(&inputs);
    let weights = fixed(y.shape().num_elements(), 99).reshape(y.shape());
    let gradients = (y.clone() * weights).sum().backward();
    let mut found = vec![Some(doubles(y.into_data()))];
    found.extend(inputs.iter().map(|input| input.grad(&gradients).map(|gradient| doubles(gradient.into_data()))));
    found
}

fn check<const D: usize>(name: &str, shapes: &[&[usize]], call: impl Fn(&[Tensor<1>]) -> Tensor<D>) {
    let [cpu, gpu] = both().map(|device| run(&device, shapes, &call));
    for (index, (expected, found)) in cpu.iter().zip(&gpu).enumerate() {
        // Burn keeps a gradient for constants of a plain composition; the fused one has none.
        let (Some(expected), Some(found)) = (expected, found) else { continue };
        let error = relative_error(found, expected);
        let what = if index == 0 { "output".into() } else { format!("gradient of input {}", index - 1) };
        eprintln!("{name}, {what}: {error:.1e}");
        assert!(error <= LAYER, "{name}, {what}: {error:e}");
    }
    assert!(cpu.iter().flatten().count() > 1 && gpu.iter().flatten().count() > 1, "{name}: no gradient");
}

#[test]
fn a_linear_layer_with_all_its_terms() {
    let [n, i, o, r, t] = [196, 768, 2304, 256, 4];
    check("linear", &[&[n, i], &[i, o], &[i, r], &[r], &[r, o], &[i, t], &[t, o], &[o], &[n, o]], |x| {
        let matrix = |index: usize, shape: [usize; 2]| x[index].clone().reshape(shape);
        let terms = LinearTerms {
            weight: Some(matrix(1, [i, o])),
            scaled: Some(Scaled {
                left: matrix(2, [i, r]).detach(),
                scale: x[3].clone(),
                right: matrix(4, [r, o]).detach(),
            }),
            factors: Some((matrix(5, [i, t]), matrix(6, [t, o]))),
            bias: Some(x[7].clone()),
            ending: Ending::Residual(matrix(8, [n, o])),
        };
        linear(matrix(0, [n, i]), terms)
    });
}

#[test]
fn attention_with_and_without_relative_positions() {
    let (side, heads, head_dim) = (14, 12, 64);
    let (tokens, channels) = (side * side, heads * head_dim);
    let tables: &[usize] = &[side, side, head_dim];
    check("self-attention", &[&[tokens, 3 * channels], tables, tables], |x| {
        let table = |index: usize| x[index].clone().reshape([side, side, head_dim]);
        let relative = RelativeTables { by_row: table(1), by_column: table(2) };
        let heads = Heads { count: heads, grid: Some([side, side]) };
        self_attention(x[0].clone().reshape([1, tokens, 3 * channels]), heads, Some(relative))
    });
    let queries = 9;
    check("cross-attention", &[&[queries, 256], &[tokens, 256], &[tokens, 256]], |x| {
        let part = |index: usize, rows: usize| x[index].clone().reshape([1, rows, 256]);
        cross_attention(part(0, queries), part(1, tokens), part(2, tokens), 8)
    });
}

#[test]
fn gelu_and_layer_norm() {
    check("GELU", &[&[196, 3072]], |x| gelu(x[0].clone().reshape([196, 3072]) * 5.0));
    check("layer norm", &[&[196, 768], &[768], &[768]], |x| {
        layer_norm(x[0].clone().reshape([196, 768]), x[1].clone(), x[2].clone(), 1e-6)
    });
}

#[test]
fn steps_of_the_optimiser() {
    let [cpu, gpu] = both().map(|device| {
        let tensor = |seed: u64| Tensor::<1>::from_data(TensorData::new(values(5000, seed), [5000]), &device);
        let mut moments = Moments { parameter: tensor(1), first: tensor(2) * 0.0, second: tensor(2) * 0.0 };
        for time in 1..=3 {
            let step =
                AdamW { learning_rate: 0.01, beta_1: 0.9, beta_2: 0.999, epsilon: 1e-8, weight_decay: 0.01, time };
            moments = step.step(moments, tensor(2 + time as u64));
        }
        [moments.parameter, moments.first, moments.second].map(|tensor| doubles(tensor.into_data()))
    });
    for (name, (found, expected)) in ["parameter", "first", "second"].iter().zip(gpu.iter().zip(&cpu)) {
        let error = relative_error(found, expected);
        eprintln!("AdamW, {name}: {error:.1e}");
        assert!(error <= LAYER, "{name}: {error:e}");
    }
}
