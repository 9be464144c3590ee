//! From text to CLIP's tokens: OpenAI's cleaning, words and limits around the byte-pair encoding of the crate `tokenizers`, with OpenAI's
//! merges, which are compiled in.

use regex::Regex;
use tokenizers::Model;
use tokenizers::models::bpe::{BPE, Vocab};
use unicode_normalization::UnicodeNormalization;

use crate::ClipError;

/// One merge per line, the most frequent first (OpenAI, MIT; see `vocabulary/NOTICE`).
const MERGES: &str = include_str!("../vocabulary/merges.txt");
/// Symbols before the merges: every byte, and every byte at the end of a word.
const BYTES: u32 = 256;
/// Marks the last symbol of a word.
const WORD_END: &str = "</w>";
/// What OpenAI's tokenizer takes for its markers wherever it stands.
const MARKERS: [&str; 2] = ["<|startoftext|>", "<|endoftext|>"];
/// Longest text that is looked at, in bytes: prompts are a few words.
const LONGEST_TEXT: usize = 1 << 14;
/// Words: contractions, runs of letters, single digits, runs of anything else but white space.
const WORDS: &str = r"(?i)'s|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\s\p{L}\p{N}]+";

/// What happens to texts with more tokens than the tower takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overflow {
    /// They are errors.
    Refuse,
    /// Their end is cut off, as by OpenAI's `tokenize` with `truncate`.
    Truncate,
}

/// CLIP's tokenizer. Making one takes some milliseconds; texts then take microseconds.
///
/// Ids are those of OpenAI's `clip.tokenize`, without its padding. Of the cleaning that OpenAI leaves to the package ftfy, this
/// tokenizer does what prompts need: composed characters (NFC), straight quotes for curly ones, ligatures and full-width letters
/// taken apart. HTML entities are not undone, nor is text that was decoded wrongly. A text that contains a marker
/// (`<|startoftext|>`, `<|endoftext|>`) is refused: it would move the place at which the features are read.
///
/// ```
/// use clip_text::{Overflow, Tokenizer};
/// let tokenizer = Tokenizer::new()?;
/// assert_eq!(tokenizer.encode("Vein", Overflow::Refuse)?, [49406, 29169, 49407]);
/// # Ok::<(), clip_text::ClipError>(())
/// ```
#[derive(Debug)]
pub struct Tokenizer {
    pairs: BPE,
    /// The letter that stands for every byte.
    letters: [char; 256],
    words: Regex,
    start: u32,
    context: usize,
}

impl Tokenizer {
    /// The tokenizer of all of OpenAI's models, for texts of at most 77 tokens.
    ///
    /// # Errors
    /// [`ClipError::Value`] if the compiled-in merges are not what they should be.
    pub fn new() -> Result<Self, ClipError> {
        let broken = |found: &str| ClipError::value("compiled-in merges", "two known symbols per line", found);
        let mut letters = [' '; 256];
        let mut symbols = Vocab::default();
        for (index, (byte, letter)) in (0u32..).zip(alphabet()) {
            letters[usize::from(byte)] = letter;
            symbols.insert(letter.to_string(), index);
            symbols.insert(format!("{letter}{WORD_END}"), index + BYTES);
        }
        let mut merges = Vec::new();
        for (index, line) in (2 * BYTES..).zip(MERGES.lines()) {
            let (first, second) = line.split_once(' ').ok_or_else(|| broken(line))?;
            symbols.insert(format!("{first}{second}"), index);
            merges.push((first.to_string(), second.to_string()));
        }
        let start = 2 * BYTES + merges.len() as u32;
        let pairs = BPE::builder().vocab_and_merges(symbols, merges).end_of_word_suffix(WORD_END.into()).build();
        let pairs = pairs.map_err(|e| broken(&e.to_string()))?;
        let words = Regex::new(WORDS).map_err(|e| broken(&e.to_string()))?;
        Ok(Self { pairs, letters, words, start, context: 77 })
    }

    /// The tokens of a text, start and end included, without padding: 2 to 77 of them.
    ///
    /// # Errors
    /// [`ClipError::Value`] for texts that contain a marker, that are longer than 16 KiB, or, where `overflow` refuses them,
    /// that have more than 77 tokens.
    pub fn encode(&self, text: &str, overflow: Overflow) -> Result<Vec<u32>, ClipError> {
        if text.len() > LONGEST_TEXT {
            let expected = format!("at most {LONGEST_TEXT} bytes");
            return Err(ClipError::value("text", expected, text.len()));
        }
        if let Some(marker) = MARKERS.iter().find(|marker| text.to_lowercase().contains(*marker)) {
            return Err(ClipError::value("text", "no markers of the tokenizer", format!("`{marker}`")));
        }
        let text = clean(text);
        let mut tokens = vec![self.start];
        for word in self.words.find_iter(&text) {
            let letters: String = word.as_str().bytes().map(|byte| self.letters[usize::from(byte)]).collect();
            let found = self.pairs.tokenize(&letters);
            let found = found.map_err(|e| ClipError::value("text", "words of known bytes", e.to_string()))?;
            tokens.extend(found.into_iter().map(|token| token.id));
        }
        if tokens.len() > self.context - 1 {
            if overflow == Overflow::Refuse {
                let expected = format!("at most {} tokens, start and end included", self.context);
                return Err(ClipError::value("text", expected, tokens.len() + 1));
            }
            tokens.truncate(self.context - 1);
        }
        tokens.push(self.start + 1);
        Ok(tokens)
    }
}

/// Every byte with the letter that stands for it in the merges: printable ones for themselves, the others above U+00FF.
fn alphabet() -> impl Iterator<Item = (u8, char)> {
    let is_printable = |byte: &u8| matches!(byte, 33..=126 | 161..=172 | 174..=255);
    let printable = (0..=255u8).filter(is_printable).map(|byte| (byte, char::from(byte)));
    let others = (0..=255u8).filter(move |byte| !is_printable(byte)).zip('\u{100}'..);
    printable.chain(others)
}

/// Composed, with plain quotes and letters, in lower case.
fn clean(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for letter in text.nfc() {
        match letter {
            '\u{2018}'..='\u{201b}' => plain.push('\''),
            '\u{201c}'..='\u{201f}' => plain.push('"'),
            // Ligatures and full-width forms.
            '\u{fb00}'..='\u{fb06}' | '\u{ff01}'..='\u{ff5e}' => plain.extend(letter.nfkc()),
            _ => plain.push(letter),
        }
    }
    plain.to_lowercase()
}
