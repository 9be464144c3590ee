//! Masks and probabilities of whole images.

use super::support::{both, largest};
use super::tolerance::{PIXELS, PROBABILITY};
use medseg_train::session::{Session, SessionOptions};
use sam_model::{Image, ImagePrompt, MaskAnswer, PointLabel};

/// Images of several shapes with a few bars.
fn pictures() -> Vec<Image> {
    let picture = |width: usize, height: usize| {
        let shade = |x: usize, y: usize| {
            let bar = (y * 3 + x).abs_diff(height * 2) < 12 || x.abs_diff(width / 3) < 3;
            if bar { 20 } else { 60 + ((x * 7 + y * 13) % 50) as u8 }
        };
        let pixels = (0..height).flat_map(|y| (0..width).map(move |x| shade(x, y))).collect();
        Image::new(width, height, 1, pixels).unwrap()
    };
    vec![picture(96, 96), picture(140, 61), picture(50, 120)]
}

/// An input of half sam-mini's own side, for several images: a software device is slow.
fn small() -> SessionOptions {
    SessionOptions { input_size: Some(128), ..SessionOptions::default() }
}

fn probabilities(answers: &[MaskAnswer]) -> Vec<f64> {
    let logits = answers.iter().flat_map(|answer| &answer.logits);
    logits.map(|logit| 1.0 / (1.0 + (-f64::from(*logit)).exp())).collect()
}

fn compare_answers(what: &str, [cpu, gpu]: &[Vec<MaskAnswer>; 2]) {
    let difference = largest(&probabilities(gpu), &probabilities(cpu));
    let bytes = |answers: &[MaskAnswer]| answers.iter().flat_map(|answer| answer.mask.to_bytes()).collect::<Vec<_>>();
    let (expected, found) = (bytes(cpu), bytes(gpu));
    let changed = expected.iter().zip(&found).filter(|(a, b)| a != b).count();
    let drawn = expected.iter().filter(|byte| **byte != 0).count();
    eprintln!("{what}: probabilities {difference:.1e} away, {changed} of {} pixels change sides", expected.len());
    assert!(drawn > 0 && drawn < expected.len(), "{what}: {drawn} of {} pixels are foreground", expected.len());
    assert!(difference <= PROBABILITY, "{what}: a probability differs by {difference}");
    assert!(changed as f64 <= PIXELS * expected.len() as f64, "{what}: {changed} of {} pixels", expected.len());
}

#[test]
fn an_image_has_the_mask_that_it_has_on_the_cpu() {
    for model in ["sam-mini", "sam2-mini"] {
        let answers = both().map(|device| {
            let session = Session::open(model, &device, &small()).unwrap();
            session.segment(&pictures()).unwrap().into_iter().flatten().collect::<Vec<_>>()
        });
        compare_answers(model, &answers);
    }
}

#[test]
fn a_prompt_has_the_answer_that_it_has_on_the_cpu() {
    let prompt = ImagePrompt {
        points: vec![([30.0, 20.0], PointLabel::Foreground), ([5.0, 5.0], PointLabel::Background)],
        ..ImagePrompt::default()
    };
    let answers = both().map(|device| {
        let session = Session::open("sam-mini", &device, &SessionOptions::default()).unwrap();
        session.prompted(&pictures()[1], &prompt, true).unwrap()
    });
    compare_answers("points", &answers);
    let [cpu, gpu] = answers.map(|answers| answers.iter().map(|a| f64::from(a.iou.unwrap())).collect::<Vec<_>>());
    assert!(largest(&gpu, &cpu) <= PROBABILITY, "{gpu:?} against {cpu:?}");
}
