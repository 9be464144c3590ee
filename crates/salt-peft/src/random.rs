//! Initial values and identities: functions of a name, so that nothing depends on the order of attachment, on the thread or on the device.

use keyed_random::Stream;
use sha2::{Digest, Sha256};

/// `count` numbers from U(-bound, bound).
pub(crate) fn uniform(mut stream: Stream, count: usize, bound: f64) -> Vec<f32> {
    (0..count).map(|_| stream.range(-bound, bound) as f32).collect()
}

/// `count` numbers from N(0, deviation^2).
pub(crate) fn normal(mut stream: Stream, count: usize, deviation: f64) -> Vec<f32> {
    (0..count).map(|_| (stream.normal() * deviation) as f32).collect()
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
    fn draws_have_the_declared_spread() {
        let normal = normal(Stream::seeded(1, "n"), 20_001, 0.01);
        assert_eq!(normal.len(), 20_001);
        let variance = normal.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>() / 20_001.0;
        assert!((variance.sqrt() - 0.01).abs() < 2e-4, "{variance}");
        let uniform = uniform(Stream::seeded(1, "u"), 20_000, 0.5);
        assert!(uniform.iter().all(|v| v.abs() <= 0.5));
        let mean = uniform.iter().sum::<f32>() / 20_000.0;
        assert!(mean.abs() < 0.01, "{mean}");
    }
}
