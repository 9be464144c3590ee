//! Every loss and its gradient.

use super::support::{both, doubles, relative_error, values};
use super::tolerance::LAYER;
use burn::tensor::{Device, Tensor, TensorData};
use medseg_train::losses::{DicePooling, LossTermKind, WeightedLoss};

const SHAPE: [usize; 4] = [2, 2, 24, 20];

/// Logits, and a target of bars.
fn inputs(device: &Device) -> (Tensor<4>, Tensor<4>) {
    let count = SHAPE.iter().product();
    let logits: Vec<f32> = values(count, 1).into_iter().map(|value| 4.0 * value).collect();
    let target: Vec<f32> = (0..count).map(|at| if (at / 20 % 24 + at % 20) % 9 < 4 { 1.0 } else { 0.0 }).collect();
    let tensor = |values| Tensor::<4>::from_data(TensorData::new(values, SHAPE), device);
    (tensor(logits).require_grad(), tensor(target))
}

/// The loss and its gradient.
fn run(kind: &LossTermKind, ignoring: bool, device: &Device) -> (f64, Vec<f64>) {
    let device = device.clone().autodiff();
    let (logits, target) = inputs(&device);
    let [batch, _, height, width] = SHAPE;
    let ignored = ignoring.then(|| {
        let plane = (0..batch * height * width).map(|at| if at % width < 5 { 1.0f32 } else { 0.0 }).collect::<Vec<_>>();
        Tensor::<4>::from_data(TensorData::new(plane, [batch, 1, height, width]), &device)
    });
    // Where a pixel does not count, the target is 0.
    let target = match &ignored {
        Some(ignored) => target * (ignored.clone().expand(SHAPE) * -1.0 + 1.0),
        None => target,
    };
    let loss = WeightedLoss::new([kind.clone()]).forward(logits.clone(), target, ignored.as_ref()).unwrap();
    let gradients = loss.backward();
    (f64::from(loss.into_scalar::<f32>()), doubles(logits.grad(&gradients).unwrap().into_data()))
}

#[test]
fn every_loss_and_its_gradient() {
    let kinds = [
        LossTermKind::Dice { pooling: DicePooling::Image, smooth: 1.0 },
        LossTermKind::Dice { pooling: DicePooling::Batch, smooth: 1.0 },
        LossTermKind::Focal { alpha: 0.75, gamma: 3.0 },
        LossTermKind::CrossEntropy {},
        LossTermKind::ClDice { iterations: 3, smooth: 1.0 },
        LossTermKind::Boundary {},
        LossTermKind::PaperFocal { alpha: 0.75, gamma: 3.0 },
    ];
    for kind in &kinds {
        for ignoring in [false, true] {
            let [cpu, gpu] = both().map(|device| run(kind, ignoring, &device));
            let (value, gradient) = ((gpu.0 - cpu.0).abs() / cpu.0.abs(), relative_error(&gpu.1, &cpu.1));
            eprintln!("{kind:?}, ignoring {ignoring}: loss {value:.1e}, gradient {gradient:.1e}");
            assert!(value <= LAYER && gradient <= LAYER, "{kind:?}, ignoring {ignoring}: {value:e}, {gradient:e}");
        }
    }
}
