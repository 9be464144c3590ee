//! Masks of Meta's own predictor, pixel by pixel.

use burn::tensor::Device;
use safetensors::SafeTensors;
use sam_model::{Image, ImagePrompt, MaskAnswer, PointLabel, SamPredictor};

use crate::support::FixtureSet;

/// A prompt of `sam_predictor.py`, in shares of width and height.
struct Asked {
    name: &'static str,
    points: &'static [([f32; 2], PointLabel)],
    bounding_box: Option<[f32; 4]>,
    multimask: bool,
}

use PointLabel::{Background, Foreground};

const PROMPTS: [Asked; 4] = [
    Asked { name: "point", points: &[([0.5, 0.4], Foreground)], bounding_box: None, multimask: true },
    Asked {
        name: "points",
        points: &[([0.25, 0.75], Foreground), ([0.8, 0.1], Background), ([0.6, 0.6], Foreground)],
        bounding_box: None,
        multimask: false,
    },
    Asked { name: "box", points: &[], bounding_box: Some([0.1, 0.2, 0.7, 0.9]), multimask: false },
    Asked {
        name: "both",
        points: &[([0.3, 0.5], Foreground), ([0.9, 0.9], Background)],
        bounding_box: Some([0.05, 0.15, 0.85, 0.95]),
        multimask: true,
    },
];

/// The picture that `scene` draws in the script.
fn scene(width: usize, height: usize) -> Image {
    let pixel = |x: usize, y: usize| {
        [x * 7 + y * 3, x * x / 8 + y * 5, (x / 9 + 2 * (y / 7)) * 31 + x * y / 16].map(|v| (v % 256) as u8)
    };
    let pixels = (0..width * height).flat_map(|at| pixel(at % width, at / width)).collect();
    Image::new(width, height, 3, pixels).unwrap()
}

struct Golden<'a>(SafeTensors<'a>);

impl Golden<'_> {
    /// The images of the file, as (width, height).
    fn images(&self) -> Vec<(usize, usize)> {
        let size = |name: &str| {
            let (height, width) = name.strip_suffix(".point.masks")?.split_once('x')?;
            Some((width.parse().ok()?, height.parse().ok()?))
        };
        self.0.names().into_iter().filter_map(size).collect()
    }

    /// Pixels that differ and pixels compared; the estimates must agree as well.
    fn compare(&self, key: &str, answers: &[MaskAnswer]) -> (usize, usize) {
        let masks = self.0.tensor(&format!("{key}.masks")).unwrap();
        let iou = self.0.tensor(&format!("{key}.iou")).unwrap();
        assert_eq!(masks.shape()[0], answers.len(), "{key}");
        let (mut different, mut compared) = (0, 0);
        let packed = masks.data().chunks_exact(masks.shape()[1]);
        for ((answer, packed), iou) in answers.iter().zip(packed).zip(iou.data().chunks_exact(4)) {
            let expected = f32::from_le_bytes(iou.try_into().unwrap());
            assert!((answer.iou.unwrap() - expected).abs() <= 1e-4, "{key}: {:?}, expected {expected}", answer.iou);
            let found = answer.mask.to_bytes();
            different += found.iter().enumerate().filter(|(i, bit)| packed[i / 8] >> (7 - i % 8) & 1 != **bit).count();
            compared += found.len();
        }
        (different, compared)
    }
}

/// Enlarged, reduced and as they are; wide, high and square; points, boxes, several masks, and a first answer refined: at most
/// one pixel in 10,000 of each image differs from the original's.
#[test]
fn masks_are_those_of_the_original_predictor() {
    let set = FixtureSet::with(&["sam_predictor.safetensors"]);
    let mut predictor = SamPredictor::new(set.model(&Device::default())).unwrap();
    let bytes = std::fs::read(set.path("sam_predictor.safetensors")).unwrap();
    let golden = Golden(SafeTensors::deserialize(&bytes).unwrap());
    let images = golden.images();
    assert!(images.len() >= 6);
    for (width, height) in images {
        predictor.set_image(&scene(width, height)).unwrap();
        let (mut different, mut compared) = (0, 0);
        let mut count = |(wrong, all)| (different, compared) = (different + wrong, compared + all);
        let scale = |[x, y]: [f32; 2]| [x * width as f32, y * height as f32];
        for Asked { name, points, bounding_box, multimask } in PROMPTS {
            let mut prompt = ImagePrompt {
                points: points.iter().map(|(point, label)| (scale(*point), *label)).collect(),
                bounding_box: bounding_box.map(|[x0, y0, x1, y1]| {
                    let ([x0, y0], [x1, y1]) = (scale([x0, y0]), scale([x1, y1]));
                    [x0, y0, x1, y1]
                }),
                mask: None,
            };
            let answers = predictor.predict(std::slice::from_ref(&prompt), multimask).unwrap().remove(0);
            let key = format!("{height}x{width}.{name}");
            count(golden.compare(&key, &answers));
            if !multimask {
                prompt.mask = Some(answers[0].low_resolution.clone());
                let refined = predictor.predict(&[prompt], false).unwrap().remove(0);
                count(golden.compare(&format!("{key}.refined"), &refined));
            }
        }
        eprintln!("{width} x {height}: {different} of {compared} pixels differ");
        assert!(different * 10_000 <= compared, "{width} x {height}: {different} of {compared} pixels differ");
    }
}
