//! The report on a cut.

use proptest::prelude::*;
use salt_linalg::{CutQuality, RankError, thin_svd};

use crate::support::*;

#[test]
fn the_numbers_are_the_definitions() {
    let cut = CutQuality::at(&[8.0, 4.0, 3.0, 0.0], 2).unwrap();
    assert_eq!((cut.rank, cut.sigma_rank, cut.sigma_next, cut.relative_gap, cut.gap()), (2, 4.0, 3.0, 0.25, 1.0));
    assert_eq!(cut.wedin_bound(0.25), 0.25 / 0.75);
    assert_eq!(cut.wedin_bound(0.5), 1.0);
    assert_eq!(cut.wedin_bound(3.0), 1.0);
    assert_eq!(cut.wedin_bound(0.0), 0.0);
    assert_eq!(cut.wedin_bound(f64::NAN), 1.0);
    // Everything kept, and a cut through a tie or through zeros.
    assert_eq!(CutQuality::at(&[8.0, 4.0], 2).unwrap().relative_gap, 1.0);
    assert_eq!(CutQuality::at(&[4.0, 4.0], 1).unwrap().wedin_bound(0.0), 1.0);
    assert_eq!(CutQuality::at(&[4.0, 0.0, 0.0], 2).unwrap().relative_gap, 0.0);
    for rank in [0, 3] {
        assert_eq!(CutQuality::at(&[8.0f32, 4.0], rank), Err(RankError::OutOfRange { rank, limit: 2 }));
    }
    let text = serde_json::to_string(&cut).unwrap();
    assert_eq!(serde_json::from_str::<CutQuality>(&text).unwrap(), cut);
}

proptest! {
    #![proptest_config(config(48))]

    /// Both leading subspaces turn by no more than the bound says.
    #[test]
    fn wedins_bound_holds(case in case(), share in 0.0..1.0, size in -12.0..0.0, seed in any::<u64>()) {
        let matrix = Case { magnitude: 0.0, ..case }.matrix::<f64>();
        let svd = thin_svd(&matrix).unwrap();
        let rank = 1 + (share * (svd.rank() - 1) as f64) as usize;
        let perturbation = gaussian(case.rows, case.cols, seed) * 10f64.powf(size);
        let perturbed = thin_svd(&(&matrix + &perturbation)).unwrap();
        let bound = svd.cut_quality(rank).unwrap().wedin_bound(spectral(&perturbation));
        let left = sine(&svd.u.columns(0, rank).into_owned(), &perturbed.u.columns(0, rank).into_owned());
        let right = sine(&svd.v_t.rows(0, rank).transpose(), &perturbed.v_t.rows(0, rank).transpose());
        prop_assert!(left <= bound + 1e-12 && right <= bound + 1e-12, "{left}, {right} above {bound}");
    }
}
