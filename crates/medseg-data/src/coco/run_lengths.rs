//! Run lengths of the COCO API: how many pixels of background, then of foreground, and so on, counted down the columns.

use crate::error::Result as DataResult;
use medseg_metrics::Mask;

/// Reads the compressed form: each run in groups of five bits, lowest first, the sixth bit says that another group follows,
/// the highest bit of the last group is the sign; from the fourth run on, what is stored is the difference to the run two
/// before.
///
/// # Errors
/// A character outside `0` to `o`, an end within a run, or a run that is negative or has more than 32 bits.
pub(super) fn decompress(text: &str) -> Result<Vec<u32>, String> {
    let mut runs: Vec<u32> = Vec::new();
    let (mut value, mut shift) = (0i64, 0u32);
    for (place, byte) in text.bytes().enumerate() {
        let group = byte.checked_sub(b'0').filter(|group| *group < 64).map(i64::from).ok_or_else(|| {
            let found = text.chars().find(|c| !('0'..='o').contains(c)).unwrap_or_default();
            format!("expected compressed run lengths of the characters 0 to o, found {found:?} at byte {place}")
        })?;
        if shift > 35 {
            return Err(format!("run {} has more than 32 bits", runs.len()));
        }
        value |= (group & 31) << shift;
        shift += 5;
        if group & 32 != 0 {
            continue;
        }
        if group & 16 != 0 {
            value |= -1 << shift;
        }
        let before = if runs.len() > 2 { i64::from(runs[runs.len() - 2]) } else { 0 };
        // Checked one by one: in a hostile file the differences add up without bound.
        let run = value + before;
        let number = runs.len();
        let run = u32::try_from(run).map_err(|_| format!("run {number}: expected 0 to {}, found {run}", u32::MAX))?;
        runs.push(run);
        (value, shift) = (0, 0);
    }
    if shift > 0 {
        return Err(format!("the compressed run lengths end within run {}", runs.len()));
    }
    Ok(runs)
}

/// Makes sure that runs cover an image exactly.
///
/// # Errors
/// They cover more or fewer pixels.
pub(super) fn check(runs: &[u32], width: usize, height: usize) -> Result<(), String> {
    let covered: u64 = runs.iter().map(|&run| u64::from(run)).sum();
    let pixels = width as u64 * height as u64;
    if covered == pixels {
        return Ok(());
    }
    Err(format!("expected run lengths of {width} x {height} = {pixels} pixels together, found {covered}"))
}

/// The mask of checked runs.
pub(super) fn fill(runs: &[u32], width: usize, height: usize) -> DataResult<Mask> {
    let mut mask = Mask::new(height, width)?;
    let mut start = 0;
    for (number, &run) in runs.iter().enumerate() {
        let end = start + run as usize;
        if number % 2 == 1 {
            for position in start..end {
                mask.insert(position % height, position / height);
            }
        }
        start = end;
    }
    Ok(mask)
}

#[cfg(test)]
mod tests {
    use super::decompress;

    /// Each run is the one two before and a little more: without an end the sum would leave 64 bits.
    #[test]
    fn threat_differences_that_add_up_without_bound_are_refused() {
        // 2^32 - 1 as a difference: groups of 31, 31, 31, 31, 31, 31, 3.
        let most = "ooooooS0";
        let reason = decompress(&most.repeat(1000)).unwrap_err();
        assert!(reason.contains("expected 0 to 4294967295"), "{reason}");
        assert_eq!(decompress("83;").unwrap(), [8, 3, 11]);
    }
}
