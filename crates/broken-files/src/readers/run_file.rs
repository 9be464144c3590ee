//! Run files.

use medseg_train::config::RunConfig;
use std::path::Path;

pub(crate) fn run_file(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let path = Path::new("run.toml");
    match RunConfig::parse(text, path) {
        Err(error) => assert!(!error.to_string().is_empty()),
        Ok(config) => {
            let written = config.to_toml().expect("what was read can be written");
            let again = RunConfig::parse(&written, path).unwrap_or_else(|error| panic!("{error}\n{written}"));
            assert_eq!(again.to_toml().expect("written before"), written);
            assert_eq!(again.hash().expect("written before"), config.hash().expect("written before"));
        }
    }
}
