//! The draws: frozen bits, their distributions, and the traits of `rand_core`.

use keyed_random::Stream;
use rand_core::{Rng, SeedableRng};
use rand_distr::{Distribution, StandardNormal, Uniform};

/// Splits, transforms and generated images of published runs depend on these bits. They were computed by a second implementation,
/// in Python.
#[test]
fn the_draws_are_frozen() {
    let mut stream = Stream::new(42, 3, "img_7", "flip");
    let bits: Vec<u32> = (0..6).map(|_| stream.next_u32()).collect();
    assert_eq!(bits, [0x5e75b04c, 0x996983db, 0x68aab51d, 0xf477d65b, 0xa21e72a8, 0x59002619]);
    let mut stream = Stream::seeded(7, "weights");
    assert_eq!(stream.next_u64(), 0xfa1a3e9c1b6b9835);
    assert_eq!(stream.uniform(), 0.016822576452998006);
    assert_eq!(stream.normal(), 0.4349359105458793);
    assert_eq!(Stream::seeded(1, "order").permutation(8), [6, 2, 4, 1, 3, 0, 7, 5]);
}

#[test]
fn names_are_not_concatenated() {
    assert_ne!(Stream::new(1, 0, "ab", "c").next_u64(), Stream::new(1, 0, "a", "bc").next_u64());
}

#[test]
fn moments_are_those_of_the_distributions() {
    let mut stream = Stream::seeded(7, "moments");
    let n = 20_000;
    let (mut mean, mut square, mut uniform) = (0.0, 0.0, 0.0);
    let mut counts = [0usize; 5];
    for _ in 0..n {
        let x = stream.normal();
        mean += x;
        square += x * x;
        uniform += stream.uniform();
        counts[stream.below(5) as usize] += 1;
    }
    let n = n as f64;
    assert!((mean / n).abs() < 0.03, "mean {}", mean / n);
    assert!((square / n - 1.0).abs() < 0.05, "variance {}", square / n);
    assert!((uniform / n - 0.5).abs() < 0.01);
    assert!(counts.iter().all(|&c| (c as f64 / n - 0.2).abs() < 0.015), "{counts:?}");
}

#[test]
fn shuffle_is_a_permutation_and_depends_on_the_seed() {
    let mut order = Stream::seeded(1, "order").permutation(50);
    assert_ne!(order, Stream::seeded(2, "order").permutation(50));
    order.sort_unstable();
    assert_eq!(order, (0..50).collect::<Vec<_>>());
}

#[test]
fn the_traits_draw_what_the_methods_draw() {
    let stream = || Stream::new(1, 2, "a", "b");
    let (mut own, mut generic) = (stream(), stream());
    fn both(rng: &mut impl Rng) -> (u32, u64) {
        (rng.next_u32(), rng.next_u64())
    }
    assert_eq!(both(&mut generic), (own.next_u32(), own.next_u64()));
    let mut bytes = [0; 7];
    generic.fill_bytes(&mut bytes);
    let (first, second) = (own.next_u32().to_le_bytes(), own.next_u32().to_le_bytes());
    assert_eq!(bytes, [first[0], first[1], first[2], first[3], second[0], second[1], second[2]]);
    assert_eq!(generic.next_u32(), own.next_u32());
}

#[test]
fn a_seed_gives_a_stream_of_its_own() {
    let draw = |seed: u64| Stream::seed_from_u64(seed).next_u64();
    assert_eq!(draw(5), draw(5));
    assert_ne!(draw(5), draw(6));
}

#[test]
fn distributions_of_rand_distr_draw_from_a_stream() {
    let normal: Vec<f64> = StandardNormal.sample_iter(Stream::seeded(3, "normal")).take(20_000).collect();
    let mean = normal.iter().sum::<f64>() / 20_000.0;
    let square = normal.iter().map(|x| x * x).sum::<f64>() / 20_000.0;
    assert!(mean.abs() < 0.03 && (square - 1.0).abs() < 0.05, "{mean} {square}");
    let uniform = Uniform::new(-2.0, 3.0).unwrap();
    assert!(uniform.sample_iter(Stream::seeded(3, "uniform")).take(1000).all(|x| (-2.0..3.0).contains(&x)));
}
