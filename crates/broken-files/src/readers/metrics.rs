//! Metrics on masks against loops over pixels.

use medseg_metrics::{
    Betti, Boundary, Centrelines, Connectivity, Definition, EmptyPolicy, EmptyValue, Mask, Overlap, Spacing,
    connected_components, skeletonize,
};

const POLICY: EmptyPolicy = EmptyPolicy::new(EmptyValue::Infinity, EmptyValue::Perfect);
/// Masks of up to 70 columns cross the border of a word of 64 pixels.
const MOST_ROWS: u8 = 12;
const MOST_COLUMNS: u8 = 70;

/// The first two bytes are the size, the third the spacing, the bits of the others the pixels of both masks.
fn masks(bytes: &[u8]) -> Option<(Mask, Mask, Spacing)> {
    let [rows, columns, spacing, pixels @ ..] = bytes else { return None };
    let (height, width) = (usize::from(rows % MOST_ROWS) + 1, usize::from(columns % MOST_COLUMNS) + 1);
    let bit = |index: usize| pixels.get(index / 8).is_some_and(|byte| byte >> (index % 8) & 1 == 1);
    let one = Mask::from_fn(height, width, |r, c| bit(r * width + c)).ok()?;
    let two = Mask::from_fn(height, width, |r, c| bit((height + r) * width + c)).ok()?;
    let spacing = match spacing {
        0 => Spacing::pixels(),
        other => Spacing::millimetres(f64::from(other >> 4) * 0.25 + 0.25, f64::from(other & 15) * 0.25 + 0.25).ok()?,
    };
    Some((one, two, spacing))
}

/// Groups of connected pixels for which `wanted` holds, on a canvas one pixel larger on every side; with the number of those that
/// touch its edge.
fn groups(mask: &Mask, wanted: bool, diagonal: bool) -> (u64, u64) {
    let (height, width) = (mask.height() + 2, mask.width() + 2);
    let value = |r: usize, c: usize| {
        let inside = (1..=mask.height()).contains(&r) && (1..=mask.width()).contains(&c);
        inside && mask.get(r - 1, c - 1)
    };
    let mut seen = vec![false; height * width];
    let (mut count, mut at_edge) = (0, 0);
    for start in 0..height * width {
        if seen[start] || value(start / width, start % width) != wanted {
            continue;
        }
        let (mut stack, mut touches) = (vec![start], false);
        seen[start] = true;
        while let Some(at) = stack.pop() {
            let (r, c) = (at / width, at % width);
            touches |= r == 0 || c == 0 || r + 1 == height || c + 1 == width;
            for (dr, dc) in [(0, 1), (1, 0), (0, -1), (-1, 0), (1, 1), (1, -1), (-1, 1), (-1, -1)] {
                if !diagonal && dr != 0 && dc != 0 {
                    continue;
                }
                let (Some(r), Some(c)) = (r.checked_add_signed(dr), c.checked_add_signed(dc)) else { continue };
                if r < height && c < width && !seen[r * width + c] && value(r, c) == wanted {
                    seen[r * width + c] = true;
                    stack.push(r * width + c);
                }
            }
        }
        count += 1;
        at_edge += u64::from(touches);
    }
    (count, at_edge)
}

/// From each surface pixel of one mask to the nearest of the other.
fn directed(from: &Mask, to: &Mask, spacing: Spacing) -> Vec<f64> {
    let surface = |mask: &Mask| -> Vec<(usize, usize)> {
        let background = |r: Option<usize>, c: Option<usize>| match (r, c) {
            (Some(r), Some(c)) => r >= mask.height() || c >= mask.width() || !mask.get(r, c),
            _ => true,
        };
        let bounds = |&(r, c): &(usize, usize)| {
            background(r.checked_sub(1), Some(c))
                || background(Some(r + 1), Some(c))
                || background(Some(r), c.checked_sub(1))
                || background(Some(r), Some(c + 1))
        };
        mask.pixels().filter(bounds).collect()
    };
    let to = surface(to);
    let nearest = |&(r, c): &(usize, usize)| {
        let distance = |&(y, x): &(usize, usize)| {
            let (dr, dc) = ((y as f64 - r as f64) * spacing.row(), (x as f64 - c as f64) * spacing.column());
            (dr * dr + dc * dc).sqrt()
        };
        to.iter().map(distance).fold(f64::INFINITY, f64::min)
    };
    surface(from).iter().map(nearest).collect()
}

fn close(a: f64, b: f64) -> bool {
    a == b || (a - b).abs() <= 1e-9 * b.abs().max(1.0)
}

pub(crate) fn metrics(bytes: &[u8]) {
    let Some((one, two, spacing)) = masks(bytes) else { return };
    let pixels = one.height() * one.width();
    let count = |f: &dyn Fn(bool, bool) -> bool| -> u64 {
        (0..pixels)
            .filter(|at| f(one.get(at / one.width(), at % one.width()), two.get(at / one.width(), at % one.width())))
            .count() as u64
    };
    let overlap = Overlap::new(&one, &two).expect("the same size");
    let counted = Overlap {
        true_positives: count(&|a, b| a && b),
        false_positives: count(&|a, b| a && !b),
        false_negatives: count(&|a, b| !a && b),
        true_negatives: count(&|a, b| !a && !b),
    };
    assert_eq!(overlap, counted);

    let (here, there) = (directed(&one, &two, spacing), directed(&two, &one, spacing));
    let boundary = Boundary::new(&one, &two, spacing).expect("the same size");
    let value = |score: medseg_metrics::Result<medseg_metrics::Score>| {
        score.expect("the policy answers").value().expect("a number")
    };
    if !here.is_empty() && !there.is_empty() {
        let largest = here.iter().chain(&there).copied().fold(0.0, f64::max);
        let found = value(boundary.hausdorff(Definition::MaxDirected, POLICY));
        assert!(close(found, largest), "Hausdorff distance {found}, by hand {largest}");
        let mean = here.iter().chain(&there).sum::<f64>() / (here.len() + there.len()) as f64;
        let found = value(boundary.average_surface_distance(Definition::MaxDirected, POLICY));
        assert!(close(found, mean), "average distance {found}, by hand {mean}");
    }
    for definition in Definition::ALL {
        let (hd95, hd) = (
            value(boundary.hausdorff_percentile(definition, 95.0, POLICY)),
            value(boundary.hausdorff(definition, POLICY)),
        );
        assert!(hd95 <= hd && hd95 >= 0.0, "{definition}: HD95 {hd95}, HD {hd}");
    }

    for mask in [&one, &two] {
        let (components, _) = groups(mask, true, true);
        let (background, outside) = groups(mask, false, false);
        assert_eq!(Betti::new(mask), Betti { components, holes: background - outside });
        let found = connected_components(mask, Connectivity::Four).components().len() as u64;
        assert_eq!(found, groups(mask, true, false).0);
        let skeleton = skeletonize(mask);
        assert!(skeleton.difference(mask).expect("the same size").is_empty(), "a skeleton outside its mask");
    }
    let lines = Centrelines::new(&one, &two).expect("the same size");
    let cldice = value(lines.cldice(POLICY));
    assert!((0.0..=1.0).contains(&cldice) || cldice.is_infinite(), "clDice {cldice}");
}
