use crate::support::{assert_same_bits_on_any_threads, assert_sums, numbers, on_every_isa, rounding};
use cpu_kernels::{Convolution, channel_sums};
use proptest::prelude::*;

/// Calls `visit` with the places of x, weight and y of each product that a convolution adds up.
fn for_each_term(shape: &Convolution, depthwise: bool, mut visit: impl FnMut([usize; 3])) {
    let ([height, width], [rows, columns]) = (shape.output(), shape.kernel);
    let [inputs, outputs] = shape.channels;
    for image in 0..shape.batch {
        for output in 0..outputs {
            for (row, column) in (0..height).flat_map(|row| (0..width).map(move |column| (row, column))) {
                for input in (0..inputs).filter(|input| !depthwise || *input == output) {
                    // One channel of the input goes into one of the output, by the only kernel that this has.
                    let kernel = if depthwise { output } else { output * inputs + input };
                    for (i, j) in (0..rows).flat_map(|i| (0..columns).map(move |j| (i, j))) {
                        let y = (row * shape.stride[0] + i * shape.dilation[0]).wrapping_sub(shape.padding[0].0);
                        let x = (column * shape.stride[1] + j * shape.dilation[1]).wrapping_sub(shape.padding[1].0);
                        if y < shape.input[0] && x < shape.input[1] {
                            visit([
                                ((image * inputs + input) * shape.input[0] + y) * shape.input[1] + x,
                                (kernel * rows + i) * columns + j,
                                ((image * outputs + output) * height + row) * width + column,
                            ]);
                        }
                    }
                }
            }
        }
    }
}

struct Case {
    shape: Convolution,
    depthwise: bool,
    x: Vec<f32>,
    weight: Vec<f32>,
    bias: Vec<f32>,
    dy: Vec<f32>,
}

impl Case {
    fn new(shape: Convolution, seed: u64) -> Self {
        Self::of(shape, false, seed)
    }

    fn of(shape: Convolution, depthwise: bool, seed: u64) -> Self {
        let [inputs, outputs] = shape.channels;
        let kernels = if depthwise { outputs } else { outputs * inputs };
        let size = |sides: [usize; 2]| sides[0] * sides[1];
        Self {
            shape,
            depthwise,
            x: numbers(shape.batch * inputs * size(shape.input), seed),
            weight: numbers(kernels * size(shape.kernel), seed + 1),
            bias: numbers(outputs, seed + 2),
            dy: numbers(shape.batch * outputs * size(shape.output()), seed + 3),
        }
    }

    /// Output, output without bias, and the gradients of input, weight and bias.
    fn found(&self) -> [Vec<f32>; 5] {
        let Self { shape, depthwise, x, weight, bias, dy } = self;
        let d_bias = channel_sums(dy, [shape.batch, shape.channels[1]]);
        if *depthwise {
            return [
                shape.depthwise(x, weight, Some(bias)),
                shape.depthwise(x, weight, None),
                shape.depthwise_input_gradient(weight, dy),
                shape.depthwise_weight_gradient(x, dy),
                d_bias,
            ];
        }
        [
            shape.forward(x, weight, Some(bias)),
            shape.forward(x, weight, None),
            shape.input_gradient(weight, dy),
            shape.weight_gradient(x, dy),
            d_bias,
        ]
    }

    fn check(&self) {
        let [inputs, outputs] = self.shape.channels;
        let pixels: usize = self.shape.output().iter().product();
        // Each sum, the sum of its terms' magnitudes, and their number.
        let zeros = |len: usize| vec![(0.0f64, 0.0f64, 0usize); len];
        let mut sums = [self.dy.len(), self.dy.len(), self.x.len(), self.weight.len(), outputs].map(zeros);
        let mut add = |sum: usize, at: usize, term: f64| {
            let (value, magnitude, terms) = &mut sums[sum][at];
            *value += term;
            *magnitude += term.abs();
            *terms += 1;
        };
        for at in 0..self.dy.len() {
            add(0, at, f64::from(self.bias[at / pixels % outputs]));
            add(4, at / pixels % outputs, f64::from(self.dy[at]));
        }
        for_each_term(&self.shape, self.depthwise, |[x, weight, y]| {
            let [value, factor, dy] = [self.x[x], self.weight[weight], self.dy[y]].map(f64::from);
            add(0, y, value * factor);
            add(1, y, value * factor);
            add(2, x, dy * factor);
            add(3, weight, value * dy);
        });
        assert!(inputs * outputs > 0);
        for (found, sums) in self.found().iter().zip(&sums) {
            let expected: Vec<f64> = sums.iter().map(|sum| sum.0).collect();
            // A sum of nothing is zero.
            let magnitudes: Vec<f64> = sums.iter().map(|sum| sum.1.max(f64::MIN_POSITIVE)).collect();
            let terms = sums.iter().map(|sum| sum.2).max().unwrap_or(0);
            assert_sums(found, &expected, &magnitudes, rounding(terms));
        }
    }
}

/// The convolution, and the depthwise one of as many channels as its output has.
pub(crate) fn check(shape: Convolution, seed: u64) {
    Case::new(shape, seed).check();
    Case::of(Convolution { channels: [shape.channels[1]; 2], ..shape }, true, seed).check();
}

pub(crate) const THREE_BY_THREE: Convolution = Convolution {
    batch: 2,
    channels: [3, 5],
    input: [9, 7],
    kernel: [3, 3],
    stride: [1, 1],
    padding: [(1, 1), (1, 1)],
    dilation: [1, 1],
};

