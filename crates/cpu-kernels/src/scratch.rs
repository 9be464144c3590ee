//! Working memory that threads keep, so that its pages are there the next time.

use std::cell::RefCell;

/// One cache line, which is also one register of AVX-512.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([f32; LINE]);

/// Memory aligned to 64 bytes.
#[derive(Default)]
pub(crate) struct Lines(Vec<Line>);

impl Lines {
    /// At least `len` zeros.
    pub(crate) fn zeros(len: usize) -> Self {
        Self(vec![Line([0.0; LINE]); len.div_ceil(LINE)])
    }

    /// How many elements there are.
    pub(crate) fn len(&self) -> usize {
        self.0.len() * LINE
    }

    pub(crate) fn as_slice(&self) -> &[f32] {
        // SAFETY: a line is sixteen numbers without padding.
        unsafe { std::slice::from_raw_parts(self.0.as_ptr().cast(), self.len()) }
    }

    pub(crate) fn as_mut_slice(&mut self) -> &mut [f32] {
        // SAFETY: as above.
        unsafe { std::slice::from_raw_parts_mut(self.0.as_mut_ptr().cast(), self.len()) }
    }

    /// The same as words of 32 bits.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn as_words(&self) -> &[u32] {
        // SAFETY: a line is sixteen words without padding, and every number is a pattern of bits.
        unsafe { std::slice::from_raw_parts(self.0.as_ptr().cast(), self.len()) }
    }

    /// The same as words of 32 bits.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn as_mut_words(&mut self) -> &mut [u32] {
        // SAFETY: as above, and every pattern of bits is a number.
        unsafe { std::slice::from_raw_parts_mut(self.0.as_mut_ptr().cast(), self.len()) }
    }
}

const LINE: usize = 16;

/// Elements that a thread keeps at most in one piece: 64 MB.
const KEPT: usize = 1 << 24;

thread_local! {
    static PIECES: RefCell<Vec<Lines>> = const { RefCell::new(Vec::new()) };
}

/// Working memory; its contents are what the last user left.
pub(crate) struct Scratch(Lines);

impl Scratch {
    /// `len` elements, aligned to 64 bytes.
    pub(crate) fn new(len: usize) -> Self {
        // The smallest that is large enough, or else the largest: few pieces serve all sizes.
        let kept = PIECES.with_borrow_mut(|kept| {
            let enough = (0..kept.len()).filter(|&i| kept[i].len() >= len).min_by_key(|&i| kept[i].len());
            let index = enough.or_else(|| (0..kept.len()).max_by_key(|&i| kept[i].len()));
            index.map(|index| kept.swap_remove(index))
        });
        let lines = kept.unwrap_or_default();
        Self(if lines.len() < len { Lines::zeros(len) } else { lines })
    }

    pub(crate) fn as_mut_slice(&mut self) -> &mut [f32] {
        self.0.as_mut_slice()
    }

    /// The same as words of 32 bits.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn as_mut_words(&mut self) -> &mut [u32] {
        self.0.as_mut_words()
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
        if lines.len() <= KEPT {
            // Where the thread is ending already, the memory is simply freed.
            let _ = PIECES.try_with(|kept| kept.borrow_mut().push(lines));
        }
    }
}
