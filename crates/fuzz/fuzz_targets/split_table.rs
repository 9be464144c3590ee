#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| broken_files::read("split-table", bytes));
