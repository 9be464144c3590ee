#![no_main]

libfuzzer_sys::fuzz_target!(
    // Panics that the project catches and answers with an error are none here; libFuzzer's own hook would end the process before.
    init: std::panic::set_hook(Box::new(|_| {})),
    |bytes: &[u8]| broken_files::read("bundle", bytes)
);
