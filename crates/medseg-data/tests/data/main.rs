//! One binary for all integration tests of medseg-data.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail like tests")]

mod batches;
mod checking;
mod coco;
mod decoding;
mod duplicates;
mod folders;
mod golden;
mod layouts;
mod manifests;
mod masks;
mod properties;
mod real;
mod splits;
mod support;
mod synthetic;
