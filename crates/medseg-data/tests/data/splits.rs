//! Split tables, the seeded rule, folds by patient.

use medseg_data::dataset::{ImageSource, MaskSource, Reading};
use medseg_data::split::{PaperSizes, SplitRow, SplitTable, k_folds, seeded_split};
use medseg_data::{Sample, Split};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

fn sample(id: usize, patient: Option<usize>) -> Sample {
    Sample {
        id: format!("s{id}"),
        patient: patient.map(|p| format!("p{p}")),
        split: None,
        image: ImageSource::File("a.png".into()),
        mask: MaskSource::File("b.png".into()),
        field_of_view: None,
        reading: Reading::default(),
    }
}

fn ids(range: std::ops::RangeInclusive<usize>) -> Vec<String> {
    range.map(|i| i.to_string()).collect()
}

#[test]
fn seeded_splits_do_not_depend_on_the_order_of_ids() {
    let table = seeded_split("drive", &ids(21..=40), 14, 6, 42).unwrap();
    assert_eq!((table.count(Split::Train), table.count(Split::Test)), (14, 6));
    let mut reversed = ids(21..=40);
    reversed.reverse();
    assert_eq!(seeded_split("drive", &reversed, 14, 6, 42).unwrap(), table);
    assert_ne!(seeded_split("drive", &ids(21..=40), 14, 6, 43).unwrap(), table);
    assert_ne!(seeded_split("other", &ids(21..=40), 14, 6, 42).unwrap(), table);
    let error = seeded_split("drive", &ids(21..=39), 14, 6, 42).unwrap_err().to_string();
    assert!(error.contains("14 + 6") && error.contains("19"), "{error}");
}

#[test]
fn sizes_are_the_paper_s() {
    let sizes: Vec<(usize, usize)> = PaperSizes::ALL.iter().map(|s| (s.train, s.test)).collect();
    assert_eq!(sizes, [(700, 300), (22, 8), (20, 10), (93, 41), (14, 6)]);
}

#[test]
fn tables_keep_their_checksum() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("split.csv");
    let row = |id: &str, split, fold| SplitRow { id: id.into(), split, fold };
    let table = SplitTable::new(vec![row("a", Split::Train, Some(1)), row("b, \"c\"", Split::Val, None)]).unwrap();
    table.write(&path).unwrap();
    assert_eq!(SplitTable::read(&path, Some(&table.checksum())).unwrap(), table);
    std::fs::write(&path, table.to_csv().replace("train", "test")).unwrap();
    let error = SplitTable::read(&path, Some(&table.checksum())).unwrap_err().to_string();
    assert!(error.contains("SHA-256") && error.contains("split.csv"), "{error}");
    assert!(SplitTable::new(vec![row("a", Split::Train, None), row("a", Split::Val, None)]).is_err());
    for (text, reason) in [
        ("id,split\na,tran\n", "tran"),
        ("name,split\na,train\n", "columns"),
        ("id,split,fold\na,train,x\n", "fold"),
        ("id,split\na,train\na,val\n", "twice"),
        ("id,split\na\n", "split.csv"),
    ] {
        std::fs::write(&path, text).unwrap();
        let error = SplitTable::read(&path, None).unwrap_err().to_string();
        assert!(error.contains(reason), "{text:?}: {error}");
    }
}

#[test]
fn folds_need_enough_patients() {
    let samples = [sample(1, Some(1)), sample(2, Some(1)), sample(3, Some(2))];
    assert!(k_folds(&samples, 3, 1).unwrap_err().to_string().contains("2 to 2"));
    assert!(k_folds(&samples, 1, 1).is_err());
    let table = k_folds(&samples, 2, 1).unwrap();
    assert_eq!(table.hold_out(0).unwrap().count(Split::Test) + table.hold_out(1).unwrap().count(Split::Test), 3);
    assert!(table.hold_out(2).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases / 4))]

    /// Every sample is in one fold, no patient in two, and folds differ by no more than the largest patient.
    #[test]
    fn folds_keep_patients_together(
        patients in prop::collection::vec(prop::option::of(0usize..12), 12..60),
        k in 2usize..5,
        seed in any::<u64>(),
    ) {
        let samples: Vec<Sample> = patients.iter().enumerate().map(|(i, p)| sample(i, *p)).collect();
        let groups: BTreeSet<String> =
            samples.iter().map(|s| s.patient.clone().unwrap_or_else(|| s.id.clone())).collect();
        prop_assume!(groups.len() >= k);
        let table = k_folds(&samples, k, seed).unwrap();
        prop_assert_eq!(table.rows().len(), samples.len());
        let fold: BTreeMap<&str, u32> = table.rows().iter().map(|r| (r.id.as_str(), r.fold.unwrap())).collect();
        let mut of_patient: BTreeMap<&str, u32> = BTreeMap::new();
        for s in &samples {
            if let Some(p) = &s.patient {
                let first = *of_patient.entry(p).or_insert(fold[s.id.as_str()]);
                prop_assert_eq!(first, fold[s.id.as_str()]);
            }
        }
        let mut sizes = vec![0usize; k];
        table.rows().iter().for_each(|r| sizes[r.fold.unwrap() as usize] += 1);
        let largest = (0..12).map(|p| patients.iter().filter(|q| **q == Some(p)).count()).max().unwrap().max(1);
        prop_assert!(sizes.iter().max().unwrap() - sizes.iter().min().unwrap() <= largest, "{:?}", sizes);
    }
}
