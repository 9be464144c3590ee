//! Layers in bf16 beside the same in f32. A program of its own: the precision is the whole process's.

#![allow(clippy::unwrap_used, reason = "a failing test may panic")]

use burn::tensor::{Device, Tensor, TensorData};
use burn_kernels::{
    Heads, LinearTerms, Precision, RelativeTables, Scaled, check_precision, cross_attention, linear, self_attention,
    use_precision,
};

const SHAPES: [[usize; 2]; 7] = [[256, 384], [384, 512], [384, 50], [50, 512], [384, 40], [40, 512], [256, 512]];

/// A number of -1 to 1 that tells nothing of its neighbours' (SplitMix64's finaliser). Waves would do worse: their products cancel, and what
/// is left of them is small beside the rounding of its terms.
fn scattered(key: u64) -> f32 {
    let z = key.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 40) as f32 / (1u64 << 23) as f32 - 1.0
}

/// Output and gradients of a layer with every term, of which all but the basis is trained.
fn output_and_gradients() -> Vec<Vec<f32>> {
    let device = Device::flex().autodiff();
    let tensor = |index: usize| {
        let [rows, columns] = SHAPES[index];
        let values: Vec<f32> = (0..rows * columns).map(|i| scattered((index << 32 | i) as u64)).collect();
        Tensor::<2>::from_data(TensorData::new(values, [rows, columns]), &device)
    };
    let [x, weight, first, second] = [0, 1, 4, 5].map(|index| tensor(index).require_grad());
    let scale = Tensor::<1>::from_data(TensorData::new(vec![0.75f32; 50], [50]), &device).require_grad();
    let terms = LinearTerms {
        weight: Some(weight.clone()),
        scaled: Some(Scaled { left: tensor(2), scale: scale.clone(), right: tensor(3) }),
        factors: Some((first.clone(), second.clone())),
        ..LinearTerms::default()
    };
    let y = linear(x.clone(), terms);
    let gradients = (y.clone() * tensor(6)).sum().backward();
    let values = |data: TensorData| data.iter::<f32>().collect::<Vec<f32>>();
    let mut out = vec![values(y.into_data()), values(scale.grad(&gradients).unwrap().into_data())];
    out.extend([x, weight, first, second].map(|input| values(input.grad(&gradients).unwrap().into_data())));
    out
}

/// Output and gradients of self-attention with relative positions, and of attention to its output.
fn attention_and_gradients() -> Vec<Vec<f32>> {
    const TOKENS: usize = 12 * 11;
    const CHANNELS: usize = 96;
    let device = Device::flex().autodiff();
    let tensor = |index: u64, shape: [usize; 3]| {
        let values: Vec<f32> =
            (0..shape.iter().product::<usize>() as u64).map(|i| scattered(index << 32 | i)).collect();
        Tensor::<3>::from_data(TensorData::new(values, shape), &device)
    };
    let qkv = tensor(11, [2, TOKENS, 3 * CHANNELS]).require_grad();
    let (by_row, by_column) = (tensor(12, [12, 12, 32]).require_grad(), tensor(13, [11, 11, 32]).require_grad());
    let query = tensor(14, [2, 40, CHANNELS]).require_grad();
    let tables = RelativeTables { by_row: by_row.clone(), by_column: by_column.clone() };
    let attended = self_attention(qkv.clone(), Heads { count: 3, grid: Some([12, 11]) }, Some(tables));
    let y = cross_attention(query.clone(), attended.clone() * 3.0, attended, 3);
    let gradients = (y.clone() * tensor(15, [2, 40, CHANNELS])).sum().backward();
    let mut out = vec![y.into_data().iter::<f32>().collect()];
    for input in [qkv, by_row, by_column, query] {
        out.push(input.grad(&gradients).unwrap().into_data().iter::<f32>().collect());
    }
    out
}

#[test]
fn outputs_and_gradients_in_bf16_are_near_those_in_f32() {
    if let Err(error) = check_precision(Precision::Bf16) {
        eprintln!("skipped: {error}");
        assert!(use_precision(Precision::Bf16).is_err());
        return;
    }
    let all = || [output_and_gradients(), attention_and_gradients()].concat();
    let exact = all();
    use_precision(Precision::Bf16).unwrap();
    let rounded = all();
    let norm = |values: &mut dyn Iterator<Item = f32>| values.map(|x| f64::from(x).powi(2)).sum::<f64>().sqrt();
    for (index, (exact, rounded)) in exact.iter().zip(&rounded).enumerate() {
        let error = norm(&mut exact.iter().zip(rounded).map(|(x, y)| x - y)) / norm(&mut exact.iter().copied());
        eprintln!("result {index}: relative error {error:.1e}");
        assert!(error > 0.0 && error < 2e-2, "result {index}: relative error {error:.1e}");
    }
}
