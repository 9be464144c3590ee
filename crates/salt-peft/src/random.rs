//! Initial values: a counter-based stream per factor, so that no draw depends on the order of attachment, on the thread or on the device.

use sha2::{Digest, Sha256};

/// Uniform and normal numbers determined by a seed and a name. Number `i` is a function of seed, name and `i` alone.
#[derive(Debug)]
pub(crate) struct Stream {
    key: u64,
    counter: u64,
}

impl Stream {
    /// The stream of one factor: `name` is the path of the parameter, the part and the factor.
    pub(crate) fn new(seed: u64, name: &str) -> Self {
        Self { key: hash64(&[&seed.to_le_bytes(), name.as_bytes()]), counter: 0 }
    }

    /// SplitMix64 (Steele, Lea and Flood 2014) on `key + (i + 1) * golden ratio`.
    fn next_bits(&mut self) -> u64 {
        self.counter += 1;
        let mut z = self.key.wrapping_add(self.counter.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// In the open interval (0, 1).
    fn unit(&mut self) -> f64 {
        ((self.next_bits() >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    }

    /// `count` numbers from U(-bound, bound).
    pub(crate) fn uniform(mut self, count: usize, bound: f64) -> Vec<f32> {
        (0..count).map(|_| ((2.0 * self.unit() - 1.0) * bound) as f32).collect()
    }

    /// `count` numbers from N(0, deviation^2), by the method of Box and Muller.
    pub(crate) fn normal(mut self, count: usize, deviation: f64) -> Vec<f32> {
        let mut out = Vec::with_capacity(count + 1);
        while out.len() < count {
            let radius = (-2.0 * self.unit().ln()).sqrt() * deviation;
            let (sin, cos) = (std::f64::consts::TAU * self.unit()).sin_cos();
            out.push((radius * cos) as f32);
            out.push((radius * sin) as f32);
        }
        out.truncate(count);
        out
    }
}

/// The first eight bytes of the SHA-256 of the concatenation, each piece preceded by its length.
pub(crate) fn hash64(pieces: &[&[u8]]) -> u64 {
    let mut hash = Sha256::new();
    for piece in pieces {
        hash.update((piece.len() as u64).to_le_bytes());
        hash.update(piece);
    }
    let digest = hash.finalize();
    let mut first = [0u8; 8];
    first.copy_from_slice(&digest[..8]);
    u64::from_le_bytes(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_of_different_factors_are_independent_and_reproducible() {
        let draw = |name: &str| Stream::new(7, name).normal(2_000, 1.0);
        assert_eq!(draw("a.x"), draw("a.x"));
        let (x, y) = (draw("a.x"), draw("a.y"));
        let correlation: f32 = x.iter().zip(&y).map(|(x, y)| x * y).sum::<f32>() / 2_000.0;
        assert!(correlation.abs() < 0.08, "X and Y must not share a stream: correlation {correlation}");
    }

    #[test]
    fn draws_have_the_declared_spread() {
        let normal = Stream::new(1, "n").normal(20_001, 0.01);
        assert_eq!(normal.len(), 20_001);
        let variance = normal.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>() / 20_001.0;
        assert!((variance.sqrt() - 0.01).abs() < 2e-4, "{variance}");
        let uniform = Stream::new(1, "u").uniform(20_000, 0.5);
        assert!(uniform.iter().all(|v| v.abs() < 0.5));
        let mean = uniform.iter().sum::<f32>() / 20_000.0;
        assert!(mean.abs() < 0.01, "{mean}");
    }
}
