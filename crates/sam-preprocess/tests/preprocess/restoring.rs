//! From logits to masks, and what is refused on the way.

use sam_preprocess::{Preprocess, PreprocessError, Protocol};

/// Segment Anything asks for more than 0, the paper's code for a probability of at least one half.
#[test]
fn the_comparison_belongs_to_the_protocol() {
    for (protocol, at_zero) in
        [(Protocol::Default, false), (Protocol::Paper, true), (Protocol::Sam2, false), (Protocol::MedSam, false)]
    {
        assert_eq!(protocol.is_foreground(0.0), at_zero);
        assert_eq!(protocol.is_foreground(-0.0), at_zero);
        assert!(protocol.is_foreground(1e-30) && !protocol.is_foreground(-1e-30));
        let preprocess = Preprocess::new(protocol, 8).unwrap();
        let geometry = preprocess.geometry((8, 6));
        let restored = preprocess.restore(&geometry, &[0.0; 64]).unwrap();
        assert_eq!(restored.mask.count(), if at_zero { 48 } else { 0 });
        assert_eq!(restored.mask, protocol.decide(6, 8, &restored.logits).unwrap());
    }
}

#[test]
fn broken_logits_are_named() {
    let preprocess = Preprocess::new(Protocol::Default, 8).unwrap();
    let geometry = preprocess.geometry((8, 8));
    let error = preprocess.restore(&geometry, &[0.0; 63]).unwrap_err();
    assert!(matches!(error, PreprocessError::LogitCount { side: 8, found: 63 }), "{error}");
    let mut logits = [1.0; 64];
    logits[2 * 8 + 5] = f32::NAN;
    let error = preprocess.restore(&geometry, &logits).unwrap_err();
    assert!(matches!(error, PreprocessError::NanLogit { row: 1 | 2, column: 4 | 5 }), "{error}");
    // Between infinities there is nothing to interpolate.
    logits[2 * 8 + 5] = f32::NEG_INFINITY;
    assert!(matches!(preprocess.restore(&geometry, &logits), Err(PreprocessError::NanLogit { .. })));
    let mask = Protocol::Default.decide(1, 2, &[f32::INFINITY, f32::NEG_INFINITY]).unwrap();
    assert_eq!(mask.to_bytes(), [1, 0]);
    assert!(matches!(Protocol::Default.decide(3, 3, &[0.0; 8]), Err(PreprocessError::Mask(_))));
}

#[test]
fn a_description_is_stored_and_checked_when_it_is_read() {
    for (protocol, size) in
        [(Protocol::Default, 1024), (Protocol::Paper, 512), (Protocol::Sam2, 1024), (Protocol::MedSam, 1024)]
    {
        let preprocess = Preprocess::new(protocol, size).unwrap();
        let json = serde_json::to_string(&preprocess).unwrap();
        assert_eq!(serde_json::from_str::<Preprocess>(&json).unwrap(), preprocess);
    }
    assert_eq!(
        serde_json::to_string(&Preprocess::new(Protocol::Paper, 512).unwrap()).unwrap(),
        r#"{"protocol":"paper","size":512}"#
    );
    let medsam = serde_json::to_string(&Preprocess::new(Protocol::MedSam, 1024).unwrap()).unwrap();
    assert_eq!(medsam, r#"{"protocol":"medsam","size":1024}"#);
    for (json, named) in [
        (r#"{"protocol":"paper","size":0}"#, "found 0"),
        (r#"{"protocol":"paper","size":99999}"#, "found 99999"),
        (r#"{"protocol":"other","size":64}"#, "other"),
        (r#"{"protocol":"paper","size":64,"mean":0}"#, "mean"),
    ] {
        let error = serde_json::from_str::<Preprocess>(json).unwrap_err().to_string();
        assert!(error.contains(named), "{error}");
    }
}
