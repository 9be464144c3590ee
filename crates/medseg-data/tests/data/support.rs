//! Small trees of files to open.

use medseg_data::Image;
use medseg_data::Mask;
use medseg_data::dataset::Loaded;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// Writes a grey image whose pixels are a function of place; the format follows the extension.
pub(crate) fn grey(path: impl AsRef<Path>, width: usize, height: usize, f: impl Fn(usize, usize) -> u8) {
    let data: Vec<u8> = (0..width * height).map(|i| f(i % width, i / width)).collect();
    let path = path.as_ref();
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    if path.extension().is_some_and(|e| e == "gif") {
        let rgba: Vec<u8> = data.iter().flat_map(|&v| [v, v, v, 255]).collect();
        image::RgbaImage::from_raw(width as u32, height as u32, rgba).unwrap().save(path).unwrap();
        return;
    }
    image::save_buffer(path, &data, width as u32, height as u32, image::ExtendedColorType::L8).unwrap();
}

/// A gradient, different for every `seed`.
pub(crate) fn picture(path: impl AsRef<Path>, width: usize, height: usize, seed: usize) {
    grey(path, width, height, |x, y| ((x * (3 + seed) + y * 5 + seed * 17) % 251) as u8);
}

/// A mask with a bar three pixels high.
pub(crate) fn bar(path: impl AsRef<Path>, width: usize, height: usize) {
    grey(path, width, height, |_, y| if (4..7).contains(&y) { 255 } else { 0 });
}

/// An image and mask in memory: smooth texture, a few vessel-like bands.
pub(crate) fn scene(width: usize, height: usize, channels: usize) -> Loaded {
    let mut pixels = Vec::new();
    let mut mask = Vec::new();
    for y in 0..height {
        for x in 0..width {
            for c in 0..channels {
                let v = 120.0 + 70.0 * ((x as f64) / 7.0 + c as f64).sin() + 50.0 * ((y as f64) / 5.0).cos();
                pixels.push(v as u8);
            }
            let centre = height as f64 / 2.0 + 0.2 * height as f64 * ((x as f64) / 9.0).sin();
            mask.push(u8::from((y as f64 - centre).abs() < 2.0));
        }
    }
    Loaded {
        image: Image::new(width, height, channels, pixels).unwrap(),
        mask: Mask::from_bytes(height, width, &mask).unwrap(),
        ignored: None,
    }
}

pub(crate) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// The golden file of this name in `SALT_PARITY_DIR`, or the committed copy.
pub(crate) fn parity(name: &str) -> PathBuf {
    let given = std::env::var_os("SALT_PARITY_DIR").map(|dir| PathBuf::from(dir).join(name));
    given.filter(|path| path.is_file()).unwrap_or_else(|| fixture(name))
}

/// The folders of real data below `SALT_DATA_DIR`, one for every test that reads one.
const REAL: [&str; 4] = ["ARCADE", "ARCADE/stenosis", "CHASE_DB1", "ROSSA"];

/// A folder of real data, or `None` for a test to skip itself. When the last of these tests has asked, one line says how many were
/// skipped.
pub(crate) fn real(folder: &str) -> Option<PathBuf> {
    static ASKED: Mutex<Vec<(String, bool)>> = Mutex::new(Vec::new());
    assert!(REAL.contains(&folder), "{folder} is missing in the list of real folders");
    let path = std::env::var_os("SALT_DATA_DIR").map(|root| PathBuf::from(root).join(folder)).filter(|p| p.is_dir());
    let mut asked = ASKED.lock().unwrap();
    asked.push((folder.to_owned(), path.is_some()));
    let skipped: Vec<&str> = asked.iter().filter(|(_, found)| !found).map(|(folder, _)| folder.as_str()).collect();
    if asked.len() == REAL.len() && !skipped.is_empty() {
        // Written past the capture of the test harness, which hides what passing tests print.
        let line = format!(
            "skipped {} of {} tests on real data, not below SALT_DATA_DIR: {}\n",
            skipped.len(),
            REAL.len(),
            skipped.join(", ")
        );
        std::io::stderr().write_all(line.as_bytes()).unwrap();
    }
    path
}
