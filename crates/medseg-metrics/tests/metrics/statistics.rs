//! Statistics against SciPy.

use crate::fixtures::json;
use medseg_metrics::statistics::{
    BootstrapOptions, Clusters, bootstrap_means, holm, mean, median, minimum_detectable_difference, standard_deviation,
    wilcoxon_signed_rank,
};

#[test]
fn signed_rank_equals_scipy() {
    let rows = json("wilcoxon_golden.json");
    for row in rows.as_array().unwrap() {
        let differences: Vec<f64> =
            row["differences"].as_array().unwrap().iter().map(|d| d.as_f64().unwrap()).collect();
        let test = wilcoxon_signed_rank(&differences).unwrap();
        let expected = row["p"].as_f64().unwrap();
        assert_eq!(Some(test.exact), row["exact"].as_bool());
        assert!(
            (test.p_value - expected).abs() < 1e-10 * expected,
            "{}: {} {expected}",
            differences.len(),
            test.p_value
        );
    }
}

#[test]
fn signed_rank_without_evidence() {
    assert_eq!(wilcoxon_signed_rank(&[0.0, 0.0]), None);
    assert_eq!(wilcoxon_signed_rank(&[]), None);
    assert_eq!(wilcoxon_signed_rank(&[1.0, f64::NAN]), None);
    assert_eq!(wilcoxon_signed_rank(&[1.0, -1.0]).unwrap().p_value, 1.0);
}

#[test]
fn holm_keeps_order_and_caps() {
    assert_eq!(holm(&[0.5, 0.01, 0.9]), [1.0, 0.03, 1.0]);
    assert!(holm(&[]).is_empty());
}

#[test]
fn bootstrap_covers_the_mean_and_follows_the_seed_alone() {
    let values: Vec<f64> = (0..100).map(|i| f64::from(i % 10)).collect();
    let names: Vec<String> = (0..100).map(|i| format!("p{i}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let clusters = Clusters::new(&names, &values).unwrap();
    let run = |seed| bootstrap_means(&clusters, &BootstrapOptions { seed, ..Default::default() }).unwrap().unwrap();
    let (low, high) = run(1);
    // The normal interval is 4.5 plus or minus 1.96 * 2.887 / 10.
    assert!((low - 3.93).abs() < 0.05 && (high - 5.07).abs() < 0.05, "{low} {high}");
    assert_eq!(run(1), (low, high));
    assert_ne!(run(2), (low, high));
    let one_thread = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    assert_eq!(one_thread.install(|| run(1)), (low, high));
}

#[test]
fn one_patient_has_no_interval() {
    let clusters = Clusters::new(&["a", "a", "a"], &[1.0, 2.0, 3.0]).unwrap();
    assert_eq!(bootstrap_means(&clusters, &BootstrapOptions::default()).unwrap(), None);
    assert_eq!(clusters.means(), [2.0]);
}

#[test]
fn moments() {
    assert_eq!(mean(&[1.0, 2.0, 6.0]), 3.0);
    assert_eq!(median(&[6.0, 1.0, 2.0, 4.0]), 3.0);
    assert_eq!(median(&[f64::INFINITY, 1.0, f64::INFINITY]), f64::INFINITY);
    assert!((standard_deviation(&[1.0, 2.0, 6.0]) - 7f64.sqrt()).abs() < 1e-12);
    assert!(standard_deviation(&[1.0]).is_nan() && mean(&[]).is_nan() && median(&[1.0, f64::NAN]).is_nan());
}

#[test]
fn unusable_options_are_refused() {
    let clusters = Clusters::new(&["a", "b"], &[1.0, 2.0]).unwrap();
    for options in [
        BootstrapOptions { resamples: 0, ..Default::default() },
        BootstrapOptions { confidence: 1.0, ..Default::default() },
        BootstrapOptions { confidence: f64::NAN, ..Default::default() },
    ] {
        assert!(bootstrap_means(&clusters, &options).is_err(), "{options:?}");
    }
    assert!(Clusters::new(&["a"], &[1.0, 2.0]).is_err());
    assert!(minimum_detectable_difference(1.0, 1, 0.05, 0.8).is_err());
    assert!(minimum_detectable_difference(f64::NAN, 9, 0.05, 0.8).is_err());
    assert!(minimum_detectable_difference(1.0, 9, 0.0, 0.8).is_err());
}