#[test]
fn outputs_and_gradients_are_sums_of_products() {
    let wide = Convolution { channels: [9, 14], input: [11, 45], ..THREE_BY_THREE };
    let cases = [
        THREE_BY_THREE,
        wide,
        // Deeper than a panel's stretch, and several strips of pixels.
        Convolution { batch: 1, channels: [97, 13], input: [6, 40], ..THREE_BY_THREE },
        Convolution { batch: 1, channels: [2, 1], input: [40, 130], ..THREE_BY_THREE },
        // One pixel, patches, strides that leave pixels over, holes, one-sided padding.
        Convolution { kernel: [1, 1], padding: [(0, 0), (0, 0)], ..wide },
        Convolution { kernel: [4, 4], stride: [4, 4], padding: [(0, 0), (0, 0)], input: [18, 35], ..wide },
        Convolution { stride: [2, 2], ..wide },
        Convolution { kernel: [7, 5], stride: [4, 3], padding: [(3, 3), (2, 2)], ..wide },
        Convolution { dilation: [2, 3], padding: [(2, 2), (3, 3)], ..wide },
        Convolution { padding: [(0, 2), (1, 0)], ..wide },
        // More padding than the kernel reaches: some outputs see zeros alone.
        Convolution { padding: [(4, 3), (2, 5)], ..wide },
    ];
    on_every_isa(|_| {
        for (seed, shape) in cases.into_iter().enumerate() {
            check(shape, seed as u64);
        }
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases / 4, ..ProptestConfig::default() })]

    #[test]
    fn any_shape(
        (batch, channels, input) in (1usize..3, [1usize..20, 1usize..30], [1usize..14, 1usize..40]),
        (kernel, stride, dilation) in ([1usize..5, 1usize..5], [1usize..4, 1usize..4], [1usize..3, 1usize..3]),
        padding in [(0usize..4, 0usize..4), (0usize..4, 0usize..4)],
        seed in any::<u32>(),
    ) {
        let shape = Convolution { batch, channels, input, kernel, stride, padding, dilation };
        prop_assume!(shape.output().iter().all(|&side| side > 0));
        check(shape, u64::from(seed));
    }
}

#[test]
fn a_transposed_convolution_adds_its_bias_to_every_pixel() {
    for shape in [THREE_BY_THREE, Convolution { stride: [2, 2], ..THREE_BY_THREE }] {
        let case = Case::new(shape, 5);
        let bias = [0.5, -2.0, 8.0];
        let plain = shape.transposed(&case.weight, &case.dy, None);
        let plane = shape.input[0] * shape.input[1];
        for (at, (found, plain)) in shape.transposed(&case.weight, &case.dy, Some(&bias)).iter().zip(plain).enumerate()
        {
            assert!((found - plain - bias[at / plane % 3]).abs() < 1e-5);
        }
    }
}

#[test]
fn bits_do_not_depend_on_threads() {
    for shape in [
        Convolution { channels: [24, 40], input: [40, 50], ..THREE_BY_THREE },
        Convolution { channels: [70, 90], input: [8, 8], ..THREE_BY_THREE },
        Convolution { channels: [24, 40], input: [41, 50], stride: [2, 2], ..THREE_BY_THREE },
    ] {
        for case in [Case::new(shape, 7), Case::of(Convolution { channels: [40; 2], ..shape }, true, 7)] {
            assert_same_bits_on_any_threads(|| case.found().to_vec());
        }
    }
}

#[test]
fn what_is_not_a_number_reaches_what_it_takes_part_in() {
    let shape = Convolution { channels: [4, 6], input: [12, 34], ..THREE_BY_THREE };
    on_every_isa(|_| {
        let depthwise = Convolution { channels: [6, 6], ..shape };
        for (poison, mut case) in [f32::NAN, f32::INFINITY]
            .into_iter()
            .flat_map(|poison| [(poison, Case::new(shape, 3)), (poison, Case::of(depthwise, true, 3))])
        {
            let (x, y) = (5 * 34 + 20, 7 * 34 + 11);
            case.x[x] = poison;
            case.dy[y] = poison;
            let mut reached = [vec![false; case.dy.len()], vec![false; case.x.len()], vec![false; case.weight.len()]];
            for_each_term(&case.shape, case.depthwise, |[input, weight, output]| {
                reached[0][output] |= input == x;
                reached[1][input] |= output == y;
                reached[2][weight] |= input == x || output == y;
            });
            let [found, _, input, weight, bias] = case.found();
            for (found, reached) in [found, input, weight].iter().zip(&reached) {
                for (value, reached) in found.iter().zip(reached) {
                    assert_eq!(!value.is_finite(), *reached);
                }
            }
            assert!(!bias[0].is_finite() && bias[1..].iter().all(|value| value.is_finite()));
        }
    });
}

#[test]
fn nothing_in_is_nothing_out() {
    let none = Convolution { batch: 0, ..THREE_BY_THREE };
    let case = Case::new(none, 1);
    let [y, _, dx, dw, db] = case.found();
    assert!(y.is_empty() && dx.is_empty() && dw == vec![0.0; 5 * 3 * 9] && db == vec![0.0; 5]);
    // A kernel that does not fit.
    let none = Convolution { input: [1, 1], padding: [(0, 0), (0, 0)], ..THREE_BY_THREE };
    let [y, _, dx, dw, _] = Case::new(none, 1).found();
    assert!(y.is_empty() && dx == vec![0.0; 6] && dw == vec![0.0; 5 * 3 * 9]);
    let [y, _, dx, dw, _] = Case::of(Convolution { channels: [3, 3], ..none }, true, 1).found();
    assert!(y.is_empty() && dx == vec![0.0; 6] && dw == vec![0.0; 3 * 9]);
}

#[test]
#[should_panic(expected = "a depthwise convolution of 3 channels to 5")]
fn channels_of_a_depthwise_convolution_are_those_of_its_input() {
    THREE_BY_THREE.depthwise(&[0.0; 2 * 3 * 63], &[0.0; 27], None);
}
