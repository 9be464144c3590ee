//! Packed copies of weights. A program of its own, and one test: what is kept is the whole process's.

#![allow(clippy::unwrap_used, reason = "a failing test may panic")]

use burn::tensor::{Device, Tensor, TensorData};
use burn_kernels::{LinearTerms, Scaled, keep_packed, linear, packed_bytes};

const ROWS: usize = 130;
const INPUTS: usize = 192;
const OUTPUTS: usize = 160;
const RANK: usize = 64;

fn tensor(seed: usize, size: [usize; 2], device: &Device) -> Tensor<2> {
    let values: Vec<f32> = (0..size[0] * size[1]).map(|i| ((i * 31 + seed * 17) as f32).sin()).collect();
    Tensor::from_data(TensorData::new(values, size), device)
}

/// The frozen weights of a layer with every term.
struct Layer {
    weight: Tensor<2>,
    left: Tensor<2>,
    right: Tensor<2>,
    first: Tensor<2>,
    second: Tensor<2>,
}

impl Layer {
    fn new(device: &Device) -> Self {
        Self {
            weight: tensor(1, [INPUTS, OUTPUTS], device),
            left: tensor(2, [INPUTS, RANK], device),
            right: tensor(3, [RANK, OUTPUTS], device),
            first: tensor(4, [INPUTS, RANK], device),
            second: tensor(5, [RANK, OUTPUTS], device),
        }
    }

    /// Bits of the output, and of the gradient of the input where one is recorded.
    fn bits(&self, x: &Tensor<2>) -> Vec<u32> {
        let scale = Tensor::<1>::ones([RANK], &x.device()) * 0.5;
        let terms = LinearTerms {
            weight: Some(self.weight.clone()),
            scaled: Some(Scaled { left: self.left.clone(), scale, right: self.right.clone() }),
            factors: Some((self.first.clone(), self.second.clone())),
            ..LinearTerms::default()
        };
        let x = if x.is_autodiff() { x.clone().detach().require_grad() } else { x.clone() };
        let y = linear(x.clone(), terms);
        let mut bits: Vec<u32> = y.clone().into_data().iter::<f32>().map(f32::to_bits).collect();
        if x.is_autodiff() {
            let gradient = x.grad(&(y.clone() * y).sum().backward()).unwrap();
            bits.extend(gradient.into_data().iter::<f32>().map(f32::to_bits));
        }
        bits
    }
}

/// Bytes of the copies of one direction.
const COPIES: usize = 4 * (INPUTS * OUTPUTS + 2 * RANK * (INPUTS + OUTPUTS));

#[test]
fn copies_are_kept_where_they_serve_and_change_no_bit() {
    let device = Device::flex();
    let layer = Layer::new(&device);
    let x = tensor(6, [ROWS, INPUTS], &device);
    let expected = layer.bits(&x);
    assert_eq!(packed_bytes(), 0, "nothing is kept unless asked for");

    // The first product notes a weight, the second packs it, the third reads the copy.
    keep_packed(64 << 20);
    for bytes in [0, COPIES, COPIES, COPIES] {
        assert!(layer.bits(&x) == expected);
        assert_eq!(packed_bytes(), bytes);
    }
    // Few rows read the weight where it lies, and another weight of the same numbers is another weight.
    let few = tensor(6, [20, INPUTS], &device);
    layer.bits(&few);
    Layer::new(&device).bits(&x);
    assert_eq!(packed_bytes(), COPIES);

    // What the weights were is gone with them, whoever has their address next.
    drop(layer);
    assert_eq!(packed_bytes(), 0);
    for seed in 0..4 {
        let other = Layer { weight: tensor(10 + seed, [INPUTS, OUTPUTS], &device), ..Layer::new(&device) };
        let first = other.bits(&x);
        assert!(other.bits(&x) == first && other.bits(&x) == first);
    }

    // A weight that is changed where it lies is another weight.
    let mut layer = Layer::new(&device);
    layer.bits(&x);
    layer.bits(&x);
    let before = layer.bits(&x);
    layer.weight = layer.weight.mul_scalar(2.0);
    let after = layer.bits(&x);
    assert!(after != before);
    let copy = Layer { weight: layer.weight.clone() * 1.0, ..Layer::new(&device) };
    assert!(copy.bits(&x) == after);

    // A training reads a copy in each direction.
    drop((layer, copy));
    let device = device.autodiff();
    let (layer, x) = (Layer::new(&device), tensor(6, [ROWS, INPUTS], &device));
    let trained = layer.bits(&x);
    for bytes in [2 * COPIES, 2 * COPIES] {
        assert!(layer.bits(&x) == trained);
        assert_eq!(packed_bytes(), bytes);
    }

    // No more than the budget; another budget drops what there is; room that is free again is used again.
    keep_packed(COPIES);
    assert_eq!(packed_bytes(), 0);
    for _ in 0..3 {
        assert!(layer.bits(&x) == trained);
        assert!(packed_bytes() <= COPIES);
    }
    assert!(packed_bytes() > COPIES / 2);
    let kept_of_first = packed_bytes();
    let next = Layer::new(&device);
    for _ in 0..3 {
        assert!(next.bits(&x) == trained);
    }
    drop(layer);
    assert!(packed_bytes() < kept_of_first);
    for _ in 0..3 {
        assert!(next.bits(&x) == trained);
    }
    assert!(packed_bytes() > COPIES / 2);
    keep_packed(0);
    assert_eq!(packed_bytes(), 0);
}
