//! Random draws in the forms that drawing needs, over the project's counter-based generator: a scene depends on its key
//! alone and never on what was drawn before it, on the thread or on the run.

use medseg_data::random::Stream;

/// A stream of draws. Two streams with different keys are independent; the same key gives the same draws on every machine.
#[derive(Debug, Clone)]
pub(crate) struct Draws(Stream);

impl Draws {
    /// The stream of (seed, index, variant, purpose).
    pub(crate) fn new(seed: u64, index: u64, variant: &str, purpose: &str) -> Self {
        Self(Stream::new(seed, index, variant, purpose))
    }

    /// The next 64 random bits.
    pub(crate) fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// Uniform in [0, 1), with 24 random bits: every value is exact in f32.
    pub(crate) fn unit(&mut self) -> f32 {
        (self.bits() >> 40) as f32 / (1u32 << 24) as f32
    }

    /// Uniform in [low, high).
    pub(crate) fn within(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.unit()
    }

    /// Uniform on a logarithmic scale in [low, high), both above zero: as many values between 1 and 2 as between 2 and 4.
    pub(crate) fn log_within(&mut self, low: f32, high: f32) -> f32 {
        self.within(low.ln(), high.ln()).exp()
    }

    /// A whole number in low..=high.
    pub(crate) fn count(&mut self, low: usize, high: usize) -> usize {
        low + (self.bits() % (high - low + 1) as u64) as usize
    }

    /// True with the given probability.
    pub(crate) fn chance(&mut self, probability: f32) -> bool {
        self.unit() < probability
    }

    /// One of a non-empty list.
    pub(crate) fn pick<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.count(0, choices.len() - 1)]
    }

    /// Normal with mean 0 and standard deviation 1: the sum of four 16-bit uniforms, rescaled. It has no tail beyond 3.5,
    /// which suits pixel noise, and it costs a single draw.
    pub(crate) fn normal(&mut self) -> f32 {
        let bits = self.bits();
        let sum: u64 = (0..4).map(|part| (bits >> (16 * part)) & 0xffff).sum();
        (sum as f32 / 65536.0 - 2.0) * 3f32.sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::Draws;

    #[test]
    fn a_stream_is_a_function_of_its_key() {
        let take = |mut draws: Draws| (0..8).map(|_| draws.bits()).collect::<Vec<_>>();
        assert_eq!(take(Draws::new(1, 2, "a", "b")), take(Draws::new(1, 2, "a", "b")));
        assert_ne!(take(Draws::new(1, 2, "a", "b")), take(Draws::new(2, 1, "a", "b")));
        assert_ne!(take(Draws::new(1, 2, "a", "b")), take(Draws::new(1, 2, "c", "b")));
    }

    #[test]
    fn moments_are_those_of_the_distributions() {
        let mut draws = Draws::new(7, 0, "", "test");
        let n = 200_000;
        let (mut unit, mut normal, mut square) = (0.0f64, 0.0f64, 0.0f64);
        for _ in 0..n {
            unit += f64::from(draws.unit());
            let value = f64::from(draws.normal());
            normal += value;
            square += value * value;
        }
        // Six standard errors: 0.29 / sqrt(n) for the uniform mean, 1 / sqrt(n) for the normal mean.
        assert!((unit / f64::from(n) - 0.5).abs() < 4e-3);
        assert!((normal / f64::from(n)).abs() < 1.4e-2);
        assert!((square / f64::from(n) - 1.0).abs() < 2e-2);
    }

    #[test]
    fn counts_cover_their_range() {
        let mut draws = Draws::new(9, 0, "", "test");
        let mut seen = [0usize; 5];
        for _ in 0..1000 {
            seen[draws.count(3, 7) - 3] += 1;
        }
        assert!(seen.iter().all(|&times| times > 100), "{seen:?}");
    }
}
