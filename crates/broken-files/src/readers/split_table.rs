//! Split tables.

use crate::scratch::with_files;
use medseg_data::Split;
use medseg_data::split::SplitTable;

pub(crate) fn split_table(bytes: &[u8]) {
    let table = with_files(&[("splits.csv", bytes)], |folder| SplitTable::read(folder.join("splits.csv"), None));
    let Ok(table) = table else { return };
    let counted: usize = [Split::Train, Split::Val, Split::Test].into_iter().map(|split| table.count(split)).sum();
    assert_eq!(counted, table.rows().len());
    let written = table.to_csv();
    let again = with_files(&[("splits.csv", written.as_bytes())], |folder| {
        SplitTable::read(folder.join("splits.csv"), Some(&table.checksum()))
    });
    let again = again.unwrap_or_else(|error| panic!("{error}\n{written}"));
    assert!(again == table, "another table after writing and reading:\n{written}");
    for fold in table.rows().iter().filter_map(|row| row.fold).take(3) {
        if let Ok(held_out) = table.hold_out(fold) {
            assert!(held_out.count(Split::Test) > 0 && held_out.rows().len() == table.rows().len());
        }
    }
}
