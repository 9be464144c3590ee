//! What must hold for every pair of masks.

use medseg_metrics::{
    Betti, Boundary, Centrelines, Connectivity, Definition, EmptyPolicy, EmptyValue, Mask, Overlap, Spacing, Tolerance,
    connected_components, distance_to, distance_transform, vessel_widths,
};
use proptest::prelude::*;
use std::collections::BTreeSet;

const POLICY: EmptyPolicy = EmptyPolicy::new(EmptyValue::Infinity, EmptyValue::Perfect);

/// Thick strokes and single pixels on a canvas that crosses word boundaries.
fn strokes(height: usize, width: usize) -> impl Strategy<Value = Mask> {
    let stroke = (0..height, 0..width, -2i32..=2, -2i32..=2, 0usize..30, 0usize..4);
    prop::collection::vec(stroke, 1..5).prop_map(move |strokes| {
        let mut mask = Mask::new(height, width).unwrap();
        for (row, column, dr, dc, length, radius) in strokes {
            for step in 0..=length as i32 {
                let (r, c) = (row as i32 + dr * step, column as i32 + dc * step);
                for y in r - radius as i32..=r + radius as i32 {
                    for x in c - radius as i32..=c + radius as i32 {
                        if y >= 0 && x >= 0 {
                            mask.insert(y as usize, x as usize);
                        }
                    }
                }
            }
        }
        mask
    })
}

/// Two non-empty masks of the same size, up to 50 x 150.
fn pair() -> impl Strategy<Value = (Mask, Mask)> {
    (3usize..50, 3usize..150).prop_flat_map(|(h, w)| (strokes(h, w), strokes(h, w)))
}

fn spacing() -> impl Strategy<Value = Spacing> {
    prop_oneof![
        Just(Spacing::pixels()),
        Just(Spacing::millimetres(0.0005, 40.0).unwrap()),
        Just(Spacing::millimetres(40.0, 0.0005).unwrap()),
        (0.2f64..4.0, 0.2f64..4.0).prop_map(|(r, c)| Spacing::millimetres(r, c).unwrap())
    ]
}

/// HD, HD95, ASSD and NSD at 2 row spacings, under every definition.
fn distances(a: &Mask, b: &Mask, spacing: Spacing) -> Vec<f64> {
    let boundary = Boundary::new(a, b, spacing).unwrap();
    let tolerance =
        if spacing == Spacing::pixels() { Tolerance::Pixels(2.0) } else { Tolerance::Millimetres(2.0 * spacing.row()) };
    let all = Definition::ALL.into_iter().flat_map(|definition| {
        [
            boundary.hausdorff(definition, POLICY),
            boundary.hausdorff_percentile(definition, 95.0, POLICY),
            boundary.average_surface_distance(definition, POLICY),
            boundary.surface_dice(definition, tolerance, POLICY),
        ]
    });
    all.map(|score| score.unwrap().value().unwrap()).collect()
}

fn close(a: &[f64], b: &[f64], factor: f64) -> bool {
    let same = |x: f64, y: f64| x == y || (x - y).abs() <= 1e-9 * y.abs().max(1e-3);
    a.iter().zip(b).enumerate().all(|(i, (&x, &y))| if i % 4 == 3 { same(x, y) } else { same(x * factor, y) })
}

/// Brute force over all pairs of pixels.
fn nearest(points: &Mask, pixel: (usize, usize), spacing: Spacing) -> f64 {
    let distance = |p: (usize, usize)| {
        let (dr, dc) = (p.0 as f64 - pixel.0 as f64, p.1 as f64 - pixel.1 as f64);
        ((dr * spacing.row()).powi(2) + (dc * spacing.column()).powi(2)).sqrt()
    };
    points.pixels().map(distance).fold(f64::INFINITY, f64::min)
}

/// Moves a mask on a larger canvas, away from its edges.
fn placed(mask: &Mask, down: usize, right: usize) -> Mask {
    let mut canvas = Mask::new(mask.height() + 40, mask.width() + 80).unwrap();
    mask.pixels().for_each(|(r, c)| canvas.insert(r + down, c + right));
    canvas
}

