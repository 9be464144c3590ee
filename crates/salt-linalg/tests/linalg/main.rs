//! Laws, known answers, oracles and hostile conditions.
//!
//! `PROPTEST_CASES=10000 cargo test -p salt-linalg` runs every randomised test with that many cases.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod batch;
mod burn;
mod cache;
mod cut;
mod input;
mod laws;
mod oracles;
mod randomized;
mod rank;
mod rates;
mod sign;
mod spectra;
mod support;
mod tolerance;
