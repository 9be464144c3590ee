//! Numbers of 16 bits with the exponent of `f32`, two by two.

use std::arch::x86_64::*;

/// Two bf16 numbers, the first in the lower half.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub(crate) struct Pair(#[allow(dead_code, reason = "read by vector instructions")] u32);

impl Pair {
    /// Working memory as pairs.
    pub(crate) fn of(memory: &mut [f32]) -> &mut [Self] {
        // SAFETY: both have the size and alignment of 32 bits, and every pattern of bits is a number and a pair.
        unsafe { std::slice::from_raw_parts_mut(memory.as_mut_ptr().cast(), memory.len()) }
    }

    /// Words of 32 bits as pairs.
    pub(crate) fn of_words(words: &mut [u32]) -> &mut [Self] {
        // SAFETY: a pair is a word.
        unsafe { std::slice::from_raw_parts_mut(words.as_mut_ptr().cast(), words.len()) }
    }
}

/// The nearest bf16 number, in the upper half of the bits; ties go to even, NaN stays NaN.
#[inline(always)]
pub(crate) fn rounded(x: f32) -> u32 {
    let bits = x.to_bits();
    let nearest = bits.wrapping_add(0x7fff + ((bits >> 16) & 1)) & 0xffff_0000;
    if x.is_nan() { 0x7fc0_0000 } else { nearest }
}

/// What rounding to bf16 leaves; nothing of infinity.
#[inline(always)]
pub(crate) fn rest(x: f32) -> f32 {
    let rest = x - f32::from_bits(rounded(x));
    if x.is_infinite() { 0.0 } else { rest }
}

/// Rounds rows of `width` numbers and pairs those that are neighbours in a column: `[rows / 2][width]`. A last row without a partner is
/// paired with zeros. Subnormal numbers become zero.
///
/// # Safety
///
/// The machine has to have AVX512-BF16.
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
pub(crate) unsafe fn pair_down(rows: &[f32], width: usize, pairs: &mut [Pair]) {
    let count = rows.len() / width;
    for (rows, out) in rows[..count * width].chunks(2 * width).zip(pairs.chunks_exact_mut(width)) {
        let (upper, lower) = rows.split_at(width);
        // SAFETY: the machine has the instructions.
        unsafe { pair_rows(upper, lower, out) };
    }
}

/// Rounds two rows and pairs what stands below each other. The lower row may be empty and counts as zeros then.
///
/// # Panics
///
/// If the lengths differ.
///
/// # Safety
///
/// The machine has to have AVX512-BF16.
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
#[inline]
pub(crate) unsafe fn pair_rows(upper: &[f32], lower: &[f32], pairs: &mut [Pair]) {
    // From sixteen numbers and sixteen below them to one above the other.
    const TURNS: [u16; 32] = {
        let mut turns = [0; 32];
        let mut i = 0;
        while i < 16 {
            turns[2 * i] = i as u16;
            turns[2 * i + 1] = 16 + i as u16;
            i += 1;
        }
        turns
    };
    let width = upper.len();
    assert!(pairs.len() == width && (lower.is_empty() || lower.len() == width));
    // SAFETY: 512 bits.
    let turns = unsafe { _mm512_loadu_si512(TURNS.as_ptr().cast()) };
    for j in (0..width).step_by(16) {
        let mask = ((1u32 << (width - j).min(16)) - 1) as __mmask16;
        // SAFETY: the mask keeps loads and stores inside of the rows.
        unsafe {
            let x = _mm512_maskz_loadu_ps(mask, upper.as_ptr().add(j));
            let y = match lower.is_empty() {
                true => _mm512_setzero_ps(),
                false => _mm512_maskz_loadu_ps(mask, lower.as_ptr().add(j)),
            };
            let both = std::mem::transmute::<__m512bh, __m512i>(_mm512_cvtne2ps_pbh(y, x));
            _mm512_mask_storeu_epi32(pairs.as_mut_ptr().add(j).cast(), mask, _mm512_permutexvar_epi16(turns, both));
        }
    }
}

/// Rounds numbers and pairs neighbours.
///
/// # Panics
///
/// If their count is not a multiple of 32.
///
/// # Safety
///
/// The machine has to have AVX512-BF16.
#[target_feature(enable = "avx512f,avx512bf16")]
#[inline]
pub(crate) unsafe fn pair_along(numbers: &[f32], pairs: &mut [Pair]) {
    let (numbers, rest) = numbers.as_chunks::<32>();
    assert!(rest.is_empty());
    for (numbers, out) in numbers.iter().zip(pairs.as_chunks_mut::<16>().0) {
        // SAFETY: 32 numbers and 16 pairs.
        unsafe {
            let (x, y) = (_mm512_loadu_ps(numbers.as_ptr()), _mm512_loadu_ps(numbers.as_ptr().add(16)));
            let both = std::mem::transmute::<__m512bh, __m512i>(_mm512_cvtne2ps_pbh(y, x));
            _mm512_storeu_si512(out.as_mut_ptr().cast(), both);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_is_to_nearest_even_and_keeps_nan() {
        assert_eq!(rounded(1.0), 0x3f80_0000);
        assert_eq!(rounded(f32::from_bits(0x3f80_8000)), 0x3f80_0000);
        assert_eq!(rounded(f32::from_bits(0x3f81_8000)), 0x3f82_0000);
        assert_eq!(rounded(f32::from_bits(0x3f80_8001)), 0x3f81_0000);
        assert!(f32::from_bits(rounded(f32::from_bits(0x7fff_ffff))).is_nan());
        assert_eq!(f32::from_bits(rounded(f32::NEG_INFINITY)), f32::NEG_INFINITY);
        assert_eq!(rest(f32::INFINITY), 0.0);
        assert!(rest(f32::NAN).is_nan());
    }

    #[test]
    fn pairs_are_neighbours_in_a_column_or_in_a_row() {
        if !crate::dot::available() {
            eprintln!("skipped: this machine has no AVX512-BF16");
            return;
        }
        let numbers: Vec<f32> = (0..5 * 96).map(|i| (i as f32 * 1.7).sin()).collect();
        let word = |x: f32, y: f32| rounded(x) >> 16 | rounded(y);
        for width in [1, 8, 12, 16, 40, 64, 96] {
            for rows in 1..=5usize {
                let mut pairs = vec![Pair(u32::MAX); rows.div_ceil(2) * width];
                // SAFETY: the machine has the instructions.
                unsafe { pair_down(&numbers[..rows * width], width, &mut pairs) };
                let at = |i: usize, j: usize| if i < rows { numbers[i * width + j] } else { 0.0 };
                for (index, pair) in pairs.iter().enumerate() {
                    let (i, j) = (index / width * 2, index % width);
                    assert_eq!(pair.0, word(at(i, j), at(i + 1, j)), "{rows} rows of {width}: {i} {j}");
                }
            }
        }
        let mut pairs = [Pair(u32::MAX); 32];
        // SAFETY: the machine has the instructions.
        unsafe { pair_along(&numbers[..64], &mut pairs) };
        for (pair, [x, y]) in pairs.iter().zip(numbers.as_chunks().0) {
            assert_eq!(pair.0, word(*x, *y));
        }
    }
}
