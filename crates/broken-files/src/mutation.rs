//! Changes to files that follow from a stream of random numbers alone.
//!
//! What a fuzzer without a view of the code does: flips, numbers at the ends of their range, pieces removed, repeated, moved or taken
//! from another file, and, in text, other digits. Most inputs carry several changes near each other, as damage does.

use keyed_random::Stream;

/// Numbers at which sizes, counts and offsets break.
const NUMBERS: [u64; 14] = [
    0,
    1,
    0x7f,
    0xff,
    0x100,
    0x7fff,
    0xffff,
    0x1_0000,
    0x7fff_ffff,
    0xffff_ffff,
    0x1_0000_0000,
    0x7fff_ffff_ffff_ffff,
    0x8000_0000_0000_0000,
    u64::MAX,
];

/// Words that mean something in one of the text formats.
const WORDS: [&[u8]; 16] = [
    b"-1",
    b"1e999",
    b"NaN",
    b"null",
    b"[]",
    b"{}",
    b"\"\"",
    b"0",
    b"18446744073709551616",
    b"\n",
    b",",
    b"\xff",
    b"../",
    b"true",
    b"0.0",
    b"\xef\xbb\xbf",
];

/// A changed copy of one of the files, at most `limit` bytes long. Of no files, random bytes.
pub fn mutated(files: &[(String, Vec<u8>)], limit: usize, stream: &mut Stream) -> Vec<u8> {
    let pick = |stream: &mut Stream| match files.len() {
        0 => &[][..],
        count => files[stream.below(count as u32) as usize].1.as_slice(),
    };
    let mut bytes = pick(stream).to_vec();
    let other = pick(stream);
    let changes = 1 + stream.below(2) * stream.below(8);
    // Headers and tables lie at the ends of a file: half of the time the changes keep to one of them.
    let span = match stream.below(4) {
        0 => 0..bytes.len().min(256),
        1 => bytes.len().saturating_sub(256)..bytes.len(),
        _ => 0..bytes.len(),
    };
    for _ in 0..changes {
        let at = (span.start + stream.below(span.len() as u32) as usize).min(bytes.len());
        change(&mut bytes, other, at, stream);
    }
    bytes.truncate(limit);
    bytes
}

/// One change at a place.
fn change(bytes: &mut Vec<u8>, other: &[u8], at: usize, stream: &mut Stream) {
    let rest = bytes.len() - at;
    // Mostly short, sometimes as long as the file.
    let length = |stream: &mut Stream, most: usize| {
        let most = if stream.chance(0.9) { most.min(16) } else { most };
        stream.below(most as u32 + 1) as usize
    };
    match stream.below(10) {
        0 if rest > 0 => bytes[at] ^= 1 << stream.below(8),
        1 if rest > 0 => bytes[at] = stream.next_u32() as u8,
        2 => {
            // A number of one to eight bytes, in either order of bytes.
            let number = NUMBERS[stream.below(NUMBERS.len() as u32) as usize];
            let width = 1usize << stream.below(4);
            let width = width.min(rest);
            bytes[at..at + width].copy_from_slice(&number.to_le_bytes()[..width]);
            if stream.chance(0.5) {
                bytes[at..at + width].reverse();
            }
        }
        3 => {
            let count = length(stream, rest);
            bytes.drain(at..at + count);
        }
        4 => {
            let count = length(stream, rest);
            let copy = bytes[at..at + count].to_vec();
            let place = stream.below(bytes.len() as u32 + 1) as usize;
            bytes.splice(place..place, copy);
        }
        5 => {
            let from = stream.below(other.len() as u32 + 1) as usize;
            let count = length(stream, other.len() - from);
            let until = at + count.min(rest);
            bytes.splice(at..until, other[from..from + count].iter().copied());
        }
        6 => bytes.truncate(at),
        7 => {
            let word = WORDS[stream.below(WORDS.len() as u32) as usize];
            let until = at + length(stream, rest.min(8));
            bytes.splice(at..until, word.iter().copied());
        }
        // Digits of a number in text become others, or more.
        8 => {
            let digit = (at..bytes.len()).find(|&place| bytes[place].is_ascii_digit());
            if let Some(place) = digit {
                let more = 1 + length(stream, 20);
                let digits: Vec<u8> = (0..more).map(|_| b'0' + stream.below(10) as u8).collect();
                bytes.splice(place..=place, digits);
            }
        }
        _ => {
            let noise: Vec<u8> = (0..length(stream, 16)).map(|_| stream.next_u32() as u8).collect();
            bytes.splice(at..at, noise);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::mutated;
    use keyed_random::Stream;
    use std::collections::BTreeSet;

    #[test]
    fn mutations_follow_from_the_stream_and_differ() {
        let files = [("a".to_owned(), b"{\"width\": 64, \"height\": 48}".to_vec()), ("b".to_owned(), vec![7; 40])];
        let draw = |seed| {
            let mut stream = Stream::seeded(seed, "mutation");
            (0..200).map(|_| mutated(&files, 64, &mut stream)).collect::<Vec<_>>()
        };
        assert_eq!(draw(1), draw(1));
        let different: BTreeSet<Vec<u8>> = draw(1).into_iter().collect();
        assert!(different.len() > 150 && different.iter().all(|bytes| bytes.len() <= 64), "{}", different.len());
        assert!(mutated(&[], 8, &mut Stream::seeded(1, "none")).len() <= 16);
    }
}
