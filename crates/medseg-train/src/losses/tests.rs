//! Golden values computed by hand or in f64, and gradients against finite differences.

use super::*;
use burn::tensor::{Device, Tensor, TensorData};

fn tensor(values: &[f32], shape: [usize; 4]) -> Tensor<4> {
    Tensor::from_data(TensorData::new(values.to_vec(), shape), &Device::flex())
}

fn logit(p: f64) -> f32 {
    (p / (1.0 - p)).ln() as f32
}

/// The example of the released code: probabilities .9 .1 .2 .8 against 1 0 1 0.
fn example() -> (Tensor<4>, Tensor<4>) {
    let logits: Vec<f32> = [0.9, 0.1, 0.2, 0.8].map(logit).to_vec();
    (tensor(&logits, [1, 1, 2, 2]), tensor(&[1.0, 0.0, 1.0, 0.0], [1, 1, 2, 2]))
}

#[test]
fn focal_is_correct_on_logits_and_as_released_on_probabilities() {
    let (x, y) = example();
    let correct = focal(x.clone(), y.clone(), None, 0.75, 3.0).into_scalar::<f32>();
    let released = focal_on_probabilities(x, y, None, 0.75, 3.0).into_scalar::<f32>();
    assert!((correct - 0.2060).abs() < 5e-5, "{correct}");
    assert!((released - 0.0950).abs() < 5e-5, "{released}");
}

#[test]
fn cross_entropy_is_finite_for_extreme_logits() {
    let x = tensor(&[80.0, -80.0, 80.0, -80.0], [1, 1, 2, 2]);
    let y = tensor(&[1.0, 0.0, 0.0, 1.0], [1, 1, 2, 2]);
    assert!((binary_cross_entropy(x.clone(), y.clone(), None).into_scalar::<f32>() - 40.0).abs() < 1e-4);
    // Focal with gamma 0 and alpha one half is half the cross-entropy.
    assert!((focal(x, y, None, 0.5, 0.0).into_scalar::<f32>() - 20.0).abs() < 1e-4);
}

#[test]
fn dice_pools_per_image_or_over_the_batch() {
    // Image 1 perfect (1 px), image 2 all wrong (3 px against 1 px elsewhere).
    let x = tensor(&[50.0, -50.0, -50.0, -50.0, 50.0, 50.0, 50.0, -50.0], [2, 1, 2, 2]);
    let y = tensor(&[1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0], [2, 1, 2, 2]);
    let image = dice(x.clone(), y.clone(), DicePooling::Image, 1.0).into_scalar::<f32>();
    assert!((image - 0.5 * (0.0 + 0.8)).abs() < 1e-6, "{image}");
    let batch = dice(x, y, DicePooling::Batch, 1.0).into_scalar::<f32>();
    assert!((batch - (1.0 - 3.0 / 7.0)).abs() < 1e-6, "{batch}");
}

#[test]
fn the_soft_skeleton_of_a_bar_is_its_centre_line() {
    // A bar of 3 rows in 7 x 9.
    let mut bar = vec![0.0; 63];
    for row in 2..5 {
        for column in 1..8 {
            bar[row * 9 + column] = 1.0;
        }
    }
    let skeleton = soft_skeleton(tensor(&bar, [1, 1, 7, 9]), 3).into_data().try_to_vec::<f32>().unwrap();
    for row in 0..7 {
        let found: f32 = skeleton[row * 9 + 2..row * 9 + 7].iter().sum();
        assert_eq!(found, if row == 3 { 5.0 } else { 0.0 }, "row {row}");
    }
}

#[test]
fn cldice_charges_a_missed_branch_more_than_a_thin_vessel() {
    // A cross of two bars; one prediction lacks a branch, the other is one pixel thinner everywhere.
    let side = 15;
    let cross = |arm: usize, with_branch: bool| {
        let mut mask = vec![-20.0f32; side * side];
        for row in 0..side {
            for column in 0..side {
                let vertical = column.abs_diff(7) <= arm;
                let horizontal = row.abs_diff(7) <= arm && with_branch;
                if vertical || horizontal {
                    mask[row * side + column] = 20.0;
                }
            }
        }
        mask
    };
    let shape = [1, 1, side, side];
    let target: Vec<f32> = cross(1, true).iter().map(|&x| f32::from(x > 0.0)).collect();
    let loss = |logits: Vec<f32>| cldice(tensor(&logits, shape), tensor(&target, shape), 5, 1.0).into_scalar::<f32>();
    let (perfect, thin, missed) = (loss(cross(1, true)), loss(cross(0, true)), loss(cross(1, false)));
    assert!(perfect < 1e-5 && thin < 0.05 && missed > 0.2, "{perfect} {thin} {missed}");
}

