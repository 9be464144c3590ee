//! Missed and spurious segments as polylines.

use crate::fixtures::{drawn, rectangle};
use medseg_metrics::{
    Betti, Centrelines, Connectivity, Mask, Spacing, TopologyErrors, connected_components, vessel_widths,
};

fn missed(reference: &Mask, prediction: &Mask) -> Vec<medseg_metrics::Segment> {
    Centrelines::new(prediction, reference).unwrap().missed_segments(Spacing::pixels())
}

#[test]
fn nothing_is_missed_by_a_copy() {
    let vessel = rectangle(40, 90, 10..15, 5..80);
    assert!(missed(&vessel, &vessel).is_empty());
}

#[test]
fn a_cross_breaks_into_four_arms_longest_first() {
    let cross =
        drawn(&[".....#.......", ".....#.......", ".....#.......", "#############", ".....#.......", ".....#......."]);
    let segments = missed(&cross, &Mask::new(6, 13).unwrap());
    let lengths: Vec<f64> = segments.iter().map(|s| s.length).collect();
    assert_eq!(lengths, [7.0, 5.0, 3.0, 2.0]);
    assert!(segments.iter().all(|s| s.points.contains(&(3, 5)) && (1.0..1.3).contains(&s.mean_width)), "{segments:?}");
}

#[test]
fn a_ring_is_one_closed_line() {
    let ring = drawn(&["..###..", ".#...#.", "#.....#", "#.....#", ".#...#.", "..###.."]);
    let nothing = Mask::new(6, 7).unwrap();
    let lines = Centrelines::new(&nothing, &ring).unwrap();
    let segments = lines.missed_segments(Spacing::pixels());
    assert_eq!(segments.len(), 1);
    assert_eq!(segments[0].points.first(), segments[0].points.last());
    assert_eq!(segments[0].points.len() as u64, lines.reference_skeleton().count() + 1);
    assert!(segments[0].length >= segments[0].points.len() as f64 - 1.0);
}

#[test]
fn staircases_do_not_branch() {
    let stairs = drawn(&["##......", ".##.....", "..##....", "...##...", "....##.."]);
    assert!(missed(&stairs, &Mask::new(5, 8).unwrap()).len() == 1);
}

#[test]
fn width_and_length_follow_the_spacing() {
    let thick = rectangle(60, 120, 20..27, 10..110);
    let nothing = Mask::new(60, 120).unwrap();
    let lines = Centrelines::new(&nothing, &thick).unwrap();
    let in_pixels = lines.missed_segments(Spacing::pixels());
    let halved = lines.missed_segments(Spacing::millimetres(0.5, 0.5).unwrap());
    assert!(in_pixels[0].mean_width > 6.0 && in_pixels[0].mean_width <= 7.0, "{}", in_pixels[0].mean_width);
    assert!((halved[0].length - 0.5 * in_pixels[0].length).abs() < 1e-9);
    assert!((halved[0].mean_width - 0.5 * in_pixels[0].mean_width).abs() < 1e-9);
    let widths = vessel_widths(&thick, Spacing::pixels());
    assert_eq!(widths.len() as u64, lines.reference_skeleton().count());
    assert!(widths.iter().any(|(_, width)| *width == 7.0));
}

#[test]
fn an_image_full_of_vessel_has_a_finite_width() {
    let full = rectangle(9, 30, 0..9, 0..30);
    assert!(vessel_widths(&full, Spacing::pixels()).iter().all(|(_, w)| *w == Spacing::pixels().diagonal(9, 30)));
}

#[test]
fn components_have_areas_boxes_and_labels() {
    let mask = drawn(&["##..#", "#...#", "..#..", ".....", "#####"]);
    let eight = connected_components(&mask, Connectivity::Eight);
    let areas: Vec<u64> = eight.components().iter().map(|c| c.area).collect();
    assert_eq!(areas, [3, 2, 1, 5]);
    assert_eq!((eight.components()[0].rows.clone(), eight.components()[0].columns.clone()), (0..2, 0..2));
    assert_eq!((eight.label(4, 2), eight.label(3, 3), eight.label(9, 9), eight.label(0, 5)), (4, 0, 0, 0));
    assert_eq!(eight.labels().iter().filter(|&&l| l == 4).count(), 5);
}

#[test]
fn a_u_is_one_component() {
    let u = drawn(&["#...#...#", "#...#...#", "#########"]);
    assert_eq!(Betti::new(&u), Betti { components: 1, holes: 0 });
    let eight = drawn(&["#####", "#.#.#", "#####"]);
    assert_eq!(Betti::new(&eight), Betti { components: 1, holes: 2 });
    assert_eq!(Betti::new(&eight).euler(), -1);
    // A diagonal gap in the wall is closed for the foreground and therefore for the hole.
    let diamond = drawn(&[".#.", "#.#", ".#."]);
    assert_eq!(Betti::new(&diamond), Betti { components: 1, holes: 1 });
}

#[test]
fn topology_errors_by_image_and_by_patch() {
    let whole = rectangle(128, 128, 30..34, 0..128);
    let cut = whole.difference(&rectangle(128, 128, 0..128, 60..70)).unwrap();
    let image = TopologyErrors::new(&cut, &whole).unwrap();
    assert_eq!((image.betti0, image.betti1, image.euler), (1.0, 0.0, 1.0));
    // In patches of 64 the cut shortens the vessel in two patches and changes the topology of none.
    assert_eq!(TopologyErrors::in_patches(&cut, &whole, 64).unwrap().betti0, 0.0);
    assert_eq!(TopologyErrors::in_patches(&cut, &whole, 100).unwrap().betti0, 0.25);
    assert!(TopologyErrors::in_patches(&cut, &whole, 0).is_err());
}
