//! The tokenizer against OpenAI's.

use clip_text::{ClipError, Overflow, Tokenizer};
use serde_json::Value;

use crate::support::fixture;

#[test]
fn every_prompt_has_openais_tokens() {
    let golden: Value = serde_json::from_slice(&std::fs::read(fixture("clip_tokens.json")).unwrap()).unwrap();
    let tokenizer = Tokenizer::new().unwrap();
    let (mut compared, mut refused) = (0, 0);
    for prompt in golden["prompts"].as_array().unwrap() {
        let text = prompt["text"].as_str().unwrap();
        let ids: Vec<u32> = prompt["ids"].as_array().unwrap().iter().map(|id| id.as_u64().unwrap() as u32).collect();
        let full = prompt["full_length"].as_u64().unwrap() as usize;
        let found = tokenizer.encode(text, Overflow::Truncate);
        if text.contains("<|") {
            assert!(matches!(found, Err(ClipError::Value { .. })), "{text}");
            refused += 1;
            continue;
        }
        // HTML entities are the one repair that is not done.
        if text.contains("&lt;") {
            assert_ne!(found.unwrap(), ids, "{text}");
            refused += 1;
            continue;
        }
        assert_eq!(found.unwrap(), ids, "{text}");
        let strict = tokenizer.encode(text, Overflow::Refuse);
        assert_eq!(strict.is_ok(), full <= 77, "{text}");
        if let Err(error) = strict {
            assert!(error.to_string().contains(&full.to_string()), "{error}");
        }
        compared += 1;
    }
    assert_eq!((compared, refused), (24, 2));
}

#[test]
fn hostile_texts_end_in_tokens_or_errors() {
    let tokenizer = Tokenizer::new().unwrap();
    let long = "a".repeat(1 << 14);
    assert_eq!(tokenizer.encode(&long, Overflow::Truncate).unwrap().len(), 77);
    assert!(tokenizer.encode(&format!("{long}a"), Overflow::Truncate).is_err());
    assert!(tokenizer.encode("<|EndOfText|>", Overflow::Refuse).is_err());
    for text in ["\0\u{1}\u{7f}", "\u{10ffff}", "'", "''s", "\u{feff}vessel", "<start_of_text>"] {
        let tokens = tokenizer.encode(text, Overflow::Refuse).unwrap();
        assert!(tokens.len() > 2 && tokens[1..tokens.len() - 1].iter().all(|&token| token < 49406), "{text:?}");
    }
}