proptest! {
    #![proptest_config(ProptestConfig::default())]

    #[test]
    fn a_mask_is_at_no_distance_from_itself((a, _) in pair(), spacing in spacing()) {
        for (i, value) in distances(&a, &a, spacing).into_iter().enumerate() {
            let expected = if i % 4 == 3 { 1.0 } else { 0.0 };
            // Without a surface (a mask that fills the image, open border) the policy answers: both empty is perfect.
            prop_assert_eq!(value, expected);
        }
    }

    #[test]
    fn order_does_not_matter((a, b) in pair(), spacing in spacing()) {
        prop_assert!(close(&distances(&a, &b, spacing), &distances(&b, &a, spacing), 1.0));
        let (ab, ba) = (Overlap::new(&a, &b).unwrap(), Overlap::new(&b, &a).unwrap());
        prop_assert_eq!(ab.dice(POLICY).unwrap(), ba.dice(POLICY).unwrap());
        prop_assert_eq!(ab.precision(POLICY).unwrap(), ba.recall(POLICY).unwrap());
        let lines = |x: &Mask, y: &Mask| Centrelines::new(x, y).unwrap().cldice(POLICY).unwrap();
        prop_assert_eq!(lines(&a, &b), lines(&b, &a));
    }

    #[test]
    fn translation_does_not_matter((a, b) in pair(), spacing in spacing(), down in 1usize..39, right in 1usize..79) {
        let (near, far) = ((placed(&a, 1, 1), placed(&b, 1, 1)), (placed(&a, down, right), placed(&b, down, right)));
        prop_assert!(close(&distances(&near.0, &near.1, spacing), &distances(&far.0, &far.1, spacing), 1.0));
        let lines = |x: &Mask, y: &Mask| Centrelines::new(x, y).unwrap().cldice(POLICY).unwrap();
        prop_assert_eq!(lines(&near.0, &near.1), lines(&far.0, &far.1));
        prop_assert_eq!(Betti::new(&near.0), Betti::new(&far.0));
    }

    #[test]
    fn a_quarter_turn_does_not_matter((a, b) in pair(), rows in 0.2f64..4.0, columns in 0.2f64..4.0) {
        let upright = Spacing::millimetres(rows, columns).unwrap();
        let turned = Spacing::millimetres(columns, rows).unwrap();
        let boundary = |x: &Mask, y: &Mask, spacing| {
            let boundary = Boundary::new(x, y, spacing).unwrap();
            let measures = Definition::ALL.map(|definition| [
                boundary.hausdorff(definition, POLICY).unwrap().value().unwrap(),
                boundary.hausdorff_percentile(definition, 95.0, POLICY).unwrap().value().unwrap(),
                boundary.average_surface_distance(definition, POLICY).unwrap().value().unwrap(),
                boundary.surface_dice(definition, Tolerance::Millimetres(1.5), POLICY).unwrap().value().unwrap(),
            ]);
            measures.concat()
        };
        let (first, second) = (boundary(&a, &b, upright), boundary(&a.rotate90(), &b.rotate90(), turned));
        prop_assert!(close(&first, &second, 1.0), "{:?} {:?}", first, second);
        prop_assert_eq!(Betti::new(&a), Betti::new(&a.rotate90()));
    }

    #[test]
    fn distances_scale_with_the_spacing((a, b) in pair(), rows in 0.2f64..4.0, columns in 0.2f64..4.0, factor in 0.1f64..10.0) {
        let spacing = Spacing::millimetres(rows, columns).unwrap();
        let scaled = Spacing::millimetres(rows * factor, columns * factor).unwrap();
        let without_nsd = |values: Vec<f64>| values.into_iter().enumerate().filter(|(i, _)| i % 4 != 3).map(|(_, v)| v);
        for (x, y) in without_nsd(distances(&a, &b, spacing)).zip(without_nsd(distances(&a, &b, scaled))) {
            prop_assert!(x == y || (x * factor - y).abs() <= 1e-9 * y, "{} {}", x, y);
        }
    }

    #[test]
    fn hausdorff_bounds_its_percentiles_and_the_mean((a, b) in pair(), spacing in spacing()) {
        for values in distances(&a, &b, spacing).chunks(4) {
            prop_assert!(values[1] <= values[0] && values[2] <= values[0] * (1.0 + 1e-12), "{:?}", values);
        }
    }

    #[test]
    fn percentiles_grow((a, b) in pair()) {
        let boundary = Boundary::new(&a, &b, Spacing::pixels()).unwrap();
        for definition in Definition::ALL {
            let at = |p: f64| boundary.hausdorff_percentile(definition, p, POLICY).unwrap().value().unwrap();
            let values = [0.0, 5.0, 33.3, 50.0, 90.0, 95.0, 99.0, 100.0].map(at);
            prop_assert!(values.windows(2).all(|w| w[0] <= w[1]), "{} {:?}", definition, values);
            prop_assert_eq!(values[7], boundary.hausdorff(definition, POLICY).unwrap().value().unwrap());
        }
    }

    #[test]
    fn surface_dice_grows_with_the_tolerance((a, b) in pair()) {
        let boundary = Boundary::new(&a, &b, Spacing::pixels()).unwrap();
        for definition in Definition::ALL {
            let at = |t: f64| boundary.surface_dice(definition, Tolerance::Pixels(t), POLICY).unwrap().value().unwrap();
            let values = [0.0, 0.5, 1.0, 2.0, 5.0, 20.0, 1000.0].map(at);
            prop_assert!(values.windows(2).all(|w| w[0] <= w[1]), "{} {:?}", definition, values);
            prop_assert!(boundary.emptiness(definition).is_some() || values[6] == 1.0);
        }
    }

    #[test]
    fn dice_and_iou_agree((a, b) in pair()) {
        let overlap = Overlap::new(&a, &b).unwrap();
        let dice = overlap.dice(POLICY).unwrap().value().unwrap();
        let iou = overlap.iou(POLICY).unwrap().value().unwrap();
        prop_assert!((dice - 2.0 * iou / (1.0 + iou)).abs() < 1e-12);
        let pixels = overlap.true_positives + overlap.false_positives + overlap.false_negatives + overlap.true_negatives;
        prop_assert_eq!(pixels as usize, a.height() * a.width());
    }

    /// Finding a missed branch helps: recall and the reference's side of every distance can only improve.
    #[test]
    fn finding_a_missed_branch_never_hurts_recall((reference, drawn) in pair(), branch in 0usize..8) {
        let prediction = reference.intersection(&drawn).unwrap();
        let missing = connected_components(&reference.difference(&prediction).unwrap(), Connectivity::Eight);
        prop_assume!(!missing.components().is_empty());
        let label = (branch % missing.components().len()) as u32 + 1;
        let found = Mask::from_fn(reference.height(), reference.width(), |r, c| missing.label(r, c) == label).unwrap();
        let better = prediction.union(&found).unwrap();
        let recall = |p: &Mask| Overlap::new(p, &reference).unwrap().recall(POLICY).unwrap().value().unwrap();
        prop_assert!(recall(&better) > recall(&prediction));
        let sensitivity =
            |p: &Mask| Centrelines::new(p, &reference).unwrap().topology_sensitivity(POLICY).unwrap().value().unwrap();
        prop_assert!(sensitivity(&better) >= sensitivity(&prediction));
        // The prediction lies within the reference, so the released definition sees only the way from the reference.
        let released = |p: &Mask| {
            let boundary = Boundary::new(p, &reference, Spacing::pixels()).unwrap();
            boundary.hausdorff(Definition::PaperReleased, POLICY).unwrap().value().unwrap()
        };
        prop_assert!(released(&better) <= released(&prediction));
    }

    #[test]
    fn distance_maps_equal_brute_force((mask, _) in (1usize..24, 1usize..80).prop_flat_map(|(h, w)| (strokes(h, w), Just(()))),
                                       spacing in spacing()) {
        let (outside, inside) = (distance_to(&mask, spacing), distance_transform(&mask, spacing));
        let background = mask.complement();
        for r in 0..mask.height() {
            for c in 0..mask.width() {
                prop_assert_eq!(outside.get(r, c), Some(nearest(&mask, (r, c), spacing)));
                prop_assert_eq!(inside.get(r, c), Some(if mask.get(r, c) { nearest(&background, (r, c), spacing) } else { 0.0 }));
            }
        }
    }

    /// The sparse search of the boundary metrics, on images larger and emptier than the maps above.
    #[test]
    fn hausdorff_equals_brute_force((a, b) in pair(), spacing in spacing()) {
        let (from, to) = (a.surface(), b.surface());
        let directed = |from: &Mask, to: &Mask| from.pixels().map(|p| nearest(to, p, spacing)).fold(0.0, f64::max);
        let expected = directed(&from, &to).max(directed(&to, &from));
        let boundary = Boundary::new(&a, &b, spacing).unwrap();
        prop_assert_eq!(boundary.hausdorff(Definition::MaxDirected, POLICY).unwrap().value(), Some(expected));
    }

    /// Every pixel of a missed centre-line is on a polyline, every link between neighbours on exactly one.
    #[test]
    fn polylines_cover_what_was_missed((reference, prediction) in pair(), spacing in spacing()) {
        let lines = Centrelines::new(&prediction, &reference).unwrap();
        let rest = lines.reference_skeleton().difference(&prediction).unwrap();
        let segments = lines.missed_segments(spacing);
        let mut seen = Mask::new(rest.height(), rest.width()).unwrap();
        let mut links = BTreeSet::new();
        for segment in &segments {
            segment.points.iter().for_each(|&(r, c)| seen.insert(r, c));
            let mut length = 0.0;
            for step in segment.points.windows(2) {
                let (dr, dc) = (step[0].0.abs_diff(step[1].0), step[0].1.abs_diff(step[1].1));
                prop_assert!(dr.max(dc) == 1);
                prop_assert!(links.insert((step[0].min(step[1]), step[0].max(step[1]))), "{:?} twice", step);
                length += ((dr as f64 * spacing.row()).powi(2) + (dc as f64 * spacing.column()).powi(2)).sqrt();
            }
            prop_assert!((length - segment.length).abs() <= 1e-9 * length);
        }
        prop_assert_eq!(&seen, &rest);
        let on = |r: usize, c: usize| rest.get(r, c);
        let expected: usize = rest.pixels().map(|(r, c)| {
            let corner = |at: usize| on(r + 1, at) && !on(r, at) && !on(r + 1, c);
            usize::from(on(r, c + 1)) + usize::from(on(r + 1, c)) + usize::from(corner(c + 1))
                + usize::from(c > 0 && corner(c - 1))
        }).sum();
        prop_assert_eq!(links.len(), expected);
        prop_assert!(segments.windows(2).all(|s| s[0].length >= s[1].length));
    }

    #[test]
    fn widths_equal_brute_force((mask, _) in pair(), spacing in spacing()) {
        let background = mask.complement();
        prop_assume!(!background.is_empty());
        let pixel = (spacing.row() * spacing.column()).sqrt();
        for (at, width) in vessel_widths(&mask, spacing) {
            prop_assert_eq!(width, 2.0 * nearest(&background, at, spacing) - pixel);
        }
    }

    #[test]
    fn components_and_holes_equal_flooding((mask, _) in pair()) {
        let padded = placed(&mask, 1, 1);
        let flood = |inside: bool, corners: bool| {
            let mut left = if inside { padded.clone() } else { padded.complement() };
            let mut number = 0;
            loop {
                let start = left.pixels().next();
                let Some(start) = start else { break };
                number += 1;
                let mut open = vec![start];
                while let Some((r, c)) = open.pop() {
                    if left.get(r, c) {
                        left.remove(r, c);
                        for (dr, dc) in [(0, 1), (1, 0), (0, -1), (-1, 0), (1, 1), (1, -1), (-1, 1), (-1, -1)] {
                            if (corners || dr == 0 || dc == 0) && r as isize + dr >= 0 && c as isize + dc >= 0 {
                                open.push(((r as isize + dr) as usize, (c as isize + dc) as usize));
                            }
                        }
                    }
                }
            }
            number
        };
        let betti = Betti::new(&mask);
        prop_assert_eq!(betti.components, flood(true, true));
        prop_assert_eq!(betti.holes, flood(false, false) - 1);
        let four = connected_components(&mask, Connectivity::Four);
        prop_assert_eq!(four.components().len() as u64, flood(true, false));
        prop_assert_eq!(four.components().iter().map(|c| c.area).sum::<u64>(), mask.count());
        let placed = mask.pixels().all(|(r, c)| {
            let part = &four.components()[four.label(r, c) as usize - 1];
            part.rows.contains(&r) && part.columns.contains(&c)
        });
        prop_assert!(placed);
    }

    /// Set operations and IoU against plain loops over pixels.
    #[test]
    fn set_operations_equal_loops((a, b) in pair()) {
        let (height, width) = a.size();
        prop_assert_eq!((height, width), (a.height(), a.width()));
        let by_pixel = |keep: fn(bool, bool) -> bool| {
            Mask::from_fn(height, width, |r, c| keep(a.get(r, c), b.get(r, c))).unwrap()
        };
        let (both, either) = (by_pixel(|a, b| a && b), by_pixel(|a, b| a || b));
        prop_assert_eq!(&a.intersection(&b).unwrap(), &both);
        prop_assert_eq!(&a.union(&b).unwrap(), &either);
        prop_assert_eq!(a.difference(&b).unwrap(), by_pixel(|a, b| a && !b));
        let mut united = a.clone();
        united.unite(&b).unwrap();
        prop_assert_eq!(&united, &either);
        prop_assert_eq!(a.iou(&b).unwrap(), both.count() as f64 / either.count() as f64);
        prop_assert_eq!(a.share(), a.to_bytes().iter().map(|&v| f64::from(v)).sum::<f64>() / (height * width) as f64);
    }

    #[test]
    fn masks_survive_packing(h in 1usize..9, w in 1usize..200, seed in any::<u64>()) {
        let bytes: Vec<u8> = (0..h * w).map(|i| ((seed >> (i % 61)) as usize + i * i) as u8 & 1).collect();
        let mask = Mask::from_bytes(h, w, &bytes).unwrap();
        prop_assert_eq!(mask.to_bytes(), bytes);
        prop_assert_eq!(mask.complement().complement(), mask.clone());
        prop_assert_eq!(mask.rotate90().rotate90().rotate90().rotate90(), mask.clone());
        prop_assert_eq!(mask.count() + mask.complement().count(), (h * w) as u64);
    }
}
