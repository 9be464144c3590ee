//! Working memory that threads keep, so that its pages are there the next time.

use std::cell::RefCell;

/// One cache line, which is also one register of AVX-512.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([f32; LINE]);

const LINE: usize = 16;

/// What a thread keeps at most in one piece: 64 MB.
const KEPT_LINES: usize = 1 << 20;

thread_local! {
    static KEPT: RefCell<Vec<Vec<Line>>> = const { RefCell::new(Vec::new()) };
}

/// Working memory; its contents are what the last user left.
pub(crate) struct Scratch(Vec<Line>);

impl Scratch {
    /// `len` elements, aligned to 64 bytes.
    pub(crate) fn new(len: usize) -> Self {
        // The smallest that is large enough, or else the largest: few pieces serve all sizes.
        let kept = KEPT.with_borrow_mut(|kept| {
            let enough = (0..kept.len()).filter(|&i| kept[i].len() * LINE >= len).min_by_key(|&i| kept[i].len());
            let index = enough.or_else(|| (0..kept.len()).max_by_key(|&i| kept[i].len()));
            index.map(|index| kept.swap_remove(index))
        });
        let mut lines = kept.unwrap_or_default();
        let needed = len.div_ceil(LINE);
        if lines.len() < needed {
            lines = vec![Line([0.0; LINE]); needed];
        }
        Self(lines)
    }

    pub(crate) fn as_mut_slice(&mut self) -> &mut [f32] {
        // SAFETY: a line is sixteen numbers without padding.
        unsafe { std::slice::from_raw_parts_mut(self.0.as_mut_ptr().cast(), self.0.len() * LINE) }
    }

    /// The same as words of 32 bits.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn as_mut_words(&mut self) -> &mut [u32] {
        // SAFETY: a line is sixteen words without padding, and every pattern of bits is a number.
        unsafe { std::slice::from_raw_parts_mut(self.0.as_mut_ptr().cast(), self.0.len() * LINE) }
    }

    /// Several pieces of working memory, each aligned to 64 bytes.
    pub(crate) fn of<const N: usize>(lengths: [usize; N]) -> Self {
        Self::new(lengths.iter().map(|length| length.next_multiple_of(LINE)).sum())
    }

    /// The pieces of [`Scratch::of`].
    pub(crate) fn pieces<const N: usize>(&mut self, lengths: [usize; N]) -> [&mut [f32]; N] {
        let mut rest = self.as_mut_slice();
        lengths.map(|length| {
            let (piece, others) = std::mem::take(&mut rest).split_at_mut(length.next_multiple_of(LINE));
            rest = others;
            &mut piece[..length]
        })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let lines = std::mem::take(&mut self.0);
        if lines.len() <= KEPT_LINES {
            // Where the thread is ending already, the memory is simply freed.
            let _ = KEPT.try_with(|kept| kept.borrow_mut().push(lines));
        }
    }
}