#[test]
fn signed_distance_is_zero_at_the_rim_and_counts_both_ways() {
    let mask = [false, false, true, true, true, false];
    assert_eq!(signed_distance(&mask, 1, 6).unwrap(), [2.0, 1.0, 0.0, -1.0, 0.0, 1.0]);
    assert_eq!(signed_distance(&[true; 4], 2, 2).unwrap(), [0.0; 4]);
    assert!(signed_distance(&[true; 3], 2, 2).is_err());
}

#[test]
fn boundary_grows_with_the_distance_of_a_false_positive() {
    let target = [0.0, 0.0, 0.0, 0.0, 1.0, 1.0];
    let at = |column: usize| {
        let mut logits = [-30.0; 6];
        logits[column] = 30.0;
        boundary(tensor(&logits, [1, 1, 1, 6]), tensor(&target, [1, 1, 1, 6]), None).unwrap().into_scalar::<f32>()
    };
    assert!((at(0) - 4.0 / 6.0).abs() < 1e-6 && (at(3) - 1.0 / 6.0).abs() < 1e-6);
}

/// Every kind of term.
fn terms() -> Vec<LossTermKind> {
    vec![
        LossTermKind::Dice { pooling: DicePooling::Image, smooth: 1.0 },
        LossTermKind::Dice { pooling: DicePooling::Batch, smooth: 1.0 },
        LossTermKind::Focal { alpha: 0.75, gamma: 3.0 },
        LossTermKind::Focal { alpha: 0.25, gamma: 2.0 },
        LossTermKind::Focal { alpha: 0.6, gamma: 1.5 },
        LossTermKind::CrossEntropy {},
        LossTermKind::ClDice { iterations: 2, smooth: 1.0 },
        LossTermKind::Boundary {},
        LossTermKind::PaperFocal { alpha: 0.75, gamma: 3.0 },
        LossTermKind::PaperFocal { alpha: 0.75, gamma: 0.0 },
    ]
}

/// Two images of 4 x 4 whose last `columns` are ignored, the first image alone or both.
fn ignored(columns: [usize; 2]) -> Tensor<4> {
    let plane = |columns: usize| (0..16).map(move |i| f32::from(i % 4 >= 4 - columns));
    tensor(&columns.into_iter().flat_map(plane).collect::<Vec<f32>>(), [2, 1, 4, 4])
}

/// Logits and targets of two images of 4 x `width`; the columns of a narrower image are the first ones of a wider one.
fn columns(width: usize) -> (Tensor<4>, Tensor<4>) {
    let at = |i: usize| (i / width * 4 + i % width, i % width);
    let logits: Vec<f32> = (0..8 * width).map(|i| ((at(i).0 * 37 % 29) as f32 - 14.0) / 6.0).collect();
    let target: Vec<f32> = (0..8 * width).map(|i| f32::from(at(i).0 % 5 < 2 && at(i).1 == 0)).collect();
    (tensor(&logits, [2, 1, 4, width]), tensor(&target, [2, 1, 4, width]))
}

#[test]
fn ignored_pixels_change_no_bit_and_have_no_gradient() {
    let (x, y) = columns(4);
    let ignored = ignored([2, 1]);
    let other = x.clone().mask_fill(ignored.clone().greater_elem(0.5), 7.0);
    for kind in terms() {
        let loss = WeightedLoss::new([kind]);
        let value =
            |x: &Tensor<4>| loss.forward(x.clone(), y.clone(), Some(&ignored)).unwrap().into_scalar::<f32>().to_bits();
        assert_eq!(value(&x), value(&other), "{loss:?}");
        let device = Device::flex().autodiff();
        let on = |tensor: &Tensor<4>| Tensor::<4>::from_data(tensor.to_data(), &device);
        let leaf = on(&x).require_grad();
        let gradients = loss.forward(leaf.clone(), on(&y), Some(&on(&ignored))).unwrap().backward();
        let gradient = leaf.grad(&gradients).unwrap();
        let within = (gradient.clone() * ignored.clone()).abs().max().into_scalar::<f32>();
        assert_eq!(within, 0.0, "{loss:?}");
        assert!(gradient.abs().max().into_scalar::<f32>() > 0.0, "{loss:?}");
    }
}

