//! Times this crate on the mask pairs of a file, for `peers.py`: one line of JSON per pair.
//!
//! The file holds the number of pairs, rows and columns (u32, little endian), then prediction and reference of each pair, one
//! byte per pixel. Times are seconds of CPU time of this thread where the system tells them, so that other programs on the
//! machine do not count, and wall-clock time elsewhere.

use medseg_metrics::{Boundary, Centrelines, Definition, EmptyPolicy, EmptyValue, Mask, Result, Spacing, Tolerance};
use std::error::Error;
use std::hint::black_box;
use std::time::Instant;

const EMPTY: EmptyPolicy = EmptyPolicy::new(EmptyValue::ImageDiagonal, EmptyValue::Perfect);

/// Nanoseconds that this thread has run, if the system counts them.
fn cpu_nanoseconds() -> Option<u64> {
    std::fs::read_to_string("/proc/thread-self/schedstat").ok()?.split(' ').next()?.parse().ok()
}

/// Median seconds per call over 9 batches of about 0.1 seconds: the system counts in steps of a few milliseconds.
fn time<T>(mut run: impl FnMut() -> Result<T>) -> Result<f64> {
    let start = Instant::now();
    for _ in 0..5 {
        black_box(run()?);
    }
    let calls = (0.5 / start.elapsed().as_secs_f64()).ceil().clamp(5.0, 1e5) as u32;
    let mut seconds = Vec::new();
    for _ in 0..9 {
        let (wall, cpu) = (Instant::now(), cpu_nanoseconds());
        for _ in 0..calls {
            black_box(run()?);
        }
        let spent = cpu.zip(cpu_nanoseconds()).map(|(before, after)| (after - before) as f64 * 1e-9);
        seconds.push(spent.unwrap_or_else(|| wall.elapsed().as_secs_f64()) / f64::from(calls));
    }
    seconds.sort_by(f64::total_cmp);
    Ok(seconds[seconds.len() / 2])
}

/// HD, HD95, ASSD and NSD at 2 px under every definition.
fn boundary_set(prediction: &Mask, reference: &Mask) -> Result<f64> {
    let boundary = Boundary::new(black_box(prediction), black_box(reference), Spacing::pixels())?;
    let mut sum = 0.0;
    for definition in Definition::ALL {
        for score in [
            boundary.hausdorff(definition, EMPTY)?,
            boundary.hausdorff_percentile(definition, 95.0, EMPTY)?,
            boundary.average_surface_distance(definition, EMPTY)?,
            boundary.surface_dice(definition, Tolerance::Pixels(2.0), EMPTY)?,
        ] {
            sum += score.value().unwrap_or(f64::NAN);
        }
    }
    Ok(sum)
}

fn hd95(prediction: &Mask, reference: &Mask, definition: Definition) -> Result<f64> {
    let boundary = Boundary::new(black_box(prediction), black_box(reference), Spacing::pixels())?;
    Ok(boundary.hausdorff_percentile(definition, 95.0, EMPTY)?.value().unwrap_or(f64::NAN))
}

fn cldice(prediction: &Mask, reference: &Mask) -> Result<f64> {
    let centrelines = Centrelines::new(black_box(prediction), black_box(reference))?;
    Ok(centrelines.cldice(EMPTY)?.value().unwrap_or(f64::NAN))
}

fn main() -> Result<(), Box<dyn Error>> {
    let Some(path) = std::env::args().skip(1).find(|argument| !argument.starts_with("--")) else {
        println!("peers.py starts this benchmark and names the file of masks");
        return Ok(());
    };
    let bytes = std::fs::read(path)?;
    let number = |at: usize| -> Result<usize, Box<dyn Error>> {
        Ok(u32::from_le_bytes(bytes.get(4 * at..4 * at + 4).ok_or("the file ends within its header")?.try_into()?)
            as usize)
    };
    let (pairs, height, width) = (number(0)?, number(1)?, number(2)?);
    let masks = bytes[12..]
        .chunks_exact(height * width)
        .map(|image| Mask::from_bytes(height, width, image))
        .collect::<Result<Vec<_>>>()?;
    for pair in masks.chunks_exact(2).take(pairs) {
        let (prediction, reference) = (&pair[0], &pair[1]);
        println!(
            "{{\"hd95_max_directed\": {:e}, \"boundary_set\": {:e}, \"cldice\": {:e}, \"values\": [{}, {}, {}, {}]}}",
            time(|| hd95(prediction, reference, Definition::MaxDirected))?,
            time(|| boundary_set(prediction, reference))?,
            time(|| cldice(prediction, reference))?,
            hd95(prediction, reference, Definition::MaxDirected)?,
            hd95(prediction, reference, Definition::Pooled)?,
            hd95(prediction, reference, Definition::LengthWeighted)?,
            cldice(prediction, reference)?,
        );
    }
    Ok(())
}
