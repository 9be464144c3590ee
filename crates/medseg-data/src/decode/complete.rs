//! Whether a file ends where its format says that it ends.
//!
//! Decoders are content with less: they fill what is missing with grey, or do without an end marker. A file that was cut anywhere
//! lacks its end marker; what follows the marker does not matter.

/// JPEG: walks over the segments to the end-of-image marker of the file's own level; a thumbnail inside a segment has one too.
pub(super) fn jpeg(bytes: &[u8]) -> bool {
    let mut at = 2;
    while let Some(&[first, marker]) = bytes.get(at..at + 2) {
        if first != 0xFF {
            // Entropy-coded data, or stray bytes: on to the next marker.
            let Some(ahead) = bytes[at..].iter().position(|&byte| byte == 0xFF) else { return false };
            at += ahead;
            continue;
        }
        match marker {
            0xD9 => return true,
            // Fill bytes before a marker.
            0xFF => at += 1,
            // A stuffed 0xFF, a restart, and the markers that stand alone.
            0x00 | 0x01 | 0xD0..=0xD8 => at += 2,
            _ => {
                let Some(&[high, low]) = bytes.get(at + 2..at + 4) else { return false };
                at += 2 + usize::from(u16::from_be_bytes([high, low])).max(2);
            }
        }
    }
    false
}

/// PNG: walks over the chunks to the whole of `IEND`.
pub(super) fn png(bytes: &[u8]) -> bool {
    let mut at = 8;
    while let Some(&[a, b, c, d, ref kind @ ..]) = bytes.get(at..at + 8) {
        let end = at + 12 + u32::from_be_bytes([a, b, c, d]) as usize;
        if kind == b"IEND" {
            return end <= bytes.len();
        }
        at = end;
    }
    false
}

/// How many frames the chunk `acTL` of an animated PNG states; 1 without it.
pub(super) fn png_frames(bytes: &[u8]) -> usize {
    let mut at = 8;
    while let Some(&[a, b, c, d, ref kind @ ..]) = bytes.get(at..at + 8) {
        if kind == b"acTL" {
            let frames = bytes.get(at + 8..at + 12).and_then(|field| field.try_into().ok());
            return frames.map_or(1, |frames| u32::from_be_bytes(frames).max(1) as usize);
        }
        at += 12 + u32::from_be_bytes([a, b, c, d]) as usize;
    }
    1
}

/// BMP: compressed pixels of the length that the header states. Of others a decoder misses what is cut off.
pub(super) fn bmp(bytes: &[u8]) -> bool {
    let number =
        |at: usize| -> Option<u64> { Some(u64::from(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))) };
    match (number(10), number(14), number(30), number(34)) {
        (Some(start), Some(40..), Some(1 | 2), Some(length)) => start + length <= bytes.len() as u64,
        _ => true,
    }
}

/// GIF: walks over the blocks to the trailer.
pub(super) fn gif(bytes: &[u8]) -> bool {
    // The size of a table of colours that the lower bits of its flags state.
    let table = |flags: u8| if flags & 0x80 != 0 { 3 << ((flags & 7) + 1) } else { 0 };
    // Behind a chain of sub-blocks, which a block of no length ends.
    let behind = |mut at: usize| loop {
        match bytes.get(at) {
            Some(0) => return Some(at + 1),
            Some(&length) => at += 1 + usize::from(length),
            None => return None,
        }
    };
    let Some(&flags) = bytes.get(10) else { return false };
    let mut at = 13 + table(flags);
    loop {
        let next = match bytes.get(at) {
            Some(0x3B) => return true,
            Some(0x21) => behind(at + 2),
            Some(0x2C) => bytes.get(at + 9).and_then(|&flags| behind(at + 11 + table(flags))),
            _ => None,
        };
        let Some(next) = next else { return false };
        at = next;
    }
}
