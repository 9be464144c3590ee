//! How well near duplicates are found: makes changed copies of every image of a set, and counts the copies that are found and the
//! pairs of different images that are named.
//!
//! ```text
//! cargo run -p medseg-data --example near_duplicates -- FOLDER          # a data set as its publisher ships it
//! cargo run -p medseg-data --example near_duplicates -- angiogram 200   # our own: angiogram, octa or fundus
//! cargo run -p medseg-data --example near_duplicates -- many 10000      # the time of a large set
//! ```

mod changes;
mod drawn;

use changes::{changes, shift};
use drawn::drawn;
use medseg_data::check::{DuplicatePair, ImagePrint, NEAR_DUPLICATE, duplicates};
use medseg_data::decode::Limits;
use medseg_data::{Dataset, Image};
use rayon::prelude::*;
use std::collections::BTreeSet;
use std::error::Error;
use std::path::Path;
use std::time::Instant;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let count = arguments.get(1).map_or(Ok(100), |n| n.parse())?;
    match arguments.first().map(String::as_str) {
        Some("many") => many(count),
        Some(kind @ ("angiogram" | "octa" | "fundus")) => {
            rates(
                &(0..count).into_par_iter().map(|k| (format!("{kind} {k}"), drawn(kind, 512, k))).collect::<Vec<_>>(),
            );
        }
        Some(folder) => {
            let data = Dataset::open(Path::new(folder))?;
            let load = |s: &medseg_data::Sample| Ok((s.id.clone(), s.load_image(&Limits::default())?));
            let images: medseg_data::Result<Vec<_>> = data.samples.par_iter().map(load).collect();
            println!("{}", data.description);
            rates(&images?);
        }
        None => return Err("give a folder, or `angiogram`, `octa`, `fundus` or `many` and a number".into()),
    }
    Ok(())
}

/// The table of a set.
fn rates(images: &[(String, Image)]) {
    let prints: Vec<ImagePrint> = images.par_iter().map(|(_, image)| ImagePrint::new(image)).collect();
    let near = Some(NEAR_DUPLICATE);
    let known = duplicates(&prints, near);
    println!("{} images, {} pairs; named as they are:", images.len(), images.len() * (images.len() - 1) / 2);
    for pair in &known {
        println!("  {} and {}: {}", images[pair.first].0, images[pair.second].0, describe(pair));
    }
    if let Some(next) = closest(&prints, &known) {
        println!("  the most alike of the others: {:.2}", next);
    }
    let known: BTreeSet<(usize, usize)> = known.iter().map(|p| (p.first, p.second)).collect();
    println!("\n| change | found | lowest correlation | different pairs named |\n|---|---|---|---|");
    for (name, change) in changes() {
        let copies = images.par_iter().map(|(_, image)| ImagePrint::new(&change(image)));
        let all: Vec<ImagePrint> = prints.par_iter().cloned().chain(copies).collect();
        let pairs = duplicates(&all, near);
        let n = images.len();
        let (own, other): (Vec<&DuplicatePair>, Vec<&DuplicatePair>) =
            pairs.iter().partition(|p| p.second == p.first + n);
        let stranger = |p: &&&DuplicatePair| {
            let (a, b) = (p.first % n, p.second % n);
            !known.contains(&(a.min(b), a.max(b)))
        };
        let lowest = own.iter().map(|p| p.correlation).fold(1.0, f32::min);
        println!("| {name} | {} of {n} | {lowest:.2} | {} |", own.len(), other.iter().filter(stranger).count());
    }
}

fn describe(pair: &DuplicatePair) -> String {
    let mirrored = if pair.mirrored { ", mirrored" } else { "" };
    if pair.same_pixels { "the same pixels".to_owned() } else { format!("{:.2}{mirrored}", pair.correlation) }
}

/// The highest correlation of the pairs that are not named.
fn closest(prints: &[ImagePrint], known: &[DuplicatePair]) -> Option<f32> {
    let known: BTreeSet<(usize, usize)> = known.iter().map(|p| (p.first, p.second)).collect();
    let others = duplicates(prints, Some(-1.0));
    let rest = others.iter().filter(|p| !known.contains(&(p.first, p.second)));
    rest.map(|p| p.correlation).max_by(f32::total_cmp)
}

/// `count` small angiograms and a hundred shifted copies among them.
fn many(count: u64) {
    let start = Instant::now();
    let mut images: Vec<Image> = (0..count).into_par_iter().map(|k| drawn("angiogram", 128, k)).collect();
    let copies = images.len().min(100);
    images.extend_from_within(..copies);
    let n = images.len();
    for image in &mut images[n - copies..] {
        *image = shift(image, 0.02, 0.015);
    }
    println!("drawn in {:.1} s", start.elapsed().as_secs_f64());
    let start = Instant::now();
    let prints: Vec<ImagePrint> = images.par_iter().map(ImagePrint::new).collect();
    println!("{n} prints in {:.1} s", start.elapsed().as_secs_f64());
    let start = Instant::now();
    let pairs = duplicates(&prints, Some(NEAR_DUPLICATE));
    println!("{} pairs compared in {:.1} s", n * (n - 1) / 2, start.elapsed().as_secs_f64());
    let right = pairs.iter().filter(|p| p.second == p.first + n - copies).count();
    println!("{right} of {copies} copies found, {} other pairs named", pairs.len() - right);
    pairs.iter().filter(|p| p.second != p.first + n - copies).take(10).for_each(|p| println!("  {p:?}"));
}
