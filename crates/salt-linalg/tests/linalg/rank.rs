//! Rank rules against spectra for which the answer is known.

use proptest::prelude::*;
use salt_linalg::{RankError, RankRule, thin_svd};

use crate::support::*;

fn pick(rule: RankRule, values: &[f64]) -> Result<usize, RankError> {
    rule.select(values, values.len(), values.len() + 3)
}

#[test]
fn fixed_and_fraction() {
    let values = [5.0, 4.0, 3.0, 2.0, 1.0];
    assert_eq!(pick(RankRule::Fixed { rank: 3 }, &values), Ok(3));
    for rank in [0, 6] {
        assert_eq!(pick(RankRule::Fixed { rank }, &values), Err(RankError::OutOfRange { rank, limit: 5 }));
    }
    for (share, rank) in [(0.01, 1), (0.39, 1), (0.4, 2), (0.999, 4), (1.0, 5)] {
        assert_eq!(pick(RankRule::Fraction { share }, &values), Ok(rank), "{share}");
    }
    for share in [0.0, -0.1, 1.1, f64::NAN] {
        assert!(matches!(pick(RankRule::Fraction { share }, &values), Err(RankError::Parameter { .. })));
        assert!(matches!(pick(RankRule::Energy { share }, &values), Err(RankError::Parameter { .. })));
    }
    // The released SAM 2 configuration: a tenth of 768.
    let values = vec![1.0f32; 768];
    assert_eq!(RankRule::Fraction { share: 0.1 }.select(&values, 768, 2304), Ok(76));
}

#[test]
fn energy() {
    // Squares 16, 9, 4, 1 of 30.
    let values = [4.0, 3.0, 2.0, 1.0];
    for (share, rank) in [(0.5, 1), (16.0 / 30.0, 1), (0.54, 2), (25.0 / 30.0, 2), (0.9, 3), (0.97, 4), (1.0, 4)] {
        assert_eq!(pick(RankRule::Energy { share }, &values), Ok(rank), "{share}");
    }
    assert_eq!(pick(RankRule::Energy { share: 1.0 }, &[2.0, 1.0, 0.0, 0.0]), Ok(2));
}

#[test]
fn stable_and_effective_rank() {
    for count in [1usize, 2, 7] {
        let mut values = vec![3.0; count];
        values.resize(10, 0.0);
        assert_eq!(pick(RankRule::StableRank, &values), Ok(count));
        assert_eq!(pick(RankRule::EffectiveRank, &values), Ok(count));
    }
    // 1 + 1/4 + 1/16 = 1.3125; entropy of (4/7, 2/7, 1/7) is 0.9557, its exponential 2.6004.
    assert_eq!(pick(RankRule::StableRank, &[1.0, 0.5, 0.25]), Ok(2));
    assert_eq!(pick(RankRule::EffectiveRank, &[1.0, 0.5, 0.25]), Ok(3));
}

#[test]
fn largest_gap() {
    assert_eq!(pick(RankRule::LargestGap, &[9.0, 8.0, 2.0, 1.5]), Ok(2));
    assert_eq!(pick(RankRule::LargestGap, &[1.0]), Ok(1));
    // Flat: every gap is zero, the first is taken.
    assert_eq!(pick(RankRule::LargestGap, &[1.0, 1.0, 1.0]), Ok(1));
    // Rounding noise is not a spectrum.
    assert_eq!(pick(RankRule::LargestGap, &[1.0, 0.9, 0.8, 1e-16, 1e-19]), Ok(3));
}

/// A signal of rank 5 in white noise, well above the threshold: both forms of the rule find it.
#[test]
fn gavish_and_donoho_find_a_planted_signal() {
    for (rows, cols) in [(200, 100), (100, 200), (150, 150)] {
        for seed in 0..u64::from(cases(5).min(50)) {
            let noise = 0.1;
            let mut planted = vec![0.0; rows.min(cols)];
            planted[..5].copy_from_slice(&[60.0, 40.0, 30.0, 20.0, 10.0]);
            let matrix = with_spectrum(rows, cols, &planted, seed) + gaussian(rows, cols, seed ^ 77) * noise;
            let values = thin_svd(&matrix).unwrap().singular_values;
            for noise in [None, Some(noise)] {
                let rank = RankRule::GavishDonoho { noise }.select(values.as_slice(), rows, cols);
                assert_eq!(rank, Ok(5), "{rows} x {cols}, seed {seed}, noise {noise:?}");
            }
        }
    }
}

