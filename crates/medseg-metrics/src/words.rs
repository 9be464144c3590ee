//! Rows of pixels as words: 64 pixels each, the leftmost in the lowest bit.

/// Positions of the set bits, lowest first.
pub(crate) fn bits(mut word: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        if word == 0 {
            return None;
        }
        let at = word.trailing_zeros() as usize;
        word &= word - 1;
        Some(at)
    })
}

/// `row` moved one column to the right (bit c becomes the pixel left of c).
pub(crate) fn left_neighbours(row: &[u64], word: usize) -> u64 {
    row[word] << 1 | if word == 0 { 0 } else { row[word - 1] >> 63 }
}

/// `row` moved one column to the left (bit c becomes the pixel right of c).
pub(crate) fn right_neighbours(row: &[u64], word: usize) -> u64 {
    row[word] >> 1 | row.get(word + 1).map_or(0, |next| next << 63)
}
