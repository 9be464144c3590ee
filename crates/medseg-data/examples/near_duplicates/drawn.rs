//! Images of our own.

use medseg_data::transform::resize_image;
use medseg_data::{Image, synth};

/// An image of our own. A `fundus` shares frame, field of view, shading and optic disc with every other; only the vessels differ.
pub(crate) fn drawn(kind: &str, side: usize, number: u64) -> Image {
    match kind {
        "angiogram" => return synth::angiogram(side, 42, number).image,
        "octa" => return synth::octa(side, 42, number).image,
        _ => {}
    }
    let vessels = synth::octa(side, 42, number).mask;
    let mut pixels = Vec::with_capacity(3 * side * side);
    for (i, vessel) in vessels.to_bytes().iter().enumerate() {
        let place = |k: usize| 2.0 * k as f32 / side as f32 - 1.0;
        let (x, y) = (place(i % side), place(i / side));
        let shade = 1.0 - 0.4 * (x * x + y * y);
        let disc = 80.0 * (-((x - 0.55).powi(2) + y * y) / 0.02).exp();
        let dark = if *vessel == 1 { 0.75 } else { 1.0 };
        let inside = f32::from(u8::from(x * x + y * y < 0.92));
        let colour = |base: f32| (inside * dark * (base * shade + disc)).clamp(0.0, 255.0) as u8;
        pixels.extend([colour(190.0), colour(100.0), colour(50.0)]);
    }
    // A camera is not as sharp as a mask.
    let sharp = Image::new(side, side, 3, pixels).unwrap_or_else(|| unreachable!("three bytes a pixel"));
    resize_image(&resize_image(&sharp, side / 2, side / 2), side, side)
}