#[test]
fn gavish_and_donoho_say_when_there_is_only_noise() {
    let values = thin_svd(&gaussian(100, 100, 1)).unwrap().singular_values;
    let error = RankRule::GavishDonoho { noise: Some(1.0) }.select(values.as_slice(), 100, 100).unwrap_err();
    assert!(matches!(error, RankError::NothingAboveThreshold { .. }), "{error}");
    let error = RankRule::GavishDonoho { noise: Some(-1.0) }.select(values.as_slice(), 100, 100).unwrap_err();
    assert!(matches!(error, RankError::Parameter { parameter: "noise", .. }), "{error}");
}

#[test]
fn bad_spectra_are_refused() {
    let rule = RankRule::StableRank;
    assert_eq!(rule.select::<f64>(&[], 0, 0), Err(RankError::Empty));
    assert_eq!(pick(rule, &[0.0, 0.0]), Err(RankError::ZeroMatrix));
    assert_eq!(pick(RankRule::Fixed { rank: 2 }, &[0.0, 0.0]), Ok(2));
    assert!(matches!(rule.select(&[2.0, 1.0], 3, 3), Err(RankError::Count { found: 2, .. })));
    for bad in [[1.0, 2.0], [1.0, -1.0], [1.0, f64::NAN], [f64::INFINITY, 1.0]] {
        assert!(matches!(pick(rule, &bad), Err(RankError::Spectrum { .. })), "{bad:?}");
    }
}

#[test]
fn rules_have_a_stable_written_form() {
    for (rule, text) in [
        (RankRule::Fixed { rank: 8 }, r#"{"rule":"fixed","rank":8}"#),
        (RankRule::Fraction { share: 0.1 }, r#"{"rule":"fraction","share":0.1}"#),
        (RankRule::Energy { share: 0.95 }, r#"{"rule":"energy","share":0.95}"#),
        (RankRule::StableRank, r#"{"rule":"stable-rank"}"#),
        (RankRule::EffectiveRank, r#"{"rule":"effective-rank"}"#),
        (RankRule::GavishDonoho { noise: None }, r#"{"rule":"gavish-donoho"}"#),
        (RankRule::LargestGap, r#"{"rule":"largest-gap"}"#),
    ] {
        assert_eq!(serde_json::to_string(&rule).unwrap(), text);
        assert_eq!(serde_json::from_str::<RankRule>(text).unwrap(), rule);
    }
    assert!(serde_json::from_str::<RankRule>(r#"{"rule":"energy","share":0.9,"rank":3}"#).is_err());
}

proptest! {
    #![proptest_config(config(64))]

    #[test]
    fn every_rule_stays_in_range_and_ignores_the_scale(case in case(), share in 0.01..1.0, exponent in -200i32..200) {
        let svd = thin_svd(&Case { magnitude: 0.0, ..case }.matrix::<f64>()).unwrap();
        let values = svd.singular_values.as_slice();
        let scaled: Vec<f64> = values.iter().map(|sigma| sigma * 2f64.powi(exponent)).collect();
        for rule in [
            RankRule::Fraction { share },
            RankRule::Energy { share },
            RankRule::StableRank,
            RankRule::EffectiveRank,
            RankRule::LargestGap,
        ] {
            let rank = rule.select(values, case.rows, case.cols);
            prop_assert_eq!(&rule.select(&scaled, case.rows, case.cols), &rank);
            if let Ok(rank) = rank {
                prop_assert!((1..=values.len()).contains(&rank));
            } else {
                prop_assert_eq!(values[0], 0.0);
            }
        }
    }

    #[test]
    fn the_energy_rule_is_minimal(case in case(), share in 0.01..0.99) {
        let svd = thin_svd(&Case { magnitude: 0.0, ..case }.matrix::<f64>()).unwrap();
        let values = svd.singular_values.as_slice();
        prop_assume!(values[0] > 0.0);
        let rank = RankRule::Energy { share }.select(values, case.rows, case.cols).unwrap();
        let total: f64 = values.iter().map(|sigma| sigma * sigma).sum();
        let kept = |rank: usize| values[..rank].iter().map(|sigma| sigma * sigma).sum::<f64>();
        prop_assert!(kept(rank) >= (share - 1e-12) * total);
        prop_assert!(rank == 1 || kept(rank - 1) <= (share + 1e-12) * total);
    }
}
