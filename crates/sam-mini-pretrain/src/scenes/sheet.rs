//! A contact sheet: what the model is shown, for a human to look at.

use super::{Scene, SceneTarget};
use image::{Rgb, RgbImage};

/// Scenes `0..columns * rows` of the stream `seed` as pairs side by side: the picture with its prompt (red), and its lines
/// (white) with the prompted object (green).
#[must_use]
pub fn contact_sheet(seed: u64, size: usize, difficulty: f32, columns: usize, rows: usize) -> RgbImage {
    let (gap, pair) = (4, 2 * size + 2);
    let width = columns * (pair + gap) + gap;
    let height = rows * (size + gap) + gap;
    let mut sheet = RgbImage::from_pixel(width as u32, height as u32, Rgb([90, 90, 110]));
    for position in 0..columns * rows {
        let scene = Scene::generate(seed, position as u64, size, difficulty);
        let (left, top) = (gap + position % columns * (pair + gap), gap + position / columns * (size + gap));
        for index in 0..size * size {
            let (x, y) = (index % size, index / size);
            let colour = [0, 1, 2].map(|plane| scene.planes[plane][index] as u8);
            sheet.put_pixel((left + x) as u32, (top + y) as u32, Rgb(colour));
            let line = scene.lines[index] * 255;
            let truth = if scene.target.mask[index] == 1 { [line / 3, 200, 60] } else { [line; 3] };
            sheet.put_pixel((left + size + 2 + x) as u32, (top + y) as u32, Rgb(truth));
        }
        for (x, y) in outline(&scene.target, size) {
            sheet.put_pixel((left + x) as u32, (top + y) as u32, Rgb([255, 40, 40]));
        }
    }
    sheet
}

/// A cross at the point and the rim of the box.
fn outline(target: &SceneTarget, size: usize) -> Vec<(usize, usize)> {
    let clip = |value: f32| (value.max(0.0) as usize).min(size - 1);
    let [x, y] = target.point.map(clip);
    let [left, top, right, bottom] = target.bounds.map(|side| clip(side - 0.5));
    let cross = (-2isize..=2).flat_map(|k| [(x.saturating_add_signed(k), y), (x, y.saturating_add_signed(k))]);
    let rows = (left..=right).flat_map(|x| [(x, top), (x, bottom)]);
    let columns = (top..=bottom).flat_map(|y| [(left, y), (right, y)]);
    cross.chain(rows).chain(columns).filter(|&(x, y)| x < size && y < size).collect()
}
