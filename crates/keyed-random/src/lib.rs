//! A counter-based random generator: every draw is a pure function of (seed, epoch, sample id, purpose, index).
//!
//! Nothing has to be saved or restored: the tenth draw of sample `img_7` in epoch 3 is the same whichever thread makes it, in
//! whatever order, before or after a restart. The generator is Philox 4x32-10 (Salmon et al., *Parallel random numbers: as
//! easy as 1, 2, 3*, SC 2011); its key and the upper half of its counter are taken from the SHA-256 of the four names.
//!
//! ```
//! use keyed_random::Stream;
//! let mut flip = Stream::new(42, 3, "img_7", "flip");
//! let first = flip.uniform();
//! assert!((0.0..1.0).contains(&first));
//! assert_eq!(Stream::new(42, 3, "img_7", "flip").uniform(), first);
//! assert_ne!(Stream::new(42, 4, "img_7", "flip").uniform(), first);
//! ```
//!
//! A stream also implements the traits of [`rand_core`], so every distribution of `rand_distr` draws from it:
//!
//! ```
//! use keyed_random::Stream;
//! use rand_distr::{Distribution, Gamma};
//! let waiting: f64 = Gamma::new(2.0, 0.5)?.sample(&mut Stream::seeded(1, "waiting time"));
//! assert!(waiting > 0.0);
//! # Ok::<(), rand_distr::GammaError>(())
//! ```
//!
//! The generator is made for experiments that can be repeated, not for secrets.

use rand_core::{Infallible, SeedableRng, TryRng};
use sha2::{Digest, Sha256};

/// A stream of random numbers for one purpose.
///
/// Its period is 2^66 numbers of 32 bits.
#[derive(Debug, Clone)]
pub struct Stream {
    key: [u32; 2],
    nonce: [u32; 2],
    block: u64,
    buffer: [u32; 4],
    left: usize,
}

impl Stream {
    /// The stream of (seed, epoch, sample, purpose). `sample` and `purpose` are free text; their lengths are hashed too, so
    /// that ("ab", "c") and ("a", "bc") differ.
    pub fn new(seed: u64, epoch: u64, sample: &str, purpose: &str) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"medseg-data random v1");
        hash.update(seed.to_le_bytes());
        hash.update(epoch.to_le_bytes());
        for text in [sample, purpose] {
            hash.update((text.len() as u64).to_le_bytes());
            hash.update(text.as_bytes());
        }
        let digest: [u8; 32] = hash.finalize().into();
        let mut start = [0; 16];
        start.copy_from_slice(&digest[..16]);
        Self::from_seed(start)
    }

    /// The stream of (seed, purpose) alone, for draws that belong to no epoch or sample (initial weights, splits).
    pub fn seeded(seed: u64, purpose: &str) -> Self {
        Self::new(seed, 0, "", purpose)
    }

    /// The next 32 random bits. Numbers of 64 bits are two of these, the lower half first.
    pub fn next_u32(&mut self) -> u32 {
        if self.left == 0 {
            self.buffer =
                philox([self.block as u32, (self.block >> 32) as u32, self.nonce[0], self.nonce[1]], self.key);
            self.block = self.block.wrapping_add(1);
            self.left = 4;
        }
        self.left -= 1;
        self.buffer[3 - self.left]
    }

    /// The next 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        let low = u64::from(self.next_u32());
        low | u64::from(self.next_u32()) << 32
    }

    /// A number in [0, 1) with 53 random bits.
    pub fn uniform(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
    }

    /// A number in [low, high); `low` itself when the two are equal.
    pub fn range(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.uniform()
    }

    /// `true` with the given probability (never for 0, always for 1).
    pub fn chance(&mut self, probability: f64) -> bool {
        self.uniform() < probability
    }

    /// An integer in 0..bound without bias (Lemire's multiplication with rejection); 0 when `bound` is 0.
    pub fn below(&mut self, bound: u32) -> u32 {
        if bound == 0 {
            return 0;
        }
        let reject = bound.wrapping_neg() % bound;
        loop {
            let wide = u64::from(self.next_u32()) * u64::from(bound);
            if wide as u32 >= reject {
                return (wide >> 32) as u32;
            }
        }
    }

    /// A normal deviate of mean 0 and standard deviation 1 (Box-Muller; the same bits on every platform).
    pub fn normal(&mut self) -> f64 {
        let radius = libm::sqrt(-2.0 * libm::log(1.0 - self.uniform()));
        radius * libm::cos(std::f64::consts::TAU * self.uniform())
    }

    /// Puts the items in random order (Fisher-Yates).
    ///
    /// Of slices longer than 2^32 items only the first 2^32 take part.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len().min(u32::MAX as usize)).rev() {
            items.swap(i, self.below(i as u32 + 1) as usize);
        }
    }

    /// The numbers 0..count in random order.
    pub fn permutation(&mut self, count: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..count).collect();
        self.shuffle(&mut order);
        order
    }
}

/// The key of the generator and the upper half of its counter, as four little-endian words.
impl SeedableRng for Stream {
    type Seed = [u8; 16];

    fn from_seed(seed: [u8; 16]) -> Self {
        let word = |i: usize| u32::from_le_bytes([seed[4 * i], seed[4 * i + 1], seed[4 * i + 2], seed[4 * i + 3]]);
        Self { key: [word(0), word(1)], nonce: [word(2), word(3)], block: 0, buffer: [0; 4], left: 0 }
    }
}

impl TryRng for Stream {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(self.next_u32())
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.next_u64())
    }

    /// Whole numbers of 32 bits in little-endian order; what is left of the last one is thrown away.
    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for chunk in bytes.chunks_mut(4) {
            chunk.copy_from_slice(&self.next_u32().to_le_bytes()[..chunk.len()]);
        }
        Ok(())
    }
}

/// Ten rounds of Philox 4x32.
fn philox(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    for _ in 0..10 {
        let a = u64::from(counter[0]) * 0xD251_1F53;
        let b = u64::from(counter[2]) * 0xCD9E_8D57;
        counter = [(b >> 32) as u32 ^ counter[1] ^ key[0], b as u32, (a >> 32) as u32 ^ counter[3] ^ key[1], a as u32];
        key = [key[0].wrapping_add(0x9E37_79B9), key[1].wrapping_add(0xBB67_AE85)];
    }
    counter
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The known answers published with the generator.
    #[test]
    fn philox_known_answers() {
        assert_eq!(philox([0; 4], [0; 2]), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        assert_eq!(philox([u32::MAX; 4], [u32::MAX; 2]), [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]);
        let pi = [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344];
        assert_eq!(philox(pi, [0xa409_3822, 0x299f_31d0]), [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]);
    }
}

/// The example of the readme is a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
