use crate::support::{assert_same_bits_on_any_threads, numbers, on_every_isa};
use cpu_kernels::{halve_by_maximum, halve_by_maximum_backward, in_order};
use proptest::prelude::*;

/// The axes of a tensor of these sizes, in another order.
fn strides(sizes: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; sizes.len()];
    for axis in (1..sizes.len()).rev() {
        strides[axis - 1] = strides[axis] * sizes[axis];
    }
    strides
}

/// By a plain loop.
fn expected(values: &[f32], sizes: &[usize], strides: &[usize]) -> Vec<f32> {
    let mut offsets = vec![0];
    for (size, stride) in sizes.iter().zip(strides) {
        offsets = offsets.iter().flat_map(|offset| (0..*size).map(move |i| offset + i * stride)).collect();
    }
    offsets.into_iter().map(|offset| values[offset]).collect()
}

pub(crate) fn check_order(sizes: &[usize], order: &[usize]) {
    let values = numbers(sizes.iter().product(), 3);
    let all = strides(sizes);
    let [sizes, strides] = [sizes, &all].map(|of| order.iter().map(|axis| of[*axis]).collect::<Vec<_>>());
    let expected = expected(&values, &sizes, &strides);
    on_every_isa(|isa| assert!(in_order(&values, &sizes, &strides) == expected, "{isa:?}: {sizes:?}, {strides:?}"));
}

proptest! {
    #[test]
    fn any_order_of_axes_is_that_of_a_plain_loop(
        sizes in proptest::collection::vec(1usize..20, 1..6), keys in proptest::collection::vec(any::<u32>(), 6),
    ) {
        let mut order: Vec<usize> = (0..sizes.len()).collect();
        order.sort_by_key(|axis| keys[*axis]);
        check_order(&sizes, &order);
    }

    /// Parts of larger tensors, and axes that repeat what they have.
    #[test]
    fn any_strides_are_those_of_a_plain_loop(axes in proptest::collection::vec((1usize..9, 0usize..30), 0..5)) {
        let (sizes, strides): (Vec<_>, Vec<_>) = axes.into_iter().unzip();
        let last: usize = sizes.iter().zip(&strides).map(|(size, stride)| (size - 1) * stride).sum();
        let values = numbers(last + 1, 5);
        assert_eq!(in_order(&values, &sizes, &strides), expected(&values, &sizes, &strides));
    }

    #[test]
    fn halves_are_those_of_a_plain_loop(
        n in 1usize..3, height in 1usize..9, width in 1usize..9, channels in 1usize..40, seed in 0u64..1000,
    ) {
        check_halves([n, 2 * height, 2 * width, channels], seed);
    }
}

pub(crate) fn check_halves(size: [usize; 4], seed: u64) {
    let [n, height, width, channels] = size;
    // Few values, so that equal ones meet, and some that are not numbers.
    let value = |x: &f32| if *x > 0.9 { f32::NAN } else { (x * 3.0).round() };
    let map: Vec<f32> = numbers(n * height * width * channels, seed).iter().map(value).collect();
    let dy = numbers(map.len() / 4, seed + 1);
    let (mut halved, mut d_map) = (Vec::new(), vec![0.0f32; map.len()]);
    for image in 0..n {
        for row in 0..height / 2 {
            for column in 0..width / 2 {
                for channel in 0..channels {
                    let at = |y: usize, x: usize| {
                        ((image * height + 2 * row + y) * width + 2 * column + x) * channels + channel
                    };
                    let cells = [at(0, 0), at(0, 1), at(1, 0), at(1, 1)];
                    let largest = match cells.iter().find(|cell| map[**cell].is_nan()) {
                        Some(cell) => *cell,
                        None => cells.into_iter().rev().max_by(|a, b| map[*a].total_cmp(&(map[*b] + 0.0))).unwrap_or(0),
                    };
                    d_map[largest] = dy[halved.len()];
                    halved.push(map[largest]);
                }
            }
        }
    }
    let bits =
        |values: &[f32]| values.iter().map(|x| if x.is_nan() { 0 } else { (x + 0.0).to_bits() }).collect::<Vec<_>>();
    on_every_isa(|isa| {
        let found = halve_by_maximum(&map, size);
        assert!(
            bits(&found) == bits(&halved) && found.iter().zip(&halved).all(|(x, y)| x.is_nan() == y.is_nan()),
            "{isa:?}: {size:?}"
        );
        assert_eq!(halve_by_maximum_backward(&map, size, &dy), d_map, "{isa:?}: {size:?}");
    });
}

#[test]
fn large_tensors_and_tensors_of_nothing() {
    check_order(&[2, 64, 40, 3, 33], &[0, 3, 1, 4, 2]);
    check_order(&[300, 500], &[1, 0]);
    check_order(&[70, 3, 200], &[1, 2, 0]);
    check_order(&[40, 16, 16, 16], &[2, 0, 3, 1]);
    assert!(in_order(&[], &[3, 0], &[1, 1]).is_empty());
    assert!(halve_by_maximum(&[], [2, 0, 4, 3]).is_empty());
    assert!(halve_by_maximum(&[], [2, 4, 4, 0]).is_empty());
    assert!(halve_by_maximum_backward(&[], [2, 4, 4, 0], &[]).is_empty());
    check_halves([2, 40, 60, 96], 1);
}

#[test]
fn the_bits_do_not_depend_on_the_threads() {
    let values = numbers(60 * 70 * 80, 1);
    let dy = numbers(60 * 70 * 20, 2);
    assert_same_bits_on_any_threads(|| {
        vec![
            in_order(&values, &[80, 60, 70], &[1, 70 * 80, 80]),
            in_order(&values, &[70, 60, 80], &[80, 70 * 80, 1]),
            halve_by_maximum(&values, [1, 60, 70, 80]),
            halve_by_maximum_backward(&values, [1, 60, 70, 80], &dy),
        ]
    });
}

#[test]
#[should_panic(expected = "axes of [2, 3] with strides [3, 2] do not fit into 7 elements")]
fn a_view_behind_the_end_is_refused() {
    in_order(&[0.0; 7], &[2, 3], &[3, 2]);
}

#[test]
#[should_panic(expected = "map: expected even sides, found [2, 3]")]
fn odd_sides_are_refused() {
    halve_by_maximum(&[0.0; 6], [1, 2, 3, 1]);
}
