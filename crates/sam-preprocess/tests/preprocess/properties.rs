//! Properties that hold for any image: the way back, constants, bounds.

use proptest::prelude::*;
use sam_preprocess::{Image, Preprocess, Protocol, ResizeGeometry, resize_image};

/// A point of the original image in the square, where the centre of the top left pixel is (0, 0) in both.
fn between_centres(geometry: &ResizeGeometry, (x, y): (f64, f64)) -> (f64, f64) {
    let map = |v: f64, from: usize, to: usize| (v + 0.5) * to as f64 / from as f64 - 0.5;
    (map(x, geometry.original.0, geometry.resized.0), map(y, geometry.original.1, geometry.resized.1))
}

/// A line as a map of the square: how near each pixel is to it.
fn drawn(side: usize, a: (f64, f64), b: (f64, f64)) -> Vec<f32> {
    let (dx, dy) = (b.0 - a.0, b.1 - a.1);
    let length2 = dx * dx + dy * dy;
    let near = |i: usize| {
        let (px, py) = ((i % side) as f64 - a.0, (i / side) as f64 - a.1);
        let t = ((px * dx + py * dy) / length2).clamp(0.0, 1.0);
        let distance = ((px - t * dx).powi(2) + (py - t * dy).powi(2)).sqrt();
        (-distance * distance / 8.0).exp() as f32
    };
    (0..side * side).map(near).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases / 10))]

    /// A line drawn in the network's square comes back within half a pixel of the original image.
    #[test]
    fn lines_come_back_within_half_a_pixel(
        width in 60usize..400, height in 60usize..400, paper in any::<bool>(),
        ends in prop::array::uniform4(0.1f64..0.9),
    ) {
        let side = 256;
        let protocol = if paper { Protocol::Paper } else { Protocol::Default };
        let geometry = Preprocess::new(protocol, side).unwrap().geometry((width, height));
        // The line in original pixels, and where it belongs in the square.
        let original = [(ends[0] * width as f64, ends[1] * height as f64), (ends[2] * width as f64, ends[3] * height as f64)];
        prop_assume!((original[0].0 - original[1].0).hypot(original[0].1 - original[1].1) > 30.0);
        let square = original.map(|point| between_centres(&geometry, point));
        let back = geometry.restore(&drawn(side, square[0], square[1])).unwrap();
        prop_assert_eq!(back.len(), width * height);
        // Across the middle of the line the restored ridge must pass within half a pixel of the line.
        let (mx, my) = ((original[0].0 + original[1].0) / 2.0, (original[0].1 + original[1].1) / 2.0);
        let (dx, dy) = (original[1].0 - original[0].0, original[1].1 - original[0].1);
        let length = dx.hypot(dy);
        let (nx, ny) = (-dy / length, dx / length);
        let at = |x: f64, y: f64| {
            let (x, y) = (x.clamp(0.0, width as f64 - 1.001), y.clamp(0.0, height as f64 - 1.001));
            let (x0, y0) = (x as usize, y as usize);
            let (u, v) = ((x - x0 as f64) as f32, (y - y0 as f64) as f32);
            let p = |x: usize, y: usize| back[y * width + x];
            (p(x0, y0) * (1.0 - u) + p(x0 + 1, y0) * u) * (1.0 - v)
                + (p(x0, y0 + 1) * (1.0 - u) + p(x0 + 1, y0 + 1) * u) * v
        };
        let (mut weight, mut moment) = (0.0, 0.0);
        for step in -60i32..=60 {
            let offset = f64::from(step) / 10.0;
            let value = f64::from(at(mx + offset * nx, my + offset * ny)).powi(3);
            weight += value;
            moment += value * offset;
        }
        prop_assert!((moment / weight).abs() <= 0.5, "the ridge is {} pixels off", moment / weight);
    }

    /// Whatever the image, it lies within the square and is not empty there; prompts keep their relative place.
    #[test]
    fn images_lie_within_the_square(w in 1usize..2000, h in 1usize..2000, side in 1usize..1100, x in 0f32..1.0, y in 0f32..1.0) {
        for protocol in [Protocol::Default, Protocol::Paper, Protocol::Sam2, Protocol::MedSam] {
            let geometry = Preprocess::new(protocol, side).unwrap().geometry((w, h));
            prop_assert!(geometry.resized.0 <= side && geometry.resized.1 <= side);
            prop_assert!(geometry.resized.0 >= 1 && geometry.resized.1 >= 1);
            let [u, v] = geometry.to_resized([x * w as f32, y * h as f32]);
            prop_assert!((u / geometry.resized.0 as f32 - x).abs() < 1e-5);
            prop_assert!((v / geometry.resized.1 as f32 - y).abs() < 1e-5);
        }
    }

    #[test]
    fn resizing_keeps_constants(width in 1usize..90, height in 1usize..90, w in 1usize..90, h in 1usize..90, value: u8) {
        let image = Image::new(width, height, 1, vec![value; width * height]).unwrap();
        prop_assert!(resize_image(&image, w, h).data().iter().all(|&v| v == value));
    }
}