#[test]
fn a_loss_of_ignored_columns_is_that_of_the_image_without_them() {
    let ((x, y), narrow) = (columns(4), columns(2));
    for kind in terms().into_iter().filter(|kind| !matches!(kind, LossTermKind::ClDice { .. })) {
        let loss = WeightedLoss::new([kind]);
        let without = loss.forward(narrow.0.clone(), narrow.1.clone(), None).unwrap().into_scalar::<f32>();
        let value = |target: &Tensor<4>, columns: [usize; 2]| {
            loss.forward(x.clone(), target.clone(), Some(&ignored(columns))).unwrap().into_scalar::<f32>()
        };
        let found = value(&y, [2, 2]);
        assert!((found - without).abs() < 1e-6, "{loss:?}: {found} against {without}");
        assert_eq!(value(&y.zeros_like(), [4, 4]), 0.0, "{loss:?} of no pixels");
    }
}

/// Central differences of every loss at every pixel; the analytic gradient must agree.
#[test]
fn gradients_agree_with_finite_differences() {
    let shape = [2, 1, 4, 4];
    let values: Vec<f32> = (0..32).map(|i| ((i * 37 % 29) as f32 - 14.0) / 6.0).collect();
    let target: Vec<f32> = (0..32).map(|i| f32::from(i % 5 < 2)).collect();
    let soft: Vec<f32> = (0..32).map(|i| (i % 4) as f32 / 3.0).collect();
    let terms = terms();
    let mut losses: Vec<WeightedLoss> = terms.iter().map(|term| WeightedLoss::new([term.clone()])).collect();
    losses.push(WeightedLoss {
        terms: terms[..4]
            .iter()
            .zip([0.5, 2.0, 3.0, 0.1])
            .map(|(k, weight)| LossTerm { weight, kind: k.clone() })
            .collect(),
    });
    for loss in &losses {
        for target in [&target, &soft] {
            let device = Device::flex().autodiff();
            let x = Tensor::<4>::from_data(TensorData::new(values.clone(), shape), &device).require_grad();
            let y = Tensor::<4>::from_data(TensorData::new(target.clone(), shape), &device);
            let grads = loss.forward(x.clone(), y, None).unwrap().backward();
            let analytic = x.grad(&grads).unwrap().into_data().try_to_vec::<f32>().unwrap();
            let value = |shifted: Vec<f32>| {
                let loss = loss.forward(tensor(&shifted, shape), tensor(target, shape), None).unwrap();
                f64::from(loss.into_scalar::<f32>())
            };
            let largest = analytic.iter().fold(0.0f32, |a, b| a.max(b.abs()));
            assert!(largest > 0.0, "{loss:?} has no gradient");
            for index in 0..values.len() {
                let step = 4e-3f32;
                let shifted = |sign: f32| {
                    let mut values = values.clone();
                    values[index] += sign * step;
                    values
                };
                let numeric = (value(shifted(1.0)) - value(shifted(-1.0))) / (2.0 * f64::from(step));
                let difference = (numeric - f64::from(analytic[index])).abs();
                assert!(
                    difference < 2e-2 * f64::from(largest) + 2e-5,
                    "{loss:?} at {index}: {numeric} against {}",
                    analytic[index]
                );
            }
        }
    }
}

#[test]
fn a_run_file_names_losses_and_unknown_keys_are_refused() {
    #[derive(serde::Deserialize)]
    struct Holder {
        loss: WeightedLoss,
    }
    let parse = |text: &str| toml::from_str::<Holder>(text).map(|holder| holder.loss);
    let loss = parse(
        "[[loss]]\nkind = \"dice\"\nweight = 0.5\n[[loss]]\nkind = \"cl-dice\"\niterations = 10\n[[loss]]\nkind = \"boundary\"",
    )
    .unwrap();
    assert_eq!(loss.terms.len(), 3);
    assert_eq!((loss.terms[0].weight, loss.terms[1].weight), (0.5, 1.0));
    assert!(parse("[[loss]]\nkind = \"dice\"\nsmoth = 2.0").is_err());
    assert!(parse("[[loss]]\nkind = \"boundary\"\nsmooth = 2.0").is_err());
    assert!(parse("[[loss]]\nkind = \"dise\"").is_err());
    let bad = parse("[[loss]]\nkind = \"focal\"\nalpha = 1.5\ngamma = 2.0").unwrap();
    assert!(bad.validate().unwrap_err().to_string().contains("alpha"));
    assert!(WeightedLoss { terms: vec![] }.validate().is_err());
}

#[test]
fn shapes_that_differ_are_an_error() {
    let (x, _) = example();
    let y = tensor(&[1.0; 2], [1, 1, 1, 2]);
    assert!(WeightedLoss::default().forward(x.clone(), y, None).unwrap_err().to_string().contains("[1, 1, 1, 2]"));
    let ignored = ignored([1, 1]);
    let error = WeightedLoss::default().forward(x.clone(), x, Some(&ignored)).unwrap_err();
    assert!(error.to_string().contains("[2, 1, 4, 4]"), "{error}");
}
