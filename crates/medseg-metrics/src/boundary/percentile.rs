//! Percentiles by selection: nothing is sorted.

/// Percentile with linear interpolation between order statistics (NumPy's default); reorders `values`.
/// `values` must not be empty, nor hold NaN; `percent` must lie in 0 to 100.
pub(crate) fn percentile(values: &mut [f64], percent: f64) -> f64 {
    let position = percent / 100.0 * (values.len() - 1) as f64;
    let below = (position as usize).min(values.len() - 1);
    let (_, &mut low, above) = values.select_nth_unstable_by(below, f64::total_cmp);
    let share = position - below as f64;
    if share == 0.0 || above.is_empty() {
        return low;
    }
    let high = above.iter().copied().fold(f64::INFINITY, f64::min);
    low + (high - low) * share
}

/// Relative error that the sums of a weighted percentile may carry; a hundred times what a few products and sums bring.
const ROUNDING: f64 = 1e-13;

/// Smallest distance that at least `percent` of the total weight does not exceed, without interpolation; reorders `items`.
///
/// Items are (distance, class) and `weights` holds one weight per class. Sums are made from the number of items per class,
/// so that neither the order of items nor their number brings rounding into the comparison. A weight that is short of the
/// percentage by no more than [`ROUNDING`] reaches it: where 19 of 20 equal elements are exactly 95 %, the last bit of a
/// spacing must not decide between two distances.
pub(crate) fn weighted_percentile<const CLASSES: usize>(
    items: &mut [(f64, u8)],
    weights: [f64; CLASSES],
    percent: f64,
) -> f64 {
    let count = |items: &[(f64, u8)]| {
        let mut counts = [0u64; CLASSES];
        items.iter().for_each(|&(_, class)| counts[usize::from(class)] += 1);
        counts
    };
    let weight = |counts: [u64; CLASSES]| -> f64 { counts.iter().zip(weights).map(|(&n, w)| n as f64 * w).sum() };
    let enough = percent / 100.0 * weight(count(items)) * (1.0 - ROUNDING);
    let (mut low, mut high) = (0, items.len() - 1);
    let mut before = [0u64; CLASSES];
    // The first guess is right when all weights are equal; then the remaining interval is halved.
    let mut pivot = (percent / 100.0 * items.len() as f64) as usize;
    while low < high {
        pivot = pivot.clamp(low, high - 1);
        items[low..=high].select_nth_unstable_by(pivot - low, |a, b| a.0.total_cmp(&b.0));
        let mut up_to = count(&items[low..=pivot]);
        up_to.iter_mut().zip(before).for_each(|(n, b)| *n += b);
        if weight(up_to) >= enough {
            high = pivot;
        } else {
            low = pivot + 1;
            before = up_to;
        }
        pivot = low + (high - low) / 2;
    }
    items[low].0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interpolates_as_numpy() {
        let values = [4.0, 1.0, 3.0, 2.0];
        for (percent, expected) in [(0.0, 1.0), (25.0, 1.75), (50.0, 2.5), (95.0, 3.85), (100.0, 4.0)] {
            assert!((percentile(&mut values.clone(), percent) - expected).abs() < 1e-12, "{percent}");
        }
        assert_eq!(percentile(&mut [7.0], 95.0), 7.0);
    }

    /// 19 of 20 elements of each class are 95 % of the weight, whatever the weights round to.
    #[test]
    fn a_tie_does_not_depend_on_rounding() {
        let items: Vec<(f64, u8)> = (0..80).map(|i| (f64::from(i / 4), (i % 4) as u8)).collect();
        for step in 1..2000 {
            let weights = [0.7, 1.0, 1.3, 1.4].map(|w| w * f64::from(step) / 7.0);
            assert_eq!(weighted_percentile(&mut items.clone(), weights, 95.0), 18.0, "{step}");
        }
    }

    #[test]
    fn weighted_selection_equals_sorting() {
        let mut state = 1u64;
        let mut next = || {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 40) as f64
        };
        for n in [1usize, 2, 3, 7, 50, 333] {
            let mut items: Vec<(f64, u8)> = (0..n).map(|_| ((next() % 20.0), (next() % 4.0) as u8)).collect();
            let weights = [0.7, 1.0, 1.3, 1.4];
            for percent in [0.0, 10.0, 50.0, 95.0, 100.0] {
                let mut sorted = items.clone();
                sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
                let total: f64 = items.iter().map(|i| weights[i.1 as usize]).sum();
                let mut sum = 0.0;
                let expected = sorted
                    .iter()
                    .find(|i| {
                        sum += weights[i.1 as usize];
                        sum >= percent / 100.0 * total - 1e-9
                    })
                    .map(|i| i.0);
                assert_eq!(Some(weighted_percentile(&mut items, weights, percent)), expected, "{n} {percent}");
            }
        }
    }
}
